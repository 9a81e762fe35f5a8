//! What happens between nodes.

use coffer_domain::ids::TenantId;
use coffer_ports::telemetry::Happening;

use crate::{
    metrics::Metrics,
    partition::{Verdict, label},
    runner::RunnerError,
};

/// A partition is not this node's own any more.
pub struct PartitionReleased {
    pub partition: u32,
    pub reason: &'static str,
}

impl Happening<Metrics> for PartitionReleased {
    const NAME: &'static str = "partition_released";

    fn count(&self, metrics: &Metrics) {
        metrics.partitions_released.inc();
    }

    fn log(&self, suppressed: u64) {
        let Self { partition, reason } = self;
        tracing::info!(happening = Self::NAME, suppressed, partition, reason, "a partition is released");
    }
}

/// A partition that the group has given to this node could not be taken over, and is tried again.
pub struct TakeOverFailed<'a> {
    pub error: &'a RunnerError,
}

impl Happening<Metrics> for TakeOverFailed<'_> {
    const NAME: &'static str = "take_over_failed";

    fn count(&self, metrics: &Metrics) {
        metrics.take_overs_failed.inc();
    }

    fn log(&self, suppressed: u64) {
        tracing::warn!(happening = Self::NAME, suppressed, error = %self.error, "a partition is not taken over yet");
    }
}

/// A command was decided, or not, by another node.
pub struct CommandForwarded<'a> {
    pub tenant: &'a TenantId,
    pub result: &'a Verdict,
}

impl Happening<Metrics> for CommandForwarded<'_> {
    const NAME: &'static str = "command_forwarded";

    fn count(&self, metrics: &Metrics) {
        metrics.commands_forwarded.with_label_values(&[label(self.result)]).inc();
    }

    fn log(&self, suppressed: u64) {
        let (tenant, result) = (self.tenant, label(self.result));
        tracing::debug!(happening = Self::NAME, suppressed, %tenant, result, "a command was decided by another node");
    }
}

//! The log and the store.

use coffer_domain::time::Timestamp;
use coffer_ports::telemetry::Happening;

use crate::{
    dispatcher::Ownership,
    metrics::Metrics,
    store::{StoreError, room::Standing},
};

/// A batch was not written, for sure.
pub struct CommitRefused<'a> {
    pub partition: u32,
    pub reason: &'a str,
}

impl Happening<Metrics> for CommitRefused<'_> {
    const NAME: &'static str = "commit_refused";

    fn count(&self, metrics: &Metrics) {
        metrics.commits_refused.inc();
    }

    fn log(&self, suppressed: u64) {
        let Self { partition, reason } = self;
        tracing::error!(
            happening = Self::NAME,
            suppressed,
            partition,
            reason,
            "a batch was not committed: the partition reloads"
        );
    }
}

/// Nobody knows whether a batch was written.
pub struct CommitUncertain<'a> {
    pub partition: u32,
    pub reason: &'a str,
}

impl Happening<Metrics> for CommitUncertain<'_> {
    const NAME: &'static str = "commit_uncertain";

    fn count(&self, metrics: &Metrics) {
        metrics.commits_uncertain.inc();
    }

    fn log(&self, suppressed: u64) {
        let Self { partition, reason } = self;
        tracing::error!(
            happening = Self::NAME,
            suppressed,
            partition,
            reason,
            "it is not known whether a batch was committed: the partition reloads"
        );
    }
}

/// A partition has its memory from the store, for the first time or again.
pub struct PartitionLoaded {
    pub ownership: Ownership,
    pub instances: usize,
    pub outstanding: usize,
}

impl Happening<Metrics> for PartitionLoaded {
    const NAME: &'static str = "partition_loaded";

    fn count(&self, metrics: &Metrics) {
        metrics.partitions_loaded.inc();
    }

    fn log(&self, suppressed: u64) {
        let Self { ownership: Ownership { partition, epoch }, instances, outstanding } = self;
        tracing::info!(
            happening = Self::NAME,
            suppressed,
            partition,
            epoch,
            instances,
            outstanding,
            "a partition is loaded"
        );
    }
}

/// A partition's rows are as new as its changelog.
pub struct ChangelogFollowed {
    pub partition: u32,
    pub rows: usize,
    pub seconds: f64,
}

impl Happening<Metrics> for ChangelogFollowed {
    const NAME: &'static str = "changelog_followed";

    fn count(&self, metrics: &Metrics) {
        metrics.changelog_rows.inc_by(self.rows as u64);
    }

    fn log(&self, suppressed: u64) {
        let Self { partition, rows, seconds } = self;
        tracing::info!(
            happening = Self::NAME,
            suppressed,
            partition,
            rows,
            seconds,
            "the store has followed the changelog to its end"
        );
    }
}

/// A partition's rows were too old to be brought up to date.
pub struct StoreWiped {
    pub partition: u32,
    pub applied_at: Timestamp,
}

impl Happening<Metrics> for StoreWiped {
    const NAME: &'static str = "store_wiped";

    fn count(&self, metrics: &Metrics) {
        metrics.store_wipes.inc();
    }

    fn log(&self, suppressed: u64) {
        let (partition, applied_at_ms) = (self.partition, self.applied_at.0);
        tracing::warn!(
            happening = Self::NAME,
            suppressed,
            partition,
            applied_at_ms,
            "the store has not followed the changelog for too long: its rows of the partition are built up anew"
        );
    }
}

/// The store has not answered a read.
pub struct ReadFailed<'a> {
    pub error: &'a StoreError,
}

impl Happening<Metrics> for ReadFailed<'_> {
    const NAME: &'static str = "read_failed";

    fn count(&self, metrics: &Metrics) {
        metrics.reads_failed.inc();
    }

    fn log(&self, suppressed: u64) {
        let error = self.error;
        tracing::error!(happening = Self::NAME, suppressed, %error, "a read failed");
    }
}

/// The store came to be open, low on room, or stopped.
pub struct StoreChanged<'a> {
    pub standing: &'a Standing,
    pub free_bytes: u64,
}

impl Happening<Metrics> for StoreChanged<'_> {
    const NAME: &'static str = "store_changed";

    fn count(&self, metrics: &Metrics) {
        metrics.store_changes.with_label_values(&[self.standing.as_str()]).inc();
    }

    fn log(&self, suppressed: u64) {
        let (to, free_mib) = (self.standing.as_str(), self.free_bytes >> 20);
        match self.standing {
            Standing::Open => tracing::info!(
                happening = Self::NAME,
                suppressed,
                to,
                free_mib,
                "the store has room: everything is taken again"
            ),
            Standing::Low(_) => tracing::warn!(
                happening = Self::NAME,
                suppressed,
                to,
                free_mib,
                "the store's file system is almost full: new orders are refused, deletes are taken; make room"
            ),
            Standing::Stopped(reason) => tracing::error!(
                happening = Self::NAME,
                suppressed,
                to,
                free_mib,
                reason,
                "the store cannot be written: nothing is taken, reads go on; make room"
            ),
        }
    }
}

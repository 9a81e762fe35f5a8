//! How full every thing with a bound is, asked when Prometheus asks: nothing is counted on the way.

use coffer_ports::telemetry::{Bounded, Fullness};
use prometheus::{
    IntGaugeVec, Opts,
    core::{Collector, Desc},
    proto::MetricFamily,
};

use crate::metrics::{BOUNDED_LIMIT, BOUNDED_USED};

/// The things of this component, by the label `thing`.
pub const THINGS: [&str; 14] = [
    PARTITION_INBOX,
    LOG_QUEUE,
    OUTGOING,
    TELEMETRY_QUEUE,
    EFFECT_SLOTS,
    ENDED_TASKS,
    KEPT_ANSWERS,
    LOG_GROUP,
    EXPORTED_INSTANCES,
    STANDBY_READERS,
    FORWARDED,
    COMMANDS_QUEUE,
    COMMANDS_UNDECIDED,
    WATCHED_FOR_NODES,
];

/// Inputs that wait for a partition.
pub const PARTITION_INBOX: &str = "partition_inbox";
/// Batches that wait for the log's writer.
pub const LOG_QUEUE: &str = "log_queue";
/// Batches in the write that is under way.
pub const LOG_GROUP: &str = "log_group";
/// Messages to the agents of a partition that wait for the broker.
pub const OUTGOING: &str = "agents_outgoing";
/// Messages of agents that wait for a place in their partition's inbox.
pub const TELEMETRY_QUEUE: &str = "telemetry_queue";
/// Effects being carried out.
pub const EFFECT_SLOTS: &str = "effect_slots";
/// Ended tasks that a partition remembers.
pub const ENDED_TASKS: &str = "ended_tasks";
/// Readers that wait for a partition of another node to be as new as its log.
pub const STANDBY_READERS: &str = "standby_readers";
/// Commands and questions to other nodes that wait for their answer.
pub const FORWARDED: &str = "forwarded";
/// Records of the topic of commands that wait to be looked at.
pub const COMMANDS_QUEUE: &str = "commands_queue";
/// Commands of other nodes and of producers that wait for their answer.
pub const COMMANDS_UNDECIDED: &str = "commands_undecided";
/// Ends of tasks that other nodes wait for.
pub const WATCHED_FOR_NODES: &str = "watched_for_nodes";
/// Answers that a tenant has kept for requests that are sent again.
pub const KEPT_ANSWERS: &str = "kept_answers";
/// Instances whose own metrics are exported.
pub const EXPORTED_INSTANCES: &str = "exported_instances";

pub struct FullnessCollector {
    bounded: Bounded,
    used: IntGaugeVec,
    limit: IntGaugeVec,
}

impl FullnessCollector {
    pub fn new(bounded: Bounded) -> prometheus::Result<Self> {
        let gauges = |described: &coffer_ports::telemetry::Described| {
            IntGaugeVec::new(Opts::new(described.name, described.help), described.labels)
        };
        Ok(Self { bounded, used: gauges(&BOUNDED_USED)?, limit: gauges(&BOUNDED_LIMIT)? })
    }
}

impl Collector for FullnessCollector {
    fn desc(&self) -> Vec<&Desc> {
        self.used.desc().into_iter().chain(self.limit.desc()).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let whole = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        for (name, Fullness { used, limit }) in self.bounded.fullness() {
            self.used.with_label_values(&[name]).set(whole(used));
            self.limit.with_label_values(&[name]).set(whole(limit));
        }
        self.used.collect().into_iter().chain(self.limit.collect()).collect()
    }
}

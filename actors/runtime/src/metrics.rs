//! Counters and gauges of the runtime. Labels come from fixed sets, never from clients, except those of
//! [`crate::instance_metrics`], whose number is bounded.

use std::sync::Arc;

use coffer_ports::telemetry::{Bounded, Described, Meter, Throttles};
use prometheus::{
    Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, core::Collector,
    exponential_buckets,
};

use crate::{
    fullness::{self, FullnessCollector},
    instance_metrics::{self, InstanceMetrics},
    telemetry,
};

const COMMANDS: Described =
    Described::counter("coffer_commands_total", &["verb", "result"], "Commands decided, by verb and result.");
const EFFECTS: Described =
    Described::counter("coffer_effects_total", &["action", "result"], "Effects that ended, by action and result.");
const EFFECTS_RUNNING: Described = Described::gauge("coffer_effects_running", &[], "Effects being carried out.");
const OPERATIONS_STARTED: Described =
    Described::counter("coffer_operations_started_total", &["operation"], "Operations of instances that were started.");
const OPERATIONS_ENDED: Described = Described::counter(
    "coffer_operations_ended_total",
    &["operation", "result"],
    "Operations of instances that ended: `ok`; `failed`, with an undo after it where there is something to take back; `undone`, which is an undo's good end; `replaced` by another one (a reset, a delete); `broken`, with an instance that can only be deleted.",
);
const BATCH_INPUTS: Described = Described::histogram("coffer_batch_inputs", &[], "Inputs per committed batch.");
const COMMIT_SECONDS: Described =
    Described::histogram("coffer_commit_seconds", &[], "Seconds until a batch is durable.");
const COMMITS_REFUSED: Described = Described::counter(
    "coffer_commits_refused_total",
    &[],
    "Batches that were not written, for sure: the partition reloaded.",
);
const COMMITS_UNCERTAIN: Described = Described::counter(
    "coffer_commits_uncertain_total",
    &[],
    "Batches whose fate was unknown: the partition reloaded.",
);
const PARTITIONS_LOADED: Described =
    Described::counter("coffer_partitions_loaded_total", &[], "Partitions that were loaded from the store, or again.");
const CHANGELOG_ROWS: Described = Described::counter(
    "coffer_changelog_rows_total",
    &[],
    "Rows that a partition took from the changelog to be up to date.",
);
const STORE_WIPES: Described = Described::counter(
    "coffer_store_wipes_total",
    &[],
    "Partitions whose rows were removed and built up anew, as the store had not followed the changelog for too long.",
);
const PARTITIONS_OWNED: Described =
    Described::gauge("coffer_partitions_owned", &[], "Partitions that are this node's own.");
const PARTITIONS_RELEASED: Described = Described::counter(
    "coffer_partitions_released_total",
    &[],
    "Partitions that were this node's own and are not any more.",
);
const TAKE_OVERS_FAILED: Described = Described::counter(
    "coffer_take_overs_failed_total",
    &[],
    "Times that a partition could not be taken over, which is tried again.",
);
const COMMANDS_FORWARDED: Described = Described::counter(
    "coffer_commands_forwarded_total",
    &["result"],
    "Commands that were handed to the node that owns their partition, by what it said: `accepted` or why not.",
);
const AGENT_MESSAGES: Described =
    Described::counter("coffer_agent_messages_total", &[], "Messages of agents that were taken in.");
const AGENT_MESSAGES_REFUSED: Described = Described::counter(
    "coffer_agent_messages_refused_total",
    &["reason"],
    "Messages of agents that were refused, by reason.",
);
const AGENT_MESSAGES_DROPPED: Described = Described::counter(
    "coffer_agent_messages_dropped_total",
    &[],
    "Messages of agents that found their partition's queue full; its agents are asked anew.",
);
const AGENT_SENDS_DEFERRED: Described = Described::counter(
    "coffer_agent_sends_deferred_total",
    &[],
    "Messages to agents that found the outgoing queue full and are sent again later.",
);
const AGENT_SENDS_FAILED: Described = Described::counter(
    "coffer_agent_sends_failed_total",
    &[],
    "Messages to agents that the broker did not take and that are sent again later.",
);
const AGENT_ENROLMENTS: Described =
    Described::counter("coffer_agent_enrolments_total", &[], "Times that an agent asked for a session.");
const AGENT_SESSIONS: Described =
    Described::counter("coffer_agent_sessions_total", &[], "Sessions that agents have answered.");
const AGENTS_SILENT: Described =
    Described::counter("coffer_agents_silent_total", &[], "Times that an agent was not heard of for too long.");
const LEFT_BEHIND: Described = Described::counter(
    "coffer_left_behind_total",
    &["step"],
    "Things outside that forced deletes left, by the step that could not be done.",
);
const INTAKE_REFUSED: Described = Described::counter(
    "coffer_intake_refused_total",
    &["reason"],
    "Commands on the intake topic that were not done, by reason.",
);
const READS_FAILED: Described =
    Described::counter("coffer_reads_failed_total", &[], "Reads that the store did not answer.");
const JOURNAL_ENTRIES_DROPPED: Described = Described::counter(
    "coffer_journal_entries_dropped_total",
    &[],
    "Journal entries that were pushed out by newer ones of the same instance.",
);
const STORE_FREE_BYTES: Described =
    Described::gauge("coffer_store_free_bytes", &[], "Bytes free on the store's file system.");
const STORE_REFUSES: Described = Described::gauge(
    "coffer_store_refuses",
    &["what"],
    "1 while the store refuses new commands (almost full) or all commits (full or failing).",
);
const STORE_CHANGES: Described = Described::counter(
    "coffer_store_changes_total",
    &["to"],
    "Times that the store came to be open, low on room or stopped.",
);
/// How full each thing with a bound is; see [`crate::fullness`].
pub const BOUNDED_USED: Described = Described::gauge(
    "coffer_bounded_used",
    &["thing"],
    "How much of each bounded thing is in use; of several of a kind, the fullest.",
);
pub const BOUNDED_LIMIT: Described =
    Described::gauge("coffer_bounded_limit", &["thing"], "The bound of each bounded thing.");

/// Every metric of this component.
pub fn described() -> Vec<Described> {
    let mut all = vec![
        COMMANDS,
        EFFECTS,
        EFFECTS_RUNNING,
        OPERATIONS_STARTED,
        OPERATIONS_ENDED,
        BATCH_INPUTS,
        COMMIT_SECONDS,
        COMMITS_REFUSED,
        COMMITS_UNCERTAIN,
        PARTITIONS_LOADED,
        CHANGELOG_ROWS,
        STORE_WIPES,
        PARTITIONS_OWNED,
        PARTITIONS_RELEASED,
        TAKE_OVERS_FAILED,
        COMMANDS_FORWARDED,
        AGENT_MESSAGES,
        AGENT_MESSAGES_REFUSED,
        AGENT_MESSAGES_DROPPED,
        AGENT_SENDS_DEFERRED,
        AGENT_SENDS_FAILED,
        AGENT_ENROLMENTS,
        AGENT_SESSIONS,
        AGENTS_SILENT,
        LEFT_BEHIND,
        INTAKE_REFUSED,
        READS_FAILED,
        JOURNAL_ENTRIES_DROPPED,
        STORE_FREE_BYTES,
        STORE_REFUSES,
        STORE_CHANGES,
        BOUNDED_USED,
        BOUNDED_LIMIT,
    ];
    all.extend(instance_metrics::DESCRIBED);
    all
}

/// One set for all partitions of a process. What each counts stands in its description above.
#[derive(Clone)]
pub struct Metrics {
    /// The result is `accepted`, `repeated`, or the rejection's kind.
    pub commands: IntCounterVec,
    /// The result is `ok` or an error kind.
    pub effects: IntCounterVec,
    pub effects_running: IntGauge,
    pub operations_started: IntCounterVec,
    /// The result is a [`telemetry::Ending`].
    pub operations_ended: IntCounterVec,
    pub batch_inputs: Histogram,
    pub commit_seconds: Histogram,
    pub commits_refused: IntCounter,
    pub commits_uncertain: IntCounter,
    pub partitions_loaded: IntCounter,
    pub changelog_rows: IntCounter,
    pub store_wipes: IntCounter,
    pub partitions_owned: IntGauge,
    pub partitions_released: IntCounter,
    pub take_overs_failed: IntCounter,
    /// The result is `accepted` or the rejection's kind.
    pub commands_forwarded: IntCounterVec,
    pub agent_messages: IntCounter,
    pub agent_messages_refused: IntCounterVec,
    pub agent_messages_dropped: IntCounter,
    pub agent_sends_deferred: IntCounter,
    pub agent_sends_failed: IntCounter,
    pub agent_enrolments: IntCounter,
    pub agent_sessions: IntCounter,
    pub agents_silent: IntCounter,
    pub left_behind: IntCounterVec,
    pub intake_refused: IntCounterVec,
    pub reads_failed: IntCounter,
    pub journal_entries_dropped: IntCounter,
    pub store_free_bytes: IntGauge,
    /// What is `commands` or `commits`.
    pub store_refuses: IntGaugeVec,
    /// To `open`, `low` or `stopped`.
    pub store_changes: IntCounterVec,
    /// Every thing with a bound registers itself here.
    pub bounded: Bounded,
    /// What agents tell of their instances.
    pub instances: InstanceMetrics,
    throttles: Arc<Throttles>,
}

impl Metrics {
    /// Registers all of them.
    pub fn new(registry: &Registry) -> prometheus::Result<Self> {
        let bounded = Bounded::default();
        let register = Register(registry);
        registry.register(Box::new(FullnessCollector::new(bounded.clone())?))?;
        let instances = InstanceMetrics::register(registry)?;
        let exported = instances.clone();
        bounded.register(fullness::EXPORTED_INSTANCES, instance_metrics::MAX_EXPORTED, move || Some(exported.len()));
        Ok(Self {
            commands: register.counters(&COMMANDS)?,
            effects: register.counters(&EFFECTS)?,
            effects_running: register.gauge(&EFFECTS_RUNNING)?,
            operations_started: register.counters(&OPERATIONS_STARTED)?,
            operations_ended: register.counters(&OPERATIONS_ENDED)?,
            batch_inputs: register.histogram(&BATCH_INPUTS, exponential_buckets(1.0, 2.0, 9)?)?,
            commit_seconds: register.histogram(&COMMIT_SECONDS, exponential_buckets(0.0001, 2.0, 15)?)?,
            commits_refused: register.counter(&COMMITS_REFUSED)?,
            commits_uncertain: register.counter(&COMMITS_UNCERTAIN)?,
            partitions_loaded: register.counter(&PARTITIONS_LOADED)?,
            changelog_rows: register.counter(&CHANGELOG_ROWS)?,
            store_wipes: register.counter(&STORE_WIPES)?,
            partitions_owned: register.gauge(&PARTITIONS_OWNED)?,
            partitions_released: register.counter(&PARTITIONS_RELEASED)?,
            take_overs_failed: register.counter(&TAKE_OVERS_FAILED)?,
            commands_forwarded: register.counters(&COMMANDS_FORWARDED)?,
            agent_messages: register.counter(&AGENT_MESSAGES)?,
            agent_messages_refused: register.counters(&AGENT_MESSAGES_REFUSED)?,
            agent_messages_dropped: register.counter(&AGENT_MESSAGES_DROPPED)?,
            agent_sends_deferred: register.counter(&AGENT_SENDS_DEFERRED)?,
            agent_sends_failed: register.counter(&AGENT_SENDS_FAILED)?,
            agent_enrolments: register.counter(&AGENT_ENROLMENTS)?,
            agent_sessions: register.counter(&AGENT_SESSIONS)?,
            agents_silent: register.counter(&AGENTS_SILENT)?,
            left_behind: register.counters(&LEFT_BEHIND)?,
            intake_refused: register.counters(&INTAKE_REFUSED)?,
            reads_failed: register.counter(&READS_FAILED)?,
            journal_entries_dropped: register.counter(&JOURNAL_ENTRIES_DROPPED)?,
            store_free_bytes: register.gauge(&STORE_FREE_BYTES)?,
            store_refuses: register.gauges(&STORE_REFUSES)?,
            store_changes: register.counters(&STORE_CHANGES)?,
            bounded,
            instances,
            throttles: Arc::new(Throttles::new(telemetry::HAPPENINGS)),
        })
    }
}

impl Meter for Metrics {
    fn throttles(&self) -> &Throttles {
        &self.throttles
    }
}

/// Makes metrics from their descriptions.
struct Register<'a>(&'a Registry);

impl Register<'_> {
    fn add<C: Collector + Clone + 'static>(&self, collector: C) -> prometheus::Result<C> {
        self.0.register(Box::new(collector.clone()))?;
        Ok(collector)
    }

    fn counter(&self, described: &Described) -> prometheus::Result<IntCounter> {
        self.add(IntCounter::new(described.name, described.help)?)
    }

    fn counters(&self, described: &Described) -> prometheus::Result<IntCounterVec> {
        self.add(IntCounterVec::new(Opts::new(described.name, described.help), described.labels)?)
    }

    fn gauge(&self, described: &Described) -> prometheus::Result<IntGauge> {
        self.add(IntGauge::new(described.name, described.help)?)
    }

    fn gauges(&self, described: &Described) -> prometheus::Result<IntGaugeVec> {
        self.add(IntGaugeVec::new(Opts::new(described.name, described.help), described.labels)?)
    }

    fn histogram(&self, described: &Described, buckets: Vec<f64>) -> prometheus::Result<Histogram> {
        self.add(Histogram::with_opts(HistogramOpts::new(described.name, described.help).buckets(buckets))?)
    }
}

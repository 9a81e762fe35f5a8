//! Counters and gauges of the runtime. Labels come from fixed sets, never from clients.

use prometheus::{
    Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, exponential_buckets,
};

/// One set for all partitions of a process.
#[derive(Clone)]
pub struct Metrics {
    /// Commands decided, by verb and result (`accepted`, `repeated`, or the rejection's kind).
    pub commands: IntCounterVec,
    /// Effects that ended, by action and result (`ok` or an error kind).
    pub effects: IntCounterVec,
    /// Effects being carried out.
    pub effects_running: IntGauge,
    /// Inputs per committed batch.
    pub batch_inputs: Histogram,
    /// Seconds from handing a batch to the log until it is durable.
    pub commit_seconds: Histogram,
    /// Batches whose fate was unknown: the partition reloaded.
    pub commits_uncertain: IntCounter,
    /// Inputs that wait in a partition's inbox; its bound is [`crate::runner::INBOX`].
    pub inbox: IntGaugeVec,
    /// Messages of agents that were refused, by reason.
    pub agent_messages_refused: IntCounterVec,
    /// Messages of agents that were taken in.
    pub agent_messages: IntCounter,
    /// Messages to agents that found the outgoing queue full and will be sent again later.
    pub agent_sends_deferred: IntCounter,
    /// Commands on the intake topic that could not be read or were rejected, by reason.
    pub intake_refused: IntCounterVec,
}

impl Metrics {
    /// Registers all of them.
    pub fn new(registry: &Registry) -> prometheus::Result<Self> {
        let counters = |name: &str, help: &str, labels: &[&str]| IntCounterVec::new(Opts::new(name, help), labels);
        let metrics = Self {
            commands: counters("coffer_commands_total", "Commands decided.", &["verb", "result"])?,
            effects: counters("coffer_effects_total", "Effects that ended.", &["action", "result"])?,
            effects_running: IntGauge::new("coffer_effects_running", "Effects being carried out.")?,
            batch_inputs: Histogram::with_opts(
                HistogramOpts::new("coffer_batch_inputs", "Inputs per committed batch.")
                    .buckets(exponential_buckets(1.0, 2.0, 9)?),
            )?,
            commit_seconds: Histogram::with_opts(
                HistogramOpts::new("coffer_commit_seconds", "Seconds until a batch is durable.")
                    .buckets(exponential_buckets(0.0001, 2.0, 15)?),
            )?,
            commits_uncertain: IntCounter::new(
                "coffer_commits_uncertain_total",
                "Batches whose fate was unknown: the partition reloaded.",
            )?,
            inbox: IntGaugeVec::new(
                Opts::new("coffer_partition_inbox", "Inputs that wait in a partition's inbox."),
                &["partition"],
            )?,
            agent_messages_refused: counters(
                "coffer_agent_messages_refused_total",
                "Messages of agents that were refused.",
                &["reason"],
            )?,
            agent_messages: IntCounter::new("coffer_agent_messages_total", "Messages of agents that were taken in.")?,
            agent_sends_deferred: IntCounter::new(
                "coffer_agent_sends_deferred_total",
                "Messages to agents that found the outgoing queue full.",
            )?,
            intake_refused: counters(
                "coffer_intake_refused_total",
                "Commands on the intake topic that were not done.",
                &["reason"],
            )?,
        };
        registry.register(Box::new(metrics.commands.clone()))?;
        registry.register(Box::new(metrics.effects.clone()))?;
        registry.register(Box::new(metrics.effects_running.clone()))?;
        registry.register(Box::new(metrics.batch_inputs.clone()))?;
        registry.register(Box::new(metrics.commit_seconds.clone()))?;
        registry.register(Box::new(metrics.commits_uncertain.clone()))?;
        registry.register(Box::new(metrics.inbox.clone()))?;
        registry.register(Box::new(metrics.agent_messages_refused.clone()))?;
        registry.register(Box::new(metrics.agent_messages.clone()))?;
        registry.register(Box::new(metrics.agent_sends_deferred.clone()))?;
        registry.register(Box::new(metrics.intake_refused.clone()))?;
        Ok(metrics)
    }
}

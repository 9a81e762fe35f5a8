//! What happens in the runtime and is worth telling: one type each, that counts and logs together.
//!
//! A line carries its happening's name in the field `happening`, and what it is about: tenant, instance, request. Counters
//! are exact; lines are throttled per happening ([`coffer_ports::telemetry::Throttles`]).

use coffer_domain::{
    command::Envelope,
    ids::{InstanceId, TenantId},
    instance::{
        effect::{Effect, Produced},
        state::Operation,
    },
    time::{Millis, Timestamp},
};
use coffer_ports::telemetry::Happening;

use crate::{
    dispatcher::Ownership,
    link::Refusal,
    metrics::Metrics,
    store::{StoreError, room::Standing},
};

/// The names of all of them.
pub const HAPPENINGS: &[&str] = &[
    CommandDecided::NAME,
    OperationStarted::NAME,
    OperationEnded::NAME,
    LeftBehind::NAME,
    EffectEnded::NAME,
    CommitRefused::NAME,
    CommitUncertain::NAME,
    PartitionLoaded::NAME,
    AgentEnrolled::NAME,
    SessionOpened::NAME,
    AgentSilent::NAME,
    AgentMessageRefused::NAME,
    AgentMessageDropped::NAME,
    AgentSendDeferred::NAME,
    AgentSendFailed::NAME,
    IntakeRefused::NAME,
    ReadFailed::NAME,
    StoreChanged::NAME,
];

/// A command was accepted, repeated or rejected. Told at `debug`: the request's own line says the same at its end.
pub struct CommandDecided<'a> {
    pub command: &'a CommandOrigin,
    pub result: &'static str,
}

/// Whose command it was.
pub struct CommandOrigin {
    pub verb: &'static str,
    pub tenant: TenantId,
    pub instance: InstanceId,
    pub request_id: String,
}

impl CommandOrigin {
    pub fn of(envelope: &Envelope) -> Self {
        Self {
            verb: envelope.command.verb(),
            tenant: envelope.tenant.clone(),
            instance: envelope.instance,
            request_id: envelope.request_id.clone(),
        }
    }
}

impl Happening<Metrics> for CommandDecided<'_> {
    const NAME: &'static str = "command_decided";

    fn count(&self, metrics: &Metrics) {
        metrics.commands.with_label_values(&[self.command.verb, self.result]).inc();
    }

    fn log(&self, suppressed: u64) {
        let CommandOrigin { verb, tenant, instance, request_id } = self.command;
        tracing::debug!(
            happening = Self::NAME, suppressed, verb, result = self.result, %tenant, %instance, request_id,
            "a command is decided"
        );
    }
}

/// An operation of an instance begins: its first step is committed.
#[derive(Debug, Clone, PartialEq)]
pub struct OperationStarted {
    pub tenant: TenantId,
    pub instance: InstanceId,
    pub operation: &'static str,
    pub request_id: String,
}

impl Happening<Metrics> for OperationStarted {
    const NAME: &'static str = "operation_started";

    fn count(&self, metrics: &Metrics) {
        metrics.operations_started.with_label_values(&[self.operation]).inc();
    }

    fn log(&self, suppressed: u64) {
        let Self { tenant, instance, operation, request_id } = self;
        tracing::info!(
            happening = Self::NAME, suppressed, operation, %tenant, %instance, request_id, "an operation begins"
        );
    }
}

/// A forced delete leaves something outside, with nobody in the control plane to look after it.
#[derive(Debug, Clone, PartialEq)]
pub struct LeftBehind {
    pub tenant: TenantId,
    pub instance: InstanceId,
    /// What could not be done.
    pub step: &'static str,
    /// The thing's id, as far as it is known.
    pub id: Option<String>,
    pub reason: String,
}

impl Happening<Metrics> for LeftBehind {
    const NAME: &'static str = "left_behind";

    fn count(&self, metrics: &Metrics) {
        metrics.left_behind.with_label_values(&[self.step]).inc();
    }

    fn log(&self, suppressed: u64) {
        let Self { tenant, instance, step, id, reason } = self;
        let id = id.as_deref().unwrap_or("unknown");
        tracing::error!(
            happening = Self::NAME, suppressed, %tenant, %instance, step, id, reason,
            "a forced delete leaves something outside: remove it by hand"
        );
    }
}

/// An operation of an instance has ended.
#[derive(Debug, Clone, PartialEq)]
pub struct OperationEnded {
    pub tenant: TenantId,
    pub instance: InstanceId,
    pub operation: &'static str,
    pub request_id: String,
    pub ending: Ending,
    pub elapsed: Millis,
}

/// What an operation has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// What was asked for is done.
    Ok,
    /// It is not done, and why is in the instance's fault. What there is to take back is taken back by an operation of
    /// its own.
    Failed,
    /// What a failed operation had changed is taken back: the good end of an undo.
    Undone,
    /// Another operation took its place: a reset, a delete, or a resize that was done after all.
    Replaced,
    /// Nothing is left to do with the instance but to delete it.
    Broken,
}

impl Ending {
    /// The metric's label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failed => "failed",
            Self::Undone => "undone",
            Self::Replaced => "replaced",
            Self::Broken => "broken",
        }
    }
}

impl OperationEnded {
    pub fn of(tenant: &TenantId, instance: InstanceId, operation: &Operation, ending: Ending, now: Timestamp) -> Self {
        Self {
            tenant: tenant.clone(),
            instance,
            operation: operation.kind.as_str(),
            request_id: operation.request_id.clone(),
            ending,
            elapsed: now - operation.started_at,
        }
    }
}

impl Happening<Metrics> for OperationEnded {
    const NAME: &'static str = "operation_ended";

    fn count(&self, metrics: &Metrics) {
        metrics.operations_ended.with_label_values(&[self.operation, self.ending.as_str()]).inc();
    }

    fn log(&self, suppressed: u64) {
        let Self { tenant, instance, operation, request_id, ending, elapsed } = self;
        let result = ending.as_str();
        tracing::info!(
            happening = Self::NAME, suppressed, operation, result, elapsed_ms = elapsed, %tenant,
            %instance, request_id, "an operation has ended"
        );
    }
}

/// A call to the outside has ended.
pub struct EffectEnded<'a> {
    pub effect: &'a Effect,
    pub result: &'a coffer_ports::Result<Produced>,
}

impl Happening<Metrics> for EffectEnded<'_> {
    const NAME: &'static str = "effect_ended";

    fn count(&self, metrics: &Metrics) {
        let result = self.result.as_ref().map_or_else(|error| error.kind.as_str(), |_| "ok");
        metrics.effects.with_label_values(&[self.effect.action.as_str(), result]).inc();
    }

    fn log(&self, suppressed: u64) {
        let Effect { id, tenant, instance, action, .. } = self.effect;
        let action = action.as_str();
        match self.result {
            Ok(_) => tracing::debug!(
                happening = Self::NAME, suppressed, effect = %id, action, %tenant, %instance, "an effect is done"
            ),
            Err(error) => tracing::warn!(
                happening = Self::NAME, suppressed, effect = %id, action, %tenant, %instance, code = %error.code, %error,
                "an effect failed"
            ),
        }
    }
}

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

/// An agent asks for a session.
pub struct AgentEnrolled<'a> {
    pub tenant: &'a TenantId,
    pub instance: InstanceId,
    /// Of its program, in its own words.
    pub version: &'a str,
}

impl Happening<Metrics> for AgentEnrolled<'_> {
    const NAME: &'static str = "agent_enrolled";

    fn count(&self, metrics: &Metrics) {
        metrics.agent_enrolments.inc();
    }

    fn log(&self, suppressed: u64) {
        let Self { tenant, instance, version } = self;
        tracing::info!(happening = Self::NAME, suppressed, %tenant, %instance, version, "an agent asks for a session");
    }
}

/// An agent has answered its challenge.
pub struct SessionOpened<'a> {
    pub tenant: &'a TenantId,
    pub instance: InstanceId,
}

impl Happening<Metrics> for SessionOpened<'_> {
    const NAME: &'static str = "session_opened";

    fn count(&self, metrics: &Metrics) {
        metrics.agent_sessions.inc();
    }

    fn log(&self, suppressed: u64) {
        let Self { tenant, instance } = self;
        tracing::info!(happening = Self::NAME, suppressed, %tenant, %instance, "a session with an agent is open");
    }
}

/// An agent was not heard of for too long.
pub struct AgentSilent<'a> {
    pub tenant: &'a TenantId,
    pub instance: InstanceId,
}

impl Happening<Metrics> for AgentSilent<'_> {
    const NAME: &'static str = "agent_silent";

    fn count(&self, metrics: &Metrics) {
        metrics.agents_silent.inc();
    }

    fn log(&self, suppressed: u64) {
        let Self { tenant, instance } = self;
        tracing::warn!(happening = Self::NAME, suppressed, %tenant, %instance, "an agent is not heard of any more");
    }
}

/// A message that claims to be an agent's is refused.
pub struct AgentMessageRefused<'a> {
    pub reason: Refusal,
    pub cell: &'a str,
    pub offset: i64,
}

impl Happening<Metrics> for AgentMessageRefused<'_> {
    const NAME: &'static str = "agent_message_refused";

    fn count(&self, metrics: &Metrics) {
        metrics.agent_messages_refused.with_label_values(&[self.reason.as_str()]).inc();
    }

    fn log(&self, suppressed: u64) {
        let Self { reason, cell, offset } = self;
        let reason = reason.as_str();
        tracing::warn!(happening = Self::NAME, suppressed, reason, cell, offset, "a message of an agent is refused");
    }
}

/// A partition does not keep up with what its agents say.
pub struct AgentMessageDropped {
    pub partition: u32,
}

impl Happening<Metrics> for AgentMessageDropped {
    const NAME: &'static str = "agent_message_dropped";

    fn count(&self, metrics: &Metrics) {
        metrics.agent_messages_dropped.inc();
    }

    fn log(&self, suppressed: u64) {
        let partition = self.partition;
        tracing::warn!(
            happening = Self::NAME,
            suppressed,
            partition,
            "a partition does not keep up: a message of an agent is dropped, and all its agents will be asked anew"
        );
    }
}

/// The broker does not keep up with what a partition tells its agents.
pub struct AgentSendDeferred<'a> {
    pub instance: InstanceId,
    pub cell: &'a str,
}

impl Happening<Metrics> for AgentSendDeferred<'_> {
    const NAME: &'static str = "agent_send_deferred";

    fn count(&self, metrics: &Metrics) {
        metrics.agent_sends_deferred.inc();
    }

    fn log(&self, suppressed: u64) {
        let Self { instance, cell } = self;
        tracing::warn!(
            happening = Self::NAME, suppressed, %instance, cell,
            "a message for an agent finds the queue full and will be sent again"
        );
    }
}

/// The broker has not taken a message for an agent.
pub struct AgentSendFailed<'a> {
    pub topic: &'a str,
    pub error: &'a coffer_ports::Error,
}

impl Happening<Metrics> for AgentSendFailed<'_> {
    const NAME: &'static str = "agent_send_failed";

    fn count(&self, metrics: &Metrics) {
        metrics.agent_sends_failed.inc();
    }

    fn log(&self, suppressed: u64) {
        let Self { topic, error } = self;
        tracing::warn!(
            happening = Self::NAME, suppressed, topic, %error, "a message for an agent was not sent and will be again"
        );
    }
}

/// A command of an outside producer is not done.
pub struct IntakeRefused<'a> {
    pub reason: &'static str,
    pub message: &'a str,
    pub offset: i64,
}

impl Happening<Metrics> for IntakeRefused<'_> {
    const NAME: &'static str = "intake_refused";

    fn count(&self, metrics: &Metrics) {
        metrics.intake_refused.with_label_values(&[self.reason]).inc();
    }

    fn log(&self, suppressed: u64) {
        let Self { reason, message, offset } = self;
        tracing::warn!(
            happening = Self::NAME,
            suppressed,
            offset,
            reason,
            message,
            "a command of the intake topic is not done"
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

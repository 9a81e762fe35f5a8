//! Commands, and what is done about them.

use coffer_domain::{
    command::Envelope,
    ids::{InstanceId, TenantId},
    instance::{
        effect::{Effect, Produced},
        state::Operation,
    },
    quota::TenantLimits,
    time::{Millis, Timestamp},
};
use coffer_ports::telemetry::Happening;

use crate::metrics::Metrics;

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

/// An operator has set what a tenant may have: committed. It stands with the limits too.
pub struct QuotaSet<'a> {
    pub tenant: &'a TenantId,
    pub limits: &'a TenantLimits,
}

impl Happening<Metrics> for QuotaSet<'_> {
    const NAME: &'static str = "quota_set";

    /// The command is counted already.
    fn count(&self, _: &Metrics) {}

    fn log(&self, suppressed: u64) {
        let Self { tenant, limits: TenantLimits { limits, set_by, request_id, .. } } = self;
        tracing::info!(
            happening = Self::NAME, suppressed, %tenant, principal = set_by, request_id, limits = ?limits,
            "what a tenant may have was set"
        );
    }
}

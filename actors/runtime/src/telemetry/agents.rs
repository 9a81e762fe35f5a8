//! What is said to agents, and what they say.

use coffer_domain::ids::{InstanceId, TenantId};
use coffer_ports::telemetry::Happening;

use crate::{link::Refusal, metrics::Metrics};

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

//! Questions to agents, on their way through the partition that talks with them, at this node or another one.

use std::time::Duration;

use coffer_domain::ids::{InstanceId, TenantId};
use coffer_protocol::question::Question;
use tokio::sync::oneshot;

use super::Runtime;
use crate::{
    link::{Answered, Unanswered},
    runner::Message,
};

impl Runtime {
    /// Asks the agent of an instance, and waits for its answer at most `limit`.
    pub async fn ask(&self, tenant: &TenantId, instance: InstanceId, question: Question, limit: Duration) -> Answered {
        match &self.shared {
            Some(shared) if !self.seat_of(tenant).is_taken() => {
                shared.forwarder.ask_agent(tenant, instance, question, limit).await
            }
            _ => self.ask_here(tenant, instance, question, limit).await,
        }
    }

    /// The same of a partition that is this node's own.
    pub(crate) async fn ask_here(
        &self,
        tenant: &TenantId,
        instance: InstanceId,
        question: Question,
        limit: Duration,
    ) -> Answered {
        let (answer, answered) = oneshot::channel();
        let message = Message::Ask { tenant: tenant.clone(), instance, question, answer };
        let asked = async {
            self.seat_of(tenant).inbox()?.send(message).await.ok()?;
            answered.await.ok()
        };
        tokio::time::timeout(limit, asked).await.ok().flatten().unwrap_or(Err(Unanswered::Late))
    }
}

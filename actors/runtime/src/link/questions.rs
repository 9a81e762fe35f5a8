//! Questions to an agent, that change nothing: asked once, answered or not, remembered nowhere.

use coffer_domain::{
    ids::{InstanceId, TenantId},
    time::Timestamp,
};
use coffer_protocol::{
    command::{AgentCommand, ToAgent},
    question::{Answer, Question},
    report::Failure,
};
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use super::Links;
use crate::vault::random;

/// Questions to one agent that wait for their answers at most.
const MAX_ASKED: usize = 16;

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unanswered {
    /// The agent is not heard of now.
    NotHeard,
    /// It does not know the question: it is older than the control plane.
    Unknown,
    /// Too many have asked already.
    Crowded,
    /// It said nothing in time.
    Late,
}

pub type Answered = Result<Answer, Unanswered>;

/// Who waits for an agent's answers, by the ids that they were asked under.
#[derive(Default)]
pub(super) struct Asked(Vec<(String, oneshot::Sender<Answered>)>);

impl Asked {
    pub fn answered(&mut self, id: &str, answer: Answered) {
        if let Some(position) = self.0.iter().position(|(asked, _)| asked == id) {
            // Whoever asked may have gone.
            let _ = self.0.swap_remove(position).1.send(answer);
        }
    }

    /// An outcome is a question's only where the agent took it for a command that it does not know.
    pub fn refused(&mut self, id: &str, result: &Result<(), Failure>) {
        if result.is_err() {
            self.answered(id, Err(Unanswered::Unknown));
        }
    }
}

impl Links {
    /// Asks an agent; `answer` hears of it if it can be asked at all, and is answered.
    pub fn ask(
        &mut self,
        (tenant, instance): (&TenantId, InstanceId),
        question: Question,
        answer: oneshot::Sender<Answered>,
        now: Timestamp,
    ) {
        let link = self.links.get_mut(&instance).filter(|link| link.tenant == *tenant);
        let is_heard = |link: &&mut super::Link| {
            link.session.as_ref().is_some_and(|session| session.established) && !link.told.silent
        };
        let Some(link) = link.filter(is_heard) else {
            let _ = answer.send(Err(Unanswered::NotHeard));
            return;
        };
        link.asked.0.retain(|(_, waiting)| !waiting.is_closed());
        if link.asked.0.len() >= MAX_ASKED {
            let _ = answer.send(Err(Unanswered::Crowded));
            return;
        }
        let id: String = random::<16>().iter().map(|byte| format!("{byte:02x}")).collect();
        let id = format!("question/{id}");
        link.asked.0.push((id.clone(), answer));
        let message = ToAgent::Command {
            command_id: id,
            issued_at_ms: now.0,
            converge: false,
            command: AgentCommand::Tell { question },
        };
        self.send(instance, &message);
    }
}

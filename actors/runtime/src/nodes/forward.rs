//! Commands and questions for a partition that is another node's: put on the topic of commands, where its owner, or the next
//! one, finds them, and answered on the topic of answers, which every node reads.
//!
//! Both ways are sealed with the deployment key: who does not have it can neither read nor forge them.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use coffer_domain::{
    command::Envelope,
    ids::{CommandId, InstanceId, TenantId},
    rejection::{Rejection, RejectionKind},
    sealed::Sealed,
    time::Timestamp,
};
use coffer_ports::{
    telemetry::{Bounded, Happening},
    transport::{Delivery, Incoming, Outgoing, Start, Transport},
};
use coffer_protocol::{
    question,
    topics::{ANSWERS, ASKED_HEADER, COMMANDS},
};
use serde::{Deserialize, Serialize};
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};
use uuid::Uuid;

use crate::{
    clock::Clock,
    fullness, link,
    metrics::Metrics,
    partition::Accepted,
    telemetry::CommandForwarded,
    vault::{Vault, random},
};

/// Version of what nodes say to each other.
const VERSION: u16 = 1;
/// Questions of this node without an answer at most.
const UNANSWERED: usize = 4096;

/// What one node asks of the owner of a partition.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Asked {
    version: u16,
    /// Names this question.
    pub id: Uuid,
    /// The node that waits for the answer.
    pub node: Uuid,
    pub asked_at: Timestamp,
    pub question: Question,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Question {
    /// To be decided and committed.
    Command { envelope: Box<Envelope> },
    /// Whether a task has ended, within some milliseconds.
    Ended { tenant: TenantId, instance: InstanceId, command: CommandId, limit_ms: u64 },
    /// Something for an agent, to be answered within some milliseconds.
    Agent { tenant: TenantId, instance: InstanceId, question: question::Question, limit_ms: u64 },
}

/// What the owner says.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Answered {
    version: u16,
    pub id: Uuid,
    pub node: Uuid,
    pub answer: Answer,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Answer {
    Accepted {
        instance: InstanceId,
        repeated: bool,
    },
    Rejected {
        rejection: Rejection,
    },
    /// Without a failure where it has ended well.
    Ended {
        failure: Option<String>,
    },
    NotEnded,
    /// What the agent says, or why it says nothing.
    Agent {
        answered: link::Answered,
    },
}

impl From<Result<Accepted, Rejection>> for Answer {
    fn from(verdict: Result<Accepted, Rejection>) -> Self {
        match verdict {
            Ok(Accepted { instance, repeated }) => Self::Accepted { instance, repeated },
            Err(rejection) => Self::Rejected { rejection },
        }
    }
}

/// What both sides need. Cheap to clone.
#[derive(Clone)]
pub struct Wire {
    pub transport: Arc<dyn Transport>,
    pub vault: Arc<Vault>,
    pub clock: Arc<dyn Clock>,
    pub metrics: Metrics,
}

impl Wire {
    /// What a record of the topic of commands asks, if a node wrote it.
    pub fn asked(&self, record: &Incoming) -> Option<Result<Asked, String>> {
        record.headers.iter().any(|(name, _)| name == ASKED_HEADER).then(|| {
            let asked: Asked = self.open(COMMANDS, &record.value)?;
            if asked.version == VERSION { Ok(asked) } else { Err(format!("version {} is not known", asked.version)) }
        })
    }

    /// Tells the node that asked.
    pub async fn answer(&self, asked: &Asked, answer: Answer) {
        let answered = Answered { version: VERSION, id: asked.id, node: asked.node, answer };
        let value = self.seal(ANSWERS, &answered);
        let record = Outgoing { topic: ANSWERS.to_owned(), key: None, headers: Vec::new(), value };
        if let Err(error) = self.transport.send(record).await {
            tracing::debug!(%error, "an answer to another node was not sent");
        }
    }

    fn seal<T: Serialize>(&self, topic: &str, message: &T) -> Vec<u8> {
        let plain = serde_json::to_vec(message).expect("messages of nodes have string keys");
        serde_json::to_vec(&self.vault.seal_message(topic, &plain)).expect("so has what is sealed")
    }

    fn open<T: for<'a> Deserialize<'a>>(&self, topic: &str, value: &[u8]) -> Result<T, String> {
        let sealed: Sealed = serde_json::from_slice(value).map_err(|error| error.to_string())?;
        let plain = self.vault.open_message(&sealed, topic).map_err(|error| error.to_string())?;
        serde_json::from_slice(&plain).map_err(|error| error.to_string())
    }
}

type Unanswered = Mutex<HashMap<Uuid, oneshot::Sender<Answer>>>;

/// This node's side of asking.
pub struct Forwarder {
    node: Uuid,
    wire: Wire,
    unanswered: Arc<Unanswered>,
}

impl Forwarder {
    /// Reads the answers from now on, until dropped.
    pub async fn start(wire: Wire, bounded: &Bounded) -> coffer_ports::Result<Self> {
        let node = Uuid::from_bytes(random());
        let unanswered = Arc::new(Unanswered::default());
        let weak = Arc::downgrade(&unanswered);
        bounded.register(fullness::FORWARDED, UNANSWERED, move || Some(lock(&*weak.upgrade()?).len()));
        let answers = wire.transport.subscribe(&[ANSWERS.to_owned()], Start::Latest).await?;
        tokio::spawn(read(answers, node, wire.clone(), Arc::downgrade(&unanswered)));
        Ok(Self { node, wire, unanswered })
    }

    /// Has a command decided by whoever owns its partition, now or within `limit`.
    pub async fn submit(&self, envelope: Envelope, limit: Duration) -> Result<Accepted, Rejection> {
        let tenant = envelope.tenant.clone();
        let answer = self.ask(&tenant, Question::Command { envelope: Box::new(envelope) }, limit).await;
        let result = match answer {
            Some(Answer::Accepted { instance, repeated }) => Ok(Accepted { instance, repeated }),
            Some(Answer::Rejected { rejection }) => Err(rejection),
            _ => Err(not_in_time()),
        };
        CommandForwarded { tenant: &tenant, result: &result }.emit(&self.wire.metrics);
        result
    }

    /// As [`crate::runtime::Runtime::settled`].
    pub async fn settled(
        &self,
        tenant: &TenantId,
        instance: InstanceId,
        command: CommandId,
        limit: Duration,
    ) -> Option<Result<(), String>> {
        let limit_ms = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
        let question = Question::Ended { tenant: tenant.clone(), instance, command, limit_ms };
        match self.ask(tenant, question, limit).await? {
            Answer::Ended { failure } => Some(failure.map_or(Ok(()), Err)),
            _ => None,
        }
    }

    /// As [`crate::runtime::Runtime::ask`].
    pub async fn ask_agent(
        &self,
        tenant: &TenantId,
        instance: InstanceId,
        question: question::Question,
        limit: Duration,
    ) -> link::Answered {
        let limit_ms = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
        let question = Question::Agent { tenant: tenant.clone(), instance, question, limit_ms };
        match self.ask(tenant, question, limit).await {
            Some(Answer::Agent { answered }) => answered,
            _ => Err(link::Unanswered::Late),
        }
    }

    async fn ask(&self, tenant: &TenantId, question: Question, limit: Duration) -> Option<Answer> {
        let id = Uuid::from_bytes(random());
        let (answer, answered) = oneshot::channel();
        let _waiting = Waiting::begin(&self.unanswered, id, answer)?;
        let asked = Asked { version: VERSION, id, node: self.node, asked_at: self.wire.clock.now(), question };
        let record = Outgoing {
            topic: COMMANDS.to_owned(),
            key: Some(tenant.0.clone()),
            headers: vec![(ASKED_HEADER.to_owned(), VERSION.to_string())],
            value: self.wire.seal(COMMANDS, &asked),
        };
        let asking = async {
            if let Err(error) = self.wire.transport.send(record).await {
                tracing::debug!(%error, "a question for another node was not sent");
                return None;
            }
            answered.await.ok()
        };
        let answer = timeout(limit, asking).await.ok().flatten();
        tracing::debug!(%id, %tenant, is_answered = answer.is_some(), "a question to another node");
        answer
    }
}

/// Nobody knows what came of a command.
pub(crate) fn not_in_time() -> Rejection {
    Rejection::new(RejectionKind::Busy, "The request was not recorded in time; look whether it was done.")
}

/// A question that waits; it is forgotten when this is dropped.
struct Waiting<'a> {
    unanswered: &'a Unanswered,
    id: Uuid,
}

impl<'a> Waiting<'a> {
    fn begin(unanswered: &'a Unanswered, id: Uuid, answer: oneshot::Sender<Answer>) -> Option<Self> {
        let mut waiting = lock(unanswered);
        if waiting.len() >= UNANSWERED {
            return None;
        }
        waiting.insert(id, answer);
        Some(Self { unanswered, id })
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        lock(self.unanswered).remove(&self.id);
    }
}

async fn read(mut answers: mpsc::Receiver<Delivery>, node: Uuid, wire: Wire, unanswered: std::sync::Weak<Unanswered>) {
    while let Some(delivery) = answers.recv().await {
        let Delivery::Record(record) = delivery else { continue };
        let Some(unanswered) = unanswered.upgrade() else { return };
        match wire.open::<Answered>(ANSWERS, &record.value) {
            Ok(answered) if answered.version == VERSION && answered.node == node => {
                if let Some(waiting) = lock(&unanswered).remove(&answered.id) {
                    let _ = waiting.send(answered.answer);
                }
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(error, offset = record.offset, "what is no answer of a node was left alone"),
        }
    }
}

fn lock(unanswered: &Unanswered) -> MutexGuard<'_, HashMap<Uuid, oneshot::Sender<Answer>>> {
    unanswered.lock().unwrap_or_else(PoisonError::into_inner)
}

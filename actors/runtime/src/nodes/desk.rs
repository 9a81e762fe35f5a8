//! The owner's side of the topic of commands: what other nodes ask, and what outside producers order, partition by partition
//! and in order.
//!
//! A command counts as taken when it has its answer. Until then the partition's next owner finds it again: it is decided
//! once, since its id is known then.

use std::{collections::HashMap, sync::Arc, time::Duration};

use coffer_domain::{
    rejection::Rejection,
    time::{Millis, SECOND},
};
use coffer_ports::{
    membership::Membership,
    telemetry::Happening,
    transport::{Delivery, Incoming, Positions},
};
use tokio::{
    sync::{Semaphore, mpsc, oneshot, watch},
    time::sleep,
};

use super::forward::{Answer, Asked, Question, Wire};
use crate::{
    fullness,
    partition::Accepted,
    post,
    runner::Message,
    runtime::{Runtime, intake},
    telemetry::IntakeRefused,
};

/// Records of a partition that wait for being looked at.
const RECORDS: usize = 256;
/// Commands of a partition that wait for their answer.
const UNDECIDED: usize = 256;
/// Nodes that wait for the end of tasks at the same time.
const WATCHED: usize = 1024;
/// A command that another node asks for is not decided any more after this: whoever asked has given up on it. Longer than
/// anybody waits, for clocks that differ.
const ASKED_STALE: Millis = 60 * SECOND;

/// How often it is looked whether a partition that is this node's own works by now.
const INBOX_LOOK: Duration = Duration::from_millis(20);

/// What came of a command that was handed to its partition.
type Verdict = oneshot::Receiver<Result<Accepted, Rejection>>;

/// What all partitions' desks share.
#[derive(Clone)]
pub struct Parts {
    pub runtime: Runtime,
    pub membership: Arc<dyn Membership>,
    pub wire: Wire,
    /// The partitions that are this node's own, each with its turn.
    pub wanted: watch::Receiver<Positions>,
    /// Whether what is not sealed counts, too.
    pub is_open: bool,
}

/// Hands each record to the desk of its partition, until the records end.
pub async fn read(deliveries: &mut mpsc::Receiver<Delivery>, parts: Parts) {
    let mut desks: HashMap<i32, mpsc::Sender<Incoming>> = HashMap::new();
    let watched = Arc::new(Semaphore::new(WATCHED));
    let (bounded, weak) = (parts.wire.metrics.bounded.clone(), Arc::downgrade(&watched));
    bounded.register(fullness::WATCHED_FOR_NODES, WATCHED, move || Some(WATCHED - weak.upgrade()?.available_permits()));
    while let Some(delivery) = deliveries.recv().await {
        match delivery {
            // What the one before it has not taken comes again.
            Delivery::Begun { partition, turn } => {
                let (records, waiting) = mpsc::channel(RECORDS);
                post::watch(&bounded, fullness::COMMANDS_QUEUE, &records);
                tokio::spawn(Desk::new(partition, turn, parts.clone(), watched.clone()).run(waiting));
                desks.insert(partition, records);
            }
            Delivery::Record(record) => {
                if let Some(desk) = desks.get(&record.partition) {
                    // One that has ended has left the rest to the next owner.
                    let _ = desk.send(record).await;
                }
            }
            Delivery::Reconnected => {}
        }
    }
}

/// A partition's desk, for as long as the partition is this node's own.
struct Desk {
    partition: u32,
    turn: u64,
    parts: Parts,
    watched: Arc<Semaphore>,
    /// Closed when a command was left to the next owner: nothing after it counts as taken.
    undecided: mpsc::Sender<Undecided>,
}

struct Undecided {
    offset: i64,
    asked: Option<(Asked, Verdict)>,
}

impl Desk {
    fn new(partition: i32, turn: u64, parts: Parts, watched: Arc<Semaphore>) -> Self {
        let partition = partition.unsigned_abs();
        let (undecided, waiting) = mpsc::channel(UNDECIDED);
        post::watch(&parts.wire.metrics.bounded, fullness::COMMANDS_UNDECIDED, &undecided);
        tokio::spawn(conclude(partition, parts.clone(), waiting));
        Self { partition, turn, parts, watched, undecided }
    }

    async fn run(self, mut records: mpsc::Receiver<Incoming>) {
        while let Some(record) = records.recv().await {
            if self.undecided.is_closed() {
                return;
            }
            let offset = record.offset;
            tracing::debug!(partition = self.partition, offset, "a record of the topic of commands");
            let asked = match self.parts.wire.asked(&record) {
                Some(Ok(asked)) => match self.take(asked, offset).await {
                    Some(asked) => asked,
                    // The partition is another's by now.
                    None => return,
                },
                Some(Err(message)) => {
                    self.refuse("malformed", &message, offset);
                    None
                }
                None => {
                    self.order(&record).await;
                    None
                }
            };
            if self.undecided.send(Undecided { offset, asked }).await.is_err() {
                return;
            }
        }
    }

    /// Hands a question on. `None` when the partition is not this node's own any more; what is inside is absent when there
    /// is nothing to wait for before the question counts as taken.
    async fn take(&self, asked: Asked, offset: i64) -> Option<Option<(Asked, Verdict)>> {
        match asked.question.clone() {
            Question::Command { envelope } => {
                if self.parts.wire.clock.now() - asked.asked_at > ASKED_STALE {
                    self.refuse("stale", "whoever asked has given up", offset);
                    return Some(None);
                }
                let inbox = self.inbox().await?;
                let (answer, verdict) = oneshot::channel();
                inbox.send(Message::Command { envelope, answer }).await.ok()?;
                Some(Some((asked, verdict)))
            }
            Question::Ended { tenant, instance, command, limit_ms } => {
                let runtime = self.parts.runtime.clone();
                self.answer_later(asked, async move {
                    match runtime.settled_here(&tenant, instance, command, Duration::from_millis(limit_ms)).await {
                        Some(result) => Answer::Ended { failure: result.err() },
                        None => Answer::NotEnded,
                    }
                });
                Some(None)
            }
            Question::Agent { tenant, instance, question, limit_ms } => {
                let runtime = self.parts.runtime.clone();
                self.answer_later(asked, async move {
                    let limit = Duration::from_millis(limit_ms);
                    Answer::Agent { answered: runtime.ask_here(&tenant, instance, question, limit).await }
                });
                Some(None)
            }
        }
    }

    /// Answers when the answer is there. When too many wait already this one is told nothing, and looks for itself.
    fn answer_later(&self, asked: Asked, answer: impl Future<Output = Answer> + Send + 'static) {
        let Ok(place) = self.watched.clone().try_acquire_owned() else { return };
        let wire = self.parts.wire.clone();
        tokio::spawn(async move {
            wire.answer(&asked, answer.await).await;
            drop(place);
        });
    }

    /// The partition's inbox, as soon as it is taken over; `None` when it is not this node's own any more.
    async fn inbox(&self) -> Option<mpsc::Sender<Message>> {
        let partition = i32::try_from(self.partition).ok()?;
        loop {
            if let Some(inbox) = self.parts.runtime.seat(self.partition)?.inbox() {
                return Some(inbox);
            }
            let turn = self.parts.wanted.borrow().get(&partition).map(|place| place.turn);
            if turn != Some(self.turn) {
                return None;
            }
            sleep(INBOX_LOOK).await;
        }
    }

    /// Carries out what an outside producer has written.
    async fn order(&self, record: &Incoming) {
        if !self.parts.is_open {
            return self.refuse("closed", "commands that no node has sealed are not taken", record.offset);
        }
        match intake::read_command(record, &self.parts.wire.vault) {
            Ok(envelope) => {
                if let Err(rejection) = self.parts.runtime.submit_until_decided(envelope).await {
                    self.refuse("rejected", &rejection.message, record.offset);
                }
            }
            Err(message) => self.refuse("malformed", &message, record.offset),
        }
    }

    fn refuse(&self, reason: &'static str, message: &str, offset: i64) {
        IntakeRefused { reason, message, offset }.emit(&self.parts.wire.metrics);
    }
}

/// Answers in order, and reports what is taken.
async fn conclude(partition: u32, parts: Parts, mut waiting: mpsc::Receiver<Undecided>) {
    while let Some(Undecided { offset, asked }) = waiting.recv().await {
        if let Some((asked, verdict)) = asked {
            match verdict.await {
                Ok(verdict) => {
                    tracing::debug!(partition, offset, id = %asked.id, "a question is answered");
                    parts.wire.answer(&asked, verdict.into()).await;
                }
                // The partition went before it was decided.
                Err(_) => return,
            }
        }
        parts.membership.took(partition, offset + 1);
    }
}

//! The loop that feeds a partition: has inputs decided and batches committed, one after the other, answers, dispatches;
//! reloads when a commit is uncertain.

mod ended;
mod reload;

use std::{collections::HashMap, future::pending, pin::Pin, sync::Arc, time::Duration};

use coffer_domain::{
    command::Envelope,
    ids::{CommandId, InstanceId, TenantId},
    instance::{
        Input,
        effect::{Action, Effect},
    },
    rejection::{Rejection, RejectionKind},
    time::{MINUTE, Millis, SECOND, Timestamp},
};
use coffer_ports::{
    log::{Batch, CommitError, Space, Write},
    telemetry::Happening,
    transport::Incoming,
};
use coffer_protocol::question::Question;
use tokio::sync::{mpsc, oneshot};

use crate::{
    clock::Clock,
    dispatcher::{Dispatcher, Ownership},
    link::{Answered, LinkParts, Links},
    nodes::Name,
    partition::{Accepted, Item, Partition, Parts, StepError, Stepped},
    store::{
        keys,
        rows::{self, OwnerRow},
    },
};
use ended::EndedTasks;
use reload::load;

/// Messages that wait for a partition at most; senders wait, the REST shim answers 503 after a while.
pub const INBOX: usize = 1024;
/// Inputs that one batch takes at most.
const BATCH: usize = 256;
/// Old answers are forgotten and idle actors passivated this often.
const HOUSEKEEPING: Millis = MINUTE;
/// Answers that are forgotten at a time.
const FORGET_AT_ONCE: usize = 10_000;
/// A loop that comes back this much later than planned was stopped (a suspended host, SIGSTOP): time that passed meanwhile
/// says nothing about agents and effects.
const PAUSE: Millis = 5 * SECOND;

/// What a partition is sent.
pub enum Message {
    Command {
        envelope: Box<Envelope>,
        answer: oneshot::Sender<Result<Accepted, Rejection>>,
    },
    /// How an effect ended.
    Outcome(Item),
    /// A record of the telemetry topic.
    Telemetry(Incoming),
    /// The broker was lost and found.
    Reconnected,
    /// Tells when a task has ended, at once if it is not under way.
    Watch {
        tenant: TenantId,
        instance: InstanceId,
        command: CommandId,
        ended: oneshot::Sender<Result<(), String>>,
    },
    /// A question to an agent, which changes nothing.
    Ask {
        tenant: TenantId,
        instance: InstanceId,
        question: Question,
        answer: oneshot::Sender<Answered>,
    },
    /// Ends the loop after what is before it in the inbox.
    Stop,
}

/// What a runner needs besides its partition's own parts.
#[derive(Clone)]
pub struct RunnerParts {
    pub partition: Parts,
    pub link: LinkParts,
    pub dispatcher: Arc<Dispatcher>,
    pub clock: Arc<dyn Clock>,
    pub name: Arc<Name>,
}

/// One partition at work.
pub struct Runner {
    ownership: Ownership,
    parts: RunnerParts,
    partition: Partition,
    links: Links,
    inbox: mpsc::Receiver<Message>,
    sender: mpsc::WeakSender<Message>,
    /// For what is decided and not on its way to the log yet: one for each item, in order.
    open: Vec<Option<Answer>>,
    committing: Option<Committing>,
    watchers: HashMap<CommandId, Vec<oneshot::Sender<Result<(), String>>>>,
    ended: EndedTasks,
    house_kept_at: Timestamp,
    /// Told to stop while it waited for the log.
    is_stopping: bool,
    /// Times that it has loaded anew.
    reloads: u64,
}

/// A batch on its way to the log.
struct Committing {
    answers: Vec<Option<Answer>>,
    /// What the log says of it.
    committed: Pin<Box<dyn Future<Output = Result<(), CommitError>> + Send>>,
}

/// Why a runner ended before it was told to.
#[derive(Debug, thiserror::Error)]
pub enum RunnerError {
    #[error("partition {partition}: {reason}")]
    Step {
        partition: u32,
        #[source]
        reason: StepError,
    },
    #[error("partition {partition} has panicked")]
    Panicked { partition: u32 },
    #[error("partition {partition} cannot be taken over: {reason}")]
    NotTakenOver {
        partition: u32,
        #[source]
        reason: CommitError,
    },
    #[error("partition {partition} was taken over by another control plane: its epoch is {found}, and ours was {ours}")]
    TakenOver { partition: u32, ours: u64, found: u64 },
}

impl Runner {
    /// Becomes the partition's only owner, under an epoch that is written before anything is done in its name.
    pub async fn own(partition: u32, parts: &RunnerParts) -> Result<Ownership, RunnerError> {
        let Parts { log, store, .. } = &parts.partition;
        let failed = |reason| RunnerError::NotTakenOver { partition, reason };
        log.take_over(partition).await.map_err(failed)?;
        let last = store.epoch(partition).map_err(|error| RunnerError::Step { partition, reason: error.into() })?;
        let epoch = last + 1;
        let row = |key, value| Write { space: Space::Meta, key, value: Some(value) };
        let Name { node, place } = (*parts.name).clone();
        let owner = OwnerRow { node, place, since: parts.clock.now() };
        let writes =
            vec![row(keys::epoch(partition), rows::encode(&epoch)), row(keys::owner(partition), rows::encode(&owner))];
        log.commit(Batch { partition, writes, ..Batch::default() }).await.map_err(failed)?;
        Ok(Ownership { partition, epoch })
    }

    /// Loads what is owned; effects without an outcome are dispatched again.
    pub fn load(
        ownership: Ownership,
        parts: RunnerParts,
        inbox: mpsc::Receiver<Message>,
        sender: mpsc::WeakSender<Message>,
    ) -> Result<Self, RunnerError> {
        let now = parts.clock.now();
        let (partition, links, outstanding) = load(ownership, &parts, now)?;
        let bounded = parts.partition.metrics.bounded.clone();
        let mut runner = Self {
            ownership,
            parts,
            partition,
            links,
            inbox,
            sender,
            open: Vec::new(),
            committing: None,
            watchers: HashMap::new(),
            ended: EndedTasks::watched(&bounded),
            house_kept_at: now,
            is_stopping: false,
            reloads: 0,
        };
        runner.dispatch(outstanding, now);
        Ok(runner)
    }

    /// Works until told to stop. Must run on an actix arbiter.
    pub async fn run(mut self) -> Result<(), RunnerError> {
        let mut next_tick = self.parts.clock.now();
        loop {
            let mut messages = Vec::new();
            let (wait, room) = (self.wait(next_tick), BATCH.saturating_sub(self.open.len()));
            let reloads = self.reloads;
            tokio::select! {
                // In a fixed order, so that a simulated run can be repeated; what is due by time is looked at below in
                // any case.
                biased;
                committed = said(&mut self.committing) => self.end_commit(committed).await?,
                received = self.inbox.recv_many(&mut messages, room), if room > 0 => self.is_stopping |= received == 0,
                // Nor is anybody found silent while nobody is listened to.
                () = tokio::time::sleep(wait), if room > 0 => {}
            }
            let now = self.parts.clock.now();
            if self.reloads != reloads {
                // What waited for the log was no pause: all memory is new.
                next_tick = now;
            }
            if now - next_tick > PAUSE {
                tracing::warn!(partition = self.ownership.partition, "the control plane was stopped for a while");
                self.links.was_away(now);
                self.partition.was_away(now);
            }
            let mut work = Work::default();
            for message in messages {
                self.sort(message, &mut work, now);
            }
            if now >= next_tick {
                work.add_all(self.links.tick(now));
                next_tick = self.links.next_tick(now);
                self.keep_house(now).await?;
            }
            work.add_all(self.partition.due(now, BATCH));
            self.open.extend(work.answers);
            self.partition.decide_all(work.items, now).await.map_err(|reason| self.error(reason))?;
            self.begin_commit()?;
            if self.is_stopping {
                return self.settle().await;
            }
        }
    }

    /// Sends what is decided on its way to the log, unless another batch is.
    fn begin_commit(&mut self) -> Result<(), RunnerError> {
        if self.committing.is_some() || self.open.is_empty() {
            return Ok(());
        }
        self.parts.partition.metrics.batch_inputs.observe(self.open.len() as f64);
        let batch = self.partition.begin_commit().map_err(|reason| self.error(reason))?;
        let log = self.parts.partition.log.clone();
        let committed = Box::pin(async move { if batch.writes.is_empty() { Ok(()) } else { log.commit(batch).await } });
        self.committing = Some(Committing { answers: std::mem::take(&mut self.open), committed });
        Ok(())
    }

    async fn end_commit(&mut self, committed: Result<(), CommitError>) -> Result<(), RunnerError> {
        let answers = self.committing.take().map(|committing| committing.answers).unwrap_or_default();
        match self.partition.end_commit(committed) {
            Ok(stepped) => {
                self.conclude(stepped, answers, self.parts.clock.now());
                Ok(())
            }
            Err(StepError::NotCommitted(error)) => {
                const NOTHING_DONE: &str = "The request could not be recorded; nothing was done.";
                let message = match &error {
                    CommitError::Refused(_) => NOTHING_DONE,
                    CommitError::Uncertain(_) => {
                        "The request could not be recorded; look whether it was done before you repeat it."
                    }
                };
                refuse(answers, message);
                refuse(std::mem::take(&mut self.open), NOTHING_DONE);
                self.tell_not_committed(&error);
                self.reload().await
            }
            Err(reason) => Err(self.error(reason)),
        }
    }

    /// Waits until everything that is decided is committed.
    async fn settle(&mut self) -> Result<(), RunnerError> {
        while self.committing.is_some() || !self.open.is_empty() {
            self.begin_commit()?;
            let committed = said(&mut self.committing).await;
            self.end_commit(committed).await?;
        }
        Ok(())
    }

    fn wait(&self, next_tick: Timestamp) -> Duration {
        let due = self.partition.next_due().map_or(next_tick, |due| due.min(next_tick));
        Duration::from_millis(u64::try_from(due - self.parts.clock.now()).unwrap_or(0))
    }

    fn sort(&mut self, message: Message, work: &mut Work, now: Timestamp) {
        match message {
            Message::Command { envelope, answer } => work.add(Item::command(*envelope), Some(answer)),
            Message::Outcome(item) => work.add(item, None),
            Message::Telemetry(record) => work.add_all(self.links.receive(&record, now)),
            Message::Reconnected => self.links.reconnected(now),
            Message::Watch { tenant, instance, command, ended } => self.watch(&tenant, instance, command, ended),
            Message::Ask { tenant, instance, question, answer } => {
                self.links.ask((&tenant, instance), question, answer, now);
            }
            Message::Stop => self.is_stopping = true,
        }
    }

    /// Answers and dispatches what is committed.
    fn conclude(&mut self, stepped: Stepped, answers: Vec<Option<Answer>>, now: Timestamp) {
        for (answer, result) in answers.into_iter().zip(stepped.answers) {
            if let Some(answer) = answer {
                // A client that went away has its answer in the store.
                let _ = answer.send(result);
            }
        }
        let metrics = &self.parts.partition.metrics;
        stepped.operations_ended.iter().for_each(|ended| ended.emit(metrics));
        stepped.operations_started.iter().for_each(|started| started.emit(metrics));
        for instance in &stepped.created {
            self.links.add_new(instance, now);
        }
        for (instance, effect) in &stepped.withdrawn {
            self.links.withdraw(*instance, effect);
        }
        for instance in stepped.removed {
            self.links.remove(instance);
        }
        for ended in stepped.tasks_ended {
            if ended.result.is_err() {
                self.links.ask_anew(ended.instance, now);
            }
            for watcher in self.watchers.remove(&ended.command).unwrap_or_default() {
                let _ = watcher.send(ended.result.clone());
            }
            self.ended.remember(ended.command, ended.result);
        }
        self.dispatch(stepped.dispatch, now);
    }

    fn dispatch(&mut self, effects: Vec<Effect>, now: Timestamp) {
        for effect in effects {
            if matches!(effect.action, Action::Agent(_)) {
                if let Some(item) = self.links.dispatch(effect, now) {
                    self.deliver_later(item);
                }
                continue;
            }
            let sender = self.sender.clone();
            self.parts.dispatcher.start(effect, self.ownership, move |effect, outcome| async move {
                let Some(sender) = sender.upgrade() else { return };
                let input = Input::Outcome { effect: effect.id, outcome };
                let item = Item { tenant: effect.tenant, instance: effect.instance, input };
                // A partition that has ended dispatches the effect again when it is taken over.
                let _ = sender.send(Message::Outcome(item)).await;
            });
        }
    }

    fn deliver_later(&self, item: Item) {
        let Some(sender) = self.sender.upgrade() else { return };
        actix::spawn(async move {
            let _ = sender.send(Message::Outcome(item)).await;
        });
    }

    fn watch(
        &mut self,
        tenant: &TenantId,
        instance: InstanceId,
        command: CommandId,
        ended: oneshot::Sender<Result<(), String>>,
    ) {
        if let Some(result) = self.ended.result(command) {
            let _ = ended.send(result);
            return;
        }
        let stored = self.parts.partition.store.instance(self.ownership.partition, tenant, instance);
        if stored.ok().flatten().is_some_and(|instance| instance.tasks.contains_key(&command)) {
            self.watchers.entry(command).or_default().push(ended);
        } else {
            let _ = ended.send(Ok(()));
        }
    }

    async fn keep_house(&mut self, now: Timestamp) -> Result<(), RunnerError> {
        self.watchers.retain(|_, watchers| {
            watchers.retain(|watcher| !watcher.is_closed());
            !watchers.is_empty()
        });
        if now - self.house_kept_at < HOUSEKEEPING {
            return Ok(());
        }
        self.house_kept_at = now;
        self.settle().await?;
        self.partition.passivate(now);
        match self.forget(now).await {
            Err(StepError::NotCommitted(error)) => {
                self.tell_not_committed(&error);
                self.reload().await
            }
            other => other.map_err(|reason| self.error(reason)),
        }
    }

    async fn forget(&mut self, now: Timestamp) -> Result<(), StepError> {
        let confirmed = self.parts.partition.log.confirm(self.ownership.partition).await;
        confirmed.map_err(StepError::NotCommitted)?;
        self.partition.forget_old_answers(now, FORGET_AT_ONCE).await?;
        self.partition.forget_journals(now).await
    }

    fn error(&self, reason: StepError) -> RunnerError {
        RunnerError::Step { partition: self.ownership.partition, reason }
    }
}

type Answer = oneshot::Sender<Result<Accepted, Rejection>>;

/// What the log says of the batch on its way to it.
async fn said(committing: &mut Option<Committing>) -> Result<(), CommitError> {
    match committing {
        Some(committing) => committing.committed.as_mut().await,
        None => pending().await,
    }
}

fn refuse(answers: Vec<Option<Answer>>, message: &str) {
    for answer in answers.into_iter().flatten() {
        let _ = answer.send(Err(Rejection::new(RejectionKind::Busy, message)));
    }
}

/// What one turn of the loop has to decide.
#[derive(Default)]
struct Work {
    items: Vec<Item>,
    /// One for each item.
    answers: Vec<Option<Answer>>,
}

impl Work {
    fn add(&mut self, item: Item, answer: Option<Answer>) {
        self.items.push(item);
        self.answers.push(answer);
    }

    fn add_all(&mut self, items: Vec<Item>) {
        for item in items {
            self.add(item, None);
        }
    }
}

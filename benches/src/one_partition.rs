//! One partition with its runner, real store and real log, that keeps a copy of what it has committed.

use std::{
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
};

use actix::Arbiter;
use async_trait::async_trait;
use coffer_domain::{
    command::Envelope,
    ids::{EffectId, InstanceId, TenantId},
    instance::{Input, effect::Produced},
    quota::Limits,
    rejection::Rejection,
    time::{Millis, Timestamp},
};
use coffer_ports::{
    changelog::Changelog,
    log::{Batch, CommitError, Log},
};
use coffer_runtime::{
    borders::NoRehearsal,
    clock::Clock,
    dispatcher::Dispatcher,
    link::LinkParts,
    local_log::LocalLog,
    metrics::Metrics,
    nodes::Name,
    partition::{Accepted, Item, Parts},
    replicated_log::ReplicatedLog,
    runner::{INBOX, Message, Runner, RunnerParts},
    runtime::partition_of,
    store::Store,
};
use prometheus::Registry;
use tokio::sync::{mpsc, oneshot};

use crate::{Failure, outside, samples};

/// Records for agents that nobody takes.
const OUTGOING: usize = 4096;

/// The host's clock, set forward by a bench that has no time to wait.
#[derive(Default)]
pub struct ForwardClock(AtomicI64);

impl ForwardClock {
    pub fn forward(&self, span: Millis) {
        self.0.fetch_add(span, Ordering::Relaxed);
    }
}

impl Clock for ForwardClock {
    fn now(&self) -> Timestamp {
        samples::now() + self.0.load(Ordering::Relaxed)
    }
}

/// Commits to a real log, and keeps the batches while it is told to: a copy costs time that is not ours.
struct Recorder {
    log: Arc<dyn Log>,
    batches: Batches,
}

/// What was committed since it was last taken; absent while nothing is kept.
type Batches = Arc<Mutex<Option<Vec<Batch>>>>;

#[async_trait]
impl Log for Recorder {
    async fn take_over(&self, partition: u32) -> Result<(), CommitError> {
        self.log.take_over(partition).await
    }

    async fn catch_up(&self, partition: u32) -> Result<(), CommitError> {
        self.log.catch_up(partition).await
    }

    async fn confirm(&self, partition: u32) -> Result<(), CommitError> {
        self.log.confirm(partition).await
    }

    async fn commit(&self, batch: Batch) -> Result<(), CommitError> {
        if let Some(batches) = self.batches.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            batches.push(batch.clone());
        }
        self.log.commit(batch).await
    }
}

pub struct OnePartition {
    pub tenant: TenantId,
    pub store: Arc<Store>,
    pub clock: Arc<ForwardClock>,
    inbox: mpsc::Sender<Message>,
    batches: Batches,
    arbiter: Arbiter,
}

impl OnePartition {
    /// Takes over the partition of `tenant`; its store may hold instances. Must be called within an actix system.
    pub async fn start(directory: &Path, tenant: &TenantId) -> Result<Self, Failure> {
        Self::start_on(directory, tenant, None).await
    }

    /// The same with its log in a changelog, which the store follows.
    pub async fn start_on(
        directory: &Path,
        tenant: &TenantId,
        changelog: Option<Arc<dyn Changelog>>,
    ) -> Result<Self, Failure> {
        let store = Arc::new(Store::open(directory)?);
        let batches = Batches::default();
        let metrics = Metrics::new(&Registry::new())?;
        let vault = Arc::new(samples::vault());
        let clock = Arc::new(ForwardClock::default());
        let log: Arc<dyn Log> = match changelog {
            None => Arc::new(LocalLog::start(store.clone(), &metrics.bounded)?),
            Some(changelog) => {
                let applier = Arc::new(LocalLog::unsynced(store.clone(), &metrics.bounded)?);
                let (store, clock) = (store.clone(), clock.clone());
                Arc::new(ReplicatedLog::open(changelog, store, applier, clock, metrics.clone()).await?)
            }
        };
        let log = Recorder { log, batches: batches.clone() };
        let (outgoing, mut relay) = mpsc::channel(OUTGOING);
        tokio::spawn(async move { while relay.recv().await.is_some() {} });
        let parts = RunnerParts {
            partition: Parts {
                log: Arc::new(log),
                store: store.clone(),
                borders: Arc::new(NoRehearsal),
                catalogue: Arc::new(samples::catalogue()),
                limits: Arc::new(unlimited()),
                metrics: metrics.clone(),
            },
            link: LinkParts { vault: vault.clone(), outgoing, metrics: metrics.clone() },
            dispatcher: Dispatcher::new(outside::connectors(), vault, metrics, tokio::runtime::Handle::current()),
            clock: clock.clone(),
            name: Arc::new(Name { node: "bench".into(), place: "bench".into() }),
        };
        let (inbox, messages) = mpsc::channel(INBOX);
        let (sender, partition) = (inbox.downgrade(), partition_of(tenant));
        let (started, is_started) = oneshot::channel();
        let arbiter = Arbiter::new();
        arbiter.spawn(async move {
            let owned = Runner::own(partition, &parts).await;
            match owned.and_then(|ownership| Runner::load(ownership, parts, messages, sender)) {
                Ok(runner) => {
                    let _ = started.send(Ok(()));
                    if let Err(error) = runner.run().await {
                        eprintln!("the partition has ended: {error}");
                    }
                }
                Err(error) => {
                    let _ = started.send(Err(error));
                }
            }
        });
        is_started.await??;
        Ok(Self { tenant: tenant.clone(), store, clock, inbox, batches, arbiter })
    }

    /// Commits a command and waits for its answer.
    pub async fn ask(&self, envelope: Envelope) -> Result<Accepted, Failure> {
        let answered = self.hand_over(envelope).await?;
        Ok(answered.await??)
    }

    pub async fn hand_over(
        &self,
        envelope: Envelope,
    ) -> Result<oneshot::Receiver<Result<Accepted, Rejection>>, Failure> {
        let (answer, answered) = oneshot::channel();
        self.send(Message::Command { envelope: Box::new(envelope), answer }).await?;
        Ok(answered)
    }

    /// The agent has done what a command asked for.
    pub async fn done(&self, instance: InstanceId, effect: EffectId) -> Result<(), Failure> {
        let input = Input::Outcome { effect, outcome: Ok(Produced::Nothing) };
        self.send(Message::Outcome(Item { tenant: self.tenant.clone(), instance, input })).await
    }

    async fn send(&self, message: Message) -> Result<(), Failure> {
        self.inbox.send(message).await.map_err(|_| "the partition has ended".into())
    }

    /// Keeps a copy of what is committed from now on.
    pub fn record(&self) {
        *self.batches.lock().unwrap_or_else(PoisonError::into_inner) = Some(Vec::new());
    }

    /// What was committed since [`Self::record`]; nothing is kept any more.
    pub fn recorded(&self) -> Vec<Batch> {
        self.batches.lock().unwrap_or_else(PoisonError::into_inner).take().unwrap_or_default()
    }

    /// Ends the partition and lets go of the store.
    pub async fn stop(self) {
        let _ = self.inbox.send(Message::Stop).await;
        self.inbox.closed().await;
        self.arbiter.stop();
    }
}

/// Quota is charged and refunded, and never in the way.
pub fn unlimited() -> Limits {
    Limits { instances: None, volume_gib: None, memory_mib: None, ..Limits::default() }
}

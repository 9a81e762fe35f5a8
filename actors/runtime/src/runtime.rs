//! Starts all partitions and is the handle that the server wires up: submit, watch, read.

mod epochs;
mod intake;
mod topics;

use std::{sync::Arc, time::Duration};

use actix::Arbiter;
use coffer_domain::{
    catalogue::Catalogue,
    command::{Command, Envelope},
    configuration::Group,
    ids::{CommandId, GroupId, InstanceId, TenantId},
    instance::InstanceView,
    quota::{Limits, Usage},
    rejection::{Rejection, RejectionKind},
};
use coffer_ports::{
    changelog::Changelog,
    log::Log,
    telemetry::Happening,
    transport::{Delivery, Start, Transport},
};
use coffer_protocol::topics::TELEMETRY;
use tokio::sync::{mpsc, oneshot};

use crate::{
    borders::Borders,
    clock::Clock,
    dispatcher::{Connectors, Dispatcher},
    fullness,
    link::LinkParts,
    local_log::LocalLog,
    metrics::Metrics,
    partition::{Accepted, Parts},
    post::{self, Reports},
    replicated_log::{self, ReplicatedLog},
    room_watch,
    runner::{INBOX, Message, Runner, RunnerError, RunnerParts},
    store::{Journal, Store, StoreError, room::Standing},
    telemetry::ReadFailed,
    vault::Vault,
};

pub use epochs::raise_epochs;
pub use topics::{changelog_topic, topics};

/// Partitions of a deployment: fixed for life, since the key's hash decides where a tenant is.
pub const PARTITIONS: u32 = 16;
/// How long a client waits for a place in a partition's inbox and for the commit.
const SUBMIT_LIMIT: Duration = Duration::from_secs(10);

/// What a runtime is made of.
pub struct Config {
    pub store: Arc<Store>,
    pub connectors: Connectors,
    pub transport: Arc<dyn Transport>,
    pub vault: Arc<Vault>,
    pub clock: Arc<dyn Clock>,
    pub borders: Arc<dyn Borders>,
    pub catalogue: Arc<Catalogue>,
    pub limits: Arc<Limits>,
    pub metrics: Metrics,
    /// What the store follows; it is the truth itself when there is none.
    pub changelog: Option<Arc<dyn Changelog>>,
    /// Whether commands are taken from the topic `coffer.commands`, where whoever reaches the broker may write.
    pub open_intake: bool,
}

/// Why the runtime did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Changelog(#[from] replicated_log::OpenError),
    #[error(
        "the store follows the changelog {0}, and is no truth by itself: broker.log must be \"kafka\", or coffer admin move-log makes it one"
    )]
    Follows(String),
    #[error("the log's thread did not start: {0}")]
    Thread(#[from] std::io::Error),
    #[error("the broker cannot be read: {0}")]
    Transport(#[from] coffer_ports::Error),
    #[error(transparent)]
    Runner(#[from] RunnerError),
}

/// All partitions at work. Cheap to clone.
#[derive(Clone)]
pub struct Runtime {
    store: Arc<Store>,
    inboxes: Arc<Vec<mpsc::Sender<Message>>>,
    metrics: Metrics,
}

/// Ends with the first partition that fails, or when all have stopped.
pub type Failure = mpsc::Receiver<RunnerError>;

impl Runtime {
    /// Takes all partitions over and returns when they work. Must be called within an actix system on a multi-thread-capable host.
    pub async fn start(config: Config) -> Result<(Self, Failure), StartError> {
        let metrics = config.metrics;
        let log = open_log(&config.store, config.changelog, &config.clock, &metrics).await?;
        let dispatcher = Dispatcher::new(
            config.connectors,
            config.vault.clone(),
            metrics.clone(),
            tokio::runtime::Handle::current(),
        );
        let partition_parts = Parts {
            log,
            store: config.store.clone(),
            borders: config.borders,
            catalogue: config.catalogue,
            limits: config.limits,
            metrics: metrics.clone(),
        };

        // Before the partitions challenge their agents: no answer is missed.
        let telemetry = config.transport.subscribe(&[TELEMETRY.to_owned()], Start::Latest).await?;
        let (failed, failure) = mpsc::channel(PARTITIONS as usize);
        let mut inboxes = Vec::new();
        let mut take_overs = Vec::new();
        let arbiters = start_arbiters();
        for partition in 0..PARTITIONS {
            let (sender, inbox) = mpsc::channel(INBOX);
            post::watch(&metrics.bounded, fullness::PARTITION_INBOX, &sender);
            let outgoing = post::outgoing(config.transport.clone(), metrics.clone());
            let parts = RunnerParts {
                partition: partition_parts.clone(),
                link: LinkParts { vault: config.vault.clone(), outgoing, metrics: metrics.clone() },
                dispatcher: dispatcher.clone(),
                clock: config.clock.clone(),
            };
            let (failed, weak) = (failed.clone(), sender.downgrade());
            let (taken_over, is_taken_over) = oneshot::channel::<()>();
            arbiters[partition as usize % arbiters.len()].spawn(async move {
                let mut end = End { failed, error: Some(RunnerError::Panicked { partition }) };
                let owned = Runner::own(partition, &parts).await;
                end.error = match owned.and_then(|ownership| Runner::load(ownership, parts, inbox, weak)) {
                    Ok(runner) => {
                        // Nobody waits once another partition has failed.
                        let _ = taken_over.send(());
                        runner.run().await.err()
                    }
                    Err(error) => Some(error),
                };
            });
            inboxes.push(sender);
            take_overs.push(is_taken_over);
        }
        for is_taken_over in take_overs {
            // One that failed says why through `failure`.
            let _ = is_taken_over.await;
        }
        let runtime = Self { store: config.store, inboxes: Arc::new(inboxes), metrics: metrics.clone() };
        let watched = runtime.clone();
        let (store, watching) = (runtime.store.clone(), metrics.clone());
        tokio::spawn(async move { room_watch::watch(store, watching, watched.ended()).await });
        runtime.read_telemetry(telemetry, &metrics);
        if config.open_intake {
            runtime.read_commands(&config.transport, config.vault, metrics).await?;
        }
        Ok((runtime, failure))
    }

    /// Commits a command. The answer comes after the commit. While the disk is almost full only deletes are taken, and
    /// what helps them.
    pub async fn submit(&self, envelope: Envelope) -> Result<Accepted, Rejection> {
        let busy = |message: &str| Rejection::new(RejectionKind::Busy, message);
        match self.store.room().standing() {
            Standing::Low(_) if matches!(envelope.command, Command::Delete | Command::ResetStatus { .. }) => {}
            standing => {
                if let Some(refusal) = standing.refusal() {
                    return Err(Rejection::new(RejectionKind::NoRoom, refusal));
                }
            }
        }
        let (answer, answered) = oneshot::channel();
        let inbox = self.inbox(&envelope.tenant);
        let message = Message::Command { envelope: Box::new(envelope), answer };
        let submitted = async {
            inbox.send(message).await.map_err(|_| busy("The control plane is stopping."))?;
            answered.await.map_err(|_| busy("The control plane is stopping."))?
        };
        tokio::time::timeout(SUBMIT_LIMIT, submitted)
            .await
            .unwrap_or_else(|_| Err(busy("The request was not recorded in time; look whether it was done.")))
    }

    /// Why new orders are refused now; `None` while they are taken.
    pub fn refusal(&self) -> Option<String> {
        self.store.room().standing().refusal()
    }

    /// Waits until the task of an accepted command has ended; `None` when it has not within `limit`.
    pub async fn settled(
        &self,
        tenant: &TenantId,
        instance: InstanceId,
        command: CommandId,
        limit: Duration,
    ) -> Option<Result<(), String>> {
        let (ended, result) = oneshot::channel();
        let message = Message::Watch { tenant: tenant.clone(), instance, command, ended };
        let waited = async {
            self.inbox(tenant).send(message).await.ok()?;
            result.await.ok()
        };
        tokio::time::timeout(limit, waited).await.ok().flatten()
    }

    pub fn instance(&self, tenant: &TenantId, id: InstanceId) -> Result<Option<InstanceView>, StoreError> {
        self.told(self.store.view(partition_of(tenant), tenant, id))
    }

    /// What a GET shows of an instance: a row for [`coffer_domain::instance::shown::Shown`].
    pub fn shown(&self, tenant: &TenantId, id: InstanceId) -> Result<Option<Vec<u8>>, StoreError> {
        self.told(self.store.shown(partition_of(tenant), tenant, id))
    }

    /// The same of at most `limit` instances of a tenant in the order of their ids, after `marker`.
    pub fn shown_after(
        &self,
        tenant: &TenantId,
        marker: Option<InstanceId>,
        limit: usize,
    ) -> Result<Vec<(InstanceId, Vec<u8>)>, StoreError> {
        self.told(self.store.shown_after(partition_of(tenant), tenant, marker, limit))
    }

    /// At most `limit` instances of all tenants, ordered by partition, tenant and id, after `marker`, which need not exist.
    pub fn everyones_after(
        &self,
        marker: Option<&(TenantId, InstanceId)>,
        limit: usize,
    ) -> Result<Vec<InstanceView>, StoreError> {
        let first = marker.map_or(0, |(tenant, _)| partition_of(tenant));
        let mut found = Vec::new();
        for partition in first..PARTITIONS {
            let marker = marker.filter(|_| partition == first);
            found.extend(self.told(self.store.views_after(partition, marker, limit - found.len()))?);
        }
        Ok(found)
    }

    /// The tenant of an instance, looked for in every partition.
    pub fn owner(&self, id: InstanceId) -> Result<Option<TenantId>, StoreError> {
        for partition in 0..PARTITIONS {
            if let Some(tenant) = self.told(self.store.owner(partition, id))? {
                return Ok(Some(tenant));
            }
        }
        Ok(None)
    }

    /// At most `limit` entries of an instance's journal after number `after`; `None` when there is no journal.
    pub fn journal(
        &self,
        tenant: &TenantId,
        id: InstanceId,
        after: Option<u64>,
        limit: usize,
    ) -> Result<Option<Journal>, StoreError> {
        self.store.journal(partition_of(tenant), tenant, id, after, limit)
    }

    pub fn group(&self, tenant: &TenantId, id: GroupId) -> Result<Option<Group>, StoreError> {
        self.told(self.store.group(partition_of(tenant), tenant, id))
    }

    /// At most `limit` configuration groups of a tenant in the order of their ids, after `marker`.
    pub fn groups_after(
        &self,
        tenant: &TenantId,
        marker: Option<GroupId>,
        limit: usize,
    ) -> Result<Vec<Group>, StoreError> {
        self.told(self.store.groups_after(partition_of(tenant), tenant, marker, limit))
    }

    pub fn usage(&self, tenant: &TenantId) -> Result<Usage, StoreError> {
        self.told(self.store.usage(partition_of(tenant), tenant))
    }

    fn told<T>(&self, read: Result<T, StoreError>) -> Result<T, StoreError> {
        read.inspect_err(|error| ReadFailed { error }.emit(&self.metrics))
    }

    /// Ends every partition after what it has in its inbox; returns when all have ended.
    pub async fn stop(&self) {
        for inbox in self.inboxes.iter() {
            let _ = inbox.send(Message::Stop).await;
        }
        self.ended().await;
    }

    async fn ended(&self) {
        for inbox in self.inboxes.iter() {
            inbox.closed().await;
        }
    }

    /// The next delivery; none any more when the partitions have ended, so that the store is let go of.
    async fn next(&self, deliveries: &mut mpsc::Receiver<Delivery>) -> Option<Delivery> {
        tokio::select! {
            delivery = deliveries.recv() => delivery,
            () = self.ended() => None,
        }
    }

    fn inbox(&self, tenant: &TenantId) -> &mpsc::Sender<Message> {
        &self.inboxes[partition_of(tenant) as usize]
    }

    fn read_telemetry(&self, mut deliveries: mpsc::Receiver<Delivery>, metrics: &Metrics) {
        let runtime = self.clone();
        let inboxes = (0..).zip(self.inboxes.iter());
        let reports: Vec<Reports> =
            inboxes.map(|(partition, inbox)| Reports::new(partition, inbox.clone(), metrics.clone())).collect();
        tokio::spawn(async move {
            while let Some(delivery) = runtime.next(&mut deliveries).await {
                match delivery {
                    Delivery::Record(record) => {
                        let Some(tenant) = record.key.clone().map(TenantId) else { continue };
                        reports[partition_of(&tenant) as usize].take(record);
                    }
                    Delivery::Reconnected => reports.iter().for_each(Reports::reconnected),
                }
            }
        });
    }
}

/// Tells how a partition ended, also when it panicked.
struct End {
    failed: mpsc::Sender<RunnerError>,
    error: Option<RunnerError>,
}

impl Drop for End {
    fn drop(&mut self) {
        if let Some(error) = self.error.take() {
            // There is room for one of each partition.
            let _ = self.failed.try_send(error);
        }
    }
}

async fn open_log(
    store: &Arc<Store>,
    changelog: Option<Arc<dyn Changelog>>,
    clock: &Arc<dyn Clock>,
    metrics: &Metrics,
) -> Result<Arc<dyn Log>, StartError> {
    match (changelog, store.follows()?) {
        (Some(changelog), _) => {
            let applier = Arc::new(LocalLog::unsynced(store.clone(), &metrics.bounded)?);
            let (store, clock) = (store.clone(), clock.clone());
            Ok(Arc::new(ReplicatedLog::open(changelog, store, applier, clock, metrics.clone()).await?))
        }
        (None, None) => Ok(Arc::new(LocalLog::start(store.clone(), &metrics.bounded)?)),
        (None, Some(known)) => Err(StartError::Follows(known)),
    }
}

/// The partition that a tenant is in.
pub fn partition_of(tenant: &TenantId) -> u32 {
    coffer_protocol::topics::partition_of(&tenant.0, PARTITIONS)
}

/// One thread per core at most: partitions share them.
fn start_arbiters() -> Vec<Arbiter> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    (0..cores.min(PARTITIONS as usize)).map(|_| Arbiter::new()).collect()
}

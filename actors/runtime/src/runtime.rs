//! Starts all partitions and is the handle that the server wires up: submit, watch, read.

mod epochs;
pub(crate) mod intake;
mod questions;
mod removed;
mod topics;

use std::{sync::Arc, time::Duration};

use actix::Arbiter;
use coffer_domain::{
    catalogue::Catalogue,
    command::{Command, Envelope},
    configuration::Group,
    ids::{CommandId, GroupId, InstanceId, TenantId},
    instance::InstanceView,
    quota::{Limits, TenantLimits, Usage},
    rejection::{Rejection, RejectionKind},
    time::{MINUTE, Millis, SECOND, Timestamp},
};
use coffer_ports::{
    changelog::Changelog,
    log::{CommitError, Log},
    membership::Membership,
    telemetry::Happening,
    transport::{Delivery, Start, Transport},
};
use coffer_protocol::topics::{COMMANDS, TELEMETRY};
use futures_util::future::try_join_all;
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::Instant,
};

use crate::{
    borders::Borders,
    clock::Clock,
    dispatcher::{Connectors, Dispatcher},
    link::LinkParts,
    local_log::LocalLog,
    metrics::Metrics,
    nodes::{
        Cluster, Name, desk,
        forward::{Forwarder, Wire},
        members::{self, Feeds},
        seat::{Order, Seat},
        status::{self, PartitionStatus},
    },
    partition::{Accepted, Parts},
    post,
    replicated_log::{self, ReplicatedLog},
    room_watch,
    runner::{Message, RunnerError, RunnerParts},
    store::{Journal, Store, StoreError, keys, room::Standing, rows::AcceptedRow},
    telemetry::ReadFailed,
    vault::Vault,
};

pub use epochs::raise_epochs;
pub use topics::{changelog_topic, cluster_topics, topics};

/// Partitions of a deployment: fixed for life, since the key's hash decides where a tenant is.
pub const PARTITIONS: u32 = 16;
/// How long a client waits for a place in a partition's inbox and for the commit.
const SUBMIT_LIMIT: Duration = Duration::from_secs(10);
/// How long a reader waits for the rows of another node's partition to be as new as its log, and between two looks whose it
/// is while that changes.
const FRESH_LIMIT: Duration = Duration::from_secs(3);
const FRESH_LOOK: Duration = Duration::from_millis(20);
/// How long a log may not be readable before a node gives up its start, and between two tries.
const FIRST_CATCH_UP_LIMIT: Duration = Duration::from_secs(30);
const FIRST_CATCH_UP_RETRY: Duration = Duration::from_millis(200);
/// Who wrote that it lives, which owners do each minute, may live for this long.
const OWNER_SEEN: Millis = 3 * MINUTE;
/// How long a node that leaves waits for the group to take its partitions, and between two looks.
const LEAVE_LIMIT: Duration = Duration::from_secs(30);
const LEAVE_LOOK: Duration = Duration::from_millis(20);

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
    /// The nodes that share the partitions, and what their stores follow; the store is the truth itself when there is none.
    pub cluster: Option<Cluster>,
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
    Behind(#[from] CommitError),
    #[error(
        "partition {partition} was {owner}'s a moment ago, which keeps its databases elsewhere ({theirs}, and here {ours}): \
         nodes share provider.directory; if that one is gone for good, try again {wait_s} s after its end"
    )]
    OtherPlace { partition: u32, owner: String, theirs: String, ours: String, wait_s: i64 },
}

/// All partitions at this node. Cheap to clone.
#[derive(Clone)]
pub struct Runtime {
    store: Arc<Store>,
    seats: Arc<Vec<Arc<Seat>>>,
    /// Until the last keeper has ended.
    keepers: watch::Sender<()>,
    shared: Option<Arc<Shared>>,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
}

/// What there is besides where partitions are shared with other nodes.
struct Shared {
    changelog: Arc<dyn Changelog>,
    membership: Arc<dyn Membership>,
    forwarder: Forwarder,
}

/// Ends with the first partition that fails, or when all have stopped.
pub type Failure = mpsc::Receiver<RunnerError>;

impl Runtime {
    /// Returns when this node works: all partitions are its own, or those that the group gives it are and the others are as
    /// new as their logs. Must be called within an actix system on a multi-thread-capable host.
    pub async fn start(config: Config) -> Result<(Self, Failure), StartError> {
        let metrics = config.metrics;
        let changelog = config.cluster.as_ref().map(|cluster| cluster.changelog.clone());
        let log = open_log(&config.store, changelog, &config.clock, &metrics).await?;
        let dispatcher = Dispatcher::new(
            config.connectors,
            config.vault.clone(),
            metrics.clone(),
            tokio::runtime::Handle::current(),
        );
        let partition_parts = Parts {
            log: log.clone(),
            store: config.store.clone(),
            borders: config.borders,
            catalogue: config.catalogue,
            limits: config.limits,
            metrics: metrics.clone(),
        };
        let name = config.cluster.as_ref().map_or_else(
            || Name { node: "local".into(), place: "local".into() },
            |cluster| Name { node: cluster.node.clone(), place: cluster.place.clone() },
        );
        // Whoever joins is not far behind.
        try_join_all((0..PARTITIONS).map(|partition| first_catch_up(&*log, partition))).await?;
        if config.cluster.is_some() {
            check_place(&config.store, &name.place, config.clock.now())?;
        }
        let name = Arc::new(name);

        let (failed, failure) = mpsc::channel(PARTITIONS as usize);
        let (keepers, kept) = watch::channel(());
        let arbiters = start_arbiters();
        let mut seats = Vec::new();
        for partition in 0..PARTITIONS {
            let outgoing = post::outgoing(config.transport.clone(), metrics.clone());
            let parts = RunnerParts {
                partition: partition_parts.clone(),
                link: LinkParts { vault: config.vault.clone(), outgoing, metrics: metrics.clone() },
                dispatcher: dispatcher.clone(),
                clock: config.clock.clone(),
                name: name.clone(),
            };
            let (seat, keeper) = Seat::new(partition, parts, config.cluster.is_some());
            let (failed, kept) = (failed.clone(), kept.clone());
            arbiters[partition as usize % arbiters.len()].spawn(async move {
                let mut end = End { failed, error: Some(RunnerError::Panicked { partition }) };
                end.error = keeper.run().await.err();
                drop(kept);
            });
            seats.push(seat);
        }
        let transport = config.transport;
        let wire = Wire { transport, vault: config.vault, clock: config.clock.clone(), metrics: metrics.clone() };
        let shared = match &config.cluster {
            Some(Cluster { membership, changelog, .. }) => {
                let changelog = changelog.clone();
                let forwarder = Forwarder::start(wire.clone(), &metrics.bounded).await?;
                Some(Arc::new(Shared { changelog, membership: membership.clone(), forwarder }))
            }
            None => None,
        };
        let (store, seats) = (config.store, Arc::new(seats));
        let runtime = Self { store, seats, keepers, shared, clock: config.clock, metrics: metrics.clone() };
        let (store, watched) = (runtime.store.clone(), runtime.clone());
        tokio::spawn(async move { room_watch::watch(store, metrics, watched.ended()).await });
        match config.cluster {
            Some(Cluster { membership, .. }) => runtime.join(membership, wire, config.open_intake).await?,
            None => runtime.own_all(wire, config.open_intake).await?,
        }
        Ok((runtime, failure))
    }

    /// Has this node own everything.
    async fn own_all(&self, wire: Wire, open_intake: bool) -> Result<(), StartError> {
        // Before the partitions challenge their agents: no answer is missed.
        let telemetry = wire.transport.subscribe(&[TELEMETRY.to_owned()], Start::Latest).await?;
        let mut working = Vec::new();
        for seat in self.seats.iter() {
            let (works, is_working) = oneshot::channel();
            seat.order(Order::Take { works }).await;
            working.push(is_working);
        }
        for is_working in working {
            // One that failed says why through `failure`.
            let _ = is_working.await;
        }
        self.read_telemetry(telemetry);
        if open_intake {
            self.read_commands(&wire).await?;
        }
        Ok(())
    }

    /// Takes what the group gives.
    async fn join(&self, membership: Arc<dyn Membership>, wire: Wire, open_intake: bool) -> Result<(), StartError> {
        let feeds = Feeds::default();
        self.read_telemetry(wire.transport.subscribe_to(TELEMETRY, feeds.telemetry.subscribe()).await?);
        let commands = wire.transport.subscribe_to(COMMANDS, feeds.commands.subscribe()).await?;
        let wanted = feeds.commands.subscribe();
        let desks =
            desk::Parts { runtime: self.clone(), membership: membership.clone(), wire, wanted, is_open: open_intake };
        let (runtime, mut ended) = (self.clone(), commands);
        let changes = membership.join().await?;
        let (joined, is_joined) = oneshot::channel();
        tokio::spawn(members::follow(changes, self.seats.clone(), feeds, joined));
        tokio::spawn(async move {
            tokio::select! {
                () = desk::read(&mut ended, desks) => {}
                () = runtime.ended() => {}
            }
        });
        let _ = is_joined.await;
        Ok(())
    }

    /// Commits a command. The answer comes after the commit. While the disk is almost full only deletes are taken, and
    /// what helps them. Where the partition is another node's, that one decides.
    pub async fn submit(&self, envelope: Envelope) -> Result<Accepted, Rejection> {
        let begun = Instant::now();
        let answer = tokio::time::timeout(SUBMIT_LIMIT, self.submit_here(&envelope)).await;
        match (answer, &self.shared) {
            (Ok(Some(answer)), _) => answer,
            // By its id it is decided once, also when it was decided here after all.
            (Ok(None), Some(shared)) => {
                let seat = self.seat_of(&envelope.tenant).clone();
                let answer = shared.forwarder.submit(envelope, SUBMIT_LIMIT.saturating_sub(begun.elapsed())).await?;
                // Whoever is told so may look at once.
                let shown = fresh(shared, &seat).await;
                shown.map_err(|reason| {
                    let message = format!("The request was recorded, and cannot be shown now: {reason}.");
                    Rejection::new(RejectionKind::Busy, message)
                })?;
                Ok(answer)
            }
            (Ok(None), None) => Err(Rejection::new(RejectionKind::Busy, "The control plane is stopping.")),
            (Err(_), _) => {
                let message = "The request was not recorded in time; look whether it was done.";
                Err(Rejection::new(RejectionKind::Busy, message))
            }
        }
    }

    /// The answer of a partition that is this node's own; `None` when it is not, or ceases to be.
    async fn submit_here(&self, envelope: &Envelope) -> Option<Result<Accepted, Rejection>> {
        let seat = self.seat_of(&envelope.tenant);
        let inbox = seat.inbox()?;
        match self.store.room().standing() {
            Standing::Low(_) if matches!(envelope.command, Command::Delete | Command::ResetStatus { .. }) => {}
            standing => {
                if let Some(refusal) = standing.refusal() {
                    return Some(Err(Rejection::new(RejectionKind::NoRoom, refusal)));
                }
            }
        }
        let (answer, answered) = oneshot::channel();
        inbox.send(Message::Command { envelope: Box::new(envelope.clone()), answer }).await.ok()?;
        drop(inbox);
        let answer = answered.await.ok()?;
        let is_lost = self.shared.as_ref().is_some_and(|shared| !seat.is_taken() || !shared.membership.is_current());
        // The next owner can say more than that it was not written, or that nobody knows.
        match answer {
            Err(Rejection { kind: RejectionKind::Busy | RejectionKind::NoRoom, .. }) if is_lost => None,
            answer => Some(answer),
        }
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
        match &self.shared {
            Some(shared) if !self.seat_of(tenant).is_taken() => {
                shared.forwarder.settled(tenant, instance, command, limit).await
            }
            _ => self.settled_here(tenant, instance, command, limit).await,
        }
    }

    /// The same of a partition that is this node's own.
    pub(crate) async fn settled_here(
        &self,
        tenant: &TenantId,
        instance: InstanceId,
        command: CommandId,
        limit: Duration,
    ) -> Option<Result<(), String>> {
        let (ended, result) = oneshot::channel();
        let message = Message::Watch { tenant: tenant.clone(), instance, command, ended };
        let waited = async {
            self.seat_of(tenant).inbox()?.send(message).await.ok()?;
            result.await.ok()
        };
        tokio::time::timeout(limit, waited).await.ok().flatten()
    }

    /// Returns when what is read of a tenant from now on has all that was committed before. Errors: why that cannot be said.
    pub async fn fresh(&self, tenant: &TenantId) -> Result<(), String> {
        match &self.shared {
            Some(shared) => fresh(shared, self.seat_of(tenant)).await,
            None => Ok(()),
        }
    }

    /// The same for all tenants.
    pub async fn everyone_fresh(&self) -> Result<(), String> {
        match &self.shared {
            Some(shared) => try_join_all(self.seats.iter().map(|seat| fresh(shared, seat))).await.map(|_| ()),
            None => Ok(()),
        }
    }

    /// All partitions, for operators.
    pub async fn partitions(&self) -> Result<Vec<PartitionStatus>, StoreError> {
        let changelog = self.shared.as_ref().map(|shared| &*shared.changelog);
        let looks = (0..)
            .zip(self.seats.iter())
            .map(|(partition, seat)| status::look(partition, seat, &self.store, changelog, self.clock.now()));
        try_join_all(looks).await
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

    /// What is kept for whoever sends the request again that this command is of.
    pub fn kept(&self, tenant: &TenantId, command: CommandId) -> Result<Option<AcceptedRow>, StoreError> {
        self.told(self.store.accepted(&keys::kept(partition_of(tenant), tenant, command)))
    }

    /// What was set for a tenant alone; nothing for one that has the limits of everybody.
    pub fn limits(&self, tenant: &TenantId) -> Result<Option<TenantLimits>, StoreError> {
        self.told(self.store.limits(partition_of(tenant), tenant))
    }

    pub fn usage(&self, tenant: &TenantId) -> Result<Usage, StoreError> {
        self.told(self.store.usage(partition_of(tenant), tenant))
    }

    fn told<T>(&self, read: Result<T, StoreError>) -> Result<T, StoreError> {
        read.inspect_err(|error| ReadFailed { error }.emit(&self.metrics))
    }

    /// Ends every partition after what it has in its inbox; returns when all have ended. Other nodes get what was shared
    /// with them.
    pub async fn stop(&self) {
        if let Some(shared) = &self.shared {
            shared.membership.leave();
            let left = async {
                while self.seats.iter().any(|seat| seat.is_taken()) {
                    tokio::time::sleep(LEAVE_LOOK).await;
                }
            };
            // Who is not let go of in time is put out.
            let _ = tokio::time::timeout(LEAVE_LIMIT, left).await;
        }
        for seat in self.seats.iter() {
            seat.order(Order::Stop).await;
        }
        self.ended().await;
    }

    async fn ended(&self) {
        self.keepers.closed().await;
    }

    /// The next delivery; none any more when the partitions have ended, so that the store is let go of.
    async fn next(&self, deliveries: &mut mpsc::Receiver<Delivery>) -> Option<Delivery> {
        tokio::select! {
            delivery = deliveries.recv() => delivery,
            () = self.ended() => None,
        }
    }

    /// A partition's seat at this node.
    pub(crate) fn seat(&self, partition: u32) -> Option<&Arc<Seat>> {
        self.seats.get(partition as usize)
    }

    fn seat_of(&self, tenant: &TenantId) -> &Arc<Seat> {
        &self.seats[partition_of(tenant) as usize]
    }

    /// Hands each report to its partition, as far as that is this node's own.
    fn read_telemetry(&self, mut deliveries: mpsc::Receiver<Delivery>) {
        let runtime = self.clone();
        tokio::spawn(async move {
            while let Some(delivery) = runtime.next(&mut deliveries).await {
                match delivery {
                    Delivery::Record(record) => {
                        let Some(tenant) = record.key.clone().map(TenantId) else { continue };
                        if let Some(reports) = runtime.seat_of(&tenant).reports() {
                            reports.take(record);
                        }
                    }
                    Delivery::Begun { .. } => {}
                    Delivery::Reconnected => {
                        let taken = runtime.seats.iter().filter_map(|seat| seat.reports());
                        taken.for_each(|reports| reports.reconnected());
                    }
                }
            }
        });
    }
}

/// Returns when a partition's rows are as new as its log was at the time of the call.
async fn fresh(shared: &Shared, seat: &Seat) -> Result<(), String> {
    let following = async {
        loop {
            // What is committed is in the owner's store before anybody is told.
            if seat.is_taken() && shared.membership.is_current() {
                return Ok(());
            }
            if !seat.is_taken()
                && let Some(followed) = seat.follow().await
            {
                return followed;
            }
            tokio::time::sleep(FRESH_LOOK).await;
        }
    };
    let late = |_| Err("it is not known in time whether another node has changed something".to_owned());
    tokio::time::timeout(FRESH_LIMIT, following).await.unwrap_or_else(late)
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

/// Refuses a node that would not find what another one, which may live, has made outside.
fn check_place(store: &Store, place: &str, now: Timestamp) -> Result<(), StartError> {
    for partition in 0..PARTITIONS {
        let Some(owner) = store.partition_owner(partition)? else { continue };
        let seen = store.owned_at(partition)?.map_or(owner.since, |at| at.max(owner.since));
        if owner.place != place && now - seen < OWNER_SEEN {
            return Err(StartError::OtherPlace {
                partition,
                owner: owner.node,
                theirs: owner.place,
                ours: place.to_owned(),
                wait_s: OWNER_SEEN / SECOND,
            });
        }
    }
    Ok(())
}

/// A log may need a moment before it can be read: its topic was made just now, or its brokers are being rolled.
async fn first_catch_up(log: &dyn Log, partition: u32) -> Result<(), CommitError> {
    let deadline = Instant::now() + FIRST_CATCH_UP_LIMIT;
    loop {
        match log.catch_up(partition).await {
            Err(error) if Instant::now() < deadline => tracing::debug!(partition, %error, "the log is not read yet"),
            caught_up => return caught_up,
        }
        tokio::time::sleep(FIRST_CATCH_UP_RETRY).await;
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

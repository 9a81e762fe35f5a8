//! Starts all partitions and is the handle that the server wires up: submit, watch, read.

mod epochs;
pub(crate) mod intake;
mod questions;
mod reads;
mod removed;
mod start;
mod topics;

use std::{sync::Arc, time::Duration};

use coffer_domain::{
    catalogue::Catalogue,
    command::{Command, Envelope},
    ids::{CommandId, InstanceId, TenantId},
    quota::Limits,
    rejection::{Rejection, RejectionKind},
};
use coffer_ports::{
    changelog::Changelog,
    membership::Membership,
    transport::{Delivery, Transport},
};
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
    metrics::Metrics,
    nodes::{
        Cluster, Name,
        forward::{Forwarder, Wire, not_in_time},
        seat::{Order, Seat},
    },
    partition::{Accepted, Parts},
    post, room_watch,
    runner::{Message, RunnerError, RunnerParts},
    store::{Store, room::Standing},
    vault::Vault,
};

pub use epochs::raise_epochs;
use reads::fresh;
pub use start::StartError;
use start::{check_place, first_catch_up, open_log, start_arbiters};
pub use topics::{changelog_topic, cluster_topics, topics};

/// Partitions of a deployment: fixed for life, since the key's hash decides where a tenant is.
pub const PARTITIONS: u32 = 16;
/// How long a client waits for a place in a partition's inbox and for the commit.
const SUBMIT_LIMIT: Duration = Duration::from_secs(10);
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
        let alone = || Name { node: "local".into(), place: "local".into() };
        let name = Arc::new(config.cluster.as_ref().map_or_else(alone, |cluster| cluster.name.clone()));
        // Whoever joins is not far behind.
        try_join_all((0..PARTITIONS).map(|partition| first_catch_up(&*log, partition))).await?;
        if config.cluster.is_some() {
            check_place(&config.store, &name.place, config.clock.now())?;
        }

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
            (Err(_), _) => Err(not_in_time()),
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

/// The partition that a tenant is in.
pub fn partition_of(tenant: &TenantId) -> u32 {
    coffer_protocol::topics::partition_of(&tenant.0, PARTITIONS)
}

//! How a node comes to work: its log, its share of the partitions, and what it reads of the broker for them.

use std::{sync::Arc, time::Duration};

use actix::Arbiter;
use coffer_domain::{
    ids::TenantId,
    time::{MINUTE, Millis, SECOND, Timestamp},
};
use coffer_ports::{
    changelog::Changelog,
    log::{CommitError, Log},
    membership::Membership,
    transport::{Delivery, Start},
};
use coffer_protocol::topics::{COMMANDS, TELEMETRY};
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};

use super::{PARTITIONS, Runtime};
use crate::{
    clock::Clock,
    local_log::LocalLog,
    metrics::Metrics,
    nodes::{
        desk,
        forward::Wire,
        members::{self, Feeds},
        seat::Order,
    },
    replicated_log::{self, ReplicatedLog},
    store::{Store, StoreError},
};

/// How long a log may not be readable before a node gives up its start, and between two tries.
const FIRST_CATCH_UP_LIMIT: Duration = Duration::from_secs(30);
const FIRST_CATCH_UP_RETRY: Duration = Duration::from_millis(200);
/// Who wrote that it lives, which owners do each minute, may live for this long.
const OWNER_SEEN: Millis = 3 * MINUTE;

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

impl Runtime {
    /// Has this node own everything.
    pub(super) async fn own_all(&self, wire: Wire, open_intake: bool) -> Result<(), StartError> {
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
    pub(super) async fn join(
        &self,
        membership: Arc<dyn Membership>,
        wire: Wire,
        open_intake: bool,
    ) -> Result<(), StartError> {
        let feeds = Feeds::default();
        self.read_telemetry(wire.transport.subscribe_to(TELEMETRY, feeds.telemetry.subscribe()).await?);
        let mut commands = wire.transport.subscribe_to(COMMANDS, feeds.commands.subscribe()).await?;
        let wanted = feeds.commands.subscribe();
        let desks =
            desk::Parts { runtime: self.clone(), membership: membership.clone(), wire, wanted, is_open: open_intake };
        let runtime = self.clone();
        let changes = membership.join().await?;
        let (joined, is_joined) = oneshot::channel();
        tokio::spawn(members::follow(changes, self.seats.clone(), feeds, joined));
        tokio::spawn(async move {
            tokio::select! {
                () = desk::read(&mut commands, desks) => {}
                () = runtime.ended() => {}
            }
        });
        let _ = is_joined.await;
        Ok(())
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

pub(super) async fn open_log(
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
pub(super) fn check_place(store: &Store, place: &str, now: Timestamp) -> Result<(), StartError> {
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
pub(super) async fn first_catch_up(log: &dyn Log, partition: u32) -> Result<(), CommitError> {
    let deadline = Instant::now() + FIRST_CATCH_UP_LIMIT;
    loop {
        match log.catch_up(partition).await {
            Err(error) if Instant::now() < deadline => tracing::debug!(partition, %error, "the log is not read yet"),
            caught_up => return caught_up,
        }
        tokio::time::sleep(FIRST_CATCH_UP_RETRY).await;
    }
}

/// One thread per core at most: partitions share them.
pub(super) fn start_arbiters() -> Vec<Arbiter> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    (0..cores.min(PARTITIONS as usize)).map(|_| Arbiter::new()).collect()
}

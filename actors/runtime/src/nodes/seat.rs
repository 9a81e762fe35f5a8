//! A partition at this node: taken while it is the node's own, and else kept as new as its owner's, for reads and for the
//! day that it is taken over.

use std::{
    convert::Infallible,
    future::pending,
    pin::pin,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use coffer_ports::{log::Log, telemetry::Happening};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, sleep, sleep_until},
};

use crate::{
    fullness, post,
    post::Reports,
    runner::{INBOX, Message, Runner, RunnerError, RunnerParts},
    telemetry::{PartitionReleased, TakeOverFailed},
};

/// Readers that wait for the same look at the log at most.
const WISHES: usize = 1024;
/// Orders to a seat that wait at most: they come one by one.
const ORDERS: usize = 4;
/// How often a seat that is not taken looks at the log when nobody asks.
const STANDBY_INTERVAL: Duration = Duration::from_secs(1);
/// Between two tries to take a partition over.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);
/// How long after a partition was found to be another's the group may take to say so. A log that has other owners than the
/// group's is not to be worked with.
const GROUP_LAG: Duration = Duration::from_secs(30);

/// What a seat is told.
pub enum Order {
    /// The partition is this node's; `works` is dropped when it does, or cannot yet.
    Take { works: oneshot::Sender<()> },
    /// It is no more; `released` is dropped when nothing is done in its name any more.
    Leave { released: oneshot::Sender<()> },
    /// The node ends.
    Stop,
}

/// Answered when the store is as new as the log was when it was asked.
type Wish = oneshot::Sender<Result<(), String>>;

/// The way to a partition that is this node's own.
#[derive(Clone)]
struct Taken {
    inbox: mpsc::Sender<Message>,
    reports: Arc<Reports>,
}

/// What everybody sees of a seat.
pub struct Seat {
    taken: RwLock<Option<Taken>>,
    wishes: mpsc::Sender<Wish>,
    orders: mpsc::Sender<Order>,
}

impl Seat {
    /// A free seat, and who keeps it.
    pub fn new(partition: u32, parts: RunnerParts, is_shared: bool) -> (Arc<Self>, Keeper) {
        let (wishes, wished) = mpsc::channel(WISHES);
        let (orders, ordered) = mpsc::channel(ORDERS);
        post::watch(&parts.partition.metrics.bounded, fullness::STANDBY_READERS, &wishes);
        let seat = Arc::new(Self { taken: RwLock::default(), wishes, orders });
        let keeper =
            Keeper { partition, parts, is_shared, seat: seat.clone(), orders: ordered, wishes: wished, expelled: None };
        (seat, keeper)
    }

    /// The partition's inbox; `None` while it is not this node's own.
    pub fn inbox(&self) -> Option<mpsc::Sender<Message>> {
        self.read().as_ref().map(|taken| taken.inbox.clone())
    }

    pub fn is_taken(&self) -> bool {
        self.read().is_some()
    }

    pub fn reports(&self) -> Option<Arc<Reports>> {
        self.read().as_ref().map(|taken| taken.reports.clone())
    }

    /// What is in the inbox is decided still; nothing more gets there.
    pub fn close(&self) {
        *self.taken.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Nobody is there to be told any more when the keeper has ended.
    pub async fn order(&self, order: Order) {
        let _ = self.orders.send(order).await;
    }

    /// Returns when the store has all that the log had at the time of the call. `None` when the partition was taken
    /// meanwhile, or everything ends.
    pub async fn follow(&self) -> Option<Result<(), String>> {
        let (wish, answer) = oneshot::channel();
        self.wishes.send(wish).await.ok()?;
        answer.await.ok()
    }

    fn open(&self, taken: Taken) {
        *self.taken.write().unwrap_or_else(PoisonError::into_inner) = Some(taken);
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, Option<Taken>> {
        self.taken.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps a seat: follows the log, and runs the partition while it is the node's own.
pub struct Keeper {
    partition: u32,
    parts: RunnerParts,
    is_shared: bool,
    seat: Arc<Seat>,
    orders: mpsc::Receiver<Order>,
    wishes: mpsc::Receiver<Wish>,
    /// When the group must have said that the partition is another's, and how that was found.
    expelled: Option<(Instant, RunnerError)>,
}

/// What comes after a partition was the node's own.
enum Next {
    StandBy,
    Stop,
}

impl Keeper {
    /// Until told to stop, or until the partition fails. Must run on an actix arbiter.
    pub async fn run(mut self) -> Result<(), RunnerError> {
        while let Some(works) = self.stand_by().await? {
            let next = self.sit(works).await;
            self.seat.close();
            match next? {
                Next::StandBy => {}
                Next::Stop => break,
            }
        }
        Ok(())
    }

    /// Follows the log until the partition is the node's own; `None` when told to stop. A log that is away keeps nobody
    /// from leaving: what is half applied is applied again.
    async fn stand_by(&mut self) -> Result<Option<oneshot::Sender<()>>, RunnerError> {
        loop {
            let expelled_at = self.expelled.as_ref().map(|(until, _)| *until);
            let order = tokio::select! {
                biased;
                order = self.orders.recv() => order,
                () = at(expelled_at) => match self.expelled.take() {
                    Some((_, error)) => return Err(error),
                    None => continue,
                },
                never = follow(self.partition, &*self.parts.partition.log, &mut self.wishes) => match never {},
            };
            match order {
                Some(Order::Take { works }) => {
                    self.expelled = None;
                    return Ok(Some(works));
                }
                Some(Order::Leave { .. }) => self.expelled = None,
                Some(Order::Stop) | None => return Ok(None),
            }
        }
    }

    /// Takes the partition over and runs it.
    async fn sit(&mut self, works: oneshot::Sender<()>) -> Result<Next, RunnerError> {
        let partition = self.partition;
        let ownership = loop {
            let error = match Runner::own(partition, &self.parts).await {
                Ok(ownership) => break ownership,
                Err(error) if self.is_shared && matches!(error, RunnerError::NotTakenOver { .. }) => error,
                Err(error) => return Err(error),
            };
            TakeOverFailed { error: &error }.emit(&self.parts.partition.metrics);
            tokio::select! {
                () = sleep(RETRY_INTERVAL) => {}
                order = self.orders.recv() => match order {
                    Some(Order::Leave { .. }) => return Ok(Next::StandBy),
                    Some(Order::Stop) | None => return Ok(Next::Stop),
                    Some(Order::Take { .. }) => {}
                },
            }
        };
        let metrics = self.parts.partition.metrics.clone();
        let (inbox, messages) = mpsc::channel(INBOX);
        post::watch(&metrics.bounded, fullness::PARTITION_INBOX, &inbox);
        let runner = Runner::load(ownership, self.parts.clone(), messages, inbox.downgrade())?;
        let reports = Arc::new(Reports::new(partition, inbox.clone(), metrics.clone()));
        self.seat.open(Taken { inbox, reports });
        metrics.partitions_owned.inc();
        drop(works);
        let mut released = None;
        let mut next = Next::StandBy;
        let mut running = pin!(runner.run());
        let end = loop {
            tokio::select! {
                end = &mut running => break end,
                order = self.orders.recv() => match order {
                    Some(Order::Leave { released: leaving }) => {
                        released = Some(leaving);
                        self.seat.close();
                    }
                    Some(Order::Stop) | None => {
                        next = Next::Stop;
                        self.seat.close();
                    }
                    Some(Order::Take { .. }) => {}
                },
                // Asked before the partition was taken: nothing is to be waited for any more.
                Some(wish) = self.wishes.recv() => drop(wish),
            }
        };
        metrics.partitions_owned.dec();
        match end {
            Ok(()) => PartitionReleased { partition, reason: "as it was told" }.emit(&metrics),
            Err(error @ RunnerError::TakenOver { .. }) if self.is_shared => {
                PartitionReleased { partition, reason: "another node has it" }.emit(&metrics);
                if released.is_none() && matches!(next, Next::StandBy) {
                    self.expelled = Some((Instant::now() + GROUP_LAG, error));
                }
            }
            Err(error) => return Err(error),
        }
        drop(released);
        Ok(next)
    }
}

/// Brings the store up to the log each time that somebody wishes it, and now and then. Whoever's wish is dropped with this asks
/// again.
async fn follow(partition: u32, log: &dyn Log, wishes: &mut mpsc::Receiver<Wish>) -> Infallible {
    let mut wished = Vec::new();
    let mut due = Instant::now();
    loop {
        tokio::select! {
            _ = wishes.recv_many(&mut wished, WISHES) => {}
            () = sleep_until(due) => {}
        }
        let answer = log.catch_up(partition).await.map_err(|error| error.to_string());
        for wish in wished.drain(..) {
            // Whoever asked may have had enough of waiting.
            let _ = wish.send(answer.clone());
        }
        due = Instant::now() + STANDBY_INTERVAL;
    }
}

async fn at(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => pending().await,
    }
}

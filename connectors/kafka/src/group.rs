//! [`Membership`] by a consumer group of the cluster: partitions are assigned cooperatively, so that those that stay where
//! they are go on while others move.
//!
//! The group's consumer reads no records. What it commits is up to where commands were taken, again and again, changed or
//! not: the cluster takes that only from a member that it counts on, so that each answer is a lease for as long as the
//! cluster waits for a member that is silent.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use coffer_ports::{
    Error, ErrorKind, Result,
    membership::{Assigned, Change, Membership},
};
use rdkafka::{
    ClientContext, Offset, TopicPartitionList,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, CommitMode, Consumer as _, ConsumerContext, ConsumerGroupMetadata, Rebalance},
    error::KafkaError,
};
use tokio::sync::{mpsc, oneshot};

use crate::{
    address::Address,
    client::{Events, group_member},
    error::from_kafka,
};

/// How long the cluster waits for a member that is silent before it gives its partitions to others. The least that a broker
/// allows by its own defaults (`group.min.session.timeout.ms`).
pub const SESSION_TIMEOUT: Duration = Duration::from_secs(6);
/// Of how much of that time a member makes use, as its clock may be slower than the cluster's.
const LEASE_SHARE: f64 = 0.75;
/// How often a member has its lease renewed: in case one answer is late there are others in time.
const RENEWALS: u32 = 6;
/// How long the group's thread waits for something to happen.
const TICK: Duration = Duration::from_millis(100);
/// How long others are kept waiting for a partition to be released; after that the fence stands between the two owners.
const RELEASE_LIMIT: Duration = Duration::from_secs(20);
/// How often it is told that the group is not reached.
const TELL_INTERVAL: Duration = Duration::from_secs(10);
/// How long the cluster may take for one question.
const QUESTION_TIMEOUT: Duration = Duration::from_secs(5);
/// How long leaving may take.
const LEAVE_LIMIT: Duration = Duration::from_secs(30);
/// Changes that wait for whoever carries them out.
const CHANGES: usize = 64;

/// A member of the group that shares out the partitions of a topic.
pub struct KafkaGroup {
    address: Address,
    client_id: String,
    group: String,
    session: Duration,
    shared: Arc<Shared>,
}

/// What the group's thread, its callbacks and everybody else know together.
struct Shared {
    topic: String,
    /// The offset before which commands were taken, for each partition that is the member's own.
    own: Mutex<BTreeMap<i32, i64>>,
    consumer: Mutex<Option<Arc<BaseConsumer<Context>>>>,
    lease_until: Mutex<Option<Instant>>,
    /// Something was assigned that no lease was asked for yet.
    is_new: AtomicBool,
    is_leaving: AtomicBool,
}

impl KafkaGroup {
    /// A member-to-be of `group`, which shares out the partitions of `topic`. `session`: [`SESSION_TIMEOUT`], or less where
    /// the brokers allow it.
    pub fn new(servers: &str, client_id: &str, group: &str, topic: &str, session: Duration) -> Self {
        let shared = Shared {
            topic: topic.to_owned(),
            own: Mutex::default(),
            consumer: Mutex::default(),
            lease_until: Mutex::default(),
            is_new: AtomicBool::new(false),
            is_leaving: AtomicBool::new(false),
        };
        let address = Address { generation: 0, servers: servers.into() };
        let (client_id, group) = (client_id.to_owned(), group.to_owned());
        Self { address, client_id, group, session, shared: Arc::new(shared) }
    }

    /// What a transaction shows the cluster, so that it is taken only from the partition's assignee: where its commands were
    /// taken up to, and in whose name. `None` for whoever is not in the group.
    pub(crate) fn credentials(&self, partition: i32) -> Option<(TopicPartitionList, ConsumerGroupMetadata)> {
        let metadata = lock(&self.shared.consumer).as_ref()?.group_metadata()?;
        let next = *lock(&self.shared.own).get(&partition)?;
        let mut offsets = TopicPartitionList::new();
        offsets.add_partition_offset(&self.shared.topic, partition, Offset::Offset(next)).ok()?;
        Some((offsets, metadata))
    }
}

#[async_trait]
impl Membership for KafkaGroup {
    async fn join(&self) -> Result<mpsc::Receiver<Change>> {
        let (changes, receiver) = mpsc::channel(CHANGES);
        let context = Context { events: Events::default(), changes, shared: self.shared.clone() };
        let consumer = group_member(&self.address, &self.client_id, &self.group, self.session, context)?;
        consumer.subscribe(&[&self.shared.topic]).map_err(|error| from_kafka("join the group", &error))?;
        let consumer = Arc::new(consumer);
        *lock(&self.shared.consumer) = Some(consumer.clone());
        let member = Member { consumer, shared: self.shared.clone(), session: self.session };
        let no_thread = |error| Error::new(ErrorKind::Internal, "kafka.no_thread", format!("the group: {error}"));
        thread::Builder::new().name("group".to_owned()).spawn(move || member.run()).map_err(no_thread)?;
        Ok(receiver)
    }

    fn leave(&self) {
        self.shared.is_leaving.store(true, Ordering::Relaxed);
    }

    fn is_current(&self) -> bool {
        lock(&self.shared.lease_until).is_some_and(|until| Instant::now() < until)
    }

    fn took(&self, partition: u32, next_offset: i64) {
        let Ok(partition) = i32::try_from(partition) else { return };
        if let Some(next) = lock(&self.shared.own).get_mut(&partition) {
            *next = next_offset.max(*next);
        }
    }
}

/// The member at work, on a thread of its own.
struct Member {
    consumer: Arc<BaseConsumer<Context>>,
    shared: Arc<Shared>,
    session: Duration,
}

impl Member {
    fn run(self) {
        let (mut renewed_at, mut told_at) = (Instant::now(), None);
        while !self.shared.is_leaving.load(Ordering::Relaxed) {
            if let Some(error) = self.poll()
                && told_at.is_none_or(|at: Instant| at.elapsed() >= TELL_INTERVAL)
            {
                told_at = Some(Instant::now());
                tracing::warn!(%error, "the group of nodes is not reached");
            }
            if self.shared.is_new.swap(false, Ordering::Relaxed) || renewed_at.elapsed() >= self.session / RENEWALS {
                renewed_at = Instant::now();
                self.renew();
            }
        }
        self.renew();
        self.consumer.unsubscribe();
        let deadline = Instant::now() + LEAVE_LIMIT;
        while !lock(&self.shared.own).is_empty() && Instant::now() < deadline {
            self.poll();
        }
        *lock(&self.shared.lease_until) = None;
        *lock(&self.shared.consumer) = None;
        // The last one to hold the consumer: its end leaves the group and ends the changes.
        drop(self.consumer);
    }

    /// Lets librdkafka call back, and tell what is wrong.
    fn poll(&self) -> Option<KafkaError> {
        match self.consumer.poll(TICK) {
            // Partitions are paused as soon as they are assigned; what was on its way already is not for us.
            Some(Ok(_)) | None => None,
            Some(Err(error)) => Some(error),
        }
    }

    /// Has the cluster say that it counts on us.
    fn renew(&self) {
        let mut offsets = TopicPartitionList::new();
        for (partition, next) in lock(&self.shared.own).iter() {
            let added = offsets.add_partition_offset(&self.shared.topic, *partition, Offset::Offset(*next));
            debug_assert!(added.is_ok(), "an offset is not negative");
        }
        if offsets.count() == 0 {
            return;
        }
        let asked_at = Instant::now();
        match self.consumer.commit(&offsets, CommitMode::Sync) {
            Ok(()) => *lock(&self.shared.lease_until) = Some(asked_at + self.session.mul_f64(LEASE_SHARE)),
            // Also while the group shares out anew; the lease before it holds for as long as it holds.
            Err(error) => tracing::debug!(%error, "the lease was not renewed"),
        }
    }
}

/// Called by librdkafka on the group's thread.
struct Context {
    events: Events,
    changes: mpsc::Sender<Change>,
    shared: Arc<Shared>,
}

impl Context {
    fn assigned(&self, consumer: &BaseConsumer<Self>, partitions: &TopicPartitionList) {
        if let Err(error) = consumer.pause(partitions) {
            tracing::debug!(%error, "assigned partitions are not paused");
        }
        // Who begins too early is told of commands again that were taken: each has an answer already.
        let committed = consumer.committed_offsets(partitions.clone(), QUESTION_TIMEOUT);
        let committed = committed.inspect_err(|error| tracing::warn!(%error, "commands are read from the first one"));
        let committed = committed.unwrap_or_else(|_| partitions.clone());
        let mut told = Vec::new();
        for element in committed.elements() {
            let commands_from = match element.offset() {
                Offset::Offset(offset) => offset,
                _ => 0,
            };
            lock(&self.shared.own).insert(element.partition(), commands_from);
            told.push(Assigned { partition: element.partition().unsigned_abs(), commands_from });
        }
        self.shared.is_new.store(true, Ordering::Relaxed);
        self.tell(Change::Assigned(told));
    }

    fn revoked(&self, consumer: &BaseConsumer<Self>, partitions: &TopicPartitionList) {
        let is_lost = consumer.assignment_lost();
        if is_lost {
            *lock(&self.shared.lease_until) = None;
        }
        let mut waiting = Vec::new();
        for element in partitions.elements() {
            let partition = element.partition().unsigned_abs();
            if is_lost {
                self.tell(Change::Lost { partition });
            } else {
                let (released, is_released) = oneshot::channel();
                self.tell(Change::Revoked { partition, released });
                waiting.push(is_released);
            }
        }
        let deadline = Instant::now() + RELEASE_LIMIT;
        for mut is_released in waiting {
            while Instant::now() < deadline
                && matches!(is_released.try_recv(), Err(oneshot::error::TryRecvError::Empty))
            {
                thread::sleep(Duration::from_millis(2));
            }
        }
        let mut own = lock(&self.shared.own);
        for element in partitions.elements() {
            own.remove(&element.partition());
        }
    }

    fn tell(&self, change: Change) {
        // Nobody listens when everything ends.
        let _ = self.changes.blocking_send(change);
    }
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.events.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.events.error(error, reason);
    }
}

impl ConsumerContext for Context {
    fn pre_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if let Rebalance::Revoke(partitions) = rebalance {
            self.revoked(consumer, partitions);
        }
    }

    fn post_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if let Rebalance::Assign(partitions) = rebalance {
            self.assigned(consumer, partitions);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

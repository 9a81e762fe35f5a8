//! The writer of one partition: a thread, a transactional producer, one transaction for each batch.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use coffer_ports::{
    Error, ErrorKind, Result,
    log::{Batch, CommitError, Write},
};
use rdkafka::{
    ClientContext, Message,
    config::RDKafkaLogLevel,
    error::KafkaError,
    producer::{BaseProducer, BaseRecord, DeliveryResult, Producer as _, ProducerContext},
    types::RDKafkaErrorCode,
};
use tokio::sync::{mpsc, oneshot};

use super::{
    reader::{Readers, number},
    record_key,
};
use crate::{
    address::Address,
    client::{Events, changelog_producer},
    error::from_kafka,
    group::KafkaGroup,
};

/// What waits for the thread: a partition has one batch under way at a time.
const QUEUE: usize = 2;
/// How long it may take to become the only writer; what an earlier one left open is ended within it.
const FENCE_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a transaction may take. The cluster ends a longer one, whoever holds it.
pub(crate) const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a record may wait for its acknowledgement, and how long a commit for its answer: less than that.
pub(crate) const RECORD_TIMEOUT: Duration = Duration::from_secs(20);
const COMMIT_TIMEOUT: Duration = Duration::from_secs(25);
const ABORT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long acknowledgements are waited for at a time. rdkafka's `flush` waits 100 ms, also when they are there.
const ACKNOWLEDGEMENT_WAIT: Duration = Duration::from_millis(1);
/// How long a full queue of the client is waited for at a time.
const QUEUE_FULL_WAIT: Duration = Duration::from_millis(10);

/// How long what is committed may not be readable, and between two looks.
const READABLE_LIMIT: Duration = Duration::from_secs(5);
const READABLE_LOOK: Duration = Duration::from_micros(500);

enum Job {
    Fence(oneshot::Sender<Result<()>>),
    Append(Vec<Write>, oneshot::Sender<Result<i64, CommitError>>),
}

/// The way to the thread; it ends with the last of these.
#[derive(Clone)]
pub(super) struct Writer {
    jobs: mpsc::Sender<Job>,
}

impl Writer {
    pub(super) fn start(parts: WriterParts) -> std::io::Result<Self> {
        let (jobs, queue) = mpsc::channel(QUEUE);
        let name = format!("changelog-{}", parts.partition);
        let work = Work { parts, producer: None, is_confirmed: false };
        thread::Builder::new().name(name).spawn(move || work.run(queue))?;
        Ok(Self { jobs })
    }

    pub(super) async fn fence(&self) -> Result<()> {
        let (done, result) = oneshot::channel();
        let gone = || Error::new(ErrorKind::Internal, "kafka.task_failed", "the changelog's writer has ended");
        self.jobs.send(Job::Fence(done)).await.map_err(|_| gone())?;
        result.await.map_err(|_| gone())?
    }

    pub(super) async fn append(&self, batch: &Batch) -> Result<i64, CommitError> {
        let (done, result) = oneshot::channel();
        let gone = || CommitError::Uncertain("the changelog's writer has ended".into());
        self.jobs.send(Job::Append(batch.writes.clone(), done)).await.map_err(|_| gone())?;
        result.await.map_err(|_| gone())?
    }
}

/// What a writer works with.
pub(super) struct WriterParts {
    pub address: Address,
    pub client_id: String,
    pub topic: String,
    pub partition: u32,
    /// Who assigns the partition, if somebody does.
    pub group: Option<Arc<KafkaGroup>>,
    pub readers: Arc<Readers>,
}

struct Work {
    parts: WriterParts,
    /// Absent before the first fence, and after an error that nothing but another one mends.
    producer: Option<BaseProducer<Delivered>>,
    /// A batch was taken from us since the last fence.
    is_confirmed: bool,
}

impl Work {
    fn run(mut self, mut queue: mpsc::Receiver<Job>) {
        while let Some(job) = queue.blocking_recv() {
            match job {
                Job::Fence(done) => {
                    let _ = done.send(self.fence());
                }
                Job::Append(writes, done) => {
                    let _ = done.send(self.append(&writes));
                }
            }
        }
    }

    fn fence(&mut self) -> Result<()> {
        // The one before it, if any, would be refused from now on.
        self.producer = None;
        self.is_confirmed = false;
        let WriterParts { address, client_id, topic, partition, .. } = &self.parts;
        let transactional_id = format!("{topic}-{partition}");
        let producer = changelog_producer(address, client_id, &transactional_id, Delivered::default())?;
        producer.init_transactions(FENCE_TIMEOUT).map_err(|error| from_kafka("become the only writer", &error))?;
        self.producer = Some(producer);
        Ok(())
    }

    fn append(&mut self, writes: &[Write]) -> Result<i64, CommitError> {
        let Some(producer) = self.producer.take() else {
            return Err(CommitError::Refused("the partition was not taken over".into()));
        };
        let appended = self.transact(&producer, writes);
        if appended.is_ok() {
            self.producer = Some(producer);
            self.is_confirmed = true;
        }
        appended
    }

    fn transact(&self, producer: &BaseProducer<Delivered>, writes: &[Write]) -> Result<i64, CommitError> {
        producer.begin_transaction().map_err(|error| CommitError::Refused(error.to_string()))?;
        let deadline = Instant::now() + COMMIT_TIMEOUT;
        for write in writes {
            if let Err(error) = self.produce(producer, write, deadline) {
                return Err(abort(producer, &error));
            }
        }
        // Before the end of the transaction is asked for, nothing of it can have been committed.
        while producer.in_flight_count() > 0 {
            if Instant::now() >= deadline {
                return Err(abort(producer, &KafkaError::Flush(RDKafkaErrorCode::OperationTimedOut)));
            }
            producer.poll(ACKNOWLEDGEMENT_WAIT);
        }
        if !self.is_confirmed
            && let Some(group) = &self.parts.group
        {
            self.show_credentials(producer, group, deadline)?;
        }
        loop {
            let Err(error) = producer.commit_transaction(left(deadline)) else {
                let next_offset = producer.context().next_offset();
                self.until_readable(next_offset);
                return Ok(next_offset);
            };
            match &error {
                KafkaError::Transaction(reason) if reason.txn_requires_abort() => return Err(abort(producer, &error)),
                KafkaError::Transaction(reason) if reason.is_retriable() && Instant::now() < deadline => {}
                _ => return Err(CommitError::Uncertain(error.to_string())),
            }
        }
    }

    /// The cluster answers that a transaction is committed a moment before it lets anybody read it. That moment is waited for:
    /// whoever is told of the commit by this node must find it at the others. The next transaction could not begin before
    /// either.
    fn until_readable(&self, next_offset: i64) {
        let deadline = Instant::now() + READABLE_LIMIT;
        while Instant::now() < deadline {
            if self.parts.readers.extent(self.parts.partition).is_ok_and(|extent| extent.end >= next_offset) {
                return;
            }
            thread::sleep(READABLE_LOOK);
        }
        tracing::warn!(partition = self.parts.partition, "what is committed cannot be read yet");
    }

    /// Has the cluster take the transaction only if the partition is assigned to us.
    fn show_credentials(
        &self,
        producer: &BaseProducer<Delivered>,
        group: &KafkaGroup,
        deadline: Instant,
    ) -> Result<(), CommitError> {
        let refused = |error: &KafkaError| abort(producer, error);
        let partition = number(self.parts.partition).unwrap_or_default();
        let Some((offsets, metadata)) = group.credentials(partition) else {
            return Err(refused(&KafkaError::Rebalance(RDKafkaErrorCode::UnknownMemberId)));
        };
        loop {
            match producer.send_offsets_to_transaction(&offsets, &metadata, left(deadline)) {
                Ok(()) => return Ok(()),
                Err(KafkaError::Transaction(reason)) if reason.is_retriable() && Instant::now() < deadline => {}
                Err(error) => return Err(refused(&error)),
            }
        }
    }

    fn produce(&self, producer: &BaseProducer<Delivered>, write: &Write, deadline: Instant) -> Result<(), KafkaError> {
        let key = record_key(write);
        let partition = number(self.parts.partition).unwrap_or_default();
        let mut record = BaseRecord::to(&self.parts.topic).key(&key).partition(partition);
        if let Some(value) = &write.value {
            record = record.payload(value);
        }
        loop {
            match producer.send(record) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), refused))
                    if Instant::now() < deadline =>
                {
                    producer.poll(QUEUE_FULL_WAIT);
                    record = refused;
                }
                Err((error, _)) => return Err(error),
            }
        }
    }
}

/// Ends a transaction that was not committed. Should the cluster not hear of it, the next fence ends it as well.
fn abort(producer: &BaseProducer<Delivered>, reason: &KafkaError) -> CommitError {
    if let Err(error) = producer.abort_transaction(ABORT_TIMEOUT) {
        tracing::debug!(%error, "a transaction could not be aborted: the next fence does");
    }
    CommitError::Refused(reason.to_string())
}

fn left(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now())
}

/// Remembers how far the cluster has acknowledged.
#[derive(Default)]
pub(crate) struct Delivered {
    events: Events,
    last_offset: Arc<AtomicI64>,
}

impl Delivered {
    fn next_offset(&self) -> i64 {
        self.last_offset.load(Ordering::Relaxed) + 1
    }
}

impl ClientContext for Delivered {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.events.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.events.error(error, reason);
    }
}

impl ProducerContext for Delivered {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        // What was not delivered fails the commit.
        if let Ok(message) = result {
            self.last_offset.fetch_max(message.offset(), Ordering::Relaxed);
        }
    }
}

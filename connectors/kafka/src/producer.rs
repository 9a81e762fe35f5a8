//! A producer whose acknowledgements can be awaited.
//!
//! rdkafka's own `FutureProducer` wakes ten times a second and spins through the last millisecond of each wait: 0.9 %
//! of a core for each idle agent. This one waits longer.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use coffer_ports::{Error, ErrorKind, Result, transport::Outgoing};
use rdkafka::{
    ClientContext,
    config::{ClientConfig, RDKafkaLogLevel},
    error::{KafkaError, KafkaResult},
    message::{Header, OwnedHeaders},
    producer::{BaseProducer, BaseRecord, DeliveryResult, Producer as _, ProducerContext},
};
use tokio::sync::oneshot;

use crate::{client::Events, error::from_kafka};

/// Acknowledgements are handled as they come; this only bounds how long the thread outlives the producer.
const POLL: Duration = Duration::from_secs(1);

pub(crate) struct PolledProducer {
    producer: Arc<BaseProducer<Acknowledgements>>,
    stopped: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
}

/// Tells the sender of a record how it ended.
struct Acknowledgements(Events);

type Acknowledged = oneshot::Sender<KafkaResult<()>>;

impl ClientContext for Acknowledgements {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.0.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.0.error(error, reason);
    }
}

impl ProducerContext for Acknowledgements {
    type DeliveryOpaque = Box<Acknowledged>;

    fn delivery(&self, result: &DeliveryResult<'_>, acknowledged: Self::DeliveryOpaque) {
        // Who sent it may have stopped waiting.
        let _ = acknowledged.send(result.as_ref().map(|_| ()).map_err(|(error, _)| error.clone()));
    }
}

impl PolledProducer {
    pub(crate) fn create(config: &ClientConfig) -> Result<Self> {
        let producer = config.create_with_context(Acknowledgements(Events::default()));
        let producer: Arc<BaseProducer<_>> =
            Arc::new(producer.map_err(|error| from_kafka("create a producer", &error))?);
        let stopped = Arc::new(AtomicBool::new(false));
        let thread = thread::Builder::new().name("kafka-producer".to_owned()).spawn({
            let (producer, stopped) = (Arc::clone(&producer), Arc::clone(&stopped));
            move || {
                while !stopped.load(Ordering::Relaxed) {
                    producer.poll(POLL);
                }
            }
        });
        let thread = thread.map_err(|error| {
            Error::new(ErrorKind::Internal, "kafka.no_thread", format!("create a producer: no thread: {error}"))
        })?;
        Ok(Self { producer, stopped, thread: Some(thread) })
    }

    /// Puts a record into librdkafka's queue. `QueueFull` is the only error that passes by itself.
    pub(crate) fn enqueue(&self, record: &Outgoing) -> KafkaResult<oneshot::Receiver<KafkaResult<()>>> {
        let (acknowledged, outcome) = oneshot::channel();
        let mut headers = OwnedHeaders::new_with_capacity(record.headers.len());
        for (key, value) in &record.headers {
            headers = headers.insert(Header { key, value: Some(value) });
        }
        let queued = BaseRecord::with_opaque_to(&record.topic, Box::new(acknowledged));
        let queued = queued.payload(record.value.as_slice()).headers(headers);
        let queued = match &record.key {
            Some(key) => queued.key(key.as_str()),
            None => queued.partition(0),
        };
        self.producer.send(queued).map_err(|(error, _)| error)?;
        Ok(outcome)
    }

    /// Records that wait for their acknowledgement.
    pub(crate) fn in_flight(&self) -> usize {
        usize::try_from(self.producer.in_flight_count()).unwrap_or_default()
    }

    /// Set when an idempotent producer has met an error that it never recovers from.
    pub(crate) fn fatal_error(&self) -> Option<String> {
        self.producer.client().fatal_error().map(|(code, reason)| format!("{reason} ({code})"))
    }
}

impl Drop for PolledProducer {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has been reported by its own message.
            let _ = thread.join();
        }
    }
}

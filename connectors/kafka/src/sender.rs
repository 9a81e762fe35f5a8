//! Sending records, across moves of the broker.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use coffer_ports::{Error, ErrorKind, Result, transport::Outgoing};
use rdkafka::{
    error::{KafkaError, KafkaResult},
    types::RDKafkaErrorCode,
};
use tokio::time::{Instant, sleep, timeout_at};

use crate::{
    address::{Address, AddressReceiver},
    client::{Producer, new_producer},
    error::{from_kafka, no_address},
};

/// How long a send may take in all, waiting for a broker included.
pub(crate) const SEND_TIMEOUT: Duration = Duration::from_secs(10);
/// Between two tries to get into a full queue.
const QUEUE_FULL_INTERVAL: Duration = Duration::from_millis(10);

/// The producer of the current broker, made when it is first needed.
pub(crate) struct Sender {
    client_id: String,
    address: AddressReceiver,
    current: Mutex<Option<(u64, Arc<Producer>)>>,
}

impl Sender {
    pub(crate) fn new(address: AddressReceiver, client_id: String) -> Self {
        Self { client_id, address, current: Mutex::new(None) }
    }

    /// Records that wait for their acknowledgement.
    pub(crate) fn in_flight(&self) -> usize {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        current.as_ref().map_or(0, |(_, producer)| producer.in_flight())
    }

    pub(crate) async fn send(&self, record: &Outgoing) -> Result<()> {
        let what = format!("send to {}", record.topic);
        let deadline = Instant::now() + SEND_TIMEOUT;
        let mut address = self.address.clone();
        loop {
            let current = match timeout_at(deadline, address.wait_for(Option::is_some)).await {
                Ok(Ok(current)) => current.clone().ok_or_else(|| no_address(&what))?,
                Ok(Err(_)) | Err(_) => return Err(no_address(&what)),
            };
            address.mark_unchanged();
            let producer = self.producer(&current)?;
            tokio::select! {
                sent = acknowledged(&producer, record) => {
                    return sent.map_err(|error| self.failed(&what, &producer, &error));
                }
                // Nobody answers at the old address any more: the record goes to the new broker instead.
                _ = address.changed() => tracing::debug!(topic = record.topic, "broker moved, sending again"),
                () = tokio::time::sleep_until(deadline) => {
                    let message = format!("{what}: no acknowledgement within {SEND_TIMEOUT:?}");
                    return Err(Error::new(ErrorKind::Timeout, "kafka.timeout", message));
                }
            }
        }
    }

    fn producer(&self, address: &Address) -> Result<Arc<Producer>> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((generation, producer)) = &*current
            && *generation >= address.generation
        {
            return Ok(Arc::clone(producer));
        }
        let producer = Arc::new(new_producer(address, &self.client_id)?);
        *current = Some((address.generation, Arc::clone(&producer)));
        Ok(producer)
    }

    /// After a fatal error the next send makes another producer.
    fn failed(&self, what: &str, producer: &Arc<Producer>, error: &KafkaError) -> Error {
        let Some(reason) = producer.fatal_error() else { return from_kafka(what, error) };
        tracing::warn!(reason, "producer is beyond repair, replacing it");
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.as_ref().is_some_and(|(_, other)| Arc::ptr_eq(other, producer)) {
            *current = None;
        }
        Error::new(ErrorKind::Unavailable, "kafka.producer_lost", format!("{what}: {reason}"))
    }
}

/// Waits for room in the queue, then for the broker.
async fn acknowledged(producer: &Producer, record: &Outgoing) -> KafkaResult<()> {
    let outcome = loop {
        match producer.enqueue(record) {
            Err(KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull)) => sleep(QUEUE_FULL_INTERVAL).await,
            outcome => break outcome?,
        }
    };
    // Dropped unanswered only when the producer goes, which we hold.
    outcome.await.unwrap_or(Err(KafkaError::Canceled))
}

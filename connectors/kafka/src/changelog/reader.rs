//! Reading a partition of the changelog, up to its end.

use std::{
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use coffer_ports::{
    Error, ErrorKind, Result,
    changelog::{Chunk, Extent},
};
use rdkafka::{
    Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _},
    error::KafkaError,
};
use tokio::sync::mpsc;

use super::write_of;
use crate::{address::Address, client::changelog_reader, error::from_kafka};

/// Rows of a chunk at most, and their bytes (one larger row makes a chunk of its own).
const CHUNK_ROWS: usize = 1000;
const CHUNK_BYTES: usize = 1 << 20;
/// Chunks that wait for whoever applies them.
const CHUNKS: usize = 4;
/// How long the cluster may be silent before reading is given up.
const SILENCE_MAX: Duration = Duration::from_secs(30);
/// How long the cluster may take for one question.
const QUESTION_TIMEOUT: Duration = Duration::from_secs(10);

/// Consumers that are kept for whoever reads next: making one takes longer than reading a partition that is known up to a
/// moment ago.
const IDLE_MAX: usize = 8;

pub(super) struct Readers {
    address: Address,
    client_id: String,
    topic: String,
    idle: Mutex<Vec<BaseConsumer>>,
}

impl Readers {
    pub fn new(address: Address, client_id: &str, topic: &str) -> Self {
        Self { address, client_id: client_id.to_owned(), topic: topic.to_owned(), idle: Mutex::default() }
    }

    /// Blocks: asks where the partition begins and ends.
    pub fn extent(&self, partition: u32) -> Result<Extent> {
        let consumer = self.take()?;
        let (start, end) = consumer
            .fetch_watermarks(&self.topic, number(partition)?, QUESTION_TIMEOUT)
            .map_err(|error| from_kafka("look where the changelog ends", &error))?;
        self.give_back(consumer);
        Ok(Extent { start, end })
    }

    pub fn open(&self, partition: u32, from: i64) -> Result<BaseConsumer> {
        let consumer = self.take()?;
        let failed = |error: KafkaError| from_kafka("read the changelog", &error);
        let mut position = TopicPartitionList::new();
        position.add_partition_offset(&self.topic, number(partition)?, Offset::Offset(from)).map_err(failed)?;
        consumer.assign(&position).map_err(failed)?;
        Ok(consumer)
    }

    /// Reads on a thread of its own until the end, an error, or until nobody listens.
    pub fn start(
        self: &Arc<Self>,
        consumer: BaseConsumer,
        from: i64,
    ) -> std::io::Result<mpsc::Receiver<Result<Chunk>>> {
        let (chunks, receiver) = mpsc::channel(CHUNKS);
        let readers = self.clone();
        thread::Builder::new().name("changelog-read".to_owned()).spawn(move || {
            match read(&consumer, from, &chunks) {
                Ok(()) => {
                    if consumer.unassign().is_ok() {
                        readers.give_back(consumer);
                    }
                }
                Err(error) => {
                    // Nobody is told when nobody listens.
                    let _ = chunks.blocking_send(Err(error));
                }
            }
        })?;
        Ok(receiver)
    }

    fn take(&self) -> Result<BaseConsumer> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        idle.map_or_else(|| changelog_reader(&self.address, &self.client_id), Ok)
    }

    fn give_back(&self, consumer: BaseConsumer) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE_MAX {
            idle.push(consumer);
        }
    }
}

fn read(consumer: &BaseConsumer, from: i64, chunks: &mpsc::Sender<Result<Chunk>>) -> Result<()> {
    let mut chunk = Chunk { writes: Vec::new(), next_offset: from };
    let mut bytes = 0;
    let mut heard_at = Instant::now();
    loop {
        match consumer.poll(SILENCE_MAX) {
            Some(Ok(message)) => {
                heard_at = Instant::now();
                let write = write_of(message.key(), message.payload())?;
                bytes += write.key.len() + write.value.as_ref().map_or(0, Vec::len);
                chunk.writes.push(write);
                chunk.next_offset = message.offset() + 1;
                if chunk.writes.len() >= CHUNK_ROWS || bytes >= CHUNK_BYTES {
                    bytes = 0;
                    let next_offset = chunk.next_offset;
                    let full = std::mem::replace(&mut chunk, Chunk { writes: Vec::new(), next_offset });
                    if chunks.blocking_send(Ok(full)).is_err() {
                        return Ok(());
                    }
                }
            }
            Some(Err(KafkaError::PartitionEOF(_))) => {
                if !chunk.writes.is_empty() {
                    let _ = chunks.blocking_send(Ok(chunk));
                }
                return Ok(());
            }
            Some(Err(error @ KafkaError::MessageConsumption(code))) if !is_passing(code) => {
                return Err(from_kafka("read the changelog", &error));
            }
            // librdkafka reconnects and goes on by itself.
            Some(Err(error)) if heard_at.elapsed() < SILENCE_MAX => tracing::debug!(%error, "changelog"),
            Some(Err(_)) | None => {
                let message = format!("the changelog was not heard of for {} s", SILENCE_MAX.as_secs());
                return Err(Error::new(ErrorKind::Timeout, "kafka.timeout", message));
            }
        }
    }
}

fn is_passing(code: rdkafka::types::RDKafkaErrorCode) -> bool {
    use rdkafka::types::RDKafkaErrorCode as Code;
    matches!(code, Code::BrokerTransportFailure | Code::AllBrokersDown | Code::OperationTimedOut | Code::Resolve)
}

pub(super) fn number(partition: u32) -> Result<i32> {
    i32::try_from(partition)
        .map_err(|_| Error::new(ErrorKind::Invalid, "kafka.bad_config", format!("partition {partition} is too high")))
}

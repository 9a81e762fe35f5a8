//! A consumer that stands at exact positions of all partitions of its topics.

use std::sync::Arc;

use coffer_ports::{
    Error, ErrorKind, Result,
    transport::{Incoming, Start},
};
use rdkafka::{
    Message, Offset, TopicPartitionList,
    consumer::Consumer as _,
    message::{BorrowedMessage, Headers},
};
use tokio::time::{Duration, Instant, sleep};

use crate::{
    address::Address,
    client::{Consumer, new_consumer},
    error::from_kafka,
};

/// How long one question to the broker (metadata, watermarks) may take.
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(2);
/// Between two questions for a topic that is not there yet.
const RETRY_INTERVAL: Duration = Duration::from_millis(100);

/// Opens a consumer of `topics` that stands at `start`. Tries again, until `deadline`, as long as the broker cannot
/// be reached or lacks a topic; then the last error is returned (`NotFound` for a topic).
pub(crate) async fn open(
    address: &Address,
    client_id: &str,
    topics: &[String],
    start: Start,
    deadline: Instant,
) -> Result<Consumer> {
    let consumer = Arc::new(new_consumer(address, client_id)?);
    loop {
        let (asked, topics) = (Arc::clone(&consumer), topics.to_vec());
        let positions = tokio::task::spawn_blocking(move || positions(&asked, &topics, start));
        let positions = positions.await.map_err(|error| {
            Error::new(ErrorKind::Internal, "kafka.task_failed", format!("looking up positions: {error}"))
        })?;
        match positions {
            Ok(positions) => {
                consumer.assign(&positions).map_err(|error| from_kafka("assign partitions", &error))?;
                // The blocking task has ended: nobody else holds it.
                return Arc::into_inner(consumer).ok_or_else(|| {
                    Error::new(ErrorKind::Internal, "kafka.task_failed", "the consumer is still shared")
                });
            }
            Err(error) if Instant::now() + RETRY_INTERVAL >= deadline => return Err(error),
            Err(error) => {
                tracing::debug!(%error, "broker or topic is not there yet");
                sleep(RETRY_INTERVAL).await;
            }
        }
    }
}

/// Blocks: asks the broker for the partitions of `topics`, and for where they end when that is where to start.
fn positions(consumer: &Consumer, topics: &[String], start: Start) -> Result<TopicPartitionList> {
    let mut positions = TopicPartitionList::new();
    for topic in topics {
        let what = format!("subscribe to {topic}");
        for partition in partitions(consumer, topic)? {
            let offset = match start {
                Start::Earliest => Offset::Beginning,
                // An explicit number: `Offset::End` would be looked up later, after what is sent meanwhile.
                Start::Latest => {
                    let (_, end) = consumer
                        .fetch_watermarks(topic, partition, REQUEST_TIMEOUT)
                        .map_err(|error| from_kafka(&what, &error))?;
                    Offset::Offset(end)
                }
                Start::Offset(offset) => Offset::Offset(offset),
            };
            positions.add_partition_offset(topic, partition, offset).map_err(|error| from_kafka(&what, &error))?;
        }
    }
    Ok(positions)
}

fn partitions(consumer: &Consumer, topic: &str) -> Result<Vec<i32>> {
    let what = format!("look up {topic}");
    let metadata = consumer.fetch_metadata(Some(topic), REQUEST_TIMEOUT).map_err(|error| from_kafka(&what, &error))?;
    let found = metadata.topics().iter().find(|found| found.name() == topic);
    let partitions: Vec<i32> = found.into_iter().flat_map(|found| found.partitions()).map(|found| found.id()).collect();
    if partitions.is_empty() {
        let message = format!("{what}: the broker has no such topic");
        return Err(Error::new(ErrorKind::NotFound, "kafka.unknown_topic", message));
    }
    Ok(partitions)
}

/// Copies a record out of librdkafka's memory. A key or header that is not UTF-8 is none of ours and read as absent.
pub(crate) fn to_incoming(message: &BorrowedMessage<'_>) -> Incoming {
    let text = |bytes: &[u8]| std::str::from_utf8(bytes).ok().map(str::to_owned);
    let headers = message.headers().map_or_else(Vec::new, |headers| {
        let pairs = headers.iter().map(|header| Some((header.key.to_owned(), header.value.and_then(text)?)));
        pairs.flatten().collect()
    });
    Incoming {
        topic: message.topic().to_owned(),
        partition: message.partition(),
        offset: message.offset(),
        key: message.key().and_then(text),
        headers,
        value: message.payload().unwrap_or_default().to_vec(),
    }
}

//! A subscription to some partitions of a topic: which ones may change while it lives.

use std::{collections::BTreeMap, sync::Arc};

use coffer_ports::{
    Error, ErrorKind, Result,
    telemetry::Bounded,
    transport::{Delivery, Place, Positions, Start},
};
use rdkafka::{Offset, TopicPartitionList, consumer::Consumer as _};
use tokio::{
    sync::{mpsc, watch},
    time::{Duration, sleep},
};

use crate::{
    address::AddressReceiver,
    client::{Consumer, new_consumer},
    consumer::{REQUEST_TIMEOUT, to_incoming},
    error::from_kafka,
    subscription::{deliveries, is_position_lost},
};

/// Between two tries to begin where the broker did not say where that is.
const RETRY_INTERVAL: Duration = Duration::from_millis(200);

/// Opens a subscription that reads nothing yet: what is wanted is looked up behind its back.
pub(crate) fn subscribe_to(
    address: AddressReceiver,
    client_id: &str,
    topic: &str,
    wanted: watch::Receiver<Positions>,
    bounded: &Bounded,
) -> mpsc::Receiver<Delivery> {
    let (deliveries, receiver) = deliveries(bounded);
    let (client_id, topic) = (client_id.to_owned(), topic.to_owned());
    tokio::spawn(
        Chosen { client_id, topic, address, wanted, reading: BTreeMap::new(), turns: BTreeMap::new(), deliveries }
            .run(),
    );
    receiver
}

struct Chosen {
    client_id: String,
    topic: String,
    address: AddressReceiver,
    wanted: watch::Receiver<Positions>,
    /// The next offset of each partition that is read.
    reading: BTreeMap<i32, i64>,
    /// The turn of each.
    turns: BTreeMap<i32, u64>,
    deliveries: mpsc::Sender<Delivery>,
}

/// Why a consumer is used no more.
enum Stopped {
    /// Nobody reads, or nobody wants anything any more.
    Unsubscribed,
    /// Records are missing, or come from another broker.
    Lost,
}

impl Chosen {
    async fn run(mut self) {
        loop {
            let Some(consumer) = self.open().await else { return };
            match self.pump(&consumer).await {
                Stopped::Unsubscribed => return,
                Stopped::Lost => tracing::info!(topic = self.topic, "records of the broker were lost"),
            }
            if self.deliveries.send(Delivery::Reconnected).await.is_err() {
                return;
            }
        }
    }

    async fn open(&mut self) -> Option<Arc<Consumer>> {
        loop {
            let address = tokio::select! {
                () = self.deliveries.closed() => return None,
                address = self.address.wait_for(Option::is_some) => address.ok()?.clone()?,
            };
            self.address.mark_unchanged();
            match new_consumer(&address, &self.client_id) {
                Ok(consumer) => return Some(Arc::new(consumer)),
                Err(error) => tracing::warn!(%error, topic = self.topic, "no consumer yet"),
            }
            sleep(RETRY_INTERVAL).await;
        }
    }

    async fn pump(&mut self, consumer: &Arc<Consumer>) -> Stopped {
        let other_cluster = Arc::clone(&consumer.client().context().other_cluster);
        // Looked at first, also when nothing changes any more.
        self.wanted.mark_changed();
        let mut is_behind = false;
        loop {
            tokio::select! {
                () = self.deliveries.closed() => return Stopped::Unsubscribed,
                _ = self.address.changed() => return self.begin_anew(),
                () = other_cluster.notified() => return self.begin_anew(),
                changed = self.wanted.changed() => match changed {
                    Ok(()) => is_behind = true,
                    Err(_) => return Stopped::Unsubscribed,
                },
                () = sleep(RETRY_INTERVAL), if is_behind => {}
                received = consumer.recv(), if !self.reading.is_empty() => match received {
                    Ok(message) => {
                        let incoming = to_incoming(&message);
                        drop(message);
                        self.reading.insert(incoming.partition, incoming.offset + 1);
                        if self.deliveries.send(Delivery::Record(incoming)).await.is_err() {
                            return Stopped::Unsubscribed;
                        }
                    }
                    Err(error) if is_position_lost(&error) => return Stopped::Lost,
                    // librdkafka goes on by itself: it reconnects and fetches from where it stood.
                    Err(error) => tracing::debug!(%error, topic = self.topic, "consumer"),
                },
            }
            if is_behind {
                is_behind = match self.adopt(consumer).await {
                    Ok(()) => false,
                    Err(error) => {
                        tracing::debug!(%error, topic = self.topic, "a partition cannot be read yet");
                        true
                    }
                };
            }
        }
    }

    /// Everything is read from its beginning, since nothing of what was known holds any more.
    fn begin_anew(&mut self) -> Stopped {
        self.reading.values_mut().for_each(|next| *next = 0);
        Stopped::Lost
    }

    /// Reads what is wanted, and nothing else.
    async fn adopt(&mut self, consumer: &Arc<Consumer>) -> Result<()> {
        let wanted = self.wanted.borrow_and_update().clone();
        let place = |(partition, Place { start, turn }): (&i32, &Place)| {
            let next = self.reading.get(partition).filter(|_| self.turns.get(partition) == Some(turn));
            (*partition, next.map_or(*start, |next| Start::Offset(*next)))
        };
        let places: Vec<(i32, Start)> = wanted.iter().map(place).collect();
        let (asked, topic) = (Arc::clone(consumer), self.topic.clone());
        let reading =
            tokio::task::spawn_blocking(move || look_up(&asked, &topic, &places)).await.map_err(|error| {
                Error::new(ErrorKind::Internal, "kafka.task_failed", format!("looking up positions: {error}"))
            })??;
        let what = |error| from_kafka(&format!("read {}", self.topic), &error);
        let mut positions = TopicPartitionList::new();
        for (partition, next) in &reading {
            positions.add_partition_offset(&self.topic, *partition, Offset::Offset(*next)).map_err(what)?;
        }
        consumer.assign(&positions).map_err(what)?;
        self.reading = reading;
        let turns = wanted.into_iter().map(|(partition, place)| (partition, place.turn)).collect();
        let before = std::mem::replace(&mut self.turns, turns);
        for (partition, turn) in &self.turns {
            if before.get(partition) != Some(turn) {
                // Nobody is told when nobody listens.
                let _ = self.deliveries.send(Delivery::Begun { partition: *partition, turn: *turn }).await;
            }
        }
        Ok(())
    }
}

/// Blocks: finds out where to begin.
fn look_up(consumer: &Consumer, topic: &str, places: &[(i32, Start)]) -> Result<BTreeMap<i32, i64>> {
    let mut found = BTreeMap::new();
    for (partition, start) in places {
        let (first, end) = consumer
            .fetch_watermarks(topic, *partition, REQUEST_TIMEOUT)
            .map_err(|error| from_kafka(&format!("look where {topic} begins and ends"), &error))?;
        let next = match start {
            Start::Earliest => first,
            Start::Latest => end,
            Start::Offset(offset) => (*offset).clamp(first, end),
        };
        found.insert(*partition, next);
    }
    Ok(found)
}

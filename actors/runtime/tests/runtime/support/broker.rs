//! A broker in memory: topics that keep all records, readers with a position each, and a life that can end.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use coffer_ports::{
    Result,
    transport::{Delivery, Incoming, Outgoing, Place, Positions, Start, Transport},
};
use coffer_protocol::topics;
use coffer_runtime::runtime::PARTITIONS;
use tokio::sync::{mpsc, watch};

/// Records that wait for one reader at most; what is beyond waits in the topic.
const READ_AHEAD: usize = 16;

#[derive(Clone, Default)]
pub struct Broker(Arc<Shared>);

#[derive(Default)]
struct Shared {
    log: Mutex<Log>,
    changed: watch::Sender<()>,
}

#[derive(Default)]
struct Log {
    /// Counts the brokers that were at this address.
    life: usize,
    topics: BTreeMap<String, Vec<Incoming>>,
}

impl Log {
    fn end_of(&self, topic: &str) -> usize {
        self.topics.get(topic).map_or(0, Vec::len)
    }
}

impl Broker {
    /// The broker dies; another one, empty, takes its place.
    pub fn replace(&self) {
        let mut log = self.0.log.lock().unwrap();
        *log = Log { life: log.life + 1, topics: BTreeMap::new() };
        self.0.changed.send_replace(());
    }

    /// All records of a topic.
    pub fn records(&self, topic: &str) -> Vec<Incoming> {
        self.0.log.lock().unwrap().topics.get(topic).cloned().unwrap_or_default()
    }

    fn append(&self, record: Outgoing) {
        let Outgoing { topic, key, headers, value } = record;
        let partition = key.as_deref().map_or(0, |key| topics::partition_of(key, PARTITIONS));
        let partition = i32::try_from(partition).unwrap();
        let mut log = self.0.log.lock().unwrap();
        let records = log.topics.entry(topic.clone()).or_default();
        let offset = records.iter().filter(|record| record.partition == partition).count();
        let offset = i64::try_from(offset).unwrap();
        records.push(Incoming { topic, partition, offset, key, headers, value });
        self.0.changed.send_replace(());
    }
}

#[async_trait]
impl Transport for Broker {
    async fn send(&self, record: Outgoing) -> Result<()> {
        self.append(record);
        Ok(())
    }

    async fn subscribe(&self, topics: &[String], start: Start) -> Result<mpsc::Receiver<Delivery>> {
        let changed = self.0.changed.subscribe();
        let (life, positions) = {
            let log = self.0.log.lock().unwrap();
            let position = |topic: &String| match start {
                Start::Earliest => 0,
                Start::Latest => log.end_of(topic),
                Start::Offset(_) => unreachable!("offsets are of partitions"),
            };
            (log.life, topics.iter().map(|topic| (topic.clone(), position(topic))).collect())
        };
        let (deliveries, receiver) = mpsc::channel(READ_AHEAD);
        let reader = Reader { broker: self.0.clone(), life, positions, deliveries };
        tokio::spawn(reader.read(changed));
        Ok(receiver)
    }

    async fn subscribe_to(&self, topic: &str, wanted: watch::Receiver<Positions>) -> Result<mpsc::Receiver<Delivery>> {
        let (deliveries, receiver) = mpsc::channel(READ_AHEAD);
        let changed = self.0.changed.subscribe();
        tokio::spawn(read_chosen(self.0.clone(), topic.to_owned(), wanted, changed, deliveries));
        Ok(receiver)
    }
}

/// Delivers the records of the partitions that are wanted, until nobody listens or wants anything any more.
async fn read_chosen(
    broker: Arc<Shared>,
    topic: String,
    mut wanted: watch::Receiver<Positions>,
    mut changed: watch::Receiver<()>,
    deliveries: mpsc::Sender<Delivery>,
) {
    let mut reading: BTreeMap<i32, (u64, i64)> = BTreeMap::new();
    loop {
        changed.borrow_and_update();
        let wanted_now = wanted.borrow_and_update().clone();
        let mut new = Vec::new();
        {
            let log = broker.log.lock().unwrap();
            let records = log.topics.get(&topic).map_or(&[][..], Vec::as_slice);
            let of = |partition: i32| records.iter().filter(move |record| record.partition == partition);
            reading.retain(|partition, (turn, _)| wanted_now.get(partition).is_some_and(|place| place.turn == *turn));
            for (partition, Place { start, turn }) in wanted_now {
                let (_, next) = reading.entry(partition).or_insert_with(|| {
                    new.push(Delivery::Begun { partition, turn });
                    let next = match start {
                        Start::Earliest => 0,
                        Start::Latest => of(partition).count() as i64,
                        Start::Offset(offset) => offset,
                    };
                    (turn, next)
                });
                let unread = of(partition).filter(|record| record.offset >= *next).cloned();
                new.extend(unread.map(Delivery::Record));
                *next = of(partition).count() as i64;
            }
        }
        for delivery in new {
            if deliveries.send(delivery).await.is_err() {
                return;
            }
        }
        tokio::select! {
            _ = changed.changed() => {}
            wish = wanted.changed() => if wish.is_err() { return },
            () = deliveries.closed() => return,
        }
    }
}

struct Reader {
    broker: Arc<Shared>,
    life: usize,
    positions: BTreeMap<String, usize>,
    deliveries: mpsc::Sender<Delivery>,
}

impl Reader {
    /// Delivers until nobody listens any more.
    async fn read(mut self, mut changed: watch::Receiver<()>) {
        loop {
            changed.borrow_and_update();
            for delivery in self.new_ones() {
                if self.deliveries.send(delivery).await.is_err() {
                    return;
                }
            }
            tokio::select! {
                _ = changed.changed() => {}
                () = self.deliveries.closed() => return,
            }
        }
    }

    fn new_ones(&mut self) -> Vec<Delivery> {
        let log = self.broker.log.lock().unwrap();
        let mut new = Vec::new();
        if log.life != self.life {
            self.life = log.life;
            self.positions.values_mut().for_each(|position| *position = 0);
            new.push(Delivery::Reconnected);
        }
        for (topic, position) in &mut self.positions {
            let records = log.topics.get(topic).map_or(&[][..], |records| &records[*position..]);
            new.extend(records.iter().cloned().map(Delivery::Record));
            *position += records.len();
        }
        new
    }
}

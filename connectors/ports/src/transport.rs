//! Records to and from a Kafka-protocol broker, as bytes.

use std::{collections::BTreeMap, time::Duration};

use async_trait::async_trait;
use tokio::sync::{mpsc, watch};

use crate::{Error, ErrorKind, Result};

/// A record to send. The broker's partition follows from the key by [Kafka's murmur2], or is 0 without one.
///
/// [Kafka's murmur2]: https://kafka.apache.org/documentation/#producerconfigs_partitioner.class
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    pub topic: String,
    pub key: Option<String>,
    pub headers: Vec<(String, String)>,
    pub value: Vec<u8>,
}

/// A topic that a broker must have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topic {
    pub name: String,
    pub partitions: i32,
    pub kept: Kept,
}

/// Which records a topic keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// All, for as long as this at least.
    For(Duration),
    /// The last of each key; that a key has gone is known for as long as this at least.
    LastOfEachKey { gone_known: Duration },
}

/// A record that arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incoming {
    pub topic: String,
    pub partition: i32,
    pub offset: i64,
    pub key: Option<String>,
    pub headers: Vec<(String, String)>,
    pub value: Vec<u8>,
}

/// Where to start reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// At the oldest record that the broker still has.
    Earliest,
    /// After the newest record as of now: what is sent once `subscribe` has returned is received.
    Latest,
    /// At this offset, or where the partition begins or ends when it does not have it.
    Offset(i64),
}

/// Partitions of a topic to read.
pub type Positions = BTreeMap<i32, Place>;

/// Where a partition is begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    pub start: Start,
    /// A partition that is read already is begun again when this is another number.
    pub turn: u64,
}

/// What a subscription yields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivery {
    Record(Incoming),
    /// What follows of this partition is of this turn ([`Place`]): where its reader was told to begin.
    Begun {
        partition: i32,
        turn: u64,
    },
    /// The broker was lost and another one (or the same one, empty) was found: records may be missing, offsets start
    /// anew, and whoever waits for an answer should ask again.
    Reconnected,
}

/// A client of one broker (or cluster). Implementations follow the broker when its address changes.
#[async_trait]
pub trait Transport: Send + Sync {
    /// Sends one record; returns when the broker has acknowledged it. Errors are `Unavailable` or `Timeout`, or
    /// `Invalid` for a record that the broker will never take.
    async fn send(&self, record: Outgoing) -> Result<()>;

    /// Reads all partitions of these topics, without a consumer group, until the receiver is dropped. The channel is
    /// bounded: a slow reader slows the fetching, it loses nothing.
    async fn subscribe(&self, topics: &[String], start: Start) -> Result<mpsc::Receiver<Delivery>>;

    /// Reads the partitions of a topic that are wanted at the time, until the receiver or the sender of the wishes is
    /// dropped. Those that stay wanted are read on where they were. Errors: `Internal` where partitions are not shared
    /// out among nodes, and nobody asks.
    async fn subscribe_to(&self, topic: &str, wanted: watch::Receiver<Positions>) -> Result<mpsc::Receiver<Delivery>> {
        let _ = wanted;
        let message = format!("{topic} cannot be read by partitions here");
        Err(Error::new(ErrorKind::Internal, "transport.no_partitions", message))
    }
}

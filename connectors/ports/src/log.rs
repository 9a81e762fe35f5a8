//! Committing a partition's batch: all of it or nothing.

use async_trait::async_trait;

use crate::transport::Outgoing;

/// A kind of row. Each is a column family of the store and, with the Kafka log, a key prefix of the changelog.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Space {
    /// Instances and the like: the aggregates' state.
    State,
    /// What a GET returns.
    View,
    /// Effects that wait for their outcome.
    Outbox,
    Timer,
    /// Answers already given, by command id.
    Dedup,
    /// What was done to instances and why, for people.
    Journal,
    /// Format version, epochs and other rows that there is one of.
    Meta,
}

/// One row changed: `value` is absent when the row goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    pub space: Space,
    pub key: Vec<u8>,
    pub value: Option<Vec<u8>>,
}

/// Up to where a topic's records have been taken into account by a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputPosition {
    pub topic: String,
    pub partition: i32,
    /// The next offset to read.
    pub next_offset: i64,
}

/// What one step of a partition changes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    pub partition: u32,
    pub writes: Vec<Write>,
    /// Records to publish with the batch, exactly once where the log can.
    pub messages: Vec<Outgoing>,
    pub positions: Vec<InputPosition>,
}

/// Why a batch was not committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommitError {
    /// Nothing of it was written, for sure; the partition may go on.
    Refused(String),
    /// Nobody knows: the partition must forget what it holds and reload.
    Uncertain(String),
}

impl std::fmt::Display for CommitError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Refused(reason) => write!(formatter, "the batch was not written: {reason}"),
            Self::Uncertain(reason) => write!(formatter, "it is not known whether the batch was written: {reason}"),
        }
    }
}

impl std::error::Error for CommitError {}

/// The truth of all partitions of this node.
///
/// Where it is the host's alone there is nobody to take a partition over from, or to be replaced by: that is what the
/// methods do that are not implemented. Whoever wraps another log hands them on.
#[async_trait]
pub trait Log: Send + Sync {
    /// Makes the caller the partition's only writer, and the store as new as the log. Comes before the partition is loaded,
    /// each time.
    async fn take_over(&self, partition: u32) -> Result<(), CommitError> {
        let _ = partition;
        Ok(())
    }

    /// Makes the store as new as the log is now, and nobody the writer: for whoever may have been replaced.
    async fn catch_up(&self, partition: u32) -> Result<(), CommitError> {
        let _ = partition;
        Ok(())
    }

    /// Fails when somebody else has taken the partition over: an owner that has nothing to commit asks now and then.
    async fn confirm(&self, partition: u32) -> Result<(), CommitError> {
        let _ = partition;
        Ok(())
    }

    /// When this returns `Ok`, the batch is durable and can be read from the store.
    async fn commit(&self, batch: Batch) -> Result<(), CommitError>;
}

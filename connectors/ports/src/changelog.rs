//! What partitions have committed, kept by a cluster: their owner appends, whoever has to know reads.

use async_trait::async_trait;
use tokio::sync::mpsc;

use crate::{
    Result,
    log::{Batch, CommitError, Write},
};

/// Rows as they were changed, in order. Of rows that were changed again later some may be missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    pub writes: Vec<Write>,
    /// Where to read on.
    pub next_offset: i64,
}

/// Where a partition's records begin and end, by their offsets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    pub start: i64,
    /// After the last record.
    pub end: i64,
}

/// The changelogs of all partitions.
#[async_trait]
pub trait Changelog: Send + Sync {
    /// Which one it is, for as long as it lives: a store that follows one cannot follow another.
    async fn identity(&self) -> Result<String>;

    /// Makes the caller the partition's only writer. What an earlier one left open has an end when this returns, and what
    /// it tries later fails. Errors: `Unavailable` and `Timeout`.
    async fn fence(&self, partition: u32) -> Result<()>;

    /// Where the partition's records begin and end now.
    async fn extent(&self, partition: u32) -> Result<Extent>;

    /// Appends all changes of a batch or none, in order; returns the offset after them. Only after [`Changelog::fence`],
    /// and after an error only after another.
    async fn append(&self, batch: &Batch) -> Result<i64, CommitError>;

    /// Reads what a partition holds from an offset to its end as of now; the channel ends there, or with an error.
    async fn read(&self, partition: u32, from: i64) -> Result<mpsc::Receiver<Result<Chunk>>>;
}

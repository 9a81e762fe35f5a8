//! The log of several hosts: a changelog that a cluster keeps. A batch is appended there first, then applied to the store
//! with the offset that it ends at: the store is never ahead of the log, and tells from where it has to be brought up.
//!
//! What is applied need not be synced: after a power cut the changelog says it again.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use coffer_domain::time::{DAY, Millis};
use coffer_ports::{
    changelog::{Changelog, Chunk, Extent},
    log::{Batch, CommitError, Log, Space, Write},
    telemetry::Happening,
};
use tokio::time::Instant;

use crate::{
    clock::Clock,
    metrics::Metrics,
    store::{Store, StoreError, follows, keys, rows},
    telemetry::{ChangelogFollowed, StoreWiped},
};

/// How long it is known of a row that it has gone.
pub const GONE_KNOWN: Duration = Duration::from_hours(7 * 24);
/// A store that was brought up to date longer ago is emptied first: it may hold rows of which it is not known any more
/// that they have gone. A day less than [`GONE_KNOWN`], for clocks that differ.
const STORE_STALE: Millis = 6 * DAY;
/// How often it is told how far a store has come.
const TELL_INTERVAL: Duration = Duration::from_secs(5);

/// Commits to a changelog, and has the store follow it.
pub struct ReplicatedLog {
    changelog: Arc<dyn Changelog>,
    store: Arc<Store>,
    applier: Arc<dyn Log>,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
    /// Partitions whose place in the changelog was looked at since it was opened.
    placed: Mutex<BTreeSet<u32>>,
}

impl ReplicatedLog {
    /// `applier` writes to the store; it need not wait for the disk.
    ///
    /// Errors: the store holds what another changelog, or none, says.
    pub async fn open(
        changelog: Arc<dyn Changelog>,
        store: Arc<Store>,
        applier: Arc<dyn Log>,
        clock: Arc<dyn Clock>,
        metrics: Metrics,
    ) -> Result<Self, OpenError> {
        let identity = changelog.identity().await?;
        match (store.follows()?, store.is_empty()?) {
            (Some(known), _) if known == identity => {}
            (Some(known), _) => return Err(OpenError::OtherChangelog { known, found: identity }),
            (None, false) => return Err(OpenError::OwnState),
            (None, true) => store.write(&[follows::mark(&identity)])?,
        }
        Ok(Self { changelog, store, applier, clock, metrics, placed: Mutex::default() })
    }

    /// Applies what the changelog says from where the store stands, having looked whether it stands well.
    async fn follow(&self, partition: u32) -> Result<(), CommitError> {
        let extent = self.changelog.extent(partition).await.map_err(unread)?;
        let from = self.start(partition, extent).await?;
        let began = Instant::now();
        let rows = self.apply_all(partition, from, Some(extent.end)).await?;
        ChangelogFollowed { partition, rows, seconds: began.elapsed().as_secs_f64() }.emit(&self.metrics);
        self.placed.lock().unwrap_or_else(PoisonError::into_inner).insert(partition);
        Ok(())
    }

    /// The same for a store that was brought up to date a moment ago: nothing is told, and nothing looked at first.
    async fn follow_on(&self, partition: u32) -> Result<(), CommitError> {
        let position = self.store.position(partition).map_err(|error| CommitError::Refused(error.to_string()))?;
        let from = position.map_or(0, |position| position.next_offset);
        let rows = self.apply_all(partition, from, None).await.inspect_err(|_| {
            self.placed.lock().unwrap_or_else(PoisonError::into_inner).remove(&partition);
        })?;
        self.metrics.changelog_rows.inc_by(rows as u64);
        Ok(())
    }

    /// Applies what there is from an offset on, and tells how far it is on the way to `end`. Returns the number of rows.
    async fn apply_all(&self, partition: u32, from: i64, end: Option<i64>) -> Result<usize, CommitError> {
        let mut chunks = self.changelog.read(partition, from).await.map_err(unread)?;
        let (mut rows, mut told_at) = (0, Instant::now());
        while let Some(chunk) = chunks.recv().await {
            let Chunk { writes, next_offset } = chunk.map_err(unread)?;
            rows += writes.len();
            self.apply(Batch { partition, writes, ..Batch::default() }, next_offset).await?;
            if let Some(end) = end
                && told_at.elapsed() >= TELL_INTERVAL
            {
                told_at = Instant::now();
                let percent = (next_offset - from) * 100 / (end - from).max(1);
                tracing::info!(partition, rows, percent, "the store follows the changelog");
            }
        }
        Ok(rows)
    }

    /// Where to read on; a store that was away for too long begins anew.
    async fn start(&self, partition: u32, extent: Extent) -> Result<i64, CommitError> {
        let unusable = |error: StoreError| CommitError::Refused(error.to_string());
        let Some(position) = self.store.position(partition).map_err(unusable)? else { return Ok(extent.start) };
        if position.next_offset > extent.end {
            let reason = format!(
                "the store has followed the changelog of partition {partition} to offset {}, and it ends at {}: records \
                 were lost, or the topic was made anew",
                position.next_offset, extent.end
            );
            return Err(CommitError::Refused(reason));
        }
        let now = self.clock.now();
        if now - position.at <= STORE_STALE {
            return Ok(position.next_offset.max(extent.start));
        }
        StoreWiped { partition, applied_at: position.at }.emit(&self.metrics);
        let store = self.store.clone();
        let wiped = tokio::task::spawn_blocking(move || store.wipe(partition)).await;
        wiped.map_err(|error| CommitError::Refused(error.to_string()))?.map_err(unusable)?;
        Ok(extent.start)
    }

    async fn apply(&self, mut batch: Batch, next_offset: i64) -> Result<(), CommitError> {
        let row = follows::PositionRow { next_offset, at: self.clock.now() };
        let key = keys::position(batch.partition);
        batch.writes.push(Write { space: Space::Meta, key, value: Some(rows::encode(&row)) });
        self.applier.commit(batch).await
    }
}

#[async_trait]
impl Log for ReplicatedLog {
    async fn take_over(&self, partition: u32) -> Result<(), CommitError> {
        self.changelog.fence(partition).await.map_err(unread)?;
        self.follow(partition).await
    }

    async fn catch_up(&self, partition: u32) -> Result<(), CommitError> {
        let is_placed = self.placed.lock().unwrap_or_else(PoisonError::into_inner).contains(&partition);
        if is_placed { self.follow_on(partition).await } else { self.follow(partition).await }
    }

    /// Writes down that it lives, which whoever was replaced cannot.
    async fn confirm(&self, partition: u32) -> Result<(), CommitError> {
        let row =
            Write { space: Space::Meta, key: keys::owned(partition), value: Some(rows::encode(&self.clock.now())) };
        self.commit(Batch { partition, writes: vec![row], ..Batch::default() }).await
    }

    async fn commit(&self, batch: Batch) -> Result<(), CommitError> {
        let next_offset = self.changelog.append(&batch).await?;
        // It is committed, whatever the store says now.
        self.apply(batch, next_offset).await.map_err(|error| CommitError::Uncertain(error.to_string()))
    }
}

fn unread(error: coffer_ports::Error) -> CommitError {
    CommitError::Refused(error.to_string())
}

/// Why a store cannot follow a changelog.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("the changelog cannot be reached: {0}")]
    Changelog(#[from] coffer_ports::Error),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the store follows the changelog {known}, and this one is {found}")]
    OtherChangelog { known: String, found: String },
    #[error(
        "the store holds the state of a single host (broker.log = \"local\"), which no changelog has: coffer admin move-log \
         puts it there"
    )]
    OwnState,
}

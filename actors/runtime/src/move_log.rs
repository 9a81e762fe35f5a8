//! Moving what is committed between the store of a single host and a changelog, while nobody works on either.

use coffer_domain::time::Timestamp;
use coffer_ports::{
    changelog::Changelog,
    log::{Batch, Log, Space, Write},
};

use crate::{
    replicated_log::ReplicatedLog,
    runtime::PARTITIONS,
    store::{Store, StoreError, follows, keys, rows},
};

/// Rows that go into one transaction, and their bytes (one larger row goes alone).
const TRANSACTION_ROWS: usize = 500;
const TRANSACTION_BYTES: usize = 512 << 10;

/// Why the state was not moved.
#[derive(Debug, thiserror::Error)]
pub enum MoveError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the changelog cannot be used: {0}")]
    Changelog(#[from] coffer_ports::Error),
    #[error("the changelog cannot be written: {0}")]
    Commit(#[from] coffer_ports::log::CommitError),
    #[error("the store follows the changelog {0} already")]
    Follows(String),
    #[error(
        "the changelog {0} has had an owner, or a move that did not end: it holds other rows, which would be mixed with these"
    )]
    InUse(String),
}

/// Writes all rows of the store to an empty changelog; from then on the store follows it. Returns how many rows there are.
///
/// Ended half-way it leaves the store as it was, and a changelog to be deleted: rows that were there at the first attempt,
/// and have gone since, would come back.
pub async fn to_changelog(store: &Store, changelog: &dyn Changelog, now: Timestamp) -> Result<usize, MoveError> {
    let identity = changelog.identity().await?;
    if let Some(known) = store.follows()? {
        return Err(MoveError::Follows(known));
    }
    for partition in 0..PARTITIONS {
        if has_rows(changelog, partition).await? {
            return Err(MoveError::InUse(identity));
        }
    }
    let mut moved = 0;
    for partition in 0..PARTITIONS {
        changelog.fence(partition).await?;
        let mut rows = store.rows_of(partition).peekable();
        while rows.peek().is_some() {
            let mut batch = Batch { partition, ..Batch::default() };
            let mut bytes = 0;
            while batch.writes.len() < TRANSACTION_ROWS
                && bytes < TRANSACTION_BYTES
                && let Some(row) = rows.next()
            {
                let row = row?;
                bytes += row.key.len() + row.value.as_ref().map_or(0, Vec::len);
                batch.writes.push(row);
            }
            moved += batch.writes.len();
            changelog.append(&batch).await?;
        }
    }
    let mut marked = follows::mark(&identity);
    for partition in 0..PARTITIONS {
        let epoch = rows::encode(&store.epoch(partition)?);
        let row = Write { space: Space::Meta, key: keys::epoch(partition), value: Some(epoch) };
        let next_offset = changelog.append(&Batch { partition, writes: vec![row], ..Batch::default() }).await?;
        let value = Some(rows::encode(&follows::PositionRow { next_offset, at: now }));
        marked.writes.push(Write { space: Space::Meta, key: keys::position(partition), value });
    }
    store.write(&[marked])?;
    Ok(moved)
}

/// Makes the store the truth itself: it follows its changelog to the end once more, and whoever works by that one finds
/// itself replaced.
pub async fn to_store(store: &Store, log: &ReplicatedLog) -> Result<(), MoveError> {
    for partition in 0..PARTITIONS {
        log.take_over(partition).await?;
        let epoch = rows::encode(&(store.epoch(partition)? + 1));
        let row = Write { space: Space::Meta, key: keys::epoch(partition), value: Some(epoch) };
        log.commit(Batch { partition, writes: vec![row], ..Batch::default() }).await?;
    }
    let gone = |key| Write { space: Space::Meta, key, value: None };
    let mut writes = vec![gone(keys::changelog())];
    writes
        .extend((0..PARTITIONS).flat_map(|partition| [gone(keys::position(partition)), gone(keys::owned(partition))]));
    Ok(store.write(&[Batch { writes, ..Batch::default() }])?)
}

async fn has_rows(changelog: &dyn Changelog, partition: u32) -> Result<bool, MoveError> {
    let extent = changelog.extent(partition).await?;
    let mut chunks = changelog.read(partition, extent.start).await?;
    Ok(chunks.recv().await.transpose()?.is_some())
}

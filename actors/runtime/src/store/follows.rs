//! What a store knows of the changelog that it follows.

use coffer_domain::time::Timestamp;
use coffer_ports::log::{Batch, Space, Write};
use rocksdb::{IteratorMode, PrefixRange, ReadOptions, WriteBatch};
use serde::{Deserialize, Serialize};

use super::{
    SPACES, Store, StoreError, keys,
    rows::{self, OwnerRow},
};

/// How far a partition's changelog is applied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PositionRow {
    /// The offset to read on from.
    pub next_offset: i64,
    /// When it was applied.
    pub at: Timestamp,
}

/// Marks a store as one that follows this changelog.
pub fn mark(identity: &str) -> Batch {
    let value = Some(rows::encode(&identity));
    Batch { writes: vec![Write { space: Space::Meta, key: keys::changelog(), value }], ..Batch::default() }
}

impl Store {
    /// The changelog that the store follows; `None` for one that is the truth itself.
    pub fn follows(&self) -> Result<Option<String>, StoreError> {
        self.row(Space::Meta, &keys::changelog())
    }

    /// How far it has followed.
    pub fn position(&self, partition: u32) -> Result<Option<PositionRow>, StoreError> {
        self.row(Space::Meta, &keys::position(partition))
    }

    /// Who owned a partition last.
    pub fn partition_owner(&self, partition: u32) -> Result<Option<OwnerRow>, StoreError> {
        self.row(Space::Meta, &keys::owner(partition))
    }

    /// When an owner of a partition last wrote that it lives.
    pub fn owned_at(&self, partition: u32) -> Result<Option<Timestamp>, StoreError> {
        self.row(Space::Meta, &keys::owned(partition))
    }

    /// Whether nobody has ever owned a partition by it.
    pub fn is_empty(&self) -> Result<bool, StoreError> {
        let first = self.db.iterator_cf(self.family(Space::Meta), IteratorMode::Start).next().transpose()?;
        Ok(first.is_none_or(|(key, _)| *key == *keys::trial()))
    }

    /// All rows of a partition, but for what the store knows of itself.
    pub fn rows_of(&self, partition: u32) -> impl Iterator<Item = Result<Write, StoreError>> {
        let prefix = keys::partition(partition);
        SPACES.into_iter().filter(|space| *space != Space::Meta).flat_map(move |space| {
            let mut options = ReadOptions::default();
            options.set_iterate_range(PrefixRange(prefix.clone()));
            let rows = self.db.iterator_cf_opt(self.family(space), options, IteratorMode::Start);
            rows.map(move |row| {
                let (key, value) = row?;
                Ok(Write { space, key: key.into_vec(), value: Some(value.into_vec()) })
            })
        })
    }

    /// Removes all rows of a partition.
    pub fn wipe(&self, partition: u32) -> Result<(), StoreError> {
        let mut all = WriteBatch::default();
        let (begin, end) = (keys::partition(partition), keys::partition(partition + 1));
        for space in SPACES.into_iter().filter(|space| *space != Space::Meta) {
            all.delete_range_cf(self.family(space), begin.clone(), end.clone());
        }
        all.delete_cf(self.family(Space::Meta), keys::epoch(partition));
        all.delete_cf(self.family(Space::Meta), keys::position(partition));
        self.db.write(all)?;
        Ok(())
    }
}

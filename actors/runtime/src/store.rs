//! RocksDB: the log made readable. One column family per kind of row.
//!
//! Reads take no lock and touch no actor. Only a [`coffer_ports::log::Log`] writes.

mod everyone;
pub mod follows;
mod groups;
mod journal;
pub mod keys;
mod limits;
mod removed;
pub mod room;
pub mod rows;
pub mod snapshot;

use std::{
    path::Path,
    sync::{Arc, Weak},
};

use coffer_domain::{
    ids::{InstanceId, TenantId},
    instance::{Instance, InstanceView, effect::Effect, shown, view},
    quota::Usage,
    time::Timestamp,
};
use coffer_ports::log::{Batch, Space};
use rocksdb::{
    BlockBasedOptions, Cache, ColumnFamily, ColumnFamilyDescriptor, DB, DBCompressionType, Direction, IteratorMode,
    Options, PrefixRange, ReadOptions, WriteBatch,
};

use crate::timers::OwnedTimer;
pub use journal::Journal;
pub use removed::Removed;
use room::Room;

/// Memory that RocksDB may hold in unflushed rows, over all column families, in bytes.
const WRITE_BUFFERS_BYTES: usize = 64 << 20;
/// The same of one column family, in bytes. After a full disk RocksDB takes writes again once this much is free; its log
/// is allocated ahead by somewhat more, which lets commits go on for a while when everything else is taken.
pub const WRITE_BUFFER_BYTES: usize = 8 << 20;
/// Memory for blocks that were read, unpacked, over all column families, in bytes: the views of some 100,000 instances.
const BLOCK_CACHE_BYTES: usize = 128 << 20;
/// Bytes of a block where whole pages are read: one holds most of a page of 20 instances.
const PAGE_BLOCK_BYTES: usize = 16 << 10;
/// Bits of a Bloom filter for each key: one look in a hundred goes to a table in vain. A new command is looked for among
/// the old ones, where it is not.
const BLOOM_BITS: f64 = 10.0;
/// Part of a write buffer that its Bloom filter takes.
const MEMTABLE_BLOOM_SHARE: f64 = 0.02;
/// Log files of RocksDB's own that are kept.
const INFO_LOGS_KEPT: usize = 2;

/// Why the store did not answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    #[error("the store cannot be read or written: {0}")]
    RocksDb(#[from] rocksdb::Error),
    #[error(
        "the store in {directory} cannot be opened, since its file system is full ({} MiB free): make room (some {} MiB) \
         and start again ({reason})",
        free_bytes >> 20,
        room::COMMAND_RESUME_BYTES >> 20
    )]
    NoRoom { directory: String, free_bytes: u64, reason: String },
    #[error("row {key} of {space} cannot be read: {reason}")]
    Row { space: &'static str, key: String, reason: String },
}

/// The rows of all partitions of this node.
pub struct Store {
    db: DB,
    room: Room,
    /// Goes last: whoever sees it gone knows that RocksDB is closed.
    open: Arc<()>,
}

impl Store {
    /// Has no strong count any more once the store is closed, after the last one who held it has let go.
    pub fn open_mark(&self) -> Weak<()> {
        Arc::downgrade(&self.open)
    }

    /// Opens or creates the store in `directory`.
    pub fn open(directory: &Path) -> Result<Self, StoreError> {
        let mut options = options();
        options.create_if_missing(true);
        options.create_missing_column_families(true);
        // Of the family `default`, which nothing is written to.
        options.set_write_buffer_size(WRITE_BUFFER_BYTES);
        let db =
            DB::open_cf_descriptors(&options, directory, families()).map_err(|error| unopened(directory, error))?;
        Ok(Self { db, room: Room::new(directory), open: Arc::default() })
    }

    /// Opens the store of a service that may be running, to read what it has written until now. `scratch` is a
    /// directory for RocksDB's own log.
    pub fn open_beside(directory: &Path, scratch: &Path) -> Result<Self, StoreError> {
        let mut options = Options::default();
        // The running one may delete files at any time: all that are needed are held open.
        options.set_max_open_files(-1);
        let db = DB::open_cf_descriptors_as_secondary(&options, directory, scratch, families())
            .map_err(|error| unopened(directory, error))?;
        db.try_catch_up_with_primary()?;
        Ok(Self { db, room: Room::new(directory), open: Arc::default() })
    }

    /// What may be written now.
    pub fn room(&self) -> &Room {
        &self.room
    }

    /// Looks how much room there is and, after a write that failed, whether one goes through again.
    pub fn look_for_room(&self) {
        self.room.look();
        if self.room.is_stopped() {
            let mut options = rocksdb::WriteOptions::default();
            options.set_sync(true);
            match self.db.put_cf_opt(self.family(Space::Meta), keys::trial(), rows::encode(&()), &options) {
                Ok(()) => self.room.resume(),
                Err(error) => self.room.stop(error.as_ref()),
            }
        }
    }

    /// Writes batches as one, and returns when they are on disk. An error closes the store for writes until
    /// [`Store::look_for_room`] finds that they go through again.
    pub fn write(&self, batches: &[Batch]) -> Result<(), StoreError> {
        self.write_all(batches, true)
    }

    /// The same without waiting for the disk: what a power cut may take must be known elsewhere.
    pub fn write_unsynced(&self, batches: &[Batch]) -> Result<(), StoreError> {
        self.write_all(batches, false)
    }

    fn write_all(&self, batches: &[Batch], sync: bool) -> Result<(), StoreError> {
        let mut all = WriteBatch::default();
        for write in batches.iter().flat_map(|batch| &batch.writes) {
            let family = self.family(write.space);
            match &write.value {
                Some(value) => all.put_cf(family, &write.key, value),
                None => all.delete_cf(family, &write.key),
            }
        }
        let mut options = rocksdb::WriteOptions::default();
        options.set_sync(sync);
        self.db.write_opt(all, &options).inspect_err(|error| self.room.stop(error.as_ref()))?;
        Ok(())
    }

    pub fn instance(&self, partition: u32, tenant: &TenantId, id: InstanceId) -> Result<Option<Instance>, StoreError> {
        self.row(Space::State, &keys::instance(partition, tenant, id))
    }

    pub fn view(&self, partition: u32, tenant: &TenantId, id: InstanceId) -> Result<Option<InstanceView>, StoreError> {
        Ok(self.instance(partition, tenant, id)?.as_ref().map(view::view))
    }

    /// What a GET shows of an instance: a row for [`shown::Shown`].
    pub fn shown(&self, partition: u32, tenant: &TenantId, id: InstanceId) -> Result<Option<Vec<u8>>, StoreError> {
        let key = keys::instance(partition, tenant, id);
        let Some(row) = self.db.get_pinned_cf(self.family(Space::View), &key)? else { return Ok(None) };
        self.current(&key, row.to_vec()).map(Some)
    }

    /// At most `limit` instances of a tenant in the order of their ids, after `marker`.
    pub fn shown_after(
        &self,
        partition: u32,
        tenant: &TenantId,
        marker: Option<InstanceId>,
        limit: usize,
    ) -> Result<Vec<(InstanceId, Vec<u8>)>, StoreError> {
        let prefix = keys::instances_of(partition, tenant);
        let start = match marker {
            Some(id) => keys::after(keys::instance(partition, tenant, id)),
            None => prefix.clone(),
        };
        let mut options = ReadOptions::default();
        options.set_iterate_range(PrefixRange(prefix));
        let mut rows = self.db.raw_iterator_cf_opt(self.family(Space::View), options);
        let mut found = Vec::with_capacity(limit);
        rows.seek(start);
        while found.len() < limit
            && let Some((key, row)) = rows.item()
        {
            let id = keys::instance_of(key).ok_or_else(|| unreadable(Space::View, key, "its key names none".into()))?;
            found.push((id, self.current(key, row.to_vec())?));
            rows.next();
        }
        rows.status()?;
        Ok(found)
    }

    /// The row as this build writes it: anew from the state when another build has written it.
    fn current(&self, key: &[u8], row: Vec<u8>) -> Result<Vec<u8>, StoreError> {
        if shown::is_current(&row) {
            return Ok(row);
        }
        let instance = self.row::<Instance>(Space::State, key)?;
        let instance = instance.ok_or_else(|| unreadable(Space::View, key, "it is damaged and has no state".into()))?;
        Ok(shown::row(&view::view(&instance)))
    }

    pub fn usage(&self, partition: u32, tenant: &TenantId) -> Result<Usage, StoreError> {
        Ok(self.row(Space::State, &keys::usage(partition, tenant))?.unwrap_or_default())
    }

    /// Every instance of a partition.
    pub fn instances(&self, partition: u32) -> Result<Vec<Instance>, StoreError> {
        let prefix = keys::instances(partition);
        self.scan(Space::State, &prefix, &prefix).map(|row| Ok(row?.1)).collect()
    }

    /// Every effect of a partition that waits for its outcome.
    pub fn outbox(&self, partition: u32) -> Result<Vec<Effect>, StoreError> {
        let prefix = keys::partition(partition);
        self.scan(Space::Outbox, &prefix, &prefix).map(|row| Ok(row?.1)).collect()
    }

    pub fn timers(&self, partition: u32) -> Result<Vec<OwnedTimer>, StoreError> {
        let prefix = keys::partition(partition);
        self.scan(Space::Timer, &prefix, &prefix).map(|row| Ok(row?.1)).collect()
    }

    /// When and for which instance a command was accepted.
    pub fn accepted(&self, key: &[u8]) -> Result<Option<rows::AcceptedRow>, StoreError> {
        self.row(Space::Dedup, key)
    }

    /// How many answers are kept of a tenant, `limit` at most.
    pub fn count_kept(&self, partition: u32, tenant: &TenantId, limit: usize) -> Result<usize, StoreError> {
        let prefix = keys::kept_of(partition, tenant);
        let mut options = ReadOptions::default();
        options.set_iterate_range(PrefixRange(prefix.clone()));
        let mut rows = self.db.raw_iterator_cf_opt(self.family(Space::Dedup), options);
        rows.seek(prefix);
        let mut count = 0;
        while count < limit && rows.valid() {
            count += 1;
            rows.next();
        }
        rows.status()?;
        Ok(count)
    }

    /// Keys of dedup rows older than `before`, at most `limit`.
    pub fn forgettable(&self, partition: u32, before: Timestamp, limit: usize) -> Result<Vec<Vec<u8>>, StoreError> {
        let prefix = keys::partition(partition);
        self.scan::<rows::AcceptedRow>(Space::Dedup, &prefix, &prefix)
            .filter(|row| row.as_ref().map_or(true, |(_, accepted)| accepted.at < before))
            .take(limit)
            .map(|row| Ok(row?.0))
            .collect()
    }

    /// The epoch under which the partition was last owned; 0 before the first time.
    pub fn epoch(&self, partition: u32) -> Result<u64, StoreError> {
        Ok(self.row(Space::Meta, &keys::epoch(partition))?.unwrap_or_default())
    }

    fn family(&self, space: Space) -> &ColumnFamily {
        self.db.cf_handle(family_name(space)).expect("every space's column family is opened in `open`")
    }

    fn row<T: serde::de::DeserializeOwned>(&self, space: Space, key: &[u8]) -> Result<Option<T>, StoreError> {
        let Some(bytes) = self.db.get_pinned_cf(self.family(space), key)? else { return Ok(None) };
        rows::decode(&bytes).map(Some).map_err(|reason| unreadable(space, key, reason))
    }

    fn scan<T: serde::de::DeserializeOwned>(
        &self,
        space: Space,
        prefix: &[u8],
        start: &[u8],
    ) -> impl Iterator<Item = Result<(Vec<u8>, T), StoreError>> {
        let prefix = prefix.to_vec();
        self.db
            .iterator_cf(self.family(space), IteratorMode::From(start, Direction::Forward))
            .take_while(move |row| row.as_ref().map_or(true, |(key, _)| key.starts_with(&prefix)))
            .map(move |row| {
                let (key, value) = row?;
                let decoded = rows::decode(&value).map_err(|reason| unreadable(space, &key, reason))?;
                Ok((key.into_vec(), decoded))
            })
    }
}

fn options() -> Options {
    let mut options = Options::default();
    options.set_db_write_buffer_size(WRITE_BUFFERS_BYTES);
    options.set_keep_log_file_num(INFO_LOGS_KEPT);
    options.set_max_open_files(256);
    options
}

fn families() -> impl Iterator<Item = ColumnFamilyDescriptor> {
    // Without a lock, which readers on several threads would wait for; it finds out by itself how large blocks are.
    let cache = Cache::new_hyper_clock_cache(BLOCK_CACHE_BYTES, 0);
    SPACES.iter().map(move |space| {
        let mut tables = BlockBasedOptions::default();
        tables.set_block_cache(&cache);
        tables.set_bloom_filter(BLOOM_BITS, false);
        if *space == Space::View {
            tables.set_block_size(PAGE_BLOCK_BYTES);
        }
        let mut family = Options::default();
        family.set_block_based_table_factory(&tables);
        family.set_write_buffer_size(WRITE_BUFFER_BYTES);
        family.set_compression_type(DBCompressionType::Lz4);
        if *space == Space::Dedup {
            // A new command is looked for where it is not: that is known without a walk through what is not flushed.
            family.set_memtable_whole_key_filtering(true);
            family.set_memtable_prefix_bloom_ratio(MEMTABLE_BLOOM_SHARE);
        }
        ColumnFamilyDescriptor::new(family_name(*space), family)
    })
}

const SPACES: [Space; 7] =
    [Space::State, Space::View, Space::Outbox, Space::Timer, Space::Dedup, Space::Journal, Space::Meta];

/// The name of a space, as a column family and in messages.
pub fn family_name(space: Space) -> &'static str {
    match space {
        Space::State => "state",
        Space::View => "view",
        Space::Outbox => "outbox",
        Space::Timer => "timer",
        Space::Dedup => "dedup",
        Space::Journal => "journal",
        Space::Meta => "meta",
    }
}

/// RocksDB tells a full disk by its words alone.
fn unopened(directory: &Path, error: rocksdb::Error) -> StoreError {
    if !error.as_ref().contains("No space left on device") {
        return error.into();
    }
    let free_bytes = room::free_bytes(directory).unwrap_or_default();
    StoreError::NoRoom { directory: directory.display().to_string(), free_bytes, reason: error.into_string() }
}

fn unreadable(space: Space, key: &[u8], reason: String) -> StoreError {
    StoreError::Row { space: family_name(space), key: key.escape_ascii().to_string(), reason }
}

#[cfg(test)]
mod tests;

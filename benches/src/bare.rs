//! The limit of everything durable: RocksDB alone, which is given the same bytes in synced batches.

use std::path::Path;

use coffer_ports::log::{Batch, Write};
use rocksdb::{DB, Options, WriteBatch, WriteOptions};

pub struct BareStore {
    db: DB,
    synced: WriteOptions,
}

impl BareStore {
    pub fn open(directory: &Path) -> Result<Self, rocksdb::Error> {
        let mut options = Options::default();
        options.create_if_missing(true);
        let mut synced = WriteOptions::default();
        synced.set_sync(true);
        Ok(Self { db: DB::open(&options, directory)?, synced })
    }

    /// Writes these rows as one batch and returns when they are on disk.
    pub fn write<'a>(&self, rows: impl Iterator<Item = &'a Write>) -> Result<(), rocksdb::Error> {
        let mut batch = WriteBatch::default();
        for Write { key, value, .. } in rows {
            match value {
                Some(value) => batch.put(key, value),
                None => batch.delete(key),
            }
        }
        self.db.write_opt(batch, &self.synced)
    }

    /// Writes recorded batches, one after the other.
    pub fn replay(&self, batches: &[Batch]) -> Result<(), rocksdb::Error> {
        batches.iter().try_for_each(|batch| self.write(batch.writes.iter()))
    }
}

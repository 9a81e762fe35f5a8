//! The store as of one moment, rows as they are, for whoever looks at all of it: checks and copies.

use std::path::Path;

use coffer_ports::log::Space;
use rocksdb::{DB, Direction, IteratorMode, checkpoint::Checkpoint};

use super::{SPACES, Store, StoreError, family_name, options, room::Room};

/// A row's key and value.
pub type Raw = (Box<[u8]>, Box<[u8]>);

/// What the store held when this was taken, whatever is written meanwhile.
pub struct Snapshot<'a> {
    store: &'a Store,
    snapshot: rocksdb::Snapshot<'a>,
}

impl Store {
    /// Opens a store that nobody writes to, and writes nothing itself, not even what RocksDB has left to recover.
    pub fn open_read_only(directory: &Path) -> Result<Self, StoreError> {
        let families = SPACES.map(family_name);
        let db = DB::open_cf_for_read_only(&options(), directory, families, false)?;
        Ok(Self { db, room: Room::new(directory), open: std::sync::Arc::default() })
    }

    /// Everything as of now.
    pub fn snapshot(&self) -> Snapshot<'_> {
        Snapshot { store: self, snapshot: self.db.snapshot() }
    }

    /// Puts a copy of the store into `directory`, which must not exist, in the same file system: RocksDB links its
    /// files, so it takes milliseconds and no room. Writers go on meanwhile.
    pub fn checkpoint(&self, directory: &Path) -> Result<(), StoreError> {
        Ok(Checkpoint::new(&self.db)?.create_checkpoint(directory)?)
    }
}

impl Snapshot<'_> {
    /// The rows of a space whose keys are not below `from`, in order.
    pub fn rows_from(&self, space: Space, from: &[u8]) -> impl Iterator<Item = Result<Raw, StoreError>> + use<'_> {
        let mode = IteratorMode::From(from, Direction::Forward);
        self.snapshot.iterator_cf(self.store.family(space), mode).map(|row| Ok(row?))
    }

    /// The rows of a space whose keys begin with `prefix`, in order.
    pub fn rows(&self, space: Space, prefix: &[u8]) -> impl Iterator<Item = Result<Raw, StoreError>> {
        let rows = self.rows_from(space, prefix);
        let prefix = prefix.to_vec();
        rows.take_while(move |row| row.as_ref().map_or(true, |(key, _)| key.starts_with(&prefix)))
    }
}

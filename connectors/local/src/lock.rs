//! `changes.lock`: one process at a time changes what is under a root. Several nodes on a host may share it.

use std::{
    fs,
    io::{Read, Seek, Write},
    os::unix::fs::OpenOptionsExt,
};

use coffer_ports::Result;

use crate::{error::OrFail, layout::Layout};

/// The lock, for as long as this lives. It waits for as long as another process holds it, which is for milliseconds.
pub(crate) struct ChangesLock {
    file: fs::File,
}

impl ChangesLock {
    pub fn take(layout: &Layout) -> Result<Self> {
        let path = layout.changes_lock();
        let mut options = fs::OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false).mode(0o600).open(&path);
        let file = file.or_fail("open", &path)?;
        file.lock().or_fail("lock", &path)?;
        Ok(Self { file })
    }

    /// Counts the changes of what processes keep in memory. 0 before the first one.
    pub fn changes(&mut self) -> std::io::Result<u64> {
        let mut content = String::new();
        self.file.rewind()?;
        self.file.read_to_string(&mut content)?;
        Ok(content.trim().parse().unwrap_or_default())
    }

    pub fn set_changes(&mut self, changes: u64) -> std::io::Result<()> {
        self.file.set_len(0)?;
        self.file.rewind()?;
        self.file.write_all(changes.to_string().as_bytes())
    }
}

//! `supervisor.lock`: one supervisor per root. The file says who it is.

use std::{
    env, fs,
    io::{Seek, Write},
    os::unix::fs::OpenOptionsExt,
    thread,
    time::{Duration, Instant},
};

use coffer_ports::Result;
use serde::{Deserialize, Serialize};

use crate::{error::OrFail, layout::Layout};

/// Set by the provider to the identity of the program that it starts as supervisor.
pub(super) const PROGRAM_VARIABLE: &str = "COFFER_SUPERVISOR_PROGRAM";

/// A provider that only looks holds the lock for microseconds: worth waiting for.
const LOCK_TIMEOUT: Duration = Duration::from_secs(1);
const LOCK_INTERVAL: Duration = Duration::from_millis(10);

#[derive(Default, Serialize, Deserialize)]
pub(super) struct Holder {
    pub pid: u32,
    /// What [`PROGRAM_VARIABLE`] said: a supervisor of another build is replaced.
    pub program: String,
}

/// The lock, held for as long as the file is open; `None` when another supervisor has it.
pub(super) fn take(layout: &Layout) -> Result<Option<fs::File>> {
    let path = layout.supervisor_lock();
    let mut file = open(layout)?;
    let deadline = Instant::now() + LOCK_TIMEOUT;
    while let Err(error) = file.try_lock() {
        match error {
            fs::TryLockError::Error(error) => return Err(error).or_fail("lock", &path),
            fs::TryLockError::WouldBlock if Instant::now() >= deadline => return Ok(None),
            fs::TryLockError::WouldBlock => thread::sleep(LOCK_INTERVAL),
        }
    }
    let holder = Holder { pid: std::process::id(), program: env::var(PROGRAM_VARIABLE).unwrap_or_default() };
    let content = serde_json::to_vec(&holder).unwrap_or_default();
    file.set_len(0).and_then(|()| file.rewind()).and_then(|()| file.write_all(&content)).or_fail("write", &path)?;
    Ok(Some(file))
}

/// Who holds the lock; `None` when nobody does.
pub(super) fn holder(layout: &Layout) -> Result<Option<Holder>> {
    let path = layout.supervisor_lock();
    match open(layout)?.try_lock_shared() {
        Ok(()) => Ok(None),
        Err(fs::TryLockError::Error(error)) => Err(error).or_fail("lock", &path),
        // Empty for a moment while the holder starts.
        Err(fs::TryLockError::WouldBlock) => {
            let content = fs::read(&path).or_fail("read", &path)?;
            Ok(Some(serde_json::from_slice(&content).unwrap_or_default()))
        }
    }
}

fn open(layout: &Layout) -> Result<fs::File> {
    let path = layout.supervisor_lock();
    let mut options = fs::OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600).open(&path).or_fail("open", &path)
}

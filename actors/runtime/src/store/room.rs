//! Room on the store's file system: looked at every half second, asked before every order.
//!
//! Two stages. *Low*: less than [`COMMAND_RESERVE_BYTES`] are free; new orders are refused, so that what is under way and
//! deletes, which make room, still find place for their commits. *Stopped*: a write has failed; nothing is written until
//! a trial write goes through. RocksDB takes writes again by itself, some seconds after there is room for what it holds in
//! memory.

use std::{
    path::{Path, PathBuf},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use rustix::fs::statvfs;

/// New orders are refused while less than this is free. Far above what RocksDB wants for itself before it takes writes
/// again (the largest write buffer, [`super::WRITE_BUFFER_BYTES`]).
pub const COMMAND_RESERVE_BYTES: u64 = 64 << 20;
/// They are taken again once this is free: not at every change of the mind of whatever fills the disk.
pub const COMMAND_RESUME_BYTES: u64 = 80 << 20;

/// What may be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    Open,
    /// No new orders. What is free, in bytes.
    Low(u64),
    /// Nothing. Why, in the store's words.
    Stopped(String),
}

/// The room of one store. Asking costs an atomic load while there is enough.
#[derive(Debug)]
pub struct Room {
    directory: PathBuf,
    free_bytes: AtomicU64,
    is_low: AtomicBool,
    is_stopped: AtomicBool,
    /// Why the last write failed.
    reason: Mutex<String>,
}

impl Room {
    /// The room for `directory`, looked at once.
    pub fn new(directory: &Path) -> Self {
        let room = Self {
            directory: directory.to_owned(),
            free_bytes: AtomicU64::new(u64::MAX),
            is_low: AtomicBool::new(false),
            is_stopped: AtomicBool::new(false),
            reason: Mutex::default(),
        };
        room.look();
        room
    }

    /// Looks how much is free. A file system that does not say is taken to have room: a failing write tells otherwise.
    pub fn look(&self) {
        let free = free_bytes(&self.directory).unwrap_or(u64::MAX);
        self.free_bytes.store(free, Ordering::Relaxed);
        let is_low = if self.is_low.load(Ordering::Relaxed) {
            free < COMMAND_RESUME_BYTES
        } else {
            free < COMMAND_RESERVE_BYTES
        };
        self.is_low.store(is_low, Ordering::Relaxed);
    }

    /// Bytes that were free at the last look.
    pub fn free_bytes(&self) -> u64 {
        self.free_bytes.load(Ordering::Relaxed)
    }

    /// A write has failed.
    pub fn stop(&self, reason: &str) {
        reason.clone_into(&mut self.reason.lock().unwrap_or_else(PoisonError::into_inner));
        self.is_stopped.store(true, Ordering::Relaxed);
    }

    /// A write has gone through.
    pub fn resume(&self) {
        self.is_stopped.store(false, Ordering::Relaxed);
    }

    pub fn is_stopped(&self) -> bool {
        self.is_stopped.load(Ordering::Relaxed)
    }

    /// Why nothing at all is taken, in words for whoever asks for something.
    pub fn stopped_refusal(&self) -> Option<String> {
        self.is_stopped().then(|| self.standing().refusal()).flatten()
    }

    pub fn standing(&self) -> Standing {
        if self.is_stopped() {
            return Standing::Stopped(self.reason.lock().unwrap_or_else(PoisonError::into_inner).clone());
        }
        if self.is_low.load(Ordering::Relaxed) { Standing::Low(self.free_bytes()) } else { Standing::Open }
    }
}

impl Standing {
    /// Stable word, for metrics and logs.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Low(_) => "low",
            Self::Stopped(_) => "stopped",
        }
    }

    /// Why a new order is refused, in words for whoever sees the answer.
    pub fn refusal(&self) -> Option<String> {
        match self {
            Self::Open => None,
            Self::Low(free) => Some(format!(
                "The control plane's disk is almost full ({} MiB free, {} MiB wanted): it takes deletes, but no other \
                 orders, until its operator makes room.",
                free >> 20,
                COMMAND_RESERVE_BYTES >> 20
            )),
            Self::Stopped(_) => Some(
                "The control plane cannot write to its disk, which is full or failing: it answers reads, but takes no \
                 orders, until its operator makes room."
                    .to_owned(),
            ),
        }
    }
}

/// What an ordinary user may still write on the file system of `path`, in bytes.
pub fn free_bytes(path: &Path) -> Option<u64> {
    let stat = statvfs(path).ok()?;
    Some(stat.f_bavail.saturating_mul(stat.f_frsize))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stop_is_told_with_its_reason_until_a_write_goes_through() {
        let directory = tempfile::tempdir().unwrap();
        let room = Room::new(directory.path());
        assert!(room.free_bytes() > 0);
        room.stop("no space left");
        assert_eq!(room.standing(), Standing::Stopped("no space left".into()));
        room.look();
        assert!(room.is_stopped(), "looking is no proof");
        room.resume();
        assert!(!room.is_stopped());
    }

    #[test]
    fn a_refusal_says_what_still_works() {
        assert_eq!(Standing::Open.refusal(), None);
        let low = Standing::Low(3 << 20).refusal().unwrap();
        assert!(low.contains("3 MiB free") && low.contains("takes deletes"), "{low}");
        assert!(Standing::Stopped("x".into()).refusal().unwrap().contains("answers reads"));
    }
}

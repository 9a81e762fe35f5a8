//! The data volume: where each thing lies, and the lock that makes this agent its only one.
//!
//! ```text
//! agent.lock   held for the agent's whole life
//! journal      commands begun and done
//! agent/       the agent's own small state, secrets included (0600 in a 0700 directory)
//! <manager>/   the engine's: data, temporary files, configuration, log
//! ```

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use rustix::fs::{FlockOperation, flock};

use crate::host::files;

/// The mounted volume, locked.
#[derive(Debug)]
pub struct Volume {
    root: PathBuf,
    /// The lock goes with the file descriptor, also when the agent is killed. It is not inherited by the engine.
    _lock: File,
}

/// Why the volume cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum VolumeError {
    #[error("another agent runs on {0}: it holds agent.lock")]
    Locked(PathBuf),
    #[error("cannot use the data volume {0}: {1}")]
    Io(PathBuf, #[source] io::Error),
}

impl Volume {
    /// Opens and locks the volume mounted at `root`.
    pub fn open(root: &Path) -> Result<Self, VolumeError> {
        let failed = |error| VolumeError::Io(root.to_owned(), error);
        // Engines are found again by the path of their data: it must read the same each time.
        let root = root.canonicalize().map_err(failed)?;
        let lock = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(root.join("agent.lock"))
            .map_err(failed)?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Err(rustix::io::Errno::WOULDBLOCK) => return Err(VolumeError::Locked(root)),
            other => other.map_err(|error| failed(error.into()))?,
        }
        files::ensure_private_directory(&root.join("agent")).map_err(failed)?;
        Ok(Self { root, _lock: lock })
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    pub fn journal(&self) -> PathBuf {
        self.root.join("journal")
    }

    /// A file of the agent's own state.
    pub fn agent_file(&self, name: &str) -> PathBuf {
        self.root.join("agent").join(name)
    }

    /// The directory of an engine.
    pub fn engine_directory(&self, manager: &str) -> PathBuf {
        self.root.join(manager)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_agent_on_the_same_volume_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let first = Volume::open(directory.path()).unwrap();
        assert!(matches!(Volume::open(directory.path()), Err(VolumeError::Locked(_))));
        drop(first);
        Volume::open(directory.path()).unwrap();
    }

    #[test]
    fn a_volume_that_is_not_there_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let missing = directory.path().join("missing");
        assert!(Volume::open(&missing).unwrap_err().to_string().contains("missing"));
    }
}

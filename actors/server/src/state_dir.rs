//! The one directory that everything of a host lives in, with the lock that keeps a second process out.

use std::{
    env, fs, io,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
};

use rustix::{
    fs::{FlockOperation, flock},
    process::geteuid,
};
use serde::Serialize;

/// A state directory and where things are in it.
#[derive(Debug, Clone)]
pub struct StateDir(PathBuf);

#[derive(Debug, thiserror::Error)]
pub enum StateDirError {
    #[error("{0}: {1}")]
    Io(PathBuf, #[source] io::Error),
    #[error("{0} is in use by another coffer; stop that one, or name another --state-dir")]
    Locked(PathBuf),
    #[error("{0} belongs to user {1}, not to this one ({2}); name another --state-dir")]
    Foreign(PathBuf, u32, u32),
    #[error("name a --state-dir: neither XDG_STATE_HOME nor HOME is set")]
    NoHome,
}

/// Held while the process works in the directory.
pub struct Lock {
    _file: fs::File,
}

/// Where to reach a running `coffer dev`, for scripts.
#[derive(Serialize)]
pub struct Endpoints {
    pub api: String,
    pub auth_url: String,
    pub kafka: String,
    pub pid: u32,
}

impl StateDir {
    /// The directory of `coffer dev`: the named one, or the user's own.
    pub fn dev(named: Option<&Path>) -> Result<Self, StateDirError> {
        if let Some(path) = named {
            return Ok(Self(std::path::absolute(path).map_err(|error| StateDirError::Io(path.to_owned(), error))?));
        }
        if geteuid().is_root() {
            return Ok(Self("/var/lib/coffer-dev".into()));
        }
        let state_home = env::var_os("XDG_STATE_HOME")
            .map(PathBuf::from)
            .or_else(|| env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/state")))
            .ok_or(StateDirError::NoHome)?;
        Ok(Self(state_home.join("coffer-dev")))
    }

    pub fn at(path: PathBuf) -> Self {
        Self(path)
    }

    /// Makes the directory and takes its lock. Guests of root run as users of their own and pass through it.
    pub fn open(&self) -> Result<Lock, StateDirError> {
        let mode = if geteuid().is_root() { 0o711 } else { 0o700 };
        fs::DirBuilder::new().recursive(true).mode(mode).create(&self.0).map_err(|error| self.io(error))?;
        self.check_owner()?;
        fs::set_permissions(&self.0, fs::Permissions::from_mode(mode)).map_err(|error| self.io(error))?;
        let file = fs::File::create(self.0.join("lock")).map_err(|error| self.io(error))?;
        flock(&file, FlockOperation::NonBlockingLockExclusive).map_err(|_| StateDirError::Locked(self.0.clone()))?;
        Ok(Lock { _file: file })
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn store(&self) -> PathBuf {
        self.0.join("store")
    }

    /// Root of the provider `local`.
    pub fn local(&self) -> PathBuf {
        self.0.join("local")
    }

    /// Where agents read the address of the embedded broker.
    pub fn bootstrap(&self) -> PathBuf {
        self.0.join("kafka-bootstrap")
    }

    pub fn users(&self) -> PathBuf {
        self.0.join("users.json")
    }

    pub fn deployment_key(&self) -> PathBuf {
        self.0.join("deployment.key")
    }

    fn endpoints(&self) -> PathBuf {
        self.0.join("endpoints.json")
    }

    /// Says where the service is, for scripts.
    pub fn publish(&self, endpoints: &Endpoints) -> io::Result<()> {
        let temporary = self.0.join("endpoints.json.tmp");
        fs::write(&temporary, serde_json::to_vec_pretty(endpoints)?)?;
        fs::rename(temporary, self.endpoints())
    }

    /// The service is about to be gone.
    pub fn withdraw(&self) {
        if let Err(error) = fs::remove_file(self.endpoints()) {
            tracing::warn!(%error, "endpoints.json could not be removed");
        }
    }

    fn check_owner(&self) -> Result<(), StateDirError> {
        use std::os::unix::fs::MetadataExt;
        let owner = fs::metadata(&self.0).map_err(|error| self.io(error))?.uid();
        let own = geteuid().as_raw();
        if owner == own { Ok(()) } else { Err(StateDirError::Foreign(self.0.clone(), owner, own)) }
    }

    fn io(&self, error: io::Error) -> StateDirError {
        StateDirError::Io(self.0.clone(), error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_process_is_kept_out_until_the_first_is_gone() {
        let directory = tempfile::tempdir().unwrap();
        let state = StateDir::at(directory.path().join("deep/er"));
        let lock = state.open().unwrap();
        assert!(matches!(state.open(), Err(StateDirError::Locked(_))));
        drop(lock);
        state.open().unwrap();
    }
}

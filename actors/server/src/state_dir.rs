//! The one directory that everything of a host lives in, with the lock that keeps a second process out.

use std::{
    env, fs, io,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use rustix::{
    fs::{FlockOperation, Mode, flock},
    process::{geteuid, umask},
};
use serde::{Deserialize, Serialize};

/// What the marker file says to whoever finds it.
const MARKER_TEXT: &str = "This directory belongs to Coffer; `coffer dev-clean` removes it with all that is in it.\n";

/// Whoever only looks at a stopped Coffer holds its lock for a moment: worth waiting for.
const LOCK_WAIT: Duration = Duration::from_secs(1);
const LOCK_INTERVAL: Duration = Duration::from_millis(20);

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
    #[error("{0} holds other things than Coffer's state: name an empty directory, or one that does not exist")]
    NotOurs(PathBuf),
    #[error("a restore into {0} was interrupted: repeat it (coffer admin restore), or remove {0}/restore.partial")]
    Restoring(PathBuf),
    #[error("{0} is a directory of its own already, and cannot be {1}: move what is in it there, and remove it")]
    NotShared(PathBuf, PathBuf),
    #[error("name a --state-dir: neither XDG_STATE_HOME nor HOME is set")]
    NoHome,
}

/// Held while the process works in the directory.
pub struct Lock {
    _file: fs::File,
}

/// Where to reach a running `coffer dev`, for scripts.
#[derive(Serialize, Deserialize)]
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
        self.prepare()?;
        let deadline = Instant::now() + LOCK_WAIT;
        loop {
            match self.lock()? {
                Some(lock) => return Ok(lock),
                None if Instant::now() >= deadline => return Err(StateDirError::Locked(self.0.clone())),
                None => thread::sleep(LOCK_INTERVAL),
            }
        }
    }

    /// Takes the lock of a directory that is there and ours, and changes nothing else; `None` while a Coffer works in
    /// it.
    pub fn lock_existing(&self) -> Result<Option<Lock>, StateDirError> {
        self.check_owner()?;
        if !self.is_ours() {
            return Err(StateDirError::NotOurs(self.0.clone()));
        }
        self.lock()
    }

    fn lock(&self) -> Result<Option<Lock>, StateDirError> {
        let file = fs::File::create(self.0.join("lock")).map_err(|error| self.io(error))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Lock { _file: file })),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(self.io(error.into())),
        }
    }

    /// Makes the directory, or takes one that is ours already or empty. Guests of root pass through it.
    pub fn prepare(&self) -> Result<(), StateDirError> {
        let mode = if geteuid().is_root() { 0o711 } else { 0o700 };
        if let Some(parent) = self.0.parent() {
            // The way there is open to the guests, what is in it is not.
            fs::DirBuilder::new().recursive(true).mode(0o755).create(parent).map_err(|error| self.io(error))?;
        }
        // From here on, whatever is made is nobody else's to read unless it is said so where it is made.
        umask(Mode::RWXG | Mode::RWXO);
        match fs::DirBuilder::new().create(&self.0) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => self.check_ours()?,
            created => created.map_err(|error| self.io(error))?,
        }
        fs::set_permissions(&self.0, fs::Permissions::from_mode(mode)).map_err(|error| self.io(error))?;
        fs::write(self.marker(), MARKER_TEXT).map_err(|error| self.io(error))
    }

    /// Refuses a directory in which a restore was interrupted.
    pub fn check_not_restoring(&self) -> Result<(), StateDirError> {
        let is_interrupted = self.restoring().exists() && !self.store().exists();
        if is_interrupted { Err(StateDirError::Restoring(self.0.clone())) } else { Ok(()) }
    }

    /// Refuses a directory in which a restore was interrupted, and removes what a backup or a complete restore has left.
    pub fn check_restored(&self) -> Result<(), StateDirError> {
        self.check_not_restoring()?;
        for leftover in [self.restoring(), self.checkpoints()] {
            match fs::remove_dir_all(&leftover) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(self.io(error)),
                _ => {}
            }
        }
        Ok(())
    }

    fn marker(&self) -> PathBuf {
        self.0.join("coffer-state")
    }

    /// Whether this directory was made, or taken, by Coffer.
    pub fn is_ours(&self) -> bool {
        self.marker().exists()
    }

    /// A directory that somebody else uses is neither opened to guests nor ever removed.
    fn check_ours(&self) -> Result<(), StateDirError> {
        self.check_owner()?;
        let is_empty = fs::read_dir(&self.0).map_err(|error| self.io(error))?.next().is_none();
        if is_empty || self.is_ours() { Ok(()) } else { Err(StateDirError::NotOurs(self.0.clone())) }
    }

    /// How a command names this directory.
    pub fn words(&self) -> String {
        format!("--state-dir {}", self.0.display())
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

    /// Has [`Self::local`] be this directory, which other nodes on the host share.
    pub fn share_local(&self, directory: &Path) -> Result<(), StateDirError> {
        let local = self.local();
        match fs::read_link(&local) {
            Ok(target) if target == directory => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            _ => return Err(StateDirError::NotShared(local, directory.to_owned())),
        }
        std::os::unix::fs::symlink(directory, &local).map_err(|error| StateDirError::Io(local, error))
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

    /// Copies of the store on their way into an archive.
    pub fn checkpoints(&self) -> PathBuf {
        self.0.join("checkpoints")
    }

    /// What a restore puts together before any of it is put in place; it is there while a restore is under way, or
    /// was interrupted.
    pub fn restoring(&self) -> PathBuf {
        self.0.join("restore.partial")
    }

    /// What a running service, or one that was killed, has published.
    pub fn published(&self) -> Option<Endpoints> {
        serde_json::from_slice(&fs::read(self.endpoints()).ok()?).ok()
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
    fn a_directory_with_other_things_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("precious"), "").unwrap();
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let state = StateDir::at(directory.path().to_owned());
        assert!(matches!(state.open(), Err(StateDirError::NotOurs(_))));
        assert!(!state.is_ours());
        assert_eq!(fs::metadata(directory.path()).unwrap().permissions().mode() & 0o7777, 0o755);
    }

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

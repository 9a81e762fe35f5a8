//! Who the agent is: its key, and the highest epoch that it has obeyed. Both survive the agent.

use std::{
    io,
    path::PathBuf,
    sync::{Mutex, MutexGuard, PoisonError},
};

use coffer_protocol::{boot::FirstBoot, seal::Key};
use serde::{Deserialize, Serialize};

use crate::{host::files, volume::Volume};

/// Version of the stored document.
const VERSION: u16 = 1;

/// What is sealed with from now on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Current {
    pub key_id: String,
    pub key: Key,
    /// Highest epoch seen in a message that was sealed with our key.
    pub epoch: u64,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    version: u16,
    /// The key of the first-boot data that this state belongs to: another server on the same volume starts afresh.
    boot_key_id: String,
    #[serde(flatten)]
    current: Current,
}

/// The agent's key and epoch, shared by those who seal and open.
#[derive(Debug)]
pub struct Identity {
    path: PathBuf,
    boot_key_id: String,
    current: Mutex<Current>,
}

impl Identity {
    /// The identity stored on the volume if it is of this server incarnation, or the one of the first-boot data.
    ///
    /// # Errors
    /// When the stored identity cannot be read: guessing would mean to obey an old owner.
    pub fn open(volume: &Volume, boot: &FirstBoot) -> io::Result<Self> {
        let path = volume.agent_file("identity.json");
        let of_boot = Current { key_id: boot.key_id.clone(), key: boot.key.clone(), epoch: boot.epoch };
        let (current, is_stored) = match files::read_if_there(&path)? {
            None => (of_boot, false),
            Some(bytes) => {
                let stored: Stored = serde_json::from_slice(&bytes).map_err(|error| {
                    // Where, and not what stands there: it may be the key.
                    let (line, column) = (error.line(), error.column());
                    io::Error::other(format!("{} is damaged in line {line}, column {column}", path.display()))
                })?;
                if stored.boot_key_id == boot.key_id { (stored.current, true) } else { (of_boot, false) }
            }
        };
        let identity = Self { path, boot_key_id: boot.key_id.clone(), current: Mutex::new(current) };
        // Not again what is there: a full volume must not keep an agent from starting.
        if !is_stored {
            identity.store(&identity.current())?;
        }
        Ok(identity)
    }

    pub fn current(&self) -> Current {
        self.lock().clone()
    }

    /// Obeys none older than `epoch` from now on.
    ///
    /// # Errors
    /// When it cannot be stored. It holds for this agent's life all the same.
    pub fn raise_epoch(&self, epoch: u64) -> io::Result<()> {
        let mut current = self.lock();
        current.epoch = current.epoch.max(epoch);
        self.store(&current)
    }

    /// Seals and opens with this key from now on.
    ///
    /// # Errors
    /// When it cannot be stored; the old key then stays in force.
    pub fn rotate(&self, key_id: &str, key: &Key) -> io::Result<()> {
        let mut current = self.lock();
        let next = Current { key_id: key_id.to_owned(), key: key.clone(), epoch: current.epoch };
        self.store(&next)?;
        *current = next;
        Ok(())
    }

    fn store(&self, current: &Current) -> io::Result<()> {
        let stored = Stored { version: VERSION, boot_key_id: self.boot_key_id.clone(), current: current.clone() };
        files::write_durably(&self.path, &serde_json::to_vec(&stored)?)
    }

    /// No code that could panic runs under the lock in a way that leaves it half-changed.
    fn lock(&self) -> MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use coffer_protocol::boot::Bootstrap;

    use super::*;

    fn boot(key_id: &str, epoch: u64) -> FirstBoot {
        FirstBoot {
            version: coffer_protocol::VERSION,
            instance_id: "i".into(),
            tenant: "t".into(),
            key_id: key_id.into(),
            key: Key::from_bytes([1; 32]),
            cell: "0".into(),
            epoch,
            bootstrap: Bootstrap::Servers("127.0.0.1:1".into()),
            datastore: "mysql".into(),
            listen_address: "127.0.0.1".into(),
        }
    }

    #[test]
    fn a_rotated_key_and_a_raised_epoch_survive_the_agent() {
        let directory = tempfile::tempdir().unwrap();
        let volume = Volume::open(directory.path()).unwrap();
        let identity = Identity::open(&volume, &boot("k1", 3)).unwrap();
        identity.raise_epoch(7).unwrap();
        identity.raise_epoch(5).unwrap();
        identity.rotate("k2", &Key::from_bytes([2; 32])).unwrap();

        let next = Identity::open(&volume, &boot("k1", 3)).unwrap().current();
        assert_eq!(next, Current { key_id: "k2".into(), key: Key::from_bytes([2; 32]), epoch: 7 });
    }

    #[test]
    fn another_server_on_the_same_volume_takes_its_own_first_boot_data() {
        let directory = tempfile::tempdir().unwrap();
        let volume = Volume::open(directory.path()).unwrap();
        Identity::open(&volume, &boot("k1", 9)).unwrap();
        let next = Identity::open(&volume, &boot("k9", 4)).unwrap().current();
        assert_eq!((next.key_id.as_str(), next.epoch), ("k9", 4));
    }

    #[test]
    fn a_damaged_identity_is_not_guessed() {
        let directory = tempfile::tempdir().unwrap();
        let volume = Volume::open(directory.path()).unwrap();
        std::fs::write(volume.agent_file("identity.json"), "{").unwrap();
        assert!(Identity::open(&volume, &boot("k1", 1)).unwrap_err().to_string().contains("identity.json"));
    }
}

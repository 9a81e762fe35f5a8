//! What an engine was prepared as. It is kept on the volume, so that a restarted agent needs nobody to ask.

use std::io;

use coffer_protocol::command::Prepare;
use serde::{Deserialize, Serialize};

use crate::{host::files, volume::Volume};

/// The lasting part of a `prepare` command, without its databases, users and their passwords.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    pub datastore_version: String,
    pub memory_mib: u64,
    pub vcpus: u32,
    pub volume_gib: u32,
}

impl From<&Prepare> for Settings {
    fn from(prepare: &Prepare) -> Self {
        Self {
            datastore_version: prepare.datastore_version.clone(),
            memory_mib: prepare.memory_mib,
            vcpus: prepare.vcpus,
            volume_gib: prepare.volume_gib,
        }
    }
}

const FILE: &str = "prepared.json";
const VERSION: u16 = 1;

#[derive(Serialize, Deserialize)]
struct Stored {
    version: u16,
    #[serde(flatten)]
    settings: Settings,
}

/// The settings stored on the volume; `None` when nothing was prepared yet.
pub fn load(volume: &Volume) -> io::Result<Option<Settings>> {
    let path = volume.agent_file(FILE);
    let Some(bytes) = files::read_if_there(&path)? else { return Ok(None) };
    let stored: Stored = serde_json::from_slice(&bytes)
        .map_err(|error| io::Error::other(format!("{} is damaged: {error}", path.display())))?;
    Ok(Some(stored.settings))
}

/// Stores the settings durably.
pub fn store(volume: &Volume, settings: &Settings) -> io::Result<()> {
    let stored = Stored { version: VERSION, settings: settings.clone() };
    files::write_durably(&volume.agent_file(FILE), &serde_json::to_vec(&stored)?)
}

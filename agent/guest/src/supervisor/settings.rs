//! What an engine was prepared as, and whether it is to run. It is kept on the volume, so that a restarted agent needs nobody to ask.

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
    /// It is not to run until it is told to.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stopped: bool,
}

impl From<&Prepare> for Settings {
    fn from(prepare: &Prepare) -> Self {
        Self {
            datastore_version: prepare.datastore_version.clone(),
            memory_mib: prepare.memory_mib,
            vcpus: prepare.vcpus,
            volume_gib: prepare.volume_gib,
            stopped: false,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_earlier_agent_has_prepared_is_to_run() {
        let text = r#"{"version":1,"datastore_version":"10.11","memory_mib":512,"vcpus":1,"volume_gib":2}"#;
        let stored: Stored = serde_json::from_str(text).unwrap();
        assert!(!stored.settings.stopped);
        assert_eq!(serde_json::to_string(&stored).unwrap(), text, "an earlier agent can read it");
    }
}

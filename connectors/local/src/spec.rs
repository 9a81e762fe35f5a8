//! What is to run: the one thing that provider and supervisor tell each other.

use std::{fs, path::Path};

use coffer_ports::Result;
use serde::{Deserialize, Serialize};

use crate::{
    error::OrFail,
    files::{read_json, write_json},
    layout::{InstanceId, Layout},
};

/// Version of the records under the root directory.
pub(crate) const RECORD_VERSION: u16 = 1;

/// `server.json`. It holds no secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ServerSpec {
    pub version: u16,
    pub tenant: String,
    pub desired: Desired,
    pub flavor_id: String,
    pub vcpus: u32,
    pub memory_mib: u64,
    pub address: String,
    pub volume_id: String,
    /// User and group that the guest's processes run as; our own when absent.
    pub uid: Option<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Desired {
    Running,
    /// All processes are to end, then the server's directory goes.
    Absent,
}

/// What every record says.
#[derive(Deserialize)]
pub(crate) struct Owned {
    pub tenant: String,
}

impl ServerSpec {
    /// `None` when there is no server, or only the beginning of one.
    pub(crate) fn read(layout: &Layout, instance: InstanceId) -> Result<Option<Self>> {
        read_json(&layout.server_spec(instance))
    }

    pub(crate) fn write(&self, layout: &Layout, instance: InstanceId) -> Result<()> {
        write_json(&layout.server_spec(instance), self, 0o600)
    }
}

/// The instances that have an entry in `directory`: one named by their id, before the first dot.
pub(crate) fn instances_in(directory: &Path) -> Result<Vec<InstanceId>> {
    let mut instances = Vec::new();
    for entry in fs::read_dir(directory).or_fail("list", directory)? {
        let name = entry.or_fail("list", directory)?.file_name();
        let name = name.to_string_lossy();
        let stem = name.split_once('.').map_or(&*name, |(stem, _)| stem);
        instances.extend(InstanceId::parse(stem).ok());
    }
    instances.sort_unstable();
    Ok(instances)
}

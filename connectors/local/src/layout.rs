//! Names under the root directory. Instance ids are checked before they become part of a path.

use std::path::{Path, PathBuf};

use coffer_ports::{Error, ErrorKind, Result};
use uuid::Uuid;

/// An instance id that is safe in a path: a UUID in its canonical form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct InstanceId(Uuid);

impl InstanceId {
    /// Errors: `Invalid` for anything but a lower-case, hyphenated UUID.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let parsed = Uuid::try_parse(text).ok().filter(|id| id.hyphenated().to_string() == text);
        parsed.map(Self).ok_or_else(|| {
            let message = format!("instance id {text:?} is not a lower-case, hyphenated UUID");
            Error::new(ErrorKind::Invalid, "local.bad_instance_id", message)
        })
    }
}

impl std::fmt::Display for InstanceId {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.hyphenated().fmt(formatter)
    }
}

/// Where everything is.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    root: PathBuf,
}

impl Layout {
    /// `root` is absolute.
    pub(crate) fn new(root: PathBuf) -> Self {
        Self { root }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn programs(&self) -> PathBuf {
        self.root.join("bin")
    }

    pub(crate) fn agent_program(&self) -> PathBuf {
        self.programs().join("coffer-agent")
    }

    pub(crate) fn addresses(&self) -> PathBuf {
        self.root.join("addresses")
    }

    pub(crate) fn address(&self, instance: InstanceId) -> PathBuf {
        self.addresses().join(format!("{instance}.json"))
    }

    pub(crate) fn volumes(&self) -> PathBuf {
        self.root.join("volumes")
    }

    pub(crate) fn volume(&self, instance: InstanceId) -> PathBuf {
        self.volumes().join(instance.to_string())
    }

    pub(crate) fn volume_record(&self, instance: InstanceId) -> PathBuf {
        self.volume(instance).join("volume.json")
    }

    pub(crate) fn data(&self, instance: InstanceId) -> PathBuf {
        self.volume(instance).join("data")
    }

    /// The agent holds a lock on it for its whole life.
    pub(crate) fn agent_lock(&self, instance: InstanceId) -> PathBuf {
        self.data(instance).join("agent.lock")
    }

    pub(crate) fn servers(&self) -> PathBuf {
        self.root.join("servers")
    }

    pub(crate) fn server(&self, instance: InstanceId) -> PathBuf {
        self.servers().join(instance.to_string())
    }

    /// A server's directory on its way out: nothing refers to it any more.
    pub(crate) fn removed_server(&self, instance: InstanceId) -> PathBuf {
        self.servers().join(format!(".removed-{instance}"))
    }

    pub(crate) fn server_spec(&self, instance: InstanceId) -> PathBuf {
        self.server(instance).join("server.json")
    }

    pub(crate) fn first_boot(&self, instance: InstanceId) -> PathBuf {
        self.server(instance).join("boot.json")
    }

    pub(crate) fn agent_log(&self, instance: InstanceId) -> PathBuf {
        self.server(instance).join("agent.log")
    }

    pub(crate) fn changes_lock(&self) -> PathBuf {
        self.root.join("changes.lock")
    }

    pub(crate) fn supervisor_lock(&self) -> PathBuf {
        self.root.join("supervisor.lock")
    }

    pub(crate) fn supervisor_fifo(&self) -> PathBuf {
        self.root.join("supervisor.fifo")
    }

    pub(crate) fn supervisor_log(&self) -> PathBuf {
        self.root.join("supervisor.log")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_canonical_uuids_become_paths() {
        let id = "0b9ff7a5-5a1a-4f6e-8a53-6f9fbb1a3f0e";
        assert_eq!(InstanceId::parse(id).expect("a UUID").to_string(), id);
        for bad in ["", "..", "../../etc", "0B9FF7A5-5A1A-4F6E-8A53-6F9FBB1A3F0E", "0b9ff7a55a1a4f6e8a536f9fbb1a3f0e"] {
            assert_eq!(InstanceId::parse(bad).expect_err(bad).code, "local.bad_instance_id");
        }
    }
}

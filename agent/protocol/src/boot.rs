//! What a guest is handed once, at first boot (user data of a VM, a 0400 file of a local guest).

use serde::{Deserialize, Serialize};

use crate::seal::Key;

/// The first-boot data of one server incarnation, as JSON. It is secret as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FirstBoot {
    /// Version of this document: [`crate::VERSION`].
    pub version: u16,
    pub instance_id: String,
    /// Key of the agent's telemetry records.
    pub tenant: String,
    /// Names the key below, and this incarnation of the server.
    pub key_id: String,
    pub key: Key,
    /// Topic of the agent's commands: [`crate::topics::agents`].
    pub cell: String,
    /// Epoch of the owner that ordered the server; the agent obeys none older.
    pub epoch: u64,
    pub bootstrap: Bootstrap,
    /// Manager of the datastore that this guest is to run, for example `mysql`.
    pub datastore: String,
    /// Address that the engine listens on, with the engine's default port.
    pub listen_address: String,
}

/// Where the broker is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bootstrap {
    /// Kafka's `bootstrap.servers`.
    Servers(String),
    /// A file that holds them, read again whenever it changes: an embedded broker has a new port at each start.
    File(String),
}

//! Things to do outside, as data. The runtime does them after the commit, at least once.

use std::collections::{BTreeMap, BTreeSet};

use coffer_protocol::report::Inventory;
use serde::{Deserialize, Serialize};

use super::state::{ResourceAddress, UserKey};
use crate::{
    catalogue::Flavor,
    command::{NewDatabase, NewPassword, NewUser, UserChange},
    ids::{EffectId, InstanceId, TenantId},
    sealed::{Sealed, ServerKey},
    time::{Millis, Timestamp},
};

/// One thing to do outside. It has exactly one outcome; a timer outlives it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Effect {
    pub id: EffectId,
    pub tenant: TenantId,
    pub instance: InstanceId,
    /// How long the attempt may take before whoever carries it out gives up.
    pub deadline: Millis,
    pub action: Action,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum Action {
    EnsureAddress,
    EnsureVolume {
        size_gib: u32,
        volume_type: Option<String>,
    },
    EnsureServer(Box<ServerOrder>),
    /// The volume is to be at least this large.
    GrowVolume {
        size_gib: u32,
    },
    MeasureVolume,
    /// The server is to have this flavor.
    ResizeServer {
        flavor: Flavor,
    },
    DeleteServer,
    DeleteVolume,
    ReleaseAddress,
    /// For the agent in the guest.
    Agent(Box<AgentOrder>),
}

impl Action {
    /// Stable name, for metrics and logs.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::EnsureAddress => "ensure_address",
            Self::EnsureVolume { .. } => "ensure_volume",
            Self::EnsureServer(_) => "ensure_server",
            Self::GrowVolume { .. } => "grow_volume",
            Self::MeasureVolume => "measure_volume",
            Self::ResizeServer { .. } => "resize_server",
            Self::DeleteServer => "delete_server",
            Self::DeleteVolume => "delete_volume",
            Self::ReleaseAddress => "release_address",
            Self::Agent(_) => "agent",
        }
    }
}

/// A server, with all that its first boot needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerOrder {
    pub flavor: Flavor,
    pub address: ResourceAddress,
    pub volume: String,
    pub server_key: ServerKey,
    pub manager: String,
}

/// A command for the agent, before its secrets are opened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentOrder {
    /// The key that the agent's messages are sealed with.
    pub server_key: ServerKey,
    pub issued_at: Timestamp,
    /// An earlier attempt may have been carried out in part: what is already as ordered counts as done.
    pub converge: bool,
    pub verb: AgentVerb,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verb", rename_all = "snake_case")]
pub enum AgentVerb {
    Prepare {
        datastore_version: String,
        memory_mib: u64,
        vcpus: u32,
        volume_gib: u32,
        databases: Vec<NewDatabase>,
        users: Vec<NewUser>,
        /// Values that the engine is started with, in its words.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        values: BTreeMap<String, String>,
    },
    Restart,
    /// Stop the engine until it is told to start.
    Stop,
    /// Size the engine for this much, and start it anew.
    Resize {
        memory_mib: u64,
        vcpus: u32,
    },
    /// The volume has grown to this size.
    GrowVolume {
        volume_gib: u32,
    },
    CreateDatabases {
        databases: Vec<NewDatabase>,
    },
    DropDatabase {
        name: String,
    },
    CreateUsers {
        users: Vec<NewUser>,
    },
    DropUser {
        user: UserKey,
    },
    EnableRoot {
        password: Sealed,
    },
    DisableRoot,
    Grant {
        user: UserKey,
        databases: BTreeSet<String>,
    },
    Revoke {
        user: UserKey,
        database: String,
    },
    ChangeUser {
        user: UserKey,
        change: UserChange,
    },
    ChangePasswords {
        users: Vec<NewPassword>,
    },
    /// Have the engine run with these values besides its defaults, and no others.
    Configure {
        number: u64,
        /// In the engine's words.
        values: BTreeMap<String, String>,
    },
}

/// How an effect ended.
pub type Outcome = Result<Produced, Failure>;

/// What a successful effect has to tell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "produced", rename_all = "snake_case")]
pub enum Produced {
    Nothing,
    Address(ResourceAddress),
    Volume {
        id: String,
    },
    Server {
        id: String,
    },
    /// How large the volume is.
    VolumeSize {
        size_gib: u32,
    },
    /// The engine is configured; whether some of it counts only once it was started anew.
    Configured {
        restart_required: bool,
    },
}

/// Why an effect failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Whether another attempt may succeed.
    pub retryable: bool,
    /// Stable word for operators.
    pub code: String,
    /// One sentence for people.
    pub message: String,
    pub retry_after: Option<Millis>,
}

/// What changes among the outstanding effects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EffectChange {
    Dispatch(Effect),
    /// It is not needed any more, or its outcome has arrived.
    Withdraw(EffectId),
}

/// Names a timer within its instance.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "timer", rename_all = "snake_case")]
pub enum TimerId {
    /// The effect should have ended by now.
    Deadline { effect: EffectId },
    /// Time for the next attempt at this command's current step, or at its task.
    Retry { command: crate::ids::CommandId },
    /// The agent should have spoken by now.
    Agent { command: crate::ids::CommandId },
}

/// A durable timer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timer {
    pub id: TimerId,
    pub due: Timestamp,
    /// After a take-over it fires no sooner than this: a control plane that was away raises no alarm by itself.
    pub grace: Millis,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TimerChange {
    Set(Timer),
    Cancel(TimerId),
}

/// A change in what is known of the guest. Heartbeats are folded before they become one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "observed", rename_all = "snake_case")]
pub enum Observation {
    /// The agent speaks and says this of its engine.
    Heard { engine: coffer_protocol::report::EngineState },
    /// Nothing was heard for [`super::policy::SILENCE`].
    Silent,
    /// Gauges, at most every [`super::policy::GAUGES_INTERVAL`].
    Gauges { volume_used_bytes: Option<u64> },
    /// Whether the engine has values that count only once it was started anew.
    RestartRequired { required: bool },
    /// What is in the engine.
    Inventory(Inventory),
}

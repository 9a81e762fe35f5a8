//! The state of one instance: what is wanted, what is there, and what is being done about the difference.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use coffer_protocol::report::EngineState;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::workflow::Step;
use crate::{
    catalogue::Flavor,
    command::{Access, NewPassword, UserChange},
    configuration::Values,
    ids::{CommandId, EffectId, GroupId, InstanceId, TenantId},
    quota::Charge,
    sealed::{Sealed, ServerKey},
    time::Timestamp,
};

/// One instance. It comes into being with the event `created` and is gone with `removed`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Instance {
    pub id: InstanceId,
    pub tenant: TenantId,
    pub name: String,
    pub created_at: Timestamp,
    /// When a command or an operation last changed it; health does not count.
    pub updated_at: Timestamp,
    pub datastore: InstanceDatastore,
    pub flavor: Flavor,
    pub volume_gib: u32,
    pub volume_type: Option<String>,
    pub region: Option<String>,
    pub access: Access,
    pub server_key: ServerKey,
    /// What is outside under our name, as far as it was told us. Undo does not rely on it: it asks by name.
    pub resources: Resources,
    /// At most one at a time.
    pub operation: Option<Operation>,
    /// Sizes that were asked for and that the instance is not known to have.
    #[serde(default, skip_serializing_if = "Resize::is_none")]
    pub resize: Resize,
    /// Small jobs of the agent, side by side with no operation; at most [`super::policy::MAX_TASKS`].
    pub tasks: BTreeMap<CommandId, Task>,
    pub health: Health,
    /// What went wrong last, in words for the tenant.
    pub fault: Option<Fault>,
    /// The last operation failed for good: all that is left to do is delete.
    pub broken: bool,
    pub databases: BTreeMap<String, Presence>,
    #[serde(with = "user_map")]
    pub users: BTreeMap<UserKey, UserState>,
    /// When root was last enabled, unless it was disabled since.
    pub root_enabled_at: Option<Timestamp>,
    /// Who enabled root and when, the last [`super::policy::MAX_ROOT_HISTORY`] times; disabling does not shorten it.
    #[serde(default)]
    pub root_history: Vec<RootEnabled>,
    /// A delete does not wait for ever: what it cannot remove it tells of and leaves.
    #[serde(default)]
    pub delete_is_forced: bool,
    #[serde(default, skip_serializing_if = "Configuration::is_none")]
    pub configuration: Configuration,
    /// The engine has values that count only once it was started anew.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub restart_required: bool,
}

/// What the engine is to run with besides its defaults.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Configuration {
    /// The group that it is attached to; its values follow those of the group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<AttachedGroup>,
    #[serde(default, skip_serializing_if = "Values::is_empty")]
    pub values: Values,
    /// Grows with each change of the values: the agent takes no older ones.
    pub number: u64,
    /// Who asked for the last change of the values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<CommandId>,
    pub standing: Standing,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttachedGroup {
    pub id: GroupId,
    pub name: String,
}

/// How far a configuration has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// The engine has it.
    #[default]
    Applied,
    /// The agent is to be told as soon as it and the engine are there, or is being told.
    Waiting,
    /// The agent could not apply it: the engine runs with what it had.
    Refused,
}

impl Configuration {
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// One time that root was enabled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootEnabled {
    /// Who asked for it: the command's principal.
    pub user: String,
    pub enabled_at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceDatastore {
    pub name: String,
    pub version_id: Uuid,
    pub version_name: String,
    pub version_number: String,
    pub manager: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resources {
    pub address: Option<ResourceAddress>,
    pub volume: Option<String>,
    pub server: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResourceAddress {
    pub ip: String,
    pub network_id: Option<String>,
}

/// A running workflow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operation {
    pub kind: OperationKind,
    /// The command that asked for it.
    pub command: CommandId,
    pub request_id: String,
    pub started_at: Timestamp,
    pub step: Step,
    /// Counts from 1 within the step.
    pub attempt: u32,
    pub waiting: Waiting,
    /// What the first effects need besides the state; gone when the workflow ends.
    pub first_contents: FirstContents,
    /// Why a resize is being taken back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub because: Option<Fault>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OperationKind {
    Create,
    Delete,
    Restart,
    Stop,
    /// Takes away what a failed create has left; ends in ERROR.
    CleanUp,
    /// Waits for what an abandoned operation has under way outside. Nothing is made or taken away.
    Reset,
    ResizeVolume,
    ResizeFlavor,
    /// Finds out which size the volume has after a failed growth: a volume cannot shrink.
    UndoResizeVolume,
    /// Goes back to the flavor that the instance had.
    UndoResizeFlavor,
}

/// What a step waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "for", rename_all = "snake_case")]
pub enum Waiting {
    /// The outcome of this effect.
    Effect { effect: EffectId },
    /// The next attempt.
    Backoff,
    /// The agent's first word.
    Agent,
}

/// Databases and users ordered with the instance.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FirstContents {
    pub databases: Vec<crate::command::NewDatabase>,
    pub users: Vec<crate::command::NewUser>,
}

/// A command that the agent carries out beside the lifecycle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    pub kind: TaskKind,
    pub started_at: Timestamp,
    /// Counts from 1.
    pub attempt: u32,
    /// The outstanding effect; absent between two attempts.
    pub effect: Option<EffectId>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "task", rename_all = "snake_case")]
pub enum TaskKind {
    CreateDatabases {
        databases: Vec<crate::command::NewDatabase>,
    },
    DropDatabase {
        name: String,
    },
    CreateUsers {
        users: Vec<crate::command::NewUser>,
    },
    DropUser {
        user: UserKey,
    },
    EnableRoot {
        password: Sealed,
        /// Who asked for it.
        #[serde(default)]
        user: String,
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
    /// Apply the configuration; at most one at a time.
    Configure {
        /// [`Configuration::number`] when it was started.
        number: u64,
    },
}

/// Whether a database or user is in the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Presence {
    /// Ordered; the engine has not confirmed it.
    Creating,
    Present,
    /// In the engine; a user's rights, name or password are being changed.
    Changing,
    /// To be dropped; the engine has not confirmed it.
    Dropping,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct UserKey {
    pub name: String,
    pub host: String,
}

impl fmt::Display for UserKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}@{}", self.name, self.host)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserState {
    pub presence: Presence,
    pub databases: BTreeSet<String>,
}

/// What the agent last told, folded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Health {
    pub contact: AgentContact,
    pub engine: EngineState,
    /// When `contact` or `engine` last changed.
    pub changed_at: Timestamp,
    /// When the gauges below were last taken over.
    pub gauges_at: Timestamp,
    pub volume_used_bytes: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AgentContact {
    Heard,
    Silent,
}

/// What went wrong, in words for the tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    pub message: String,
    pub at: Timestamp,
    /// Step, code and the outside's own words.
    pub details: String,
}

/// What is wanted of a resize. It stays when neither the resize nor its undo came to a good end: outside may be either
/// size then, and whoever asks again makes it clear.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resize {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flavor: Option<Flavor>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volume_gib: Option<u32>,
}

impl Resize {
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

impl Instance {
    /// What it takes of the tenant's quota, from `created` to `removed`: during a resize the larger of both sizes.
    pub fn charge(&self) -> Charge {
        Charge {
            instances: 1,
            volume_gib: u64::from(self.volume_gib.max(self.wanted_volume_gib())),
            memory_mib: self.flavor.memory_mib.max(self.wanted_flavor().memory_mib),
        }
    }

    /// The flavor that it is to have.
    pub fn wanted_flavor(&self) -> &Flavor {
        self.resize.flavor.as_ref().unwrap_or(&self.flavor)
    }

    /// The volume's size that it is to have, in GiB.
    pub fn wanted_volume_gib(&self) -> u32 {
        self.resize.volume_gib.unwrap_or(self.volume_gib)
    }
}

/// JSON has no keys but strings: users are stored as a list.
mod user_map {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::{UserKey, UserState};

    #[derive(Serialize, Deserialize)]
    struct Row {
        #[serde(flatten)]
        key: UserKey,
        #[serde(flatten)]
        state: UserState,
    }

    pub fn serialize<S: Serializer>(users: &BTreeMap<UserKey, UserState>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(users.iter().map(|(key, state)| Row { key: key.clone(), state: state.clone() }))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<UserKey, UserState>, D::Error> {
        let rows = Vec::<Row>::deserialize(deserializer)?;
        Ok(rows.into_iter().map(|row| (row.key, row.state)).collect())
    }
}

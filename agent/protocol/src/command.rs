//! What the control plane asks of an agent (the plaintext of an envelope `to_agent`).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{question::Question, seal::Key, secret::Secret};

/// A message to an agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ToAgent {
    /// Opens a session: from now on only reports that name `session` count. The agent answers with a heartbeat.
    Challenge { session: String },
    /// Something to do, once. The same `command_id` may arrive again: the agent then answers from its journal.
    Command {
        command_id: String,
        /// When the control plane ordered it, Unix time in ms. An agent whose journal no longer reaches back that
        /// far refuses the command instead of risking to do it twice.
        issued_at_ms: i64,
        /// An earlier attempt under another id may have been carried out in part: what is already there, or already
        /// gone, counts as done.
        #[serde(default)]
        converge: bool,
        command: AgentCommand,
    },
}

/// The verbs. An agent that does not know one answers [`crate::report::Failure`] with code `unsupported`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verb", rename_all = "snake_case")]
pub enum AgentCommand {
    /// Initialise the engine's data on the volume, start it, and create these databases and users.
    Prepare(Prepare),
    /// Stop the engine in an orderly way and start it again.
    Restart,
    /// Stop the engine in an orderly way. It stays stopped, also when the agent is started anew, until it is restarted, resized
    /// or prepared.
    Stop,
    /// Size the engine for this much memory and so many processors, and start it anew in an orderly way. Its data stay.
    Resize {
        memory_mib: u64,
        vcpus: u32,
    },
    /// The data volume has grown: take up its new size. The engine goes on.
    GrowVolume {
        /// GiB.
        volume_gib: u32,
    },
    CreateDatabases {
        databases: Vec<Database>,
    },
    DropDatabase {
        name: String,
    },
    CreateUsers {
        users: Vec<User>,
    },
    DropUser {
        name: String,
        host: String,
    },
    /// Give the engine's superuser this password and let it log in from anywhere.
    EnableRoot {
        password: Secret,
    },
    /// End all that the engine's superuser may do from outside, and its connections.
    DisableRoot,
    /// Give a user all rights on these databases, besides those that it has.
    Grant {
        name: String,
        host: String,
        databases: Vec<String>,
    },
    /// Take all rights of a user on a database.
    Revoke {
        name: String,
        host: String,
        database: String,
    },
    /// Change a user; it keeps its rights, and what is absent.
    ChangeUser(UserChange),
    ChangePasswords {
        users: Vec<NewPassword>,
    },
    /// Have the engine run with these values besides its defaults, and no others; they outlive restarts. What can be set at
    /// once is, and is read back; the rest counts from the engine's next start. A value that the engine refuses leaves
    /// everything as it was.
    Configure(Configure),
    /// Use this key from the next message on, in both directions.
    Rotate {
        key_id: String,
        key: Key,
    },
    /// Answer with [`crate::report::Report::Answer`], at once: nothing changes, and nothing is recorded. The answer is sent
    /// once; an agent that does not know the verb answers as to any other.
    Tell {
        question: Question,
    },
}

impl AgentCommand {
    /// The verb as it stands on the wire; for logs and metrics.
    pub fn verb(&self) -> &'static str {
        match self {
            Self::Prepare(_) => "prepare",
            Self::Restart => "restart",
            Self::Stop => "stop",
            Self::Resize { .. } => "resize",
            Self::GrowVolume { .. } => "grow_volume",
            Self::CreateDatabases { .. } => "create_databases",
            Self::DropDatabase { .. } => "drop_database",
            Self::CreateUsers { .. } => "create_users",
            Self::DropUser { .. } => "drop_user",
            Self::EnableRoot { .. } => "enable_root",
            Self::DisableRoot => "disable_root",
            Self::Grant { .. } => "grant",
            Self::Revoke { .. } => "revoke",
            Self::ChangeUser(_) => "change_user",
            Self::ChangePasswords { .. } => "change_passwords",
            Self::Configure(_) => "configure",
            Self::Rotate { .. } => "rotate",
            Self::Tell { .. } => "tell",
        }
    }
}

/// What the engine is to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prepare {
    /// Version of the datastore, for example `10.11`.
    pub datastore_version: String,
    /// Memory of the flavor, in MiB: the engine's buffers are sized from it.
    pub memory_mib: u64,
    pub vcpus: u32,
    /// Size of the volume, in GiB.
    pub volume_gib: u32,
    pub databases: Vec<Database>,
    pub users: Vec<User>,
    /// Values that the engine is started with, as in [`Configure`], which follows. An agent that does not know it starts the
    /// engine without them, and refuses what follows.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub values: BTreeMap<String, String>,
}

/// What an engine is to run with besides its defaults.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Configure {
    /// Grows with each change: one that is older than what the agent has is nothing to do any more.
    pub number: u64,
    /// By the names of the engine's parameters, in the engine's words.
    pub values: BTreeMap<String, String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Database {
    pub name: String,
    /// The engine's default when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub character_set: Option<String>,
    /// The character set's default when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collate: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    pub name: String,
    /// Host pattern from which the user may log in; `%` for anywhere.
    pub host: String,
    pub password: Secret,
    /// Databases that the user is given all rights on.
    pub databases: Vec<String>,
}

/// A user, and what is to be different about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserChange {
    pub name: String,
    pub host: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new_name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new_host: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new_password: Option<Secret>,
}

impl UserChange {
    /// Name and host that the user has in the end.
    pub fn account(&self) -> (&str, &str) {
        (self.new_name.as_deref().unwrap_or(&self.name), self.new_host.as_deref().unwrap_or(&self.host))
    }

    /// Whether name or host are to be others.
    pub fn is_renaming(&self) -> bool {
        self.account() != (self.name.as_str(), self.host.as_str())
    }
}

/// Another password for a user that is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewPassword {
    pub name: String,
    pub host: String,
    pub password: Secret,
}

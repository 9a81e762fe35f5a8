//! What can be asked of the control plane, and the envelope that it comes in.
//!
//! The JSON form of [`Envelope`] is what stands on the topic `coffer.commands` and in the store; golden files hold
//! it. A password can only be expressed sealed, so none can be put on a topic in clear.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    configuration::Values,
    ids::{CommandId, GroupId, InstanceId, TenantId},
    quota::OwnLimits,
    sealed::{Sealed, ServerKey},
    time::Timestamp,
};

/// Version of [`Envelope`] that this build writes.
pub const ENVELOPE_VERSION: u16 = 1;

/// A command with its origin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    /// [`ENVELOPE_VERSION`].
    pub version: u16,
    /// Names this command for ever: the same id again gets the first answer again.
    pub command_id: CommandId,
    pub tenant: TenantId,
    /// Who asks: a user id, or the name of a producer.
    pub principal: String,
    /// Correlation only: `X-Openstack-Request-Id`.
    pub request_id: String,
    pub issued_at: Timestamp,
    /// What it is about: an instance, or the configuration group for [`Command::is_of_group`]. For a create from a topic:
    /// [`InstanceId::of_outside_create`].
    pub instance: InstanceId,
    pub command: Command,
    /// What whoever sends the same request again is answered; only the API can read it. It is kept with the command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Sealed>,
}

/// The verbs on an instance, on a configuration group, and on what a tenant may have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verb", rename_all = "snake_case")]
pub enum Command {
    Create(Box<Create>),
    /// Ends the instance and frees all that it has, at any time.
    Delete,
    /// Restarts the engine, also one that was stopped.
    Restart,
    /// Stops the engine until it is restarted. For operators.
    Stop,
    /// Grows the data volume; it never shrinks.
    ResizeVolume {
        volume_gib: u32,
    },
    /// Gives the instance another flavor; the engine restarts with it.
    ResizeFlavor {
        /// Id of the flavor.
        flavor: String,
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
        name: String,
        host: String,
    },
    /// Gives the engine's superuser a password and lets it log in from anywhere.
    EnableRoot {
        password: Sealed,
    },
    /// Ends all that the engine's superuser may do from outside.
    DisableRoot,
    /// Gives a user all rights on these databases, besides those that it has.
    Grant {
        name: String,
        host: String,
        databases: BTreeSet<String>,
    },
    /// Takes a user's rights on a database.
    Revoke {
        name: String,
        host: String,
        database: String,
    },
    ChangeUser {
        name: String,
        host: String,
        change: UserChange,
    },
    ChangePasswords {
        users: Vec<NewPassword>,
    },
    /// Gives the instance another name.
    Rename {
        name: String,
    },
    /// Gives up on what the instance is doing. An instance that is left in ERROR by it is deleted by force from then
    /// on, any other one if `force_delete` says so: what cannot be removed is then told of and left.
    ResetStatus {
        #[serde(default)]
        force_delete: bool,
    },
    /// Has the engine run with a group's values, and follow their changes.
    AttachConfiguration {
        group: GroupId,
    },
    /// Has the engine run with its defaults again.
    DetachConfiguration,
    CreateConfiguration(Box<NewConfiguration>),
    /// Sets these values, besides those that the group has.
    PatchConfiguration {
        values: Values,
    },
    /// Gives the group exactly these values, another name or description; what is absent stays.
    ReplaceConfiguration {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        description: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        values: Option<Values>,
    },
    /// Ends a group that no instance is attached to.
    DeleteConfiguration,
    /// Sets what the tenant may have. It is about no instance: the envelope names the nil UUID.
    SetQuota {
        limits: OwnLimits,
    },
}

impl Command {
    /// The verb as it stands on the wire; for logs and metrics.
    pub fn verb(&self) -> &'static str {
        match self {
            Self::Create(_) => "create",
            Self::Delete => "delete",
            Self::Restart => "restart",
            Self::Stop => "stop",
            Self::ResizeVolume { .. } => "resize_volume",
            Self::ResizeFlavor { .. } => "resize_flavor",
            Self::CreateDatabases { .. } => "create_databases",
            Self::DropDatabase { .. } => "drop_database",
            Self::CreateUsers { .. } => "create_users",
            Self::DropUser { .. } => "drop_user",
            Self::EnableRoot { .. } => "enable_root",
            Self::DisableRoot => "disable_root",
            Self::Grant { .. } => "grant",
            Self::Revoke { .. } => "revoke",
            Self::ChangeUser { .. } => "change_user",
            Self::ChangePasswords { .. } => "change_passwords",
            Self::Rename { .. } => "rename",
            Self::ResetStatus { .. } => "reset_status",
            Self::AttachConfiguration { .. } => "attach_configuration",
            Self::DetachConfiguration => "detach_configuration",
            Self::CreateConfiguration(_) => "create_configuration",
            Self::PatchConfiguration { .. } => "patch_configuration",
            Self::ReplaceConfiguration { .. } => "replace_configuration",
            Self::DeleteConfiguration => "delete_configuration",
            Self::SetQuota { .. } => "set_quota",
        }
    }

    /// Whether it is about a configuration group and not about an instance.
    pub fn is_of_group(&self) -> bool {
        matches!(
            self,
            Self::CreateConfiguration(_)
                | Self::PatchConfiguration { .. }
                | Self::ReplaceConfiguration { .. }
                | Self::DeleteConfiguration
        )
    }

    /// Whether it is about the tenant, and not about an instance or a group.
    pub fn is_of_tenant(&self) -> bool {
        matches!(self, Self::SetQuota { .. })
    }

    /// The group whose values an instance is to run with.
    pub fn wanted_group(&self) -> Option<GroupId> {
        match self {
            Self::Create(order) => order.configuration,
            Self::AttachConfiguration { group } => Some(*group),
            _ => None,
        }
    }
}

/// An order for an instance. The client's words are already resolved against the catalogue by id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Create {
    pub name: String,
    pub flavor: String,
    /// Size of the data volume in GiB.
    pub volume_gib: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volume_type: Option<String>,
    /// The default version of the default datastore when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub datastore_version: Option<Uuid>,
    #[serde(default)]
    pub databases: Vec<NewDatabase>,
    #[serde(default)]
    pub users: Vec<NewUser>,
    #[serde(default)]
    pub access: Access,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// The group whose values the engine is to run with from its first start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub configuration: Option<GroupId>,
    /// The key of the instance's first server. Absent on topics: the intake adds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_key: Option<ServerKey>,
}

/// An order for a configuration group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewConfiguration {
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The default version of the default datastore when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub datastore_version: Option<Uuid>,
    pub values: Values,
}

/// Who may reach the instance; `None` means the client did not say.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Access {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_public: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed_cidrs: Option<Vec<String>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewDatabase {
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub character_set: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collate: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewUser {
    pub name: String,
    /// `%` when the client names none.
    pub host: String,
    pub password: Sealed,
    #[serde(default)]
    pub databases: BTreeSet<String>,
}

/// What is to be different about a user; what is absent stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserChange {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Sealed>,
}

/// Another password for a user that is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewPassword {
    pub name: String,
    pub host: String,
    pub password: Sealed,
}

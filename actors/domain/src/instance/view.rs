//! What a reader sees of an instance. Trove's status words exist only here.

use serde::Serialize;
use uuid::Uuid;

use super::state::{AgentContact, AttachedGroup, Instance, OperationKind, Presence, RootEnabled};
use crate::{
    command::Access,
    ids::{InstanceId, TenantId},
    time::Timestamp,
};
use coffer_protocol::report::EngineState;

/// Trove's `status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Status {
    Build,
    Active,
    Reboot,
    Resize,
    /// The engine has values that count only once it was started anew.
    RestartRequired,
    /// The engine was stopped by an operator, or the instance is being deleted.
    Shutdown,
    Error,
}

/// Trove's `operating_status`; shown as the empty string while a task runs, and of an instance that is not in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub enum OperatingStatus {
    #[serde(rename = "")]
    Unknown,
    #[serde(rename = "HEALTHY")]
    Healthy,
    /// The engine is starting again.
    #[serde(rename = "RESTARTING")]
    Restarting,
    /// The engine is down.
    #[serde(rename = "SHUTDOWN")]
    Shutdown,
    /// The engine's process is there and does not answer.
    #[serde(rename = "BLOCKED")]
    Blocked,
    /// Nothing was heard from the agent for longer than [`super::policy::SILENCE`].
    #[serde(rename = "ERROR")]
    Error,
}

/// What a GET returns, and what the API asks before it takes a command.
#[derive(Debug, Clone, PartialEq)]
pub struct InstanceView {
    pub id: InstanceId,
    pub tenant: TenantId,
    pub name: String,
    pub status: Status,
    pub operating_status: OperatingStatus,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    /// When the engine's health was last found changed.
    pub service_status_updated_at: Timestamp,
    pub flavor_id: String,
    pub datastore_name: String,
    pub datastore_version_id: Uuid,
    pub datastore_version_name: String,
    pub datastore_version_number: String,
    /// Which of the agent's datastores runs it.
    pub datastore_manager: String,
    pub region: Option<String>,
    pub access: Access,
    pub volume_gib: u32,
    /// Used bytes of the volume, once known.
    pub volume_used_bytes: Option<u64>,
    /// Where the engine listens, once known.
    pub address: Option<String>,
    pub network_id: Option<String>,
    pub server_id: Option<String>,
    pub volume_id: Option<String>,
    pub fault: Option<FaultView>,
    /// Sorted by name; those being dropped are left out.
    pub databases: Vec<String>,
    /// Sorted by name and host; those being dropped are left out.
    pub users: Vec<UserView>,
    /// Whether root was enabled and not disabled since.
    pub root_enabled: bool,
    /// Who enabled root last and when, disabled since or not.
    pub root_last_enabled: Option<RootEnabled>,
    pub configuration: Option<AttachedGroup>,
    /// The engine answers, and its agent is heard.
    pub is_serving: bool,
    pub is_being_deleted: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FaultView {
    pub message: String,
    pub created_at: Timestamp,
    pub details: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserView {
    pub name: String,
    pub host: String,
    pub databases: Vec<String>,
}

/// The row of an instance.
pub fn view(instance: &Instance) -> InstanceView {
    let status = status(instance);
    InstanceView {
        id: instance.id,
        tenant: instance.tenant.clone(),
        name: instance.name.clone(),
        status,
        operating_status: operating_status(instance, status),
        created_at: instance.created_at,
        updated_at: instance.updated_at,
        service_status_updated_at: instance.health.changed_at,
        flavor_id: instance.flavor.id.clone(),
        datastore_name: instance.datastore.name.clone(),
        datastore_version_id: instance.datastore.version_id,
        datastore_version_name: instance.datastore.version_name.clone(),
        datastore_version_number: instance.datastore.version_number.clone(),
        datastore_manager: instance.datastore.manager.clone(),
        region: instance.region.clone(),
        access: instance.access.clone(),
        volume_gib: instance.volume_gib,
        volume_used_bytes: instance.health.volume_used_bytes,
        address: instance.resources.address.as_ref().map(|address| address.ip.clone()),
        network_id: instance.resources.address.as_ref().and_then(|address| address.network_id.clone()),
        server_id: instance.resources.server.clone(),
        volume_id: instance.resources.volume.clone(),
        fault: instance.fault.as_ref().map(|fault| FaultView {
            message: fault.message.clone(),
            created_at: fault.at,
            details: fault.details.clone(),
        }),
        databases: instance
            .databases
            .iter()
            .filter(|(_, presence)| **presence != Presence::Dropping)
            .map(|(name, _)| name.clone())
            .collect(),
        users: instance
            .users
            .iter()
            .filter(|(_, user)| user.presence != Presence::Dropping)
            .map(|(key, user)| UserView {
                name: key.name.clone(),
                host: key.host.clone(),
                databases: user.databases.iter().cloned().collect(),
            })
            .collect(),
        root_enabled: instance.root_enabled_at.is_some(),
        root_last_enabled: instance.root_history.last().cloned(),
        configuration: instance.configuration.group.clone(),
        is_serving: (instance.health.contact, instance.health.engine) == (AgentContact::Heard, EngineState::Running),
        is_being_deleted: instance.operation.as_ref().is_some_and(|operation| operation.kind == OperationKind::Delete),
    }
}

/// Trove's `status`, from the running operation and then from how the last one ended.
pub fn status(instance: &Instance) -> Status {
    match instance.operation.as_ref().map(|operation| operation.kind) {
        Some(OperationKind::Create) => Status::Build,
        Some(OperationKind::Delete | OperationKind::Stop) => Status::Shutdown,
        Some(OperationKind::Restart) => Status::Reboot,
        Some(
            OperationKind::ResizeVolume
            | OperationKind::ResizeFlavor
            | OperationKind::UndoResizeVolume
            | OperationKind::UndoResizeFlavor,
        ) => Status::Resize,
        // Only a resize that was reset has something outside to wait for and stays in use.
        Some(OperationKind::Reset) if !instance.broken => Status::Resize,
        Some(OperationKind::CleanUp | OperationKind::Reset) => Status::Error,
        None if instance.broken => Status::Error,
        // Nobody else stops an engine for good.
        None if instance.health.engine == EngineState::Stopped => Status::Shutdown,
        None if instance.restart_required => Status::RestartRequired,
        None => Status::Active,
    }
}

fn operating_status(instance: &Instance, status: Status) -> OperatingStatus {
    let is_stopped = status == Status::Shutdown && instance.operation.is_none();
    if status != Status::Active && !is_stopped {
        return OperatingStatus::Unknown;
    }
    match (instance.health.contact, instance.health.engine) {
        (AgentContact::Silent, _) => OperatingStatus::Error,
        (AgentContact::Heard, EngineState::Running) => OperatingStatus::Healthy,
        (AgentContact::Heard, EngineState::Starting) => OperatingStatus::Restarting,
        (AgentContact::Heard, EngineState::Unresponsive) => OperatingStatus::Blocked,
        (AgentContact::Heard, EngineState::Absent | EngineState::Stopped | EngineState::Crashed) => {
            OperatingStatus::Shutdown
        }
    }
}

impl InstanceView {
    /// Whether databases and users can be worked on.
    pub fn is_healthy(&self) -> bool {
        match self.status {
            Status::Active => self.operating_status == OperatingStatus::Healthy,
            Status::RestartRequired => self.is_serving,
            _ => false,
        }
    }
}

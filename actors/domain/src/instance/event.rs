//! What has happened to an instance, and to its tenant's quota.

use coffer_protocol::report::{EngineState, Inventory};
use serde::{Deserialize, Serialize};

use super::{
    effect::Produced,
    state::{AgentContact, Configuration, Fault, Instance, Operation, Resize, Task, Waiting},
    workflow::Step,
};
use crate::{
    catalogue::Flavor,
    ids::{CommandId, EffectId},
    quota::Charge,
    time::Timestamp,
};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The instance exists from here on, with its create under way.
    Created {
        instance: Box<Instance>,
    },
    QuotaCharged {
        charge: Charge,
    },
    QuotaRefunded {
        charge: Charge,
    },
    /// Sizes are wanted that the instance does not have.
    ResizeWanted {
        resize: Resize,
    },
    /// The volume has this size, and no other one is wanted.
    VolumeSized {
        volume_gib: u32,
    },
    /// Server and engine have this flavor, and no other one is wanted.
    FlavorSet {
        flavor: Flavor,
    },
    /// Replaces whatever operation was running. A delete or clean-up also ends all tasks.
    OperationStarted {
        operation: Box<Operation>,
        at: Timestamp,
    },
    StepStarted {
        step: Step,
        attempt: u32,
        waiting: Waiting,
    },
    /// The attempt failed; another one follows.
    StepDelayed {
        failure: String,
    },
    /// What a step has made outside.
    Learnt {
        produced: Produced,
    },
    /// What a step has taken away outside.
    Freed {
        step: Step,
    },
    FaultRaised {
        fault: Fault,
    },
    Renamed {
        name: String,
        at: Timestamp,
    },
    /// What runs is given up on. `broken`: nothing is left to do but delete.
    StatusReset {
        broken: bool,
        delete_is_forced: bool,
    },
    /// A forced delete leaves something outside: somebody has to look after it.
    LeftBehind {
        /// What could not be done.
        step: Step,
        /// The thing's id, as far as it is known.
        id: Option<String>,
        reason: String,
    },
    /// `broken`: nothing is left to do but delete.
    OperationEnded {
        broken: bool,
        at: Timestamp,
    },
    TaskStarted {
        command: CommandId,
        task: Box<Task>,
        at: Timestamp,
    },
    /// Another attempt at a task, or (without an effect) the wait before it.
    TaskAttempted {
        command: CommandId,
        attempt: u32,
        effect: Option<EffectId>,
    },
    TaskEnded {
        command: CommandId,
        succeeded: bool,
        at: Timestamp,
    },
    HealthChanged {
        contact: AgentContact,
        engine: EngineState,
        at: Timestamp,
    },
    GaugesTaken {
        volume_used_bytes: Option<u64>,
        at: Timestamp,
    },
    InventoryTaken {
        inventory: Inventory,
    },
    /// The engine is to run with this, or its group has another name.
    ConfigurationWanted {
        configuration: Box<Configuration>,
        at: Timestamp,
    },
    RestartRequired {
        required: bool,
    },
    /// Nothing is left outside, and the instance does not exist any more.
    Removed,
}

impl Event {
    /// Stable name, for logs and golden files.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Created { .. } => "created",
            Self::QuotaCharged { .. } => "quota_charged",
            Self::QuotaRefunded { .. } => "quota_refunded",
            Self::ResizeWanted { .. } => "resize_wanted",
            Self::VolumeSized { .. } => "volume_sized",
            Self::FlavorSet { .. } => "flavor_set",
            Self::OperationStarted { .. } => "operation_started",
            Self::StepStarted { .. } => "step_started",
            Self::StepDelayed { .. } => "step_delayed",
            Self::Learnt { .. } => "learnt",
            Self::Freed { .. } => "freed",
            Self::FaultRaised { .. } => "fault_raised",
            Self::Renamed { .. } => "renamed",
            Self::StatusReset { .. } => "status_reset",
            Self::LeftBehind { .. } => "left_behind",
            Self::OperationEnded { .. } => "operation_ended",
            Self::TaskStarted { .. } => "task_started",
            Self::TaskAttempted { .. } => "task_attempted",
            Self::TaskEnded { .. } => "task_ended",
            Self::HealthChanged { .. } => "health_changed",
            Self::GaugesTaken { .. } => "gauges_taken",
            Self::InventoryTaken { .. } => "inventory_taken",
            Self::ConfigurationWanted { .. } => "configuration_wanted",
            Self::RestartRequired { .. } => "restart_required",
            Self::Removed => "removed",
        }
    }
}

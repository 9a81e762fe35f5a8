//! The steps of each operation. They are named by capability, so that every provider carries out the same workflow.

use serde::{Deserialize, Serialize};

use super::state::OperationKind;

/// One step of a workflow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Waits until the effect that the interrupted operation had under way has ended, so that nothing is made behind
    /// our back after it was taken away.
    Settle,
    EnsureAddress,
    EnsureVolume,
    EnsureServer,
    /// Waits for the agent's first word.
    AwaitAgent,
    /// Has the agent initialise and start the engine, with its first databases and users.
    PrepareDatabase,
    RestartEngine,
    StopEngine,
    /// Has the volume be at least as large as wanted.
    GrowVolume,
    /// Asks how large the volume is, after a growth of which nobody knows whether it was carried out.
    MeasureVolume,
    /// Has the agent take up the volume's new size.
    GrowFilesystem,
    /// Gives the server the wanted flavor.
    ResizeServer,
    /// Has the agent size the engine for the wanted flavor and start it anew.
    ResizeEngine,
    /// Gives the server the flavor back that the instance still has.
    RestoreServer,
    /// Has the agent size the engine for that flavor and start it anew.
    RestoreEngine,
    DeleteServer,
    DeleteVolume,
    ReleaseAddress,
}

impl Step {
    /// Stable name: it is part of effect ids.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Settle => "settle",
            Self::EnsureAddress => "ensure_address",
            Self::EnsureVolume => "ensure_volume",
            Self::EnsureServer => "ensure_server",
            Self::AwaitAgent => "await_agent",
            Self::PrepareDatabase => "prepare_database",
            Self::RestartEngine => "restart_engine",
            Self::StopEngine => "stop_engine",
            Self::GrowVolume => "grow_volume",
            Self::MeasureVolume => "measure_volume",
            Self::GrowFilesystem => "grow_filesystem",
            Self::ResizeServer => "resize_server",
            Self::ResizeEngine => "resize_engine",
            Self::RestoreServer => "restore_server",
            Self::RestoreEngine => "restore_engine",
            Self::DeleteServer => "delete_server",
            Self::DeleteVolume => "delete_volume",
            Self::ReleaseAddress => "release_address",
        }
    }

    /// Whether a cloud call, rather than the agent or nobody, carries out what it waits for.
    pub fn is_outside_call(self) -> bool {
        matches!(
            self,
            Self::Settle
                | Self::EnsureAddress
                | Self::EnsureVolume
                | Self::EnsureServer
                | Self::GrowVolume
                | Self::MeasureVolume
                | Self::ResizeServer
                | Self::RestoreServer
                | Self::DeleteServer
                | Self::DeleteVolume
                | Self::ReleaseAddress
        )
    }
}

impl OperationKind {
    /// Every kind there is, for tests that go through all workflows.
    pub const ALL: [Self; 10] = [
        Self::Create,
        Self::Delete,
        Self::Restart,
        Self::CleanUp,
        Self::Reset,
        Self::ResizeVolume,
        Self::ResizeFlavor,
        Self::UndoResizeVolume,
        Self::UndoResizeFlavor,
        Self::Stop,
    ];

    /// Stable name, for crash borders, metrics and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Delete => "delete",
            Self::Restart => "restart",
            Self::Stop => "stop",
            Self::CleanUp => "clean_up",
            Self::Reset => "reset",
            Self::ResizeVolume => "resize_volume",
            Self::ResizeFlavor => "resize_flavor",
            Self::UndoResizeVolume => "undo_resize_volume",
            Self::UndoResizeFlavor => "undo_resize_flavor",
        }
    }

    /// The steps in order. A teardown takes back, in reverse, every step that makes something outside.
    pub fn steps(self) -> &'static [Step] {
        match self {
            Self::Create => {
                &[Step::EnsureAddress, Step::EnsureVolume, Step::EnsureServer, Step::AwaitAgent, Step::PrepareDatabase]
            }
            Self::Restart => &[Step::RestartEngine],
            Self::Stop => &[Step::StopEngine],
            Self::Delete | Self::CleanUp => {
                &[Step::Settle, Step::DeleteServer, Step::DeleteVolume, Step::ReleaseAddress]
            }
            Self::Reset => &[Step::Settle],
            Self::ResizeVolume => &[Step::GrowVolume, Step::GrowFilesystem],
            Self::ResizeFlavor => &[Step::ResizeServer, Step::ResizeEngine],
            Self::UndoResizeVolume => &[Step::MeasureVolume],
            Self::UndoResizeFlavor => &[Step::RestoreServer, Step::RestoreEngine],
        }
    }

    /// Whether it takes something back: it then goes on whatever it meets, as long as it has attempts.
    pub fn is_undo(self) -> bool {
        matches!(self, Self::Delete | Self::CleanUp | Self::UndoResizeVolume | Self::UndoResizeFlavor)
    }

    /// Whether the instance stays in use meanwhile: tasks go on beside it, and the engine's word on its contents counts.
    pub fn is_upkeep(self) -> bool {
        !matches!(self, Self::Create | Self::Delete | Self::CleanUp)
    }

    /// The step after `step`, or none when the workflow is done.
    pub fn after(self, step: Step) -> Option<Step> {
        let steps = self.steps();
        let position = steps.iter().position(|candidate| *candidate == step)?;
        steps.get(position + 1).copied()
    }
}

//! Everything that a check can find.

use std::fmt;

use coffer_domain::{
    ids::{GroupId, InstanceId, TenantId},
    quota::Usage,
};

use super::Parts;

/// One thing that should not be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// A row that this build cannot read: damaged, or of another version.
    Unreadable { space: &'static str, key: String, reason: String },
    /// A row that belongs to no partition, or whose content belongs under another key.
    Misplaced { space: &'static str, key: String },
    /// What a GET shows is not what the state says.
    View { instance: InstanceId },
    /// A GET shows an instance that has no state.
    StrayView { instance: InstanceId },
    /// A tenant is charged for something else than it has.
    Quota { tenant: TenantId, charged: Usage, owned: Usage },
    /// A configuration group counts other instances than are attached to it, or is gone and has some.
    Members { group: GroupId },
    /// A state waits for an effect that nobody carries out.
    LostEffect { effect: String },
    /// An effect that no state waits for: it is carried out at each start.
    StrayEffect { effect: String },
    /// A state waits, and nothing ends its wait.
    LostTimer { timer: String },
    /// A timer that no state waits for.
    StrayTimer { timer: String },
    /// A secret that the deployment key does not open.
    Sealed { row: String, reason: String },
    /// Something outside belongs to no instance.
    Orphan { instance: InstanceId, parts: Parts },
    /// There is more than one of something.
    Doubled { instance: InstanceId, parts: Parts },
    /// An instance that is ACTIVE lacks something outside.
    Missing { instance: InstanceId, parts: Parts },
    /// A create was undone, and something is left.
    NotUndone { instance: InstanceId, parts: Parts },
}

impl Problem {
    /// Stable name, for machines.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => "store.unreadable",
            Self::Misplaced { .. } => "store.misplaced",
            Self::View { .. } => "store.view",
            Self::StrayView { .. } => "store.stray_view",
            Self::Quota { .. } => "store.quota",
            Self::Members { .. } => "store.members",
            Self::LostEffect { .. } => "store.lost_effect",
            Self::StrayEffect { .. } => "store.stray_effect",
            Self::LostTimer { .. } => "store.lost_timer",
            Self::StrayTimer { .. } => "store.stray_timer",
            Self::Sealed { .. } => "store.sealed",
            Self::Orphan { .. } => "outside.orphan",
            Self::Doubled { .. } => "outside.doubled",
            Self::Missing { .. } => "outside.missing",
            Self::NotUndone { .. } => "outside.not_undone",
        }
    }

    /// The instance that it is about, where there is one.
    pub fn instance(&self) -> Option<InstanceId> {
        match self {
            Self::View { instance }
            | Self::StrayView { instance }
            | Self::Orphan { instance, .. }
            | Self::Doubled { instance, .. }
            | Self::Missing { instance, .. }
            | Self::NotUndone { instance, .. } => Some(*instance),
            Self::Unreadable { .. }
            | Self::Misplaced { .. }
            | Self::Quota { .. }
            | Self::Members { .. }
            | Self::LostEffect { .. }
            | Self::StrayEffect { .. }
            | Self::LostTimer { .. }
            | Self::StrayTimer { .. }
            | Self::Sealed { .. } => None,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { space, key, reason } => write!(out, "row {key} of {space} cannot be read: {reason}"),
            Self::Misplaced { space, key } => write!(out, "row {key} of {space} stands where it does not belong"),
            Self::View { instance } => write!(out, "what a GET shows of {instance} is not what its state says"),
            Self::StrayView { instance } => write!(out, "a GET shows {instance}, which has no state"),
            Self::Quota { tenant, charged, owned } => {
                write!(out, "tenant {tenant} is charged {charged:?}, has {owned:?}")
            }
            Self::Members { group } => {
                write!(out, "configuration group {group} counts other instances than are attached")
            }
            Self::LostEffect { effect } => write!(out, "a state waits for effect {effect}, which nobody carries out"),
            Self::StrayEffect { effect } => write!(out, "no state waits for effect {effect}"),
            Self::LostTimer { timer } => write!(out, "a state waits without its timer {timer}"),
            Self::StrayTimer { timer } => write!(out, "no state waits for timer {timer}"),
            Self::Sealed { row, reason } => write!(out, "a secret in row {row} cannot be opened: {reason}"),
            Self::Orphan { instance, parts } => write!(out, "{parts} of {instance} exist, and the instance does not"),
            Self::Doubled { instance, parts } => write!(out, "{instance} has {parts}"),
            Self::Missing { instance, parts } => write!(out, "{instance} is ACTIVE and has only {parts}"),
            Self::NotUndone { instance, parts } => write!(out, "{instance} was cleaned up and has {parts}"),
        }
    }
}

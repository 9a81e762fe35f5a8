//! Identifiers.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// An OpenStack project: the unit of ownership, quota and ordering.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TenantId(pub String);

impl fmt::Display for TenantId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// A database instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct InstanceId(pub Uuid);

/// Namespace of the instance ids that follow from a command.
const OUTSIDE_CREATES: Uuid = Uuid::from_u128(0x0e5f_3a0a_7f0b_5c0e_9a54_8d0c_0ff3_0001);

impl InstanceId {
    /// The id of the instance that a program outside creates with this command: UUID version 5 of
    /// `<tenant>/<command id>` in the namespace `0e5f3a0a-7f0b-5c0e-9a54-8d0c0ff30001`. It cannot be another tenant's.
    pub fn of_outside_create(tenant: &TenantId, command: CommandId) -> Self {
        Self(Uuid::new_v5(&OUTSIDE_CREATES, format!("{tenant}/{command}").as_bytes()))
    }
}

impl fmt::Display for InstanceId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// A configuration group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct GroupId(pub Uuid);

impl fmt::Display for GroupId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// Names one command for ever: whoever repeats it gets the first answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CommandId(pub Uuid);

impl CommandId {
    /// The id under which an instance is told of a command on something that it shares with others.
    #[must_use]
    pub fn told_to(self, instance: InstanceId) -> Self {
        Self(Uuid::new_v5(&self.0, instance.0.as_bytes()))
    }
}

impl fmt::Display for CommandId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// Names one attempt at one effect: `<command id>/<step>/<attempt>`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EffectId(pub String);

impl EffectId {
    pub fn new(command: CommandId, step: &str, attempt: u32) -> Self {
        Self(format!("{command}/{step}/{attempt}"))
    }
}

impl fmt::Display for EffectId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

//! Why a command is not done. Nothing has changed when one of these is returned.

use serde::{Deserialize, Serialize};

/// The class of a rejection; the REST shim maps it to Trove's status code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RejectionKind {
    /// The request breaks a rule that the requester can read (400).
    Invalid,
    /// There is no such thing, or it is another tenant's (404).
    NotFound,
    /// The instance is not in a state that allows it (422).
    WrongState,
    /// A value breaks a rule of the engine (422).
    Unprocessable,
    /// The tenant has no such quota left, or a size limit is passed (413).
    OverLimit,
    /// The datastore cannot do that (501).
    Unsupported,
    /// The control plane cannot take the command now; try again (503).
    Busy,
    /// It cannot until its operator has made room on its disk; try again later (503).
    NoRoom,
}

/// A refused command, with words for the client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Rejection {
    pub kind: RejectionKind,
    /// Names the field and the rule.
    pub message: String,
}

impl Rejection {
    pub fn new(kind: RejectionKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(RejectionKind::Invalid, message)
    }

    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(RejectionKind::NotFound, message)
    }

    pub fn wrong_state(message: impl Into<String>) -> Self {
        Self::new(RejectionKind::WrongState, message)
    }
}

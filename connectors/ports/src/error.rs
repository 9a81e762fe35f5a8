//! The error of every adapter: a kind for the runtime, a code for operators, a sentence for people.

use std::{borrow::Cow, fmt, time::Duration};

/// What can be done about an error. The runtime decides retries on this alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The outside cannot be reached or answers with a fault of its own: try again.
    Unavailable,
    /// The outside asks to slow down: try again, not before `retry_after`.
    Throttled,
    /// No answer in time; the thing may have been done all the same: try again.
    Timeout,
    /// The named thing does not exist.
    NotFound,
    /// Something else is already there under that name or address.
    Conflict,
    /// The request is wrong and stays wrong.
    Invalid,
    /// Our credentials do not allow it.
    Denied,
    /// The outside's own limit is reached (quota, no address, no host, disk full).
    Exhausted,
    /// A fault on our side.
    Internal,
}

impl ErrorKind {
    /// Whether the same call may succeed later without anybody changing it.
    pub fn is_retryable(self) -> bool {
        matches!(self, Self::Unavailable | Self::Throttled | Self::Timeout)
    }

    /// Stable lower-case name, for metrics and stored outcomes.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unavailable => "unavailable",
            Self::Throttled => "throttled",
            Self::Timeout => "timeout",
            Self::NotFound => "not_found",
            Self::Conflict => "conflict",
            Self::Invalid => "invalid",
            Self::Denied => "denied",
            Self::Exhausted => "exhausted",
            Self::Internal => "internal",
        }
    }
}

/// What an adapter answers when it could not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    pub kind: ErrorKind,
    /// Stable word for operators, for example `local.address_pool_empty`.
    pub code: Cow<'static, str>,
    /// One sentence for the tenant whose thing it is: never a secret, nor what only the host's owner should know, such
    /// as a path.
    pub message: String,
    /// More for the operator, who finds it in the log; empty when the message says it all. Never a secret.
    pub detail: String,
    /// The outside's own word on when to come back.
    pub retry_after: Option<Duration>,
}

pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    pub fn new(kind: ErrorKind, code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self { kind, code: code.into(), message: message.into(), detail: String::new(), retry_after: None }
    }

    /// The same, with more for the operator.
    #[must_use]
    pub fn with_detail(self, detail: impl Into<String>) -> Self {
        Self { detail: detail.into(), ..self }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.detail.as_str() {
            "" => write!(formatter, "{} [{}]", self.message, self.code),
            detail => write!(formatter, "{}: {detail} [{}]", self.message, self.code),
        }
    }
}

impl std::error::Error for Error {}

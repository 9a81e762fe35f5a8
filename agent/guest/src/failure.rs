//! The failures that an agent answers commands with: a stable code, and whether the same command may succeed later.

use coffer_protocol::report::Failure;

/// The agent or its datastore does not know the verb, or cannot do it.
pub fn unsupported(message: impl Into<String>) -> Failure {
    fatal("unsupported", message)
}

/// The command is older than the journal reaches back: it may have been done already. A new attempt, which converges,
/// may be made.
pub fn expired(message: impl Into<String>) -> Failure {
    Failure { retryable: true, code: "expired".into(), message: message.into() }
}

/// The command is wrong in itself (a name, a character set) and stays wrong.
pub fn invalid(message: impl Into<String>) -> Failure {
    fatal("invalid", message)
}

pub fn already_exists(message: impl Into<String>) -> Failure {
    fatal("already_exists", message)
}

pub fn not_found(message: impl Into<String>) -> Failure {
    fatal("not_found", message)
}

/// The engine is not running, does not answer, or lost the connection: it may come back.
pub fn engine_unavailable(message: impl Into<String>) -> Failure {
    Failure { retryable: true, code: "engine_unavailable".into(), message: message.into() }
}

/// The engine refused, or cannot be made to run.
pub fn engine_failed(message: impl Into<String>) -> Failure {
    fatal("engine_failed", message)
}

/// The volume is full: what is asked cannot be recorded, and is not done. Somebody has to make room, or more of it.
pub fn volume_full(message: impl Into<String>) -> Failure {
    Failure { retryable: true, code: "volume_full".into(), message: message.into() }
}

/// The code of [`configuration_refused`].
pub const CONFIGURATION_REFUSED: &str = "configuration_refused";

/// The engine does not start with the values that it was given, and was started with those that it had before.
pub fn configuration_refused(message: impl Into<String>) -> Failure {
    fatal(CONFIGURATION_REFUSED, message)
}

/// The agent cannot write to its volume or start a program.
pub fn agent_failed(message: impl Into<String>) -> Failure {
    Failure { retryable: true, code: "agent_failed".into(), message: message.into() }
}

fn fatal(code: &str, message: impl Into<String>) -> Failure {
    Failure { retryable: false, code: code.into(), message: message.into() }
}

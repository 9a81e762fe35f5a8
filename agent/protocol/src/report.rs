//! What an agent tells the control plane (the plaintext of an envelope `from_agent`).

use serde::{Deserialize, Serialize};

use crate::question::Answer;

/// A message of an agent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FromAgent {
    /// The session that the control plane opened last; absent until the first challenge. A report without the
    /// current session changes nothing: it only makes the control plane send a challenge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    pub report: Report,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Report {
    /// The agent has started, or has found the broker again, and asks for a session.
    Enrol(Enrol),
    /// Sent every [`HEARTBEAT_INTERVAL_S`], at once when the engine's state changes, and after each command.
    Heartbeat(Heartbeat),
    /// How a command ended; repeated whenever the command is.
    Outcome {
        command_id: String,
        result: Result<(), Failure>,
        /// As in [`Heartbeat`], as of now.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        restart_required: bool,
    },
    /// To [`crate::command::AgentCommand::Tell`].
    Answer { command_id: String, answer: Answer },
}

/// Seconds between two heartbeats of a healthy agent.
pub const HEARTBEAT_INTERVAL_S: u64 = 10;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enrol {
    /// Version of the program, for example `0.1.0`.
    pub agent_version: String,
    /// Oldest and newest protocol version that the agent speaks.
    pub protocol_min: u16,
    pub protocol_max: u16,
    /// Managers that this agent can run.
    pub datastores: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// The guest's clock, Unix time in ms.
    pub at_ms: i64,
    pub engine: EngineState,
    pub metrics: Metrics,
    /// The engine's databases and users, when they differ from what this session was last told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inventory: Option<Inventory>,
    /// The engine was given values that count only once it was started anew.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub restart_required: bool,
}

/// The engine as the agent sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EngineState {
    /// Nothing was prepared yet.
    Absent,
    /// Being initialised or started.
    Starting,
    /// Up and answering.
    Running,
    /// Stopped on purpose.
    Stopped,
    /// Ended without being asked to; the agent is restarting it.
    Crashed,
    /// The process is there and does not answer.
    Unresponsive,
}

/// Gauges of the moment; absent where they cannot be known.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// Open client connections.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connections: Option<u64>,
    /// Statements executed since the engine started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queries_total: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volume_used_bytes: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volume_total_bytes: Option<u64>,
    /// CPU time that engine and agent used since the engine started, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_seconds_total: Option<f64>,
    /// Resident memory of the engine, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_used_bytes: Option<u64>,
    /// Times that the agent restarted a crashed engine since the agent started.
    #[serde(default)]
    pub engine_restarts_total: u64,
}

/// What is in the engine, without its own system accounts and schemas.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inventory {
    /// Names, sorted; at most [`MAX_INVENTORY`].
    pub databases: Vec<String>,
    /// Sorted by name and host; at most [`MAX_INVENTORY`].
    pub users: Vec<UserEntry>,
}

/// Entries per list of an [`Inventory`] at most: it has to fit into a message and a row.
pub const MAX_INVENTORY: usize = 1000;

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct UserEntry {
    pub name: String,
    pub host: String,
    /// Databases on which the user has rights, sorted.
    pub databases: Vec<String>,
}

/// Why a command failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Whether the same command may succeed later, without anybody changing it.
    pub retryable: bool,
    /// Stable word for programs: `unsupported`, `expired`, `already_exists`, `not_found`, `engine_failed`, …
    pub code: String,
    /// One sentence for people; never a secret.
    pub message: String,
}

//! What an agent can be asked that changes nothing, and what it answers. Neither is kept anywhere.

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Question {
    /// Whether it is there.
    Ping,
    /// What the engine's process has and uses.
    Diagnostics,
    /// What the guest has.
    Hardware,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum Answer {
    /// It is there.
    Here,
    Diagnostics(Diagnostics),
    Hardware(Hardware),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnostics {
    /// Version of the agent's program.
    pub agent_version: String,
    /// Absent while there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine: Option<EngineProcess>,
}

/// The engine's process as the kernel shows it (`proc_pid_status(5)`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EngineProcess {
    pub threads: u64,
    /// File descriptors that it has places for.
    pub fd_size: u64,
    pub vm_size_kib: u64,
    pub vm_peak_kib: u64,
    pub vm_rss_kib: u64,
    pub vm_hwm_kib: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hardware {
    pub memory_kib: u64,
    pub cpus: u32,
}

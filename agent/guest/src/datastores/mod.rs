//! What differs from engine to engine. The supervisor runs any [`Datastore`]; the executor fills it.

use std::{collections::BTreeMap, ffi::OsString, io, path::PathBuf, process::Command, sync::Arc};

use async_trait::async_trait;
use coffer_protocol::{
    command::{AgentCommand, Database, NewPassword, User, UserChange},
    report::{Failure, Inventory},
    secret::Secret,
};

use crate::{supervisor::settings::Settings, volume::Volume};

pub mod mysql;

/// Managers that this build can run, as they stand in first-boot data.
pub const MANAGERS: &[&str] = &[mysql::MANAGER];

/// What a datastore can do, besides running.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities {
    pub databases: bool,
    pub users: bool,
    pub root: bool,
    pub configuration: bool,
}

impl Capabilities {
    /// Whether the command is one that such a datastore knows.
    pub fn allow(self, command: &AgentCommand) -> bool {
        match command {
            AgentCommand::Prepare(prepare) => {
                (self.databases || prepare.databases.is_empty()) && (self.users || prepare.users.is_empty())
            }
            AgentCommand::Restart
            | AgentCommand::Stop
            | AgentCommand::Resize { .. }
            | AgentCommand::GrowVolume { .. }
            | AgentCommand::Rotate { .. }
            | AgentCommand::Tell { .. } => true,
            AgentCommand::CreateDatabases { .. } | AgentCommand::DropDatabase { .. } => self.databases,
            AgentCommand::CreateUsers { .. }
            | AgentCommand::DropUser { .. }
            | AgentCommand::ChangeUser(_)
            | AgentCommand::ChangePasswords { .. } => self.users,
            AgentCommand::Grant { .. } | AgentCommand::Revoke { .. } => self.databases && self.users,
            AgentCommand::EnableRoot { .. } | AgentCommand::DisableRoot => self.root,
            AgentCommand::Configure(_) => self.configuration,
        }
    }
}

/// Gauges of a running engine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Vitals {
    /// Open client connections, without the agent's own.
    pub connections: Option<u64>,
    /// Statements executed since the engine started.
    pub queries_total: Option<u64>,
}

/// Why a health probe brought no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotReady(pub String);

/// One kind of engine on one data volume.
///
/// Everything that changes something converges: done twice, or begun by an agent that crashed and done again, it ends
/// the same. That a name is free or taken is asked beforehand, by [`Datastore::has_database`] and
/// [`Datastore::has_user`].
#[async_trait]
pub trait Datastore: Send + Sync {
    fn capabilities(&self) -> Capabilities;

    /// Checks what can be checked without an engine: names, reserved words, limits. Failures are `invalid`.
    fn validate(&self, command: &AgentCommand) -> Result<(), Failure>;

    /// Makes the data directory, or leaves a complete one as it is. Half of one, and programs that still work on it,
    /// are removed first. The engine does not run.
    async fn initialise(&self, settings: &Settings) -> Result<(), Failure>;

    /// Writes the engine's configuration and returns how to start it.
    fn command(&self, settings: &Settings) -> io::Result<Command>;

    /// Whether a process with these arguments is this volume's engine.
    fn is_engine(&self, arguments: &[OsString]) -> bool;

    /// The file that the engine's output goes to.
    fn log_file(&self) -> PathBuf;

    /// Asks the engine whether it is well. The caller bounds the time.
    async fn probe(&self) -> Result<Vitals, NotReady>;

    async fn has_database(&self, name: &str) -> Result<bool, Failure>;
    async fn create_databases(&self, databases: &[Database]) -> Result<(), Failure>;
    async fn drop_database(&self, name: &str) -> Result<(), Failure>;

    async fn has_user(&self, name: &str, host: &str) -> Result<bool, Failure>;
    /// Creates the users with exactly these passwords and rights, also when they exist.
    async fn create_users(&self, users: &[User]) -> Result<(), Failure>;
    async fn drop_user(&self, name: &str, host: &str) -> Result<(), Failure>;
    /// Never makes a user: `not_found` when there is none.
    async fn grant(&self, name: &str, host: &str, databases: &[String]) -> Result<(), Failure>;
    /// Ends well only when the user has no rights on the database any more, wherever they came from.
    async fn revoke(&self, name: &str, host: &str, database: &str) -> Result<(), Failure>;
    /// The user keeps its rights; a name that is taken is left to whom it belongs.
    async fn change_user(&self, change: &UserChange) -> Result<(), Failure>;
    async fn change_passwords(&self, users: &[NewPassword]) -> Result<(), Failure>;
    async fn enable_root(&self, password: &Secret) -> Result<(), Failure>;
    /// Nobody logs in as the superuser from outside, nor goes on with a connection.
    async fn disable_root(&self) -> Result<(), Failure>;

    /// Has the running engine go on with these values besides its defaults, and no others, now and after each start. What
    /// cannot be set while it runs counts from its next start: [`Datastore::restart_required`]. When the engine refuses a
    /// value, everything is as it was before. An older `number` than the last one is nothing to do.
    async fn configure(
        &self,
        settings: &Settings,
        number: u64,
        values: &BTreeMap<String, String>,
    ) -> Result<(), Failure>;

    /// Whether the engine was given values that count from its next start.
    fn restart_required(&self) -> bool;

    /// The engine has come up with what [`Datastore::command`] has written.
    fn came_up(&self) -> io::Result<()>;

    /// The engine did not come up. Goes back to the values that it last came up with; the failure says which ones it does
    /// not start with. `None` when they are the same.
    fn fall_back(&self) -> io::Result<Option<Failure>>;

    /// What is in the engine, without its own and the agent's accounts and schemas.
    async fn inventory(&self) -> Result<Inventory, Failure>;
}

/// The datastore of a manager, on this volume.
///
/// # Errors
/// `Unsupported` for a manager that this build does not know; otherwise what the volume answers.
pub fn open(manager: &str, volume: &Volume, listen_address: &str) -> io::Result<Arc<dyn Datastore>> {
    match manager {
        mysql::MANAGER => Ok(Arc::new(mysql::Mysql::open(volume, listen_address)?)),
        other => Err(io::Error::new(
            io::ErrorKind::Unsupported,
            format!("datastore {other} is unknown; this agent runs {}", MANAGERS.join(", ")),
        )),
    }
}

//! Commands beside the service: users, cleaning up, borders and effects, and in [`state`] what looks after the state.

mod move_log;
pub mod state;

use std::{env, path::PathBuf};

use coffer_domain::instance::state::OperationKind;
use coffer_local::{LocalConfig, LocalProvider, identity};

use crate::{
    CommandResult,
    cli::{Operation, Place, StateOptions, UserCommand, UserOptions},
    config::{self, Config},
    rehearsal,
    state_dir::StateDir,
};

/// The role of a user for whom none was named.
const DEFAULT_ROLE: &str = "member";

/// Adds a user or changes a password. Works while the service runs: it reads the file again.
pub fn user(options: &UserOptions) -> CommandResult {
    let password = match &options.command {
        UserCommand::Add { name, project, roles, state } => {
            let state = StateDir::dev(state.state_dir.as_deref())?;
            state.prepare()?;
            let default = [DEFAULT_ROLE.to_owned()];
            let roles = if roles.is_empty() { &default[..] } else { roles };
            identity::add_user(&state.users(), name, project, roles)?
        }
        UserCommand::Password { name, state } => {
            let state = StateDir::dev(state.state_dir.as_deref())?;
            identity::set_password(&state.users(), name)?
        }
    };
    println!("{}", password.expose());
    Ok(())
}

/// Stops all guests of a stopped service and deletes its state.
pub fn clean(options: &StateOptions) -> CommandResult {
    let state = StateDir::dev(options.state_dir.as_deref())?;
    if !state.path().exists() {
        return Ok(());
    }
    if !state.is_ours() {
        return Err(format!("{} holds no state of Coffer: it is left alone", state.path().display()).into());
    }
    let _lock = state.open()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let provider = LocalProvider::open(local_config(&state, None)?)?;
    runtime.block_on(provider.shutdown_all())?;
    std::fs::remove_dir_all(state.path())?;
    Ok(())
}

/// Lists the borders of an operation, one a line.
pub fn borders(operation: Operation) -> CommandResult {
    for border in coffer_runtime::borders::of(kind(operation)) {
        println!("{border}");
    }
    Ok(())
}

/// The state directory that is meant, with the configuration file where one was named.
pub fn place(named: &Place) -> Result<(StateDir, Option<Config>), Box<dyn std::error::Error>> {
    let Some(file) = &named.config else { return Ok((StateDir::dev(named.state.state_dir.as_deref())?, None)) };
    let config = config::read(file)?;
    Ok((StateDir::at(config.state_dir.clone()), Some(config)))
}

/// Lists the calls to the provider of an operation, one a line.
pub fn effects(operation: Operation) -> CommandResult {
    for step in rehearsal::effects::calls_of(kind(operation)) {
        println!("{step}");
    }
    Ok(())
}

fn kind(operation: Operation) -> OperationKind {
    match operation {
        Operation::Create => OperationKind::Create,
        Operation::Delete => OperationKind::Delete,
        Operation::ResizeVolume => OperationKind::ResizeVolume,
        Operation::ResizeFlavor => OperationKind::ResizeFlavor,
    }
}

/// The provider `local` of a state directory; the agent is the program beside this one unless another is named.
pub fn local_config(state: &StateDir, agent_program: Option<PathBuf>) -> std::io::Result<LocalConfig> {
    let program = env::current_exe()?;
    // As one name for all who share it: nodes on one host see the same root.
    let root = state.local();
    let root = root.canonicalize().unwrap_or(root);
    Ok(LocalConfig {
        agent_program: agent_program.unwrap_or_else(|| program.with_file_name("coffer-agent")),
        supervisor_command: vec![program.into(), "local-supervisor".into(), "--root".into(), root.clone().into()],
        root,
    })
}

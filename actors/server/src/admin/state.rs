//! `coffer admin`: checking, and removing what belongs to nobody. Backup and restore are in [`crate::backup`].

use std::process::ExitCode;

use coffer_local::LocalProvider;
use coffer_runtime::store::Store;

use super::{local_config, move_log, place};
use crate::{
    backup,
    check::{self, Finding},
    cli::{AdminCommand, Place},
    keys,
    local_api::{Request, ask},
    orphan,
    state_dir::StateDir,
};

type Outcome = Result<ExitCode, Box<dyn std::error::Error>>;

/// How `coffer doctor` and `coffer admin check` end when something was found.
pub const FOUND: u8 = 1;

pub fn run(command: &AdminCommand) -> Outcome {
    match command {
        AdminCommand::Check { place, json, repair } => check(place, *json, *repair),
        AdminCommand::RemoveOrphan { instance, yes, place } => remove_orphan(instance, *yes, place),
        AdminCommand::MoveLog { config } => move_log::run(config),
        AdminCommand::Backup(options) => backup::write(options).map(|()| ExitCode::SUCCESS),
        AdminCommand::Restore(options) => backup::restore(options).map(|()| ExitCode::SUCCESS),
    }
}

/// All findings about the store and what is outside: asked of the running service, or looked up where none runs.
pub fn findings(state: &StateDir) -> Result<Vec<Finding>, Box<dyn std::error::Error>> {
    let Some(_lock) = state.lock_existing()? else { return Ok(ask(state.path(), &Request::Check)?) };
    check_store(state)?;
    let store = Store::open_read_only(&state.store())?;
    let (vault, unopened) = match keys::read(&state.deployment_key()) {
        Ok(key) => (Some(key.vault), None),
        Err(error) => (None, Some(Finding::new("key.unreadable", error.to_string(), keys::MEND))),
    };
    let mut findings = check::all(&store, vault.as_ref(), &state.local(), &state.words())?;
    findings.extend(unopened);
    Ok(findings)
}

/// Nothing here makes a store where there is none.
fn check_store(state: &StateDir) -> Result<(), String> {
    if state.store().exists() { Ok(()) } else { Err(format!("{} holds no store", state.path().display())) }
}

fn check(named: &Place, json: bool, repair: bool) -> Outcome {
    let (state, _) = place(named)?;
    if repair {
        let stopped = state.lock_existing()?;
        let _lock = stopped.ok_or("coffer runs: stop it before a repair")?;
        check_store(&state)?;
        let store = Store::open(&state.store())?;
        if store.follows()?.is_some() {
            let directory = state.store().display().to_string();
            return Err(
                format!("the store follows a changelog: remove {directory}, and the next start reads it anew").into()
            );
        }
        for mended in check::repair(&store)? {
            eprintln!("mended: {mended}");
        }
    }
    let mut findings = findings(&state)?;
    findings.extend(check::notes());
    check::print(&findings, json)?;
    Ok(if check::is_well(&findings) { ExitCode::SUCCESS } else { ExitCode::from(FOUND) })
}

fn remove_orphan(instance: &str, yes: bool, named: &Place) -> Outcome {
    let (state, config) = place(named)?;
    let lock = state.lock_existing()?;
    if lock.is_none() {
        let words: String = ask(state.path(), &Request::RemoveOrphan { instance: instance.to_owned(), remove: yes })?;
        return Ok(told(&words, yes));
    }
    check_store(&state)?;
    let orphan = orphan::find(&Store::open_read_only(&state.store())?, &state, instance)?;
    if yes {
        let agent_program = config.and_then(|config| config.provider.agent_program);
        let provider = LocalProvider::open(local_config(&state, agent_program)?)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async { orphan::remove(&provider, &state, &orphan).await })?;
    }
    Ok(told(&orphan.words(), yes))
}

fn told(orphan: &str, is_removed: bool) -> ExitCode {
    if is_removed {
        println!("removed {orphan}");
        return ExitCode::SUCCESS;
    }
    println!("this would go: {orphan}\nremove it with --yes; there is no way back");
    ExitCode::from(FOUND)
}

//! `coffer doctor`: what is missing, broken or orphaned, and the command that mends it.
//!
//! It changes nothing, and works beside a running Coffer, with a stopped one, and before the first start. RocksDB lets
//! only one process in: a running service checks the store itself when it is asked over [`crate::local_api`], so that
//! what is said is one consistent snapshot; of a stopped one the store is opened read-only under the state directory's
//! lock.

mod certificate;
mod host;
mod http;
mod identity;
mod service;
mod state;

use std::process::ExitCode;

use crate::{
    admin::{self, state::FOUND},
    check::{self, Finding},
    cli::Place,
    config::Config,
    state_dir::StateDir,
};

/// How it ends when a part could not be looked at.
const CANNOT_LOOK: u8 = 2;

/// What all examinations look at.
struct Patient {
    state: StateDir,
    /// Of `coffer serve`, where it was named.
    config: Option<Config>,
}

pub fn run(place: &Place, json: bool) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let (state, config) = admin::place(place)?;
    let patient = Patient { state, config };
    let mut findings = state::examine(&patient);
    findings.extend(host::examine(&patient));
    findings.extend(service::examine(&patient));
    findings.extend(certificate::examine(&patient));
    findings.extend(identity::examine(&patient));
    let mut code = FOUND;
    if patient.state.store().exists() {
        match admin::state::findings(&patient.state) {
            Ok(found) => findings.extend(found),
            Err(error) => {
                code = CANNOT_LOOK;
                let mend = "see above; else run this as the user that coffer runs as, or as root";
                findings.push(Finding::new("store.not_looked_at", error.to_string(), mend));
            }
        }
    }
    findings.extend(check::notes());
    check::print(&findings, json)?;
    Ok(if check::is_well(&findings) { ExitCode::SUCCESS } else { ExitCode::from(code) })
}

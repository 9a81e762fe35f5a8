//! The binary `coffer`: command line, configuration and wiring. The only place that knows every part.
//!
//! * [`cli`] – what can be typed;
//! * [`config`] – the file of `coffer serve`, and what `coffer dev` uses in its place;
//! * [`state_dir`] – the one directory that everything of a host lives in, with its lock;
//! * [`identity`] – who may call;
//! * [`keys`] – the deployment key;
//! * [`broker`] – the embedded broker or the way to an external one;
//! * [`service`] – starts all parts, runs until a signal, stops them in order;
//! * [`coffer_server::control`] – what the REST shim asks, answered by the runtime;
//! * [`admin`] – commands beside the service: users, cleaning up, borders and effects, looking after the state;
//! * [`check`] – what is inconsistent, and what mends it; [`orphan`] – removing what belongs to nobody;
//! * [`doctor`] – the same, and all that the service needs of its host;
//! * [`backup`] – the state in one file, and back;
//! * [`local_api`] – how commands ask a running service; [`desk`] – its answers;
//! * [`systemd`] – what systemd is told;
//! * [`journal`] – what was done to an instance, read beside the service;
//! * [`rehearsal`] – crashes, clock shifts and failing effects on purpose, for `coffer dev` alone.

mod admin;
mod backup;
mod broker;
mod catalogue;
mod check;
mod cli;
mod config;
mod desk;
mod doctor;
mod identity;
mod journal;
mod keys;
mod local_api;
mod logging;
mod orphan;
mod rehearsal;
mod service;
mod state_dir;
mod status;
mod systemd;

use std::process::ExitCode;

use clap::Parser;
use mimalloc::MiMalloc;

/// Commands and answers are made on one thread and dropped on another, which costs the C library's allocator about
/// a quarter of a partition's time.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// What every command may fail with: one sentence for the person who typed it.
type CommandResult = Result<(), Box<dyn std::error::Error>>;

/// How a command ends that could not look at all: 1 would mean that it has found something.
const CANNOT_LOOK: u8 = 2;

fn main() -> ExitCode {
    let result = match cli::Cli::parse().command {
        cli::Command::Doctor { place, json } => return found(doctor::run(&place, json)),
        cli::Command::Admin { command } => return found(admin::state::run(&command)),
        cli::Command::Status { place, json } => status::print(&place, json),
        cli::Command::Dev(options) => service::dev(&options),
        cli::Command::Serve(options) => service::serve(&options),
        cli::Command::DevClean(options) => admin::clean(&options),
        cli::Command::User(options) => admin::user(&options),
        cli::Command::Journal(options) => journal::print(&options),
        cli::Command::Borders { operation } => admin::borders(operation),
        cli::Command::Effects { operation } => admin::effects(operation),
        cli::Command::LocalSupervisor { root } => {
            logging::start(cli::LogFormat::Text);
            coffer_local::supervisor::run(&root).map_err(Into::into)
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("coffer: {error}");
            ExitCode::FAILURE
        }
    }
}

fn found(result: Result<ExitCode, Box<dyn std::error::Error>>) -> ExitCode {
    result.unwrap_or_else(|error| {
        eprintln!("coffer: {error}");
        ExitCode::from(CANNOT_LOOK)
    })
}

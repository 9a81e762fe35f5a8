//! The binary `coffer`: command line, configuration and wiring. The only place that knows every part.
//!
//! * [`cli`] – what can be typed;
//! * [`config`] – the file of `coffer serve`, and what `coffer dev` uses in its place;
//! * [`state_dir`] – the one directory that everything of a host lives in, with its lock;
//! * [`keys`] – the deployment key;
//! * [`broker`] – the embedded broker or the way to an external one;
//! * [`service`] – starts all parts, runs until a signal, stops them in order;
//! * [`control`] – what the REST shim asks, answered by the runtime;
//! * [`admin`] – commands beside the service: users, cleaning up, borders;
//! * [`rehearsal`] – crashes and clock shifts on purpose, for `coffer dev` alone.

mod admin;
mod broker;
mod catalogue;
mod cli;
mod config;
mod control;
mod keys;
mod logging;
mod rehearsal;
mod service;
mod state_dir;

use std::process::ExitCode;

use clap::Parser;

/// What every command may fail with: one sentence for the person who typed it.
type CommandResult = Result<(), Box<dyn std::error::Error>>;

fn main() -> ExitCode {
    let result = match cli::Cli::parse().command {
        cli::Command::Dev(options) => service::dev(&options),
        cli::Command::Serve(options) => service::serve(&options),
        cli::Command::DevClean(options) => admin::clean(&options),
        cli::Command::User(options) => admin::user(&options),
        cli::Command::Borders { operation } => admin::borders(operation),
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

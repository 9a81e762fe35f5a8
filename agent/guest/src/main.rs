//! `coffer-agent run --boot FILE --data DIR`: reads the first-boot data, connects to the broker and runs the agent.

use std::{
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use clap::{Parser, Subcommand, ValueEnum};
use coffer_guest::{agent::Agent, supervisor::Pace};
use coffer_kafka::KafkaTransport;
use coffer_protocol::boot::{Bootstrap, FirstBoot};
use rustix::{fs::Mode, process};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

#[derive(Parser)]
#[command(name = "coffer-agent", version, about = "Runs beside a database and does what Coffer asks of it")]
struct Cli {
    #[command(subcommand)]
    command: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Run until a signal ends the agent; the engine goes on without it.
    Run {
        /// First-boot data of this server, readable by its owner only.
        #[arg(long)]
        boot: PathBuf,
        /// Mount point of the data volume.
        #[arg(long)]
        data: PathBuf,
        /// How log lines are written to standard error; COFFER_LOG says which.
        #[arg(long, value_enum, default_value_t = LogFormat::Text)]
        log_format: LogFormat,
    },
}

#[derive(Clone, Copy, ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

// One thread is enough for one engine, and the smallest footprint.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let Action::Run { boot, data, log_format } = Cli::parse().command;
    start_log(log_format);
    match run(&boot, &data).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "the agent ends");
            ExitCode::FAILURE
        }
    }
}

async fn run(boot: &Path, data: &Path) -> Result<(), Box<dyn std::error::Error>> {
    if process::geteuid().is_root() {
        return Err("the agent must not run as root: neither it nor the engine needs to".into());
    }
    // Whatever is made on the volume is nobody else's to read.
    process::umask(Mode::RWXG | Mode::RWXO);
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let boot = read_boot(boot)?;
    let bootstrap = match &boot.bootstrap {
        Bootstrap::Servers(servers) => coffer_kafka::Bootstrap::Servers(servers.clone()),
        Bootstrap::File(path) => coffer_kafka::Bootstrap::File(PathBuf::from(path)),
    };
    let client_id = format!("coffer-agent-{}", boot.instance_id);
    let agent = Agent::start(boot, data, Pace::default())?;
    let transport = KafkaTransport::connect(bootstrap, &client_id)?;
    tokio::select! {
        error = agent.run(Arc::new(transport)) => return Err(error.into()),
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("the agent ends; its engine goes on");
    Ok(())
}

fn read_boot(path: &Path) -> io::Result<FirstBoot> {
    let named = |error: &dyn std::fmt::Display| io::Error::other(format!("{}: {error}", path.display()));
    let mode = fs::metadata(path).map_err(|error| named(&error))?.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(named(&format!("it holds a key and has mode {:03o}: 0400 is right", mode & 0o777)));
    }
    let content = fs::read(path).map_err(|error| named(&error))?;
    // Where it is wrong, and not what stands there: it may be the key.
    serde_json::from_slice(&content).map_err(|error| {
        named(&format!("it is not first-boot data (line {}, column {})", error.line(), error.column()))
    })
}

/// A log that cannot be written (a full disk) is no reason to stop: by default the subscriber would say so, and panic.
fn start_log(format: LogFormat) {
    let filter = EnvFilter::try_from_env("COFFER_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).log_internal_errors(false);
    match format {
        LogFormat::Text => builder.with_ansi(false).init(),
        LogFormat::Json => builder.json().init(),
    }
}

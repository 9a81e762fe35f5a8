//! What can be typed.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Databases as a service for OpenStack clouds and plain Linux hosts.
#[derive(Parser)]
#[command(name = "coffer", version, about)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand)]
pub enum Command {
    /// Runs everything on this host, on loopback, with an embedded broker: to try, develop and test.
    Dev(DevOptions),
    /// Runs the service from a configuration file.
    Serve(ServeOptions),
    /// Stops all databases of a stopped `coffer dev` and deletes its state.
    DevClean(StateOptions),
    /// Adds users of the static identity, or gives them new passwords.
    User(UserOptions),
    /// Lists the places at which `COFFER_CRASH_AT` lets `coffer dev` rehearse a crash.
    #[command(hide = true)]
    Borders { operation: Operation },
    /// Keeps the agents of the provider `local` running; started by the service itself.
    #[command(hide = true)]
    LocalSupervisor {
        #[arg(long)]
        root: PathBuf,
    },
}

#[derive(Args)]
pub struct StateOptions {
    /// Directory of all state; /var/lib/coffer-dev for root, ~/.local/state/coffer-dev otherwise.
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
}

#[derive(Args)]
pub struct DevOptions {
    #[command(flatten)]
    pub state: StateOptions,
    /// Loopback address and port of the API; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8779")]
    pub listen: SocketAddr,
    /// PEM file with a certificate: the API is served over TLS.
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// PEM file with the certificate's key.
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
}

#[derive(Args)]
pub struct ServeOptions {
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    #[arg(long, value_enum, default_value_t = LogFormat::Json)]
    pub log_format: LogFormat,
}

#[derive(Args)]
pub struct UserOptions {
    #[command(subcommand)]
    pub command: UserCommand,
}

#[derive(Subcommand)]
pub enum UserCommand {
    /// Adds a user and prints the generated password.
    Add {
        name: String,
        /// The project (tenant) that the user works in; it is made if it does not exist.
        #[arg(long)]
        project: String,
        /// Role in the project; `member` when none is named.
        #[arg(long = "role", value_name = "ROLE")]
        roles: Vec<String>,
        #[command(flatten)]
        state: StateOptions,
    },
    /// Gives a user a new password and prints it; the user's tokens end.
    Password {
        name: String,
        #[command(flatten)]
        state: StateOptions,
    },
}

#[derive(Clone, Copy, ValueEnum)]
pub enum Operation {
    Create,
    Delete,
}

#[derive(Clone, Copy, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

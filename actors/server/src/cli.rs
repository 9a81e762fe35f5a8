//! What can be typed.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Where `coffer dev` listens when nothing else is said.
pub const DEFAULT_LISTEN: &str = "127.0.0.1:8779";

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
    /// Says what is missing, broken or orphaned, and what mends it. Ends with 0 when all is well, with 1 when something
    /// was found, with 2 when it cannot look.
    Doctor {
        #[command(flatten)]
        place: Place,
        /// A JSON list of findings instead of text.
        #[arg(long)]
        json: bool,
    },
    /// Shows the running node, and whose the partitions are: who owns each, how far this node follows it, what is under way.
    Status {
        #[command(flatten)]
        place: Place,
        /// JSON instead of a table.
        #[arg(long)]
        json: bool,
    },
    /// Looks after the state: checks it, saves and restores it.
    Admin {
        #[command(subcommand)]
        command: AdminCommand,
    },
    /// Tells what was done to an instance and why, also for a while after it is gone.
    Journal(JournalOptions),
    /// Lists the places at which `COFFER_CRASH_AT` lets `coffer dev` rehearse a crash.
    #[command(hide = true)]
    Borders { operation: Operation },
    /// Lists the calls to the provider that `COFFER_FAIL_EFFECT` lets fail in `coffer dev`.
    #[command(hide = true)]
    Effects { operation: Operation },
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

/// Which Coffer is meant.
#[derive(Args)]
pub struct Place {
    #[command(flatten)]
    pub state: StateOptions,
    /// The file of `coffer serve`; its `state_dir` is meant then.
    #[arg(long, value_name = "FILE", conflicts_with = "state_dir")]
    pub config: Option<PathBuf>,
}

#[derive(Subcommand)]
pub enum AdminCommand {
    /// Checks that the store agrees with itself and with what is outside. Ends as `coffer doctor` does.
    Check {
        #[command(flatten)]
        place: Place,
        /// A JSON list of findings instead of text.
        #[arg(long)]
        json: bool,
        /// Rewrites what follows from the states (what a GET shows, quota in use). Coffer must be stopped.
        #[arg(long)]
        repair: bool,
    },
    /// Shows what an instance that Coffer does not know has on this host; removes it with `--yes`, data included.
    RemoveOrphan {
        /// Id of the instance.
        instance: String,
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        place: Place,
    },
    /// Writes the control plane's state into one file, also while Coffer runs. It holds no tenant's data.
    Backup(BackupOptions),
    /// Moves what is committed to where `broker.log` of the configuration wants it: from this host into Kafka, or back.
    /// Coffer must be stopped.
    MoveLog {
        /// The file of `coffer serve`.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Puts the state of a backup into a state directory that has none. Databases that run there are adopted.
    Restore(RestoreOptions),
}

#[derive(Args)]
pub struct BackupOptions {
    /// The archive to write; it must not exist.
    pub file: PathBuf,
    #[command(flatten)]
    pub place: Place,
    #[command(flatten)]
    pub protection: Protection,
}

/// What becomes of the deployment key, which opens every secret in the store. One of these must be chosen.
#[derive(Args)]
#[group(required = true, multiple = false)]
pub struct Protection {
    /// Encrypts the archive, key included, with the passphrase in this file.
    #[arg(long, value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,
    /// Leaves the key out: it must be kept elsewhere, and be in place before a restore.
    #[arg(long)]
    pub without_key: bool,
    /// Puts the key in as it is: whoever reads the archive can read every password and command every database.
    #[arg(long)]
    pub include_key_in_clear: bool,
}

#[derive(Args)]
pub struct RestoreOptions {
    /// An archive that `coffer admin backup` wrote.
    pub file: PathBuf,
    #[arg(long, value_name = "DIR")]
    pub state_dir: PathBuf,
    /// The passphrase of an encrypted archive.
    #[arg(long, value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,
}

#[derive(Args)]
pub struct DevOptions {
    #[command(flatten)]
    pub state: StateOptions,
    /// Loopback address and port of the API; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS", default_value = DEFAULT_LISTEN)]
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

#[derive(Args)]
pub struct JournalOptions {
    /// Id of the instance.
    pub id: uuid::Uuid,
    /// One JSON object a line.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub state: StateOptions,
}

#[derive(Clone, Copy, ValueEnum)]
pub enum Operation {
    Create,
    Delete,
    ResizeVolume,
    ResizeFlavor,
}

#[derive(Clone, Copy, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

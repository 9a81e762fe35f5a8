//! Makes the data directory: aside, then renamed, so that it is complete or not there.

use std::{fs, io, time::Duration};

use coffer_protocol::report::Failure;
use rustix::{
    fs::syncfs,
    process::{Signal, kill_process},
};
use tokio::time::{sleep, timeout};

use super::{Layout, config, file_name, server};
use crate::{
    failure,
    host::{files, proc, process, process::Process},
    supervisor::{last_words, settings::Settings},
};

const INSTALL_PROGRAM: &str = "/usr/bin/mariadb-install-db";
/// It takes about a second; a disk that needs longer than this is not one to run a database on.
const INSTALL_TIMEOUT: Duration = Duration::from_secs(120);

/// Refuses a version that is not the one installed in this guest.
pub(super) async fn check_version(wanted: &str) -> Result<(), Failure> {
    let output = tokio::process::Command::from(process::command(server::PROGRAM))
        .args(["--no-defaults", "--version"])
        .output()
        .await
        .map_err(|error| failure::agent_failed(format!("cannot run {}: {error}", server::PROGRAM)))?;
    let banner = String::from_utf8_lossy(&output.stdout);
    match installed_version(&banner) {
        Some(installed) if is_of_series(installed, wanted) => Ok(()),
        Some(installed) => Err(failure::unsupported(format!("this guest has MariaDB {installed}, not {wanted}"))),
        None => Err(failure::engine_failed(format!("{} does not tell its version: {banner:?}", server::PROGRAM))),
    }
}

/// Makes the data directory unless it is there.
///
/// The engine's superuser can then log in as the operating system's root, through the socket, and not otherwise;
/// there are no anonymous users and no test database.
pub(super) async fn initialise(layout: &Layout, settings: &Settings) -> Result<(), Failure> {
    let failed = |error: io::Error| failure::agent_failed(format!("the data directory cannot be made: {error}"));
    if layout.data.try_exists().map_err(failed)? {
        return Ok(());
    }
    end_leftovers(layout).await;
    files::remove_directory_if_there(&layout.fresh).map_err(failed)?;
    install(layout, settings).await?;
    complete(layout).map_err(failed)
}

/// Ends what an agent that was killed has left at work on half a data directory.
async fn end_leftovers(layout: &Layout) {
    let leftovers = || proc::find(|arguments| server::works_on(arguments, &layout.fresh));
    loop {
        let found = leftovers();
        if found.is_empty() {
            return;
        }
        for pid in found {
            tracing::warn!(%pid, "an unfinished initialisation is killed");
            // It may have ended by itself since it was found.
            let _ = kill_process(pid, Signal::KILL);
        }
        sleep(Duration::from_millis(10)).await;
    }
}

async fn install(layout: &Layout, settings: &Settings) -> Result<(), Failure> {
    let mut command = process::command(INSTALL_PROGRAM);
    command
        .arg("--no-defaults")
        .arg(server::option("datadir", &layout.fresh))
        // No host name is looked up and none gets into the tables.
        .args(["--cross-bootstrap", "--skip-name-resolve", "--skip-test-db"])
        .args(["--auth-root-authentication-method=socket", "--auth-root-socket-user=root"])
        // The size that the engine will run with: it need not write the log anew at its first start.
        .arg(format!("--innodb-log-file-size={}M", config::redo_log_mib(settings)))
        .current_dir(&layout.home);
    let mut installer = Process::spawn(command, &layout.log)
        .map_err(|error| failure::agent_failed(format!("cannot start {INSTALL_PROGRAM}: {error}")))?;
    let Ok(exit) = timeout(INSTALL_TIMEOUT, installer.exited()).await else {
        installer.kill_group();
        let seconds = INSTALL_TIMEOUT.as_secs();
        return Err(failure::agent_failed(format!("{INSTALL_PROGRAM} was killed after {seconds} s")));
    };
    match exit {
        Ok(Some(status)) if status.success() => Ok(()),
        Ok(status) => {
            let status = status.map(|status| status.to_string()).unwrap_or_default();
            let last_words = last_words(&layout.log);
            Err(failure::agent_failed(format!("{INSTALL_PROGRAM} failed ({status}): {last_words}")))
        }
        Err(error) => Err(failure::agent_failed(format!("the end of {INSTALL_PROGRAM} cannot be seen: {error}"))),
    }
}

/// Renames the data directory once all of it is on disk.
fn complete(layout: &Layout) -> io::Result<()> {
    syncfs(fs::File::open(&layout.fresh)?)?;
    fs::rename(&layout.fresh, &layout.data)?;
    files::sync_directory(&layout.home)?;
    tracing::info!(directory = %file_name(&layout.data), "the data directory is complete");
    Ok(())
}

/// The version in `mariadbd  Ver 10.11.6-MariaDB-0+deb12u1 for debian-linux-gnu …`.
fn installed_version(banner: &str) -> Option<&str> {
    let (_, after) = banner.split_once("Ver ")?;
    after.split(['-', ' ']).next().filter(|version| !version.is_empty())
}

/// Whether `installed` is `wanted` or a later part of that series: 10.11.6 is of 10.11 and not of 10.1.
fn is_of_series(installed: &str, wanted: &str) -> bool {
    installed.strip_prefix(wanted).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_series_of_the_installed_version_is_told() {
        let banner = "/usr/sbin/mariadbd  Ver 10.11.6-MariaDB-0+deb12u1 for debian-linux-gnu on x86_64 (Debian 12)";
        assert_eq!(installed_version(banner), Some("10.11.6"));
        assert_eq!(installed_version("no version"), None);
        assert!(is_of_series("10.11.6", "10.11"));
        assert!(is_of_series("10.11.6", "10.11.6"));
        assert!(!is_of_series("10.11.6", "10.1"));
        assert!(!is_of_series("10.11.6", "11.4"));
    }
}

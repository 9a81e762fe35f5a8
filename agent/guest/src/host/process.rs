//! A process that is watched by its pidfd, whether it is a child or was adopted.

use std::{
    ffi::{OsStr, OsString},
    fs::{File, OpenOptions},
    io,
    os::{
        fd::OwnedFd,
        unix::{fs::OpenOptionsExt, process::CommandExt},
    },
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
};

use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open, pidfd_send_signal};
use tokio::io::unix::AsyncFd;

use super::proc;

/// Set by a provider's supervisor to mark all processes of one server; handed on to every child.
const SERVER_MARK: &str = "COFFER_SERVER";

/// A command with an environment of its own: nothing that the agent happened to be started with reaches the engine,
/// but for the mark of the server.
pub fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin").env("TZ", "UTC");
    if let Some(mark) = std::env::var_os(SERVER_MARK) {
        command.env(SERVER_MARK, mark);
    }
    command
}

/// A running process, or one whose end has not been collected yet.
#[derive(Debug)]
pub struct Process {
    pid: Pid,
    pidfd: AsyncFd<OwnedFd>,
    /// Absent for an adopted process: its end is collected by whoever started it.
    child: Option<Child>,
}

impl Process {
    /// Starts `command` in a process group of its own, so that no signal to the agent's group reaches it, without
    /// input and with all output appended to `log` (mode 0600).
    pub fn spawn(mut command: Command, log: &Path) -> io::Result<Self> {
        let log = open_log(log)?;
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).process_group(0);
        let child = command.spawn().map_err(|error| {
            io::Error::new(error.kind(), format!("cannot start {}: {error}", command.get_program().display()))
        })?;
        let pid = Pid::from_child(&child);
        Ok(Self { pid, pidfd: watch(pid)?, child: Some(child) })
    }

    /// Takes over the process whose arguments `matches`, if there is one.
    pub fn adopt(matches: impl Fn(&[OsString]) -> bool) -> io::Result<Option<Self>> {
        for pid in proc::find(&matches) {
            let Ok(pidfd) = watch(pid) else { continue };
            // The number may have been given to another process before the pidfd was open.
            if proc::arguments(pid).is_some_and(|arguments| matches(&arguments)) {
                return Ok(Some(Self { pid, pidfd, child: None }));
            }
        }
        Ok(None)
    }

    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// Waits for the end; the status is known for children only. May be dropped and called again.
    pub async fn exited(&mut self) -> io::Result<Option<ExitStatus>> {
        self.pidfd.readable().await?.retain_ready();
        match &mut self.child {
            Some(child) => child.wait().map(Some),
            None => Ok(None),
        }
    }

    /// Sends a signal to the process. One that has ended already is no error.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        match pidfd_send_signal(&self.pidfd, signal) {
            Err(rustix::io::Errno::SRCH) | Ok(()) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Kills a spawned process and all that it started in its group.
    pub fn kill_group(&self) {
        if let Err(error) = kill_process_group(self.pid, Signal::KILL) {
            tracing::warn!(pid = %self.pid, %error, "cannot kill a process group");
        }
    }
}

#[expect(
    deprecated,
    reason = "the unsafe successor asks that the descriptor stays open and the same: an `OwnedFd` keeps that promise"
)]
fn watch(pid: Pid) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::new(pidfd_open(pid, PidfdFlags::empty())?)
}

fn open_log(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o600).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sleeper(log: &Path, seconds: &str) -> Process {
        let mut sleep = command("sleep");
        sleep.arg(seconds);
        Process::spawn(sleep, log).unwrap()
    }

    #[tokio::test]
    async fn the_end_of_a_child_is_seen_and_collected() {
        let directory = tempfile::tempdir().unwrap();
        let mut child = sleeper(&directory.path().join("log"), "1000");
        child.kill_group();
        let status = child.exited().await.unwrap().unwrap();
        assert!(!status.success());
        assert_eq!(proc::usage(child.pid()), None, "a zombie was left");
    }

    #[tokio::test]
    async fn a_process_is_adopted_by_its_arguments_and_its_end_is_seen() {
        let directory = tempfile::tempdir().unwrap();
        // A number that no other test sleeps for.
        let seconds = format!("1{:06}", std::process::id());
        let mut child = sleeper(&directory.path().join("log"), &seconds);
        let is_it = |arguments: &[OsString]| arguments.last().is_some_and(|last| *last == *seconds);
        let mut adopted = Process::adopt(is_it).unwrap().expect("it runs");
        assert_eq!(adopted.pid(), child.pid());
        adopted.signal(Signal::TERM).unwrap();
        assert_eq!(adopted.exited().await.unwrap(), None);
        child.exited().await.unwrap();
        assert!(Process::adopt(is_it).unwrap().is_none());
    }
}

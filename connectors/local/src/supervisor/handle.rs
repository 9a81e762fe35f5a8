//! The provider's side of the supervisor: is it there, start it, wake it, stop it.

use std::{
    env,
    ffi::OsString,
    fs, io,
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    process::Stdio,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use coffer_ports::{Error, ErrorKind, Result};
use rustix::fs::OFlags;
use tokio::{
    process::{Child, Command},
    sync::Mutex,
    time::{Instant, sleep},
};

use super::{
    LOOK, QUIT, failed,
    guest::{LOG_VARIABLE, PATH},
    lock::{PROGRAM_VARIABLE, holder},
    log_file,
};
use crate::{error::OrFail, layout::Layout};

/// How long a supervisor may take to start or to stop.
const TIMEOUT: Duration = Duration::from_secs(10);
const POLL_INTERVAL: Duration = Duration::from_millis(10);

pub(crate) struct SupervisorHandle {
    layout: Layout,
    command: Vec<OsString>,
    /// Identity of the program in `command`: file and time of its change.
    program: String,
    /// One at a time starts or stops it.
    changing: Mutex<()>,
    stopped: AtomicBool,
}

impl SupervisorHandle {
    pub(crate) fn new(layout: Layout, command: Vec<OsString>) -> Result<Self> {
        let Some(program) = command.first() else {
            let message = "the local provider needs the command line of its supervisor";
            return Err(Error::new(ErrorKind::Invalid, "local.no_supervisor_command", message));
        };
        // A name that is looked up in PATH has no identity, and is never replaced.
        let program = fs::metadata(program).map_or_else(
            |_| String::new(),
            |file| format!("{}:{}:{}.{:09}", file.dev(), file.ino(), file.mtime(), file.mtime_nsec()),
        );
        Ok(Self { layout, command, program, changing: Mutex::new(()), stopped: AtomicBool::new(false) })
    }

    /// Returns when a supervisor of this build works.
    pub(crate) async fn ensure(&self) -> Result<()> {
        let _changing = self.changing.lock().await;
        if self.stopped.load(Ordering::Relaxed) {
            return Err(failed("local.shut_down", "the local provider was shut down".to_owned()));
        }
        // One that holds the lock and does not listen yet is starting, and has not said yet who it is.
        if self.until_listening(None).await? {
            if holder(&self.layout)?.is_some_and(|holder| holder.program == self.program) {
                return Ok(());
            }
            self.quit().await?;
        }
        let child = self.start()?;
        self.until_listening(Some(child)).await.map(|_| ())
    }

    /// Makes it look at the files at once, starting it if need be.
    pub(crate) async fn poke(&self) -> Result<()> {
        self.ensure().await?;
        match self.tell(LOOK) {
            // Full of wishes that it has not read yet: one of them is enough.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            told => told.or_fail("write to", &self.layout.supervisor_fifo()),
        }
    }

    /// Stops it for good; the agents go on.
    pub(crate) async fn stop(&self) -> Result<()> {
        let _changing = self.changing.lock().await;
        self.stopped.store(true, Ordering::Relaxed);
        self.quit().await
    }

    async fn quit(&self) -> Result<()> {
        let deadline = Instant::now() + TIMEOUT;
        while holder(&self.layout)?.is_some() {
            if Instant::now() >= deadline {
                return Err(self.late("does not stop"));
            }
            // Without a listener it is still starting, and told again.
            let _ = self.tell(QUIT);
            sleep(POLL_INTERVAL).await;
        }
        Ok(())
    }

    fn start(&self) -> Result<Child> {
        let log_path = self.layout.supervisor_log();
        let log = log_file::open(&log_path).or_fail("open", &log_path)?;
        let mut command = Command::new(&self.command[0]);
        command
            .args(&self.command[1..])
            .env_clear()
            .env("PATH", PATH)
            .env(PROGRAM_VARIABLE, &self.program)
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(log.try_clone().or_fail("open", &log_path)?)
            .stderr(log);
        if let Some(filter) = env::var_os(LOG_VARIABLE) {
            command.env(LOG_VARIABLE, filter);
        }
        command.spawn().or_fail("start the supervisor", self.command[0].as_ref())
    }

    /// Waits for the FIFO to have a reader: `started`, or somebody who holds the lock. `false` when there is nobody.
    async fn until_listening(&self, mut started: Option<Child>) -> Result<bool> {
        let deadline = Instant::now() + TIMEOUT;
        while self.tell_nothing().is_err() {
            if started.is_none() && holder(&self.layout)?.is_none() {
                return Ok(false);
            }
            if Instant::now() >= deadline {
                return Err(self.late("does not start"));
            }
            if let Some(status) = started.as_mut().and_then(|child| child.try_wait().ok().flatten())
                // A success means that another one was faster.
                && !status.success()
            {
                let log = self.layout.supervisor_log();
                let message = format!("the supervisor ended with {status}; {} says why", log.display());
                return Err(failed("local.supervisor_failed", message));
            }
            sleep(POLL_INTERVAL).await;
        }
        if let Some(mut child) = started {
            // It outlives us; if it does not, it shall not stay a zombie.
            tokio::spawn(async move { child.wait().await });
        }
        Ok(true)
    }

    fn tell(&self, word: u8) -> io::Result<()> {
        io::Write::write_all(&mut self.tell_nothing()?, &[word])
    }

    /// Opens the FIFO, which fails unless somebody reads it.
    fn tell_nothing(&self) -> io::Result<fs::File> {
        let flags = i32::try_from(OFlags::NONBLOCK.bits()).map_err(io::Error::other)?;
        fs::OpenOptions::new().write(true).custom_flags(flags).open(self.layout.supervisor_fifo())
    }

    fn late(&self, what: &str) -> Error {
        let message = format!("the program that keeps databases running on the host {what} within {TIMEOUT:?}");
        let error = Error::new(ErrorKind::Timeout, "local.supervisor_late", message);
        error.with_detail(self.layout.root().display().to_string())
    }
}

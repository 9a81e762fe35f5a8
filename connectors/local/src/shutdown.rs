//! Ending everything of a root: for a `coffer dev` that is taken down, never for a restart.

use std::{
    thread,
    time::{Duration, Instant},
};

use coffer_ports::{Error, ErrorKind, Result};
use rustix::process::Signal;

use crate::{error::blocking, layout::Layout, processes::guests_of, provider::LocalProvider};

/// How long engines have to end in an orderly way, and then to be gone after a kill.
const TERM_TIMEOUT: Duration = Duration::from_secs(15);
const KILL_TIMEOUT: Duration = Duration::from_secs(5);
const POLL_INTERVAL: Duration = Duration::from_millis(50);

impl LocalProvider {
    /// Stops the supervisor, then asks all guests of this root to end (SIGTERM) and kills those that have not within
    /// 15 s. Volumes and servers stay written down: the next supervisor starts them again. From now on this provider
    /// starts no supervisor.
    ///
    /// Errors: `Timeout` when a process survives the kill.
    pub async fn shutdown_all(&self) -> Result<()> {
        self.shared.supervisor.stop().await?;
        let layout = self.shared.layout.clone();
        blocking(move || {
            signal(&layout, Signal::TERM)?;
            let deadline = Instant::now() + TERM_TIMEOUT;
            while alive(&layout)? > 0 && Instant::now() < deadline {
                thread::sleep(POLL_INTERVAL);
            }
            // Repeated, because one that forks meanwhile may escape a round.
            let deadline = Instant::now() + KILL_TIMEOUT;
            while signal(&layout, Signal::KILL)? > 0 {
                if Instant::now() >= deadline {
                    let message = format!("processes under {} survive a kill", layout.root().display());
                    return Err(Error::new(ErrorKind::Timeout, "local.processes_stay", message));
                }
                thread::sleep(POLL_INTERVAL);
            }
            Ok(())
        })
        .await
    }
}

fn signal(layout: &Layout, signal: Signal) -> Result<usize> {
    guests_of(layout)?.iter().map(|guest| guest.signal(signal)).sum()
}

fn alive(layout: &Layout) -> Result<usize> {
    guests_of(layout)?.iter().map(|guest| Ok(guest.pids()?.len())).sum()
}

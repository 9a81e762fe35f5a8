//! The supervisor: the process that keeps agents running, on its own.
//!
//! There is one per root directory, and it depends on nobody: it is not ended with Coffer, and the agents are not
//! ended with it. The files under `servers/` tell it what is to run; a byte in its FIFO tells it to look at once. A
//! supervisor that starts finds the agents of its predecessor by the locks that they hold, and adopts them.
//!
//! It runs on one thread, wakes for ended children, for the FIFO and every few seconds, and holds no state that a
//! successor would miss.

mod guest;
pub(crate) mod handle;
mod lock;
mod log_file;

use std::{
    collections::BTreeMap,
    fs, io,
    path::Path,
    time::{Duration, Instant},
};

use coffer_ports::{Error, ErrorKind, Result};
use rustix::{
    fs::{CWD, Mode, mkfifoat},
    process::{Signal, WaitOptions, set_child_subreaper, setsid, umask, wait},
    thread::set_no_new_privs,
};
use tokio::{
    net::unix::pipe,
    signal::unix::{SignalKind, signal},
};

use crate::{
    error::OrFail,
    files::{remove_tree, sync_parent},
    layout::{InstanceId, Layout},
    processes,
    spec::{Desired, ServerSpec, instances_in},
};
use guest::Guest;
pub use guest::PATH as GUEST_PATH;
pub(crate) use guest::is_agent_alive;

/// What a byte in the FIFO says.
const LOOK: u8 = b'l';
const QUIT: u8 = b'q';

/// The files are looked at this often even if nobody says so.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);
/// Between two rounds of killing a deleted server's processes.
const KILL_INTERVAL: Duration = Duration::from_millis(20);

/// Supervises the agents of `root` until it is told to stop (SIGTERM, or by the provider); the agents go on then.
/// Returns at once when another supervisor has this root. Builds its own runtime; call it from a thread without one.
pub fn run(root: &Path) -> Result<()> {
    let layout = Layout::new(fs::canonicalize(root).or_fail("find", root)?);
    // A session of our own, out of reach of the terminal's Ctrl-C. Refused only to a process group's leader, whom a
    // shell has started on purpose.
    let _ = setsid();
    umask(Mode::from_raw_mode(0o077));
    let Some(_lock) = lock::take(&layout)? else {
        tracing::info!(root = %layout.root().display(), "another supervisor is running");
        return Ok(());
    };
    // Holds for every guest: no set-user-id program makes one of them more than it is.
    set_no_new_privs(true).or_fail("give up privileges for the guests of", layout.root())?;
    // What agents leave behind becomes our child, and is reaped.
    set_child_subreaper(Some(rustix::process::getpid())).or_fail("become the reaper of", layout.root())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.or_fail("start a runtime for", layout.root())?.block_on(Supervisor::new(layout).run())
}

/// Process id of the supervisor that has this root, where one runs.
pub(crate) fn running(layout: &Layout) -> Result<Option<u32>> {
    if !layout.supervisor_lock().exists() {
        return Ok(None);
    }
    Ok(lock::holder(layout)?.map(|holder| holder.pid))
}

struct Supervisor {
    layout: Layout,
    guests: BTreeMap<InstanceId, Guest>,
}

impl Supervisor {
    fn new(layout: Layout) -> Self {
        Self { layout, guests: BTreeMap::new() }
    }

    async fn run(mut self) -> Result<()> {
        let listen = |kind| signal(kind).or_fail("listen for signals of", self.layout.root());
        let mut child_ended = listen(SignalKind::child())?;
        let mut terminate = listen(SignalKind::terminate())?;
        let fifo = open_fifo(&self.layout)?;
        self.remove_leftovers();
        tracing::info!(root = %self.layout.root().display(), "supervisor started");
        loop {
            let next_look = self.look();
            loop {
                tokio::select! {
                    _ = terminate.recv() => return Ok(()),
                    _ = child_ended.recv() => {
                        // Not for each process that a guest leaves behind.
                        if self.reap() {
                            break;
                        }
                    }
                    woken = fifo.readable() => {
                        woken.or_fail("wait for", &self.layout.supervisor_fifo())?;
                        if drain(&fifo).contains(&QUIT) {
                            tracing::info!("supervisor stopped, its agents go on");
                            return Ok(());
                        }
                        break;
                    }
                    () = tokio::time::sleep_until(next_look.into()) => break,
                }
            }
        }
    }

    /// Collects ended children; whether an agent was among them.
    fn reap(&mut self) -> bool {
        let mut agent_ended = false;
        // An error means that there are no children.
        while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
            for (instance, guest) in &mut self.guests {
                if guest.is_agent(pid) {
                    agent_ended = true;
                    guest.ended();
                    let (exit, by_signal) = (status.exit_status(), status.terminating_signal());
                    tracing::warn!(%instance, exit, by_signal, "agent ended");
                }
            }
        }
        agent_ended
    }

    /// Brings what runs in line with what is written down; returns when to look again.
    fn look(&mut self) -> Instant {
        let mut next_look = Instant::now() + LOOK_INTERVAL;
        log_file::bound(&self.layout.supervisor_log());
        let instances = instances_in(&self.layout.servers()).unwrap_or_else(|error| {
            tracing::error!(%error, "cannot see what is to run");
            self.guests.keys().copied().collect()
        });
        self.guests.retain(|instance, _| instances.contains(instance));
        for instance in instances {
            match self.tend(instance) {
                Ok(Some(wake)) => next_look = next_look.min(wake),
                Ok(None) => {}
                Err(error) => tracing::error!(%instance, %error, "cannot tend a server"),
            }
        }
        next_look
    }

    fn tend(&mut self, instance: InstanceId) -> Result<Option<Instant>> {
        let Some(spec) = ServerSpec::read(&self.layout, instance)? else { return Ok(None) };
        match spec.desired {
            Desired::Running => {
                log_file::bound(&self.layout.agent_log(instance));
                Ok(self.guests.entry(instance).or_default().keep_running(&self.layout, instance, &spec))
            }
            Desired::Absent => self.remove(instance, &spec),
        }
    }

    /// Kills what is left of a server; removes it once there is nothing left.
    fn remove(&mut self, instance: InstanceId, spec: &ServerSpec) -> Result<Option<Instant>> {
        let processes = processes::Guest { instance, uid: spec.uid };
        if processes.signal(Signal::KILL)? > 0 {
            return Ok(Some(Instant::now() + KILL_INTERVAL));
        }
        let directory = self.layout.server(instance);
        let removed = self.layout.removed_server(instance);
        fs::rename(&directory, &removed).or_fail("move away", &directory)?;
        sync_parent(&directory)?;
        self.guests.remove(&instance);
        tracing::info!(%instance, "server removed");
        remove_tree(&removed).map(|()| None)
    }

    /// What a supervisor that was killed in the middle of a removal has left.
    fn remove_leftovers(&self) {
        for entry in fs::read_dir(self.layout.servers()).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with(".removed-")
                && let Err(error) = remove_tree(&entry.path())
            {
                tracing::warn!(%error, "leftover of a removed server");
            }
        }
    }
}

fn open_fifo(layout: &Layout) -> Result<pipe::Receiver> {
    let path = layout.supervisor_fifo();
    match mkfifoat(CWD, &path, Mode::RUSR | Mode::WUSR) {
        Ok(()) | Err(rustix::io::Errno::EXIST) => {}
        Err(error) => return Err(error).or_fail("create", &path),
    }
    // For writing too, so that it has no end of file when a writer goes.
    pipe::OpenOptions::new().read_write(true).open_receiver(&path).or_fail("open", &path)
}

/// What the FIFO holds now. Many wishes to look are one.
fn drain(fifo: &pipe::Receiver) -> Vec<u8> {
    let mut bytes = vec![0; 4096];
    let mut received = Vec::new();
    loop {
        match fifo.try_read(&mut bytes) {
            Ok(0) => return received,
            Ok(count) => received.extend_from_slice(&bytes[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return received,
        }
    }
}

fn failed(code: &'static str, message: String) -> Error {
    Error::new(ErrorKind::Internal, code, message)
}

//! Which processes belong to an instance, and signalling all of them.
//!
//! A guest's processes are found by the variable [`SERVER_VARIABLE`] in their environment, which the agent's children
//! inherit, and where each guest has a user id of its own by that as well: a process can shed the first, not the
//! second.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use coffer_ports::Result;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::{
    error::OrFail,
    layout::{InstanceId, Layout},
    spec::{ServerSpec, instances_in},
};

/// Set to the instance id in the environment of every process of a guest.
pub const SERVER_VARIABLE: &str = "COFFER_SERVER";

/// A process of a guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuestProcess {
    pub pid: i32,
    pub instance: String,
    /// Arguments, separated by spaces.
    pub command: String,
}

/// All processes of all instances that this root knows: by a server, a volume or an address. For tests and for people
/// who look for strays.
pub fn processes_of(root: &Path) -> Result<Vec<GuestProcess>> {
    let mut found = Vec::new();
    for guest in guests_of(&Layout::new(root.to_owned()))? {
        for pid in guest.pids()? {
            let command = fs::read(process_file(pid, "cmdline")).unwrap_or_default();
            let command = String::from_utf8_lossy(&command).trim_end_matches('\0').replace('\0', " ");
            found.push(GuestProcess { pid: pid.as_raw_nonzero().get(), instance: guest.instance.to_string(), command });
        }
    }
    Ok(found)
}

/// Everybody that may have processes.
pub(crate) fn guests_of(layout: &Layout) -> Result<Vec<Guest>> {
    let mut instances = Vec::new();
    for directory in [layout.servers(), layout.volumes(), layout.addresses()] {
        instances.extend(instances_in(&directory)?);
    }
    instances.sort_unstable();
    instances.dedup();
    let guest = |instance| {
        let uid = ServerSpec::read(layout, instance)?.and_then(|spec| spec.uid);
        Ok(Guest { instance, uid })
    };
    instances.into_iter().map(guest).collect()
}

/// How the processes of one guest are told from others.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Guest {
    pub instance: InstanceId,
    /// Set when nobody but this guest has it.
    pub uid: Option<u32>,
}

impl Guest {
    /// Sends `signal` to every process of the guest and returns how many there were. One that forks meanwhile may
    /// escape: call it until it returns 0.
    pub(crate) fn signal(&self, signal: Signal) -> Result<usize> {
        let mut signalled = 0;
        for pid in all_processes()? {
            // The handle is taken before the look, so that the number cannot come to mean somebody else in between.
            let Ok(handle) = pidfd_open(pid, PidfdFlags::empty()) else { continue };
            if self.owns(pid) {
                signalled += 1;
                // It may have ended just now.
                let _ = pidfd_send_signal(handle, signal);
            }
        }
        Ok(signalled)
    }

    pub(crate) fn pids(&self) -> Result<Vec<Pid>> {
        Ok(all_processes()?.into_iter().filter(|pid| self.owns(*pid)).collect())
    }

    /// Whether a process is one of ours and alive: a zombie only waits for its parent.
    fn owns(&self, pid: Pid) -> bool {
        let status = fs::read_to_string(process_file(pid, "status")).unwrap_or_default();
        let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim();
        if status.is_empty() || field("State:").starts_with(['Z', 'X']) {
            return false;
        }
        // Real, effective, saved and file system user.
        let uids = field("Uid:");
        if let Some(uid) = self.uid
            && uids.split_whitespace().any(|text| text.parse() == Ok(uid))
        {
            return true;
        }
        let wanted = format!("{SERVER_VARIABLE}={}", self.instance);
        environment_of(pid).iter().any(|variable| variable == wanted.as_bytes())
    }
}

pub(crate) fn all_processes() -> Result<Vec<Pid>> {
    let proc = Path::new("/proc");
    let names = fs::read_dir(proc).or_fail("list", proc)?;
    let names: io::Result<Vec<_>> = names.map(|entry| entry.map(|entry| entry.file_name())).collect();
    let numbers = names.or_fail("list", proc)?.into_iter().filter_map(|name| name.to_str()?.parse().ok());
    Ok(numbers.filter_map(Pid::from_raw).filter(|pid| *pid != rustix::process::getpid()).collect())
}

/// The variables of a process, each with its value; none where we may not look.
pub(crate) fn environment_of(pid: Pid) -> Vec<Vec<u8>> {
    let environment = fs::read(process_file(pid, "environ")).unwrap_or_default();
    environment.split(|byte| *byte == 0).map(<[u8]>::to_vec).collect()
}

pub(crate) fn process_file(pid: Pid, name: &str) -> PathBuf {
    PathBuf::from(format!("/proc/{}/{name}", pid.as_raw_nonzero()))
}

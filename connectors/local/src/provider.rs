//! [`LocalProvider`]: what its ports share, and opening it.

use std::{
    ffi::OsString,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use coffer_ports::{Error, ErrorKind, Result};
use rustix::process::geteuid;

use crate::{
    address::{Allocator, guest_uid},
    error::OrFail,
    files::{OwnerId, ensure_directory, install_program, read_json},
    layout::{InstanceId, Layout},
    lock::ChangesLock,
    spec::Owned,
    supervisor::handle::SupervisorHandle,
};

/// How to run instances on this host.
#[derive(Debug, Clone)]
pub struct LocalConfig {
    /// Directory that holds everything; created if it is missing. It belongs to one Coffer, be it of several nodes.
    pub root: PathBuf,
    /// The `coffer-agent` program. It is copied under the root when the provider is opened.
    pub agent_program: PathBuf,
    /// Command line of a program that calls [`crate::supervisor::run`] with the same root.
    pub supervisor_command: Vec<OsString>,
}

/// The ports `Network`, `Volumes` and `Compute` on this host. Cheap to clone.
#[derive(Clone)]
pub struct LocalProvider {
    pub(crate) shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub layout: Layout,
    pub addresses: Allocator,
    pub supervisor: SupervisorHandle,
    /// Whether each guest has a user of its own: when we are root.
    separate_users: bool,
    /// Held while the files of volumes and servers are changed.
    changes: Mutex<()>,
}

impl LocalProvider {
    /// Prepares the root directory and reads what is there. It starts nothing: the supervisor is started when it is
    /// first needed, by [`LocalProvider::ensure_supervisor`] at the latest.
    ///
    /// Errors: `Invalid` when guests could not reach the root directory, or for an empty supervisor command.
    pub fn open(config: LocalConfig) -> Result<Self> {
        let LocalConfig { root, agent_program, supervisor_command } = config;
        fs::create_dir_all(&root).or_fail("create directory", &root)?;
        let root = fs::canonicalize(&root).or_fail("find", &root)?;
        let separate_users = geteuid().is_root();
        if separate_users {
            check_reachable(&root)?;
        }
        let layout = Layout::new(root);
        let shared_mode = if separate_users { 0o711 } else { 0o700 };
        for directory in [layout.root(), &layout.volumes(), &layout.servers(), &layout.programs()] {
            ensure_directory(directory, shared_mode, None)?;
        }
        ensure_directory(&layout.addresses(), 0o700, None)?;
        install_program(&agent_program, &layout.agent_program())?;
        let addresses = Allocator::open(&layout)?;
        let supervisor = SupervisorHandle::new(layout.clone(), supervisor_command)?;
        let shared = Shared { layout, addresses, supervisor, separate_users, changes: Mutex::new(()) };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Starts the supervisor if it does not run (or is of another build), and returns when it works. Cheap when it
    /// does: call it every few seconds, since nobody else watches over the supervisor.
    pub async fn ensure_supervisor(&self) -> Result<()> {
        self.shared.supervisor.ensure().await
    }
}

impl Shared {
    /// Keeps everybody else, in this process and others, from changing files of volumes and servers.
    pub(crate) fn change(&self) -> Result<(MutexGuard<'_, ()>, ChangesLock)> {
        let guard = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        Ok((guard, ChangesLock::take(&self.layout)?))
    }

    /// Mode of a directory that we own and a guest walks through.
    pub(crate) fn passage_mode(&self) -> u32 {
        if self.separate_users { 0o711 } else { 0o700 }
    }

    /// The user that an instance runs as, which follows from its address; `None` for our own.
    pub(crate) fn ensure_user(&self, instance: InstanceId, tenant: &str) -> Result<OwnerId> {
        let ip = self.addresses.ensure(instance, tenant)?;
        Ok(self.separate_users.then(|| guest_uid(ip)))
    }

    /// Whether anything under the instance's name was made for another tenant. Such a thing is neither shared nor taken
    /// away, whoever asks.
    pub(crate) fn is_foreign(&self, instance: InstanceId, tenant: &str) -> Result<bool> {
        let layout = &self.layout;
        for record in [layout.address(instance), layout.volume_record(instance), layout.server_spec(instance)] {
            if read_json::<Owned>(&record)?.is_some_and(|owned| owned.tenant != tenant) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Refuses what was made for another tenant.
    pub(crate) fn check_owner(&self, instance: InstanceId, tenant: &str) -> Result<()> {
        if self.is_foreign(instance, tenant)? {
            let message = format!("what is named {instance} belongs to another tenant");
            return Err(Error::new(ErrorKind::Conflict, "local.foreign", message));
        }
        Ok(())
    }

    /// The same, for an instance that may have no address any more.
    pub(crate) fn user(&self, instance: InstanceId) -> Result<OwnerId> {
        let ip = self.addresses.get(instance)?;
        Ok(ip.filter(|_| self.separate_users).map(guest_uid))
    }
}

/// Guests run as users of their own and have to get through to their directories.
fn check_reachable(root: &Path) -> Result<()> {
    for parent in root.ancestors().skip(1) {
        let mode = fs::metadata(parent).or_fail("look at", parent)?.permissions().mode();
        if mode & 0o001 == 0 {
            let message = format!(
                "{} is closed to other users (mode {:04o}), but lies on the way to {}: started by root, Coffer runs \
                 each database as a user of its own, which needs execute permission for others (chmod o+x) on every \
                 parent directory; open it, choose another place, or start Coffer as an ordinary user",
                parent.display(),
                mode & 0o7777,
                root.display()
            );
            return Err(Error::new(ErrorKind::Invalid, "local.root_unreachable", message));
        }
    }
    Ok(())
}

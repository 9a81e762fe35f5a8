//! Everything that there is under a root, whoever it belongs to. It only looks: nothing is made or changed.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::fs::MetadataExt,
    path::Path,
};

use coffer_ports::Result;

use crate::{
    address::{self, guest_uids},
    files::read_json,
    layout::{InstanceId, Layout},
    processes::{SERVER_VARIABLE, all_processes, environment_of, guests_of, process_file},
    spec::{Desired, Owned, ServerSpec, instances_in},
    supervisor,
};

/// What belongs to one instance, by the names of things.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Belongings {
    /// The tenant that the records name; absent when none can be read.
    pub tenant: Option<String>,
    /// Its address, where it has one.
    pub address: Option<String>,
    pub has_volume: bool,
    pub server: Option<Server>,
    /// Process ids with their command lines.
    pub processes: Vec<(i32, String)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Whether it is to run; otherwise it is being removed.
    pub is_wanted: bool,
    /// Whether its agent runs.
    pub has_agent: bool,
    pub address: String,
}

/// A root as it was found.
#[derive(Debug, Default)]
pub struct Inventory {
    /// By instance id.
    pub instances: BTreeMap<String, Belongings>,
    /// Process id of the supervisor, where one runs.
    pub supervisor: Option<u32>,
    /// Processes that run as a guest's user of this root, or say that they belong to a server of it, and belong to no
    /// instance that has anything else.
    pub strays: Vec<(i32, String)>,
    /// Records that cannot be read, and why.
    pub unreadable: Vec<String>,
}

/// Looks at everything under `root`; nothing when there is no root.
///
/// # Errors
/// When a directory or `/proc` cannot be listed. A record that cannot be read is noted instead.
pub fn inventory(root: &Path) -> Result<Inventory> {
    let mut found = Inventory::default();
    let Ok(root) = fs::canonicalize(root) else { return Ok(found) };
    let layout = Layout::new(root);
    for directory in [layout.addresses(), layout.volumes(), layout.servers()] {
        if !directory.is_dir() {
            continue;
        }
        for instance in instances_in(&directory)? {
            found.instances.entry(instance.to_string()).or_default();
            look_at(&layout, instance, &mut found);
        }
    }
    let mut known = BTreeSet::new();
    if layout.servers().is_dir() && layout.volumes().is_dir() && layout.addresses().is_dir() {
        for guest in guests_of(&layout)? {
            for pid in guest.pids()? {
                let pid = pid.as_raw_nonzero().get();
                known.insert(pid);
                let belongings = found.instances.entry(guest.instance.to_string()).or_default();
                belongings.processes.push((pid, command_of(pid)));
            }
        }
    }
    found.supervisor = supervisor::running(&layout)?;
    found.strays = strays(&layout, &known)?;
    Ok(found)
}

fn look_at(layout: &Layout, instance: InstanceId, found: &mut Inventory) {
    let Some(belongings) = found.instances.get_mut(&instance.to_string()) else { return };
    for record in [layout.address(instance), layout.volume_record(instance), layout.server_spec(instance)] {
        match read_json::<Owned>(&record) {
            Ok(Some(owned)) => belongings.tenant = Some(owned.tenant),
            Ok(None) => {}
            // Each of the three directories leads here.
            Err(error) if found.unreadable.contains(&error.message) => {}
            Err(error) => found.unreadable.push(error.message),
        }
    }
    match address::recorded(layout, instance) {
        Ok(ip) => belongings.address = ip.map(|ip| ip.to_string()),
        // There is an address, whatever it is.
        Err(_) => belongings.address = Some(String::new()),
    }
    belongings.has_volume = layout.volume(instance).exists();
    if layout.server(instance).exists() {
        let spec = ServerSpec::read(layout, instance).unwrap_or_default();
        belongings.server = Some(Server {
            is_wanted: spec.as_ref().is_some_and(|spec| spec.desired == Desired::Running),
            has_agent: supervisor::is_agent_alive(layout, instance),
            address: spec.map(|spec| spec.address).unwrap_or_default(),
        });
    }
}

/// Guests' processes that nothing else accounts for.
fn strays(layout: &Layout, known: &BTreeSet<i32>) -> Result<Vec<(i32, String)>> {
    let uids = guest_uids(layout.root());
    let root = layout.root().display().to_string();
    let mut strays = Vec::new();
    for pid in all_processes()? {
        let number = pid.as_raw_nonzero().get();
        if known.contains(&number) {
            continue;
        }
        let Ok(owner) = fs::metadata(process_file(pid, "")) else { continue };
        let runs_as_guest = uids.contains(&owner.uid());
        let says_so = environment_of(pid).iter().any(|variable| variable.starts_with(SERVER_VARIABLE.as_bytes()));
        let command = command_of(number);
        if runs_as_guest || (says_so && command.contains(&root)) {
            strays.push((number, command));
        }
    }
    Ok(strays)
}

fn command_of(pid: i32) -> String {
    let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&command).trim_end_matches('\0').replace('\0', " ")
}

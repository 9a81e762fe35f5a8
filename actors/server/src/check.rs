//! What is inconsistent, and what to do about each: the store with itself, and with what is outside.
//!
//! A running service is asked over [`crate::local_api`] and answers from its own store and vault; otherwise the command
//! takes the state directory's lock and reads the store itself, read-only.

use std::{collections::BTreeMap, path::Path};

use coffer_domain::{
    ids::InstanceId,
    instance::{Instance, state::AgentContact},
};
use coffer_local::inventory::{Belongings, Inventory, inventory};
use coffer_ports::log::{Batch, Space};
use coffer_protocol::report::EngineState;
use coffer_runtime::{
    check::{self, Parts, Problem, Seen, check_rows},
    runtime::PARTITIONS,
    store::{Store, StoreError},
    vault::Vault,
};
use serde::{Deserialize, Serialize};

/// The program in a guest that is no engine.
const AGENT: &str = "coffer-agent";

/// How much a finding matters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Good to know; all is well with it.
    Note,
    /// It will be wrong if nobody does anything.
    Warning,
    #[default]
    Fault,
}

/// One thing that is wrong, or worth knowing, and how to mend it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// A running Coffer of an earlier version tells of faults alone, and does not say so.
    #[serde(default)]
    pub severity: Severity,
    /// Stable name, for machines.
    pub code: String,
    pub what: String,
    /// A command, or what a person has to do.
    pub mend: String,
}

impl Finding {
    pub fn new(code: &str, what: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { severity: Severity::Fault, code: code.into(), what: what.into(), mend: mend.into() }
    }
}

/// What is good to know of any host. It says nothing against it: see [`is_well`].
pub fn notes() -> Vec<Finding> {
    let mend =
        "offer no more memory and vCPUs than the host has; coffer_instance_memory_used_bytes shows who takes more";
    vec![Finding { severity: Severity::Note, ..Finding::new("host.sizes", coffer_local::sizes::words(), mend) }]
}

/// Whether nothing was found but notes.
pub fn is_well(findings: &[Finding]) -> bool {
    findings.iter().all(|finding| finding.severity == Severity::Note)
}

/// Why nothing can be said.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("what is outside cannot be looked at: {0}")]
    Outside(#[from] coffer_ports::Error),
}

/// Everything that is wrong. `place` is how a command names this state, for example `--state-dir /var/lib/coffer`.
pub fn all(store: &Store, vault: Option<&Vault>, root: &Path, place: &str) -> Result<Vec<Finding>, CheckError> {
    // A running service goes on meanwhile: what counts as an orphan has no state before the look and none after it, and
    // what counts as missing was at rest at both times.
    let before = states(store)?;
    let mut seen = inventory(root)?;
    if !seen.strays.is_empty() {
        // A guest that was just starting has its records by now.
        let again = inventory(root)?.strays;
        seen.strays.retain(|stray| again.contains(stray));
    }
    let (after, problems) = rows(store, vault)?;
    let mut findings: Vec<Finding> = problems.iter().map(|found| explain(&found.problem, place)).collect();
    let is_at_rest = |id: &InstanceId| {
        let rests =
            |states: &BTreeMap<InstanceId, Instance>| states.get(id).is_some_and(|state| state.operation.is_none());
        rests(&before) && rests(&after)
    };
    let (parts, unnamed) = parts_of(&seen);
    findings.extend(unnamed);
    for problem in check::outside(after.values(), &parts) {
        let stands = match &problem {
            Problem::Orphan { instance, .. } => !before.contains_key(instance),
            other => other.instance().is_none_or(|instance| is_at_rest(&instance)),
        };
        if stands {
            findings.push(explain(&problem, place));
        }
    }
    for state in after.values().filter(|state| is_at_rest(&state.id) && !state.broken) {
        findings.extend(alive(state, seen.instances.get(&state.id.to_string()), root));
    }
    findings.extend(processes(&seen, !after.is_empty()));
    Ok(findings)
}

/// Rewrites what follows from the states; returns what was mended. The store must be nobody else's.
pub fn repair(store: &Store) -> Result<Vec<String>, StoreError> {
    let mut mended = Vec::new();
    for partition in 0..PARTITIONS {
        let mut batch = Batch { partition, ..Batch::default() };
        for finding in check_rows(&store.snapshot(), partition, None)?.findings {
            if let Some(write) = finding.mend {
                mended.push(finding.problem.to_string());
                batch.writes.push(write);
            }
        }
        if !batch.writes.is_empty() {
            store.write(&[batch])?;
        }
    }
    Ok(mended)
}

/// Every instance that can be read.
pub fn states(store: &Store) -> Result<BTreeMap<InstanceId, Instance>, StoreError> {
    Ok(rows(store, None)?.0)
}

/// All instances of a snapshot, and what is wrong with its rows.
pub fn rows(
    store: &Store,
    vault: Option<&Vault>,
) -> Result<(BTreeMap<InstanceId, Instance>, Vec<check::Finding>), StoreError> {
    let snapshot = store.snapshot();
    let (mut states, mut findings) = (BTreeMap::new(), Vec::new());
    for partition in 0..PARTITIONS {
        let found = check_rows(&snapshot, partition, vault)?;
        findings.extend(found.findings);
        states.extend(found.instances.into_iter().map(|instance| (instance.id, instance)));
        // A partition that cannot say its epoch is one that no agent would follow.
        store.epoch(partition)?;
    }
    for space in [Space::State, Space::View, Space::Outbox, Space::Timer, Space::Dedup] {
        if let Some(row) = snapshot.rows_from(space, &PARTITIONS.to_be_bytes()).next() {
            let key = row?.0.escape_ascii().to_string();
            let problem = Problem::Misplaced { space: coffer_runtime::store::family_name(space), key };
            findings.push(check::Finding { problem, mend: None });
        }
    }
    Ok((states, findings))
}

/// Counts what belongs to whom; addresses that two claim are findings of their own.
fn parts_of(seen: &Inventory) -> (Seen, Vec<Finding>) {
    let mut parts = Seen::new();
    let mut owners: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, belongings) in &seen.instances {
        let Ok(id) = name.parse() else { continue };
        let counted = Parts {
            addresses: usize::from(belongings.address.is_some()),
            volumes: usize::from(belongings.has_volume),
            servers: usize::from(belongings.server.is_some()),
        };
        parts.insert(InstanceId(id), counted);
        if let Some(address) = belongings.address.as_deref().filter(|address| !address.is_empty()) {
            owners.entry(address).or_default().push(name);
        }
    }
    let shared = owners.into_iter().filter(|(_, owners)| owners.len() > 1).map(|(address, owners)| {
        let what = format!("the address {address} belongs to {}", owners.join(" and "));
        Finding::new("outside.shared_address", what, "delete all of these instances but one, and order them again")
    });
    let shared: Vec<Finding> = shared.collect();
    (parts, shared)
}

/// Whether the processes of an instance that is in use are there.
fn alive(state: &Instance, belongings: Option<&Belongings>, root: &Path) -> Vec<Finding> {
    // What lacks its server altogether is told elsewhere.
    let Some((belongings, server)) = belongings.and_then(|found| Some((found, found.server.as_ref()?))) else {
        return Vec::new();
    };
    let id = state.id;
    let log = root.join("servers").join(id.to_string()).join("agent.log");
    let look = format!("less {}", log.display());
    let mut findings = Vec::new();
    let recorded = state.resources.address.as_ref().map(|address| address.ip.as_str()).unwrap_or_default();
    if server.address != recorded {
        let what = format!("{id} is at {recorded} by its state, and its server at {}", server.address);
        findings.push(Finding::new("outside.address", what, "delete the instance and order it again"));
    }
    if !server.has_agent {
        let what = format!("the agent of {id} does not run; its supervisor starts it again within seconds");
        findings.push(Finding::new("guest.no_agent", what, look.clone()));
    } else if state.health.engine != EngineState::Stopped
        && !belongings.processes.iter().any(|(_, command)| !command.contains(AGENT))
    {
        let what = format!("the engine of {id} does not run; its agent starts it again with growing pauses");
        findings.push(Finding::new("guest.no_engine", what, look.clone()));
    }
    if state.health.contact == AgentContact::Silent {
        findings.push(Finding::new("guest.silent", format!("the agent of {id} has not been heard of for 30 s"), look));
    }
    findings
}

/// What runs and should not, and the reverse.
fn processes(seen: &Inventory, has_instances: bool) -> Vec<Finding> {
    let mut findings: Vec<Finding> = seen
        .strays
        .iter()
        .map(|(pid, command)| {
            let what = format!("process {pid} runs as a guest and belongs to none: {command}");
            Finding::new("outside.stray_process", what, format!("kill {pid}"))
        })
        .collect();
    for (name, belongings) in &seen.instances {
        if belongings.server.is_none() {
            findings.extend(belongings.processes.iter().map(|(pid, command)| {
                let what = format!("process {pid} belongs to {name}, which has no server: {command}");
                Finding::new("outside.stray_process", what, format!("kill {pid}"))
            }));
        }
    }
    findings.extend(seen.unreadable.iter().map(|reason| {
        Finding::new(
            "outside.unreadable",
            reason.clone(),
            "restore the file, or delete the instance that it belongs to",
        )
    }));
    if has_instances && seen.supervisor.is_none() {
        let what = "the supervisor of the local guests does not run: agents that end are not started again";
        findings.push(Finding::new("guest.no_supervisor", what, "start coffer, which starts it"));
    }
    findings
}

/// A problem with what to do about it.
fn explain(problem: &Problem, place: &str) -> Finding {
    let delete = |id: &InstanceId| format!("openstack database instance delete {id}");
    let restore = || format!("stop coffer, and: coffer admin restore FILE {place}");
    let mend = match problem {
        Problem::View { .. } | Problem::StrayView { .. } | Problem::Quota { .. } | Problem::Members { .. } => {
            format!("stop coffer, and: coffer admin check --repair {place}")
        }
        Problem::Unreadable { .. } => format!("run the coffer that wrote it, if it is newer; else {}", restore()),
        Problem::Sealed { .. } => "put the deployment.key back that this store was sealed with".into(),
        Problem::LostTimer { .. } | Problem::LostEffect { .. } => {
            "delete the instance that waits (its id is in the state row), and order it again".into()
        }
        Problem::Misplaced { .. } | Problem::StrayEffect { .. } | Problem::StrayTimer { .. } => {
            format!(
                "it does no harm by itself and must not happen: keep a copy (coffer admin backup) and report it, or {}",
                restore()
            )
        }
        Problem::Orphan { instance, .. } => format!("coffer admin remove-orphan {instance} {place}"),
        Problem::Missing { instance, .. } => {
            format!("{} (its data is not on this host; nothing else can be done with it)", delete(instance))
        }
        Problem::NotUndone { instance, .. } | Problem::Doubled { instance, .. } => delete(instance),
    };
    Finding::new(problem.code(), problem.to_string(), mend)
}

/// Writes findings out, for people or for machines.
pub fn print(findings: &[Finding], json: bool) -> std::io::Result<()> {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    if json {
        serde_json::to_writer_pretty(&mut out, findings)?;
        return writeln!(out);
    }
    for Finding { severity, code, what, mend } in findings {
        let sort = match severity {
            Severity::Note => "note: ",
            Severity::Warning => "warning: ",
            Severity::Fault => "",
        };
        writeln!(out, "{sort}{code}: {what}\n    → {mend}")?;
    }
    match findings.iter().filter(|finding| finding.severity != Severity::Note).count() {
        0 => writeln!(out, "all is well"),
        1 => writeln!(out, "1 finding"),
        count => writeln!(out, "{count} findings"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_earlier_coffer_finds_is_a_fault_and_a_note_is_none() {
        let told = r#"{"code": "store.view", "what": "a view is wrong", "mend": "mend it"}"#;
        let earlier: Finding = serde_json::from_str(told).unwrap();
        assert_eq!(earlier.severity, Severity::Fault);
        assert!(!is_well(&[earlier]));
        assert!(is_well(&notes()) && !notes().is_empty());
    }
}

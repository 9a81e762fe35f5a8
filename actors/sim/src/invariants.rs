//! What must hold after every step, whatever happened before.

use std::collections::{BTreeMap, BTreeSet};

use coffer_domain::{
    ids::InstanceId,
    instance::{
        Instance,
        state::Presence,
        view::{self, Status},
    },
    quota::Usage,
};
use coffer_runtime::{check, store::Store};

use crate::{
    agent::FORGED,
    client::LIMITS,
    cloud::{Cloud, Kind},
    ledger::Ledger,
    short,
};

/// The states as they were committed, with their partitions.
pub type States = BTreeMap<InstanceId, (u32, Instance)>;

/// The rows of a partition agree with each other; nobody has more than it may have.
pub fn check_rows(store: &Store, partition: u32) -> Result<(), String> {
    let found = check::check_rows(&store.snapshot(), partition, None).map_err(|error| error.to_string())?;
    if let Some(finding) = found.findings.first() {
        return Err(finding.problem.to_string());
    }
    check::charged(found.instances.iter()).values().try_for_each(check_quota)
}

/// Nobody has more than it may have.
pub fn check_quota(usage: &Usage) -> Result<(), String> {
    let is_over = |used: u64, limit: Option<u64>| limit.is_some_and(|limit| used > limit);
    if is_over(usage.instances, LIMITS.instances)
        || is_over(usage.volume_gib, LIMITS.volume_gib)
        || is_over(usage.memory_mib, LIMITS.memory_mib)
    {
        return Err(format!("a tenant is over its quota: {usage:?}"));
    }
    Ok(())
}

/// What exists outside is what the states account for.
pub fn check_outside(states: &States, cloud: &Cloud, ledger: &Ledger) -> Result<(), String> {
    let untold = cloud.owners().into_iter().map(|id| (id, untold_parts(cloud, ledger, id)));
    let seen: check::Seen =
        untold.filter(|(id, parts)| states.contains_key(id) || *parts != check::Parts::default()).collect();
    if let Some(problem) = check::outside(states.values().map(|(_, state)| state), &seen).first() {
        return Err(problem.to_string());
    }
    for (id, (_, instance)) in states {
        if instance.databases.contains_key(FORGED) {
            return Err(format!("{} believes a forged report", short(*id)));
        }
        match view::status(instance) {
            Status::Active if !cloud.guest_of(*id).is_some_and(|(_, disk)| disk.is_prepared) => {
                return Err(format!("{} is ACTIVE and has no engine", short(*id)));
            }
            Status::Error if instance.operation.is_none() && instance.fault.is_none() => {
                return Err(format!("{} is in ERROR, and nobody is told why", short(*id)));
            }
            _ => {}
        }
    }
    Ok(())
}

/// At rest, what is outside of each running instance has the size that the instance says; one of two sizes, where the
/// instance says that it is in doubt.
pub fn check_sizes(states: &States, cloud: &Cloud) -> Result<(), String> {
    for (id, (_, instance)) in states.iter().filter(|(_, (_, state))| view::status(state) == Status::Active) {
        let Some((guest, disk)) = cloud.guest_of(*id) else { continue };
        let is_sized = [instance.volume_gib, instance.wanted_volume_gib()].contains(&disk.size_gib);
        let flavors = [&instance.flavor, instance.wanted_flavor()];
        let is_served = flavors.iter().any(|flavor| flavor.id == guest.flavor);
        let is_told = flavors.iter().any(|flavor| flavor.memory_mib == disk.memory_mib);
        let in_doubt = !instance.resize.is_none();
        if !(is_sized && (is_served && is_told || in_doubt)) || in_doubt && instance.fault.is_none() {
            return Err(format!(
                "{} says {} GiB, flavor {} and {:?}; outside it has {} GiB, flavor {}, an engine for {} MiB",
                short(*id),
                instance.volume_gib,
                instance.flavor.id,
                instance.resize,
                disk.size_gib,
                guest.flavor,
                disk.memory_mib
            ));
        }
    }
    Ok(())
}

/// What is there, but for what a forced delete has told of.
fn untold_parts(cloud: &Cloud, ledger: &Ledger, id: InstanceId) -> check::Parts {
    let told = ledger.left_behind(id);
    let count = |kind| if told.contains(&kind) { 0 } else { cloud.of(kind, id).count() };
    check::Parts { addresses: count(Kind::Address), volumes: count(Kind::Volume), servers: count(Kind::Server) }
}

/// At rest, the contents of each running instance are those of its engine.
pub fn check_contents(states: &States, cloud: &Cloud, ledger: &Ledger) -> Result<(), String> {
    for (id, (_, instance)) in states.iter().filter(|(_, (_, state))| view::status(state) == Status::Active) {
        let Some((_, disk)) = cloud.guest_of(*id) else { continue };
        let is_settled = instance.databases.values().all(|presence| *presence == Presence::Present)
            && instance.users.values().all(|user| user.presence == Presence::Present);
        let databases: BTreeSet<&String> = instance.databases.keys().collect();
        let users: BTreeMap<_, _> =
            instance.users.iter().map(|(key, user)| ((&key.name, &key.host), &user.databases)).collect();
        let is_same = databases == disk.databases.iter().collect()
            && users == disk.users.iter().map(|((name, host), rights)| ((name, host), rights)).collect();
        if !is_settled || !is_same {
            return Err(format!(
                "{} says it holds {:?} and {:?}, its engine holds {:?} and {:?}",
                short(*id),
                instance.databases,
                users,
                disk.databases,
                disk.users
            ));
        }
        if ledger.knows_of_root(*id) && instance.root_enabled_at.is_some() != disk.is_root_enabled {
            return Err(format!("{} and its engine disagree on root", short(*id)));
        }
    }
    Ok(())
}

//! What must hold after every step, whatever happened before.

use std::collections::{BTreeMap, BTreeSet};

use coffer_domain::{
    ids::{EffectId, InstanceId, TenantId},
    instance::{
        Instance,
        effect::TimerId,
        state::{Presence, Waiting},
        view::{self, Status},
    },
    quota::Usage,
};
use coffer_runtime::store::{Store, StoreError};

use crate::{
    agent::FORGED,
    client::LIMITS,
    cloud::{Cloud, Kind},
    short,
};

/// The states as they were committed, with their partitions.
pub type States = BTreeMap<InstanceId, (u32, Instance)>;

/// The rows of a partition agree with each other; `tenants` are all that may have any.
pub fn check_rows(store: &Store, partition: u32, tenants: &[TenantId]) -> Result<(), String> {
    let unreadable = |error: StoreError| error.to_string();
    let instances = store.instances(partition).map_err(unreadable)?;
    for tenant in tenants {
        let own: Vec<&Instance> = instances.iter().filter(|instance| instance.tenant == *tenant).collect();
        let expected: Vec<_> = own.iter().map(|instance| view::view(instance)).collect();
        if store.views(partition, tenant, None, usize::MAX).map_err(unreadable)? != expected {
            return Err(format!("what a GET shows tenant {tenant} is not what the states say"));
        }
        let sum = own.iter().fold(Usage::default(), |usage, instance| usage.charged(instance.charge()));
        let usage = store.usage(partition, tenant).map_err(unreadable)?;
        if usage != sum {
            return Err(format!("tenant {tenant} is charged {usage:?} and has {sum:?}"));
        }
        check_quota(&usage)?;
    }
    let outbox: BTreeSet<EffectId> =
        store.outbox(partition).map_err(unreadable)?.into_iter().map(|effect| effect.id).collect();
    let awaited: BTreeSet<EffectId> = instances.iter().flat_map(awaited_effects).collect();
    if outbox != awaited {
        return Err(format!("the outbox holds {outbox:?}, the states wait for {awaited:?}"));
    }
    let timers: BTreeSet<(InstanceId, TimerId)> = store
        .timers(partition)
        .map_err(unreadable)?
        .into_iter()
        .map(|owned| (owned.instance, owned.timer.id))
        .collect();
    let expected: BTreeSet<(InstanceId, TimerId)> =
        instances.iter().flat_map(|instance| awaited_timers(instance).map(|timer| (instance.id, timer))).collect();
    if timers != expected {
        return Err(format!("the timers are {timers:?}, the states wait for {expected:?}"));
    }
    Ok(())
}

/// Nobody has more than it may have.
pub fn check_quota(usage: &Usage) -> Result<(), String> {
    let is_over = |used: u64, limit: Option<u64>| limit.is_some_and(|limit| used > limit);
    if is_over(usage.instances, LIMITS.instances) || is_over(usage.volume_gib, LIMITS.volume_gib) {
        return Err(format!("a tenant is over its quota: {usage:?}"));
    }
    Ok(())
}

/// Effects without an outcome.
pub fn awaited_effects(instance: &Instance) -> impl Iterator<Item = EffectId> {
    let operation = instance.operation.as_ref().and_then(|operation| match &operation.waiting {
        Waiting::Effect { effect } => Some(effect.clone()),
        Waiting::Backoff | Waiting::Agent => None,
    });
    operation.into_iter().chain(instance.tasks.values().filter_map(|task| task.effect.clone()))
}

/// Timers that must be set.
pub fn awaited_timers(instance: &Instance) -> impl Iterator<Item = TimerId> {
    let operation = instance.operation.as_ref().map(|operation| match &operation.waiting {
        Waiting::Effect { effect } => TimerId::Deadline { effect: effect.clone() },
        Waiting::Backoff => TimerId::Retry { command: operation.command },
        Waiting::Agent => TimerId::Agent { command: operation.command },
    });
    let tasks = instance.tasks.iter().map(|(command, task)| match &task.effect {
        Some(effect) => TimerId::Deadline { effect: effect.clone() },
        None => TimerId::Retry { command: *command },
    });
    operation.into_iter().chain(tasks)
}

/// What exists outside is what the states account for.
pub fn check_outside(states: &States, cloud: &Cloud) -> Result<(), String> {
    for instance in cloud.owners() {
        if !states.contains_key(&instance) {
            return Err(format!("something outside belongs to {}, which does not exist", short(instance)));
        }
        for kind in [Kind::Address, Kind::Volume, Kind::Server] {
            let count = cloud.of(kind, instance).count();
            if count > 1 {
                return Err(format!("{} has {count} of {kind:?}", short(instance)));
            }
        }
    }
    for (id, (_, instance)) in states {
        if instance.databases.contains_key(FORGED) {
            return Err(format!("{} believes a forged report", short(*id)));
        }
        let whole = [Kind::Address, Kind::Volume, Kind::Server].map(|kind| cloud.of(kind, *id).count());
        match view::status(instance) {
            Status::Active => {
                if whole != [1, 1, 1] || !cloud.guest_of(*id).is_some_and(|(_, disk)| disk.is_prepared) {
                    return Err(format!("{} is ACTIVE and has {whole:?}, or no engine", short(*id)));
                }
            }
            Status::Error if instance.operation.is_none() => {
                let Some(fault) = &instance.fault else {
                    return Err(format!("{} is in ERROR, and nobody is told why", short(*id)));
                };
                let is_cleaned_up = fault.message.starts_with("The instance could not be created");
                if is_cleaned_up && whole != [0, 0, 0] {
                    return Err(format!("{} was cleaned up and has {whole:?}", short(*id)));
                }
            }
            Status::Build | Status::Reboot | Status::Shutdown | Status::Error => {}
        }
    }
    Ok(())
}

/// At rest, the contents of each running instance are those of its engine.
pub fn check_contents(states: &States, cloud: &Cloud) -> Result<(), String> {
    for (id, (_, instance)) in states.iter().filter(|(_, (_, state))| view::status(state) == Status::Active) {
        let Some((_, disk)) = cloud.guest_of(*id) else { continue };
        let is_settled = instance.databases.values().all(|presence| *presence == Presence::Present)
            && instance.users.values().all(|user| user.presence == Presence::Present);
        let databases: BTreeSet<&String> = instance.databases.keys().collect();
        let users: BTreeSet<_> = instance.users.keys().map(|key| (&key.name, &key.host)).collect();
        let is_same = databases == disk.databases.iter().collect()
            && users == disk.users.keys().map(|(name, host)| (name, host)).collect();
        if !is_settled || !is_same {
            return Err(format!(
                "{} says it holds {:?} and {:?}, its engine holds {:?} and {:?}",
                short(*id),
                instance.databases,
                users,
                disk.databases,
                disk.users.keys()
            ));
        }
    }
    Ok(())
}

//! What holds after every committed step: rows agree with each other.

use std::collections::BTreeSet;

use coffer_domain::{
    ids::{EffectId, InstanceId, TenantId},
    instance::{Instance, effect::TimerId, state::Waiting, view},
    quota::Usage,
};
use coffer_runtime::store::Store;

/// Checks the rows of a partition; `tenants` are all that may have any.
pub fn check(store: &Store, partition: u32, tenants: &[TenantId]) {
    let instances = store.instances(partition).unwrap();
    for tenant in tenants {
        let own: Vec<&Instance> = instances.iter().filter(|instance| instance.tenant == *tenant).collect();
        let expected: Vec<_> = own.iter().map(|instance| view(instance)).collect();
        let views = store.views(partition, tenant, None, usize::MAX).unwrap();
        assert_eq!(views, expected, "a GET shows what the state says, and nothing that has no state");
        let usage = own.iter().fold(Usage::default(), |usage, instance| usage.charged(instance.charge()));
        assert_eq!(store.usage(partition, tenant).unwrap(), usage, "the quota in use is that of the instances");
    }

    let outbox: BTreeSet<EffectId> = store.outbox(partition).unwrap().into_iter().map(|effect| effect.id).collect();
    let awaited: BTreeSet<EffectId> = instances.iter().flat_map(awaited_effects).collect();
    assert_eq!(outbox, awaited, "the outbox holds what the states wait for");

    let timers: BTreeSet<(InstanceId, TimerId)> =
        store.timers(partition).unwrap().into_iter().map(|owned| (owned.instance, owned.timer.id)).collect();
    let expected: BTreeSet<(InstanceId, TimerId)> =
        instances.iter().flat_map(|instance| awaited_timers(instance).map(|timer| (instance.id, timer))).collect();
    assert_eq!(timers, expected, "there is a timer for all that is waited for, and no other");
}

/// Nothing is left of anybody.
pub fn check_empty(store: &Store, partition: u32, tenants: &[TenantId]) {
    check(store, partition, tenants);
    assert_eq!(store.instances(partition).unwrap(), [], "no instance is left");
}

fn awaited_effects(instance: &Instance) -> impl Iterator<Item = EffectId> {
    let operation = instance.operation.as_ref().and_then(|operation| match &operation.waiting {
        Waiting::Effect { effect } => Some(effect.clone()),
        Waiting::Backoff | Waiting::Agent => None,
    });
    operation.into_iter().chain(instance.tasks.values().filter_map(|task| task.effect.clone()))
}

fn awaited_timers(instance: &Instance) -> impl Iterator<Item = TimerId> {
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

//! What must hold after every step, whatever happened before.

use std::collections::{BTreeMap, BTreeSet};

use coffer_domain::{
    ids::EffectId,
    instance::{
        Instance,
        effect::{Action, AgentVerb, TimerId},
        journal::Entry,
        policy,
        state::{Operation, Presence, Task, TaskKind, UserKey, Waiting},
        workflow::Step,
    },
    quota::Usage,
};

use super::{partition::Partition, samples};

pub fn check(partition: &Partition) {
    quota_is_the_sum_of_what_exists(partition);
    every_effect_has_a_timer_that_outlives_it(partition);
    nothing_outlives_its_instance(partition);
    for (id, instance) in &partition.instances {
        assert_eq!(instance.id, *id);
        exactly_what_is_waited_for_is_under_way(partition, instance);
        bounds_are_kept(instance);
        contents_change_only_by_tasks(instance);
    }
}

/// A journal holds no secret, not even a sealed one, is read as it was written and fits on a line.
pub fn check_journal(entries: &[Entry]) {
    let password = serde_json::to_value(samples::password()).unwrap()["bytes"].as_str().unwrap().to_owned();
    let key = serde_json::to_value(samples::server_key()).unwrap()["wrapped"]["bytes"].as_str().unwrap().to_owned();
    for entry in entries {
        let stored = serde_json::to_string(entry).unwrap();
        assert!(!stored.contains(&password) && !stored.contains(&key), "a secret in {stored}");
        assert_eq!(&serde_json::from_str::<Entry>(&stored).unwrap(), entry, "an entry is read as it was written");
        assert!(!entry.to_string().contains('\n'), "{entry}");
    }
}

fn quota_is_the_sum_of_what_exists(partition: &Partition) {
    let charges = partition.instances.values().map(Instance::charge);
    assert_eq!(charges.fold(Usage::default(), Usage::charged), partition.usage);
    let within = |used: u64, limit: Option<u64>| limit.is_none_or(|limit| used <= limit);
    assert!(within(partition.usage.instances, partition.limits.instances), "{:?}", partition.usage);
    assert!(within(partition.usage.volume_gib, partition.limits.volume_gib), "{:?}", partition.usage);
    assert!(within(partition.usage.memory_mib, partition.limits.memory_mib), "{:?}", partition.usage);
}

fn every_effect_has_a_timer_that_outlives_it(partition: &Partition) {
    for (id, outstanding) in &partition.effects {
        let effect = &outstanding.effect;
        let timer = partition.timers.get(&(effect.instance, TimerId::Deadline { effect: id.clone() }));
        let timer = timer.unwrap_or_else(|| panic!("{id} has no timer"));
        assert!(timer.due > outstanding.since + effect.deadline, "{id} outlives its timer");
        assert!(timer.grace > effect.deadline, "{id}, dispatched again, outlives its timer's grace");
    }
}

fn nothing_outlives_its_instance(partition: &Partition) {
    for (id, outstanding) in &partition.effects {
        assert!(partition.instances.contains_key(&outstanding.effect.instance), "{id} has outlived its instance");
    }
    for (instance, timer) in partition.timers.keys() {
        assert!(partition.instances.contains_key(instance), "{timer:?} has outlived its instance");
    }
}

/// Effects and timers are those that operation and tasks wait for, no more and no less. So an instance at rest has
/// none.
fn exactly_what_is_waited_for_is_under_way(partition: &Partition, instance: &Instance) {
    let mut effects = BTreeSet::new();
    let mut timers = BTreeSet::new();
    if let Some(operation) = &instance.operation {
        match &operation.waiting {
            Waiting::Effect { effect } => {
                effects.insert(effect.clone());
                check_action(partition, operation, effect);
            }
            Waiting::Backoff => {
                timers.insert(TimerId::Retry { command: operation.command });
            }
            Waiting::Agent => {
                timers.insert(TimerId::Agent { command: operation.command });
            }
        }
    }
    for (command, task) in &instance.tasks {
        match &task.effect {
            Some(effect) => {
                effects.insert(effect.clone());
            }
            None => {
                timers.insert(TimerId::Retry { command: *command });
            }
        }
    }
    timers.extend(effects.iter().map(|effect| TimerId::Deadline { effect: effect.clone() }));

    let of_instance = partition.effects.values().filter(|outstanding| outstanding.effect.instance == instance.id);
    let outstanding: BTreeSet<EffectId> = of_instance.map(|outstanding| outstanding.effect.id.clone()).collect();
    assert_eq!(outstanding, effects, "outstanding, and waited for: {:?} {:?}", instance.operation, instance.tasks);
    let set = partition.timers.keys().filter(|(id, _)| *id == instance.id).map(|(_, timer)| timer.clone());
    assert_eq!(
        set.collect::<BTreeSet<_>>(),
        timers,
        "set, and waited for: {:?} {:?}",
        instance.operation,
        instance.tasks
    );
}

/// The effect does what the step is for; a settling teardown waits for the call of the operation before it.
fn check_action(partition: &Partition, operation: &Operation, effect: &EffectId) {
    let action = &partition.effects.get(effect).unwrap_or_else(|| panic!("{effect} is not outstanding")).effect.action;
    let fits = match (operation.step, action) {
        (Step::Settle, Action::Agent(_)) => false,
        (Step::Settle, _) => true,
        (Step::PrepareDatabase, Action::Agent(order)) => matches!(order.verb, AgentVerb::Prepare { .. }),
        (Step::RestartEngine, Action::Agent(order)) => order.verb == AgentVerb::Restart,
        (Step::StopEngine, Action::Agent(order)) => order.verb == AgentVerb::Stop,
        (Step::GrowFilesystem, Action::Agent(order)) => matches!(order.verb, AgentVerb::GrowVolume { .. }),
        (Step::ResizeEngine | Step::RestoreEngine, Action::Agent(order)) => {
            matches!(order.verb, AgentVerb::Resize { .. })
        }
        (Step::ResizeServer | Step::RestoreServer, Action::ResizeServer { .. }) => true,
        (step, action) => step.as_str() == action.as_str(),
    };
    assert!(fits, "{} waits for {}", operation.step.as_str(), action.as_str());
}

fn bounds_are_kept(instance: &Instance) {
    assert!(instance.tasks.len() <= policy::MAX_TASKS);
    assert!(instance.tasks.values().all(|task| (1..=policy::TASK.attempts).contains(&task.attempt)));
    let Some(operation) = &instance.operation else {
        assert!(!instance.broken || instance.tasks.is_empty(), "a broken instance has tasks");
        return;
    };
    assert!((1..=policy::of(operation.step).attempts).contains(&operation.attempt), "{operation:?}");
    assert!(operation.kind.steps().contains(&operation.step), "{operation:?}");
    assert!(operation.kind.is_upkeep() || instance.tasks.is_empty(), "tasks beside {operation:?}");
}

/// A database or user that is half there has a task that will settle it, one and no more.
fn contents_change_only_by_tasks(instance: &Instance) {
    let lifecycle_ends_them =
        instance.broken || instance.operation.as_ref().is_some_and(|operation| !operation.kind.is_upkeep());
    if lifecycle_ends_them {
        return;
    }
    let mut databases = BTreeMap::new();
    let mut users = BTreeMap::new();
    for task in instance.tasks.values() {
        match &task.kind {
            TaskKind::CreateDatabases { databases: created } => {
                databases.extend(created.iter().map(|database| (database.name.clone(), Presence::Creating)));
            }
            TaskKind::DropDatabase { name } => {
                databases.insert(name.clone(), Presence::Dropping);
            }
            TaskKind::CreateUsers { users: created } => users.extend(
                created
                    .iter()
                    .map(|user| (UserKey { name: user.name.clone(), host: user.host.clone() }, Presence::Creating)),
            ),
            TaskKind::DropUser { user } => {
                users.insert(user.clone(), Presence::Dropping);
            }
            TaskKind::Grant { user, .. } | TaskKind::Revoke { user, .. } => {
                users.insert(user.clone(), Presence::Changing);
            }
            TaskKind::ChangeUser { user, change } => {
                let name = change.name.as_ref().unwrap_or(&user.name).clone();
                let host = change.host.as_ref().unwrap_or(&user.host).clone();
                users.insert(UserKey { name, host }, Presence::Creating);
                users.insert(user.clone(), Presence::Changing);
            }
            TaskKind::ChangePasswords { users: changed } => users.extend(
                changed
                    .iter()
                    .map(|user| (UserKey { name: user.name.clone(), host: user.host.clone() }, Presence::Changing)),
            ),
            TaskKind::EnableRoot { .. } | TaskKind::DisableRoot | TaskKind::Configure { .. } => {}
        }
    }
    for (name, presence) in &instance.databases {
        assert_eq!(databases.get(name).unwrap_or(&Presence::Present), presence, "database {name}");
    }
    let of_root = |task: &&Task| matches!(task.kind, TaskKind::EnableRoot { .. } | TaskKind::DisableRoot);
    assert!(instance.tasks.values().filter(of_root).count() <= 1, "two tasks change root");
    let configures = |task: &&Task| matches!(task.kind, TaskKind::Configure { .. });
    assert!(instance.tasks.values().filter(configures).count() <= 1, "two tasks configure the engine");
    for (key, user) in &instance.users {
        assert_eq!(users.get(key).unwrap_or(&Presence::Present), &user.presence, "user {key}");
    }
}

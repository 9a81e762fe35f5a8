//! From an event to the next state. Total: an event that does not fit changes nothing.

mod accounts;

use std::collections::{BTreeMap, BTreeSet};

use coffer_protocol::report::{EngineState, Inventory};

use super::{
    effect::Produced,
    event::Event,
    state::{AgentContact, Instance, OperationKind, Presence, Standing, Task, TaskKind, UserKey, UserState, Waiting},
    workflow::Step,
};
use crate::{command::NewUser, time::Timestamp};

pub(super) use accounts::renamed;

/// The state after `event`; `None` before `created` and after `removed`.
#[must_use]
pub fn evolve(state: Option<Instance>, event: &Event) -> Option<Instance> {
    match (state, event) {
        (None, Event::Created { instance }) => Some((**instance).clone()),
        (None, _) => None,
        (Some(_), Event::Removed) => None,
        (Some(mut instance), event) => {
            apply(&mut instance, event);
            Some(instance)
        }
    }
}

fn apply(instance: &mut Instance, event: &Event) {
    match event {
        Event::ResizeWanted { resize } => instance.resize = resize.clone(),
        Event::VolumeSized { volume_gib } => {
            instance.volume_gib = *volume_gib;
            instance.resize.volume_gib = None;
        }
        Event::FlavorSet { flavor } => {
            instance.flavor = flavor.clone();
            instance.resize.flavor = None;
        }
        Event::OperationStarted { operation, at } => {
            if matches!(operation.kind, OperationKind::Delete | OperationKind::CleanUp) {
                instance.tasks.clear();
            }
            instance.operation = Some((**operation).clone());
            instance.updated_at = *at;
        }
        Event::StepStarted { step, attempt, waiting } => {
            if let Some(operation) = &mut instance.operation {
                operation.step = *step;
                operation.attempt = *attempt;
                operation.waiting = waiting.clone();
            }
        }
        Event::StepDelayed { .. } => {
            if let Some(operation) = &mut instance.operation {
                operation.waiting = Waiting::Backoff;
            }
        }
        Event::Learnt { produced } => learn(instance, produced),
        Event::Freed { step } => free(instance, *step),
        Event::FaultRaised { fault } => instance.fault = Some(fault.clone()),
        Event::Renamed { name, at } => {
            instance.name.clone_from(name);
            instance.updated_at = *at;
        }
        Event::StatusReset { broken, delete_is_forced } => {
            instance.broken = *broken;
            instance.delete_is_forced = *delete_is_forced;
        }
        Event::OperationEnded { broken, at } => end_operation(instance, *broken, *at),
        Event::TaskStarted { command, task, at } => {
            mark_started(instance, &task.kind);
            instance.tasks.insert(*command, (**task).clone());
            instance.updated_at = *at;
        }
        Event::TaskAttempted { command, attempt, effect } => {
            if let Some(task) = instance.tasks.get_mut(command) {
                task.attempt = *attempt;
                task.effect.clone_from(effect);
            }
        }
        Event::TaskEnded { command, succeeded, at } => {
            if let Some(task) = instance.tasks.remove(command) {
                mark_ended(instance, &task, *succeeded, *at);
                instance.updated_at = *at;
            }
        }
        Event::HealthChanged { contact, engine, at } => set_health(instance, *contact, *engine, *at),
        Event::GaugesTaken { volume_used_bytes, at } => {
            instance.health.volume_used_bytes = *volume_used_bytes;
            instance.health.gauges_at = *at;
        }
        Event::InventoryTaken { inventory } => take_inventory(instance, inventory),
        Event::ConfigurationWanted { configuration, at } => {
            instance.configuration = (**configuration).clone();
            instance.updated_at = *at;
        }
        Event::RestartRequired { required } => instance.restart_required = *required,
        Event::Created { .. }
        | Event::QuotaCharged { .. }
        | Event::QuotaRefunded { .. }
        | Event::LeftBehind { .. }
        | Event::Removed => {}
    }
}

fn learn(instance: &mut Instance, produced: &Produced) {
    match produced {
        // The decision on a measured size is another event.
        Produced::Nothing | Produced::VolumeSize { .. } | Produced::Configured { .. } => {}
        Produced::Address(address) => instance.resources.address = Some(address.clone()),
        Produced::Volume { id } => instance.resources.volume = Some(id.clone()),
        Produced::Server { id } => instance.resources.server = Some(id.clone()),
    }
}

fn free(instance: &mut Instance, step: Step) {
    match step {
        Step::DeleteServer => instance.resources.server = None,
        Step::DeleteVolume => instance.resources.volume = None,
        Step::ReleaseAddress => instance.resources.address = None,
        _ => {}
    }
}

fn set_health(instance: &mut Instance, contact: AgentContact, engine: EngineState, at: Timestamp) {
    instance.health.contact = contact;
    instance.health.engine = engine;
    instance.health.changed_at = at;
}

fn end_operation(instance: &mut Instance, broken: bool, at: Timestamp) {
    let Some(operation) = instance.operation.take() else { return };
    instance.broken = broken;
    instance.updated_at = at;
    if operation.kind == OperationKind::Create && !broken {
        for presence in instance.databases.values_mut() {
            *presence = Presence::Present;
        }
        for user in instance.users.values_mut() {
            user.presence = Presence::Present;
        }
    }
}

/// The key under which an ordered user stands.
pub(super) fn user_key(user: &NewUser) -> UserKey {
    UserKey { name: user.name.clone(), host: user.host.clone() }
}

fn mark_started(instance: &mut Instance, kind: &TaskKind) {
    match kind {
        TaskKind::CreateDatabases { databases } => {
            for database in databases {
                instance.databases.insert(database.name.clone(), Presence::Creating);
            }
        }
        TaskKind::CreateUsers { users } => {
            for user in users {
                let state = UserState { presence: Presence::Creating, databases: user.databases.clone() };
                instance.users.insert(user_key(user), state);
            }
        }
        TaskKind::DropDatabase { name } => {
            if let Some(presence) = instance.databases.get_mut(name) {
                *presence = Presence::Dropping;
            }
        }
        TaskKind::DropUser { user } => {
            if let Some(state) = instance.users.get_mut(user) {
                state.presence = Presence::Dropping;
            }
        }
        change => accounts::started(instance, change),
    }
}

fn mark_ended(instance: &mut Instance, task: &Task, succeeded: bool, at: Timestamp) {
    match &task.kind {
        TaskKind::CreateDatabases { databases } => {
            for database in databases {
                settle(&mut instance.databases, &database.name, succeeded, |presence| presence);
            }
        }
        TaskKind::CreateUsers { users } => {
            for user in users {
                settle(&mut instance.users, &user_key(user), succeeded, |state| &mut state.presence);
            }
        }
        TaskKind::DropDatabase { name } => {
            settle(&mut instance.databases, name, !succeeded, |presence| presence);
            if succeeded {
                for user in instance.users.values_mut() {
                    user.databases.remove(name);
                }
            }
        }
        TaskKind::DropUser { user } => {
            settle(&mut instance.users, user, !succeeded, |state| &mut state.presence);
        }
        // Another one was asked for meanwhile: the outcome says nothing about it.
        TaskKind::Configure { number } if *number != instance.configuration.number => {}
        TaskKind::Configure { .. } => {
            instance.configuration.standing = if succeeded { Standing::Applied } else { Standing::Refused };
        }
        change => accounts::ended(instance, change, succeeded, at),
    }
}

/// Leaves the entry present or takes it away, once the engine has spoken.
fn settle<K: Ord, V>(entries: &mut BTreeMap<K, V>, key: &K, stays: bool, presence: fn(&mut V) -> &mut Presence) {
    if !stays {
        entries.remove(key);
    } else if let Some(entry) = entries.get_mut(key) {
        *presence(entry) = Presence::Present;
    }
}

/// The engine's own word on what it holds; entries with a task under way keep what the task says.
fn take_inventory(instance: &mut Instance, inventory: &Inventory) {
    instance.databases.retain(|_, presence| *presence != Presence::Present);
    for name in &inventory.databases {
        instance.databases.entry(name.clone()).or_insert(Presence::Present);
    }
    instance.users.retain(|_, user| user.presence != Presence::Present);
    for user in &inventory.users {
        let key = UserKey { name: user.name.clone(), host: user.host.clone() };
        let databases: BTreeSet<String> = user.databases.iter().cloned().collect();
        let known =
            instance.users.entry(key).or_insert(UserState { presence: Presence::Present, databases: BTreeSet::new() });
        // Rights of a user that is being changed may be in the engine long before the outcome is heard.
        if matches!(known.presence, Presence::Present | Presence::Changing) {
            known.databases = databases;
        }
    }
}

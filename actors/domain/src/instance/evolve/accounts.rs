//! What changes of users and of root do to the state: nothing is given or taken before the engine has confirmed it.

use crate::{
    instance::{
        policy::MAX_ROOT_HISTORY,
        state::{Instance, Presence, RootEnabled, TaskKind, UserKey, UserState},
    },
    time::Timestamp,
};

/// The key that a user is to have, where it is another one.
pub(in crate::instance) fn renamed(task: &TaskKind) -> Option<UserKey> {
    let TaskKind::ChangeUser { user, change } = task else { return None };
    let name = change.name.clone().unwrap_or_else(|| user.name.clone());
    let host = change.host.clone().unwrap_or_else(|| user.host.clone());
    Some(UserKey { name, host }).filter(|wanted| wanted != user)
}

/// Users that the task works on; no other task may until it has ended.
fn users(task: &TaskKind) -> Vec<UserKey> {
    match task {
        TaskKind::Grant { user, .. } | TaskKind::Revoke { user, .. } | TaskKind::ChangeUser { user, .. } => {
            vec![user.clone()]
        }
        TaskKind::ChangePasswords { users } => {
            users.iter().map(|user| UserKey { name: user.name.clone(), host: user.host.clone() }).collect()
        }
        _ => Vec::new(),
    }
}

pub(super) fn started(instance: &mut Instance, task: &TaskKind) {
    for key in users(task) {
        if let Some(user) = instance.users.get_mut(&key) {
            user.presence = Presence::Changing;
            let databases = user.databases.clone();
            if let Some(wanted) = renamed(task) {
                instance.users.insert(wanted, UserState { presence: Presence::Creating, databases });
            }
        }
    }
}

pub(super) fn ended(instance: &mut Instance, task: &TaskKind, succeeded: bool, at: Timestamp) {
    for key in users(task) {
        if let Some(user) = instance.users.get_mut(&key) {
            user.presence = Presence::Present;
        }
    }
    if let Some(wanted) = renamed(task).filter(|_| !succeeded) {
        instance.users.remove(&wanted);
    }
    if succeeded {
        done(instance, task, at);
    }
}

fn done(instance: &mut Instance, task: &TaskKind, at: Timestamp) {
    match task {
        TaskKind::Grant { user, databases } => {
            if let Some(user) = instance.users.get_mut(user) {
                user.databases.extend(databases.iter().filter(|name| instance.databases.contains_key(*name)).cloned());
            }
        }
        TaskKind::Revoke { user, database } => {
            if let Some(user) = instance.users.get_mut(user) {
                user.databases.remove(database);
            }
        }
        TaskKind::ChangeUser { user, .. } => {
            if let Some(wanted) = renamed(task)
                && let Some(state) = instance.users.remove(user)
            {
                instance.users.insert(wanted, state);
            }
        }
        TaskKind::EnableRoot { user, .. } => {
            instance.root_enabled_at = Some(at);
            if instance.root_history.len() >= MAX_ROOT_HISTORY {
                instance.root_history.remove(0);
            }
            instance.root_history.push(RootEnabled { user: user.clone(), enabled_at: at });
        }
        TaskKind::DisableRoot => instance.root_enabled_at = None,
        _ => {}
    }
}

//! Changes of users and of root: what may be asked when. One user is changed by one task at a time, and so is root:
//! the answers of two could not be told apart in their effect.

use std::collections::BTreeSet;

use crate::{
    command::{Command, NewPassword, UserChange},
    instance::{
        evolve::renamed,
        state::{Instance, Presence, TaskKind, UserKey},
    },
    names,
    rejection::Rejection,
};

/// The task that a command asks for.
pub fn task(instance: &Instance, command: Command, principal: &str) -> Result<TaskKind, Rejection> {
    match command {
        Command::EnableRoot { password } => {
            check_root_idle(instance)?;
            Ok(TaskKind::EnableRoot { password, user: principal.to_owned() })
        }
        Command::DisableRoot => {
            check_root_idle(instance)?;
            match instance.root_enabled_at {
                Some(_) => Ok(TaskKind::DisableRoot),
                None => Err(Rejection::not_found("Root user has never been enabled on the instance.")),
            }
        }
        Command::Grant { name, host, databases } => grant(instance, UserKey { name, host }, databases),
        Command::Revoke { name, host, database } => revoke(instance, UserKey { name, host }, database),
        Command::ChangeUser { name, host, change } => change_user(instance, UserKey { name, host }, change),
        Command::ChangePasswords { users } => change_passwords(instance, users),
        _ => Err(Rejection::invalid("this verb is not a task of the agent")),
    }
}

/// A user that can be worked on.
pub fn user<'a>(instance: &'a Instance, key: &UserKey) -> Result<&'a BTreeSet<String>, Rejection> {
    match instance.users.get(key) {
        Some(user) if user.presence == Presence::Present => Ok(&user.databases),
        Some(user) if user.presence == Presence::Changing => {
            Err(Rejection::wrong_state(format!("User {key} is being changed by another request.")))
        }
        _ => Err(Rejection::not_found(format!("User {key} cannot be found on the instance."))),
    }
}

/// No user is being given rights on the database.
pub fn check_not_being_granted(instance: &Instance, database: &str) -> Result<(), Rejection> {
    let is_granted = instance.tasks.values().any(|task| match &task.kind {
        TaskKind::Grant { databases, .. } => databases.contains(database),
        TaskKind::CreateUsers { users } => users.iter().any(|user| user.databases.contains(database)),
        _ => false,
    });
    if is_granted {
        let message = format!("Database {database} is being granted to a user by another request.");
        return Err(Rejection::wrong_state(message));
    }
    Ok(())
}

fn check_root_idle(instance: &Instance) -> Result<(), Rejection> {
    let is_of_root = |task: &TaskKind| matches!(task, TaskKind::EnableRoot { .. } | TaskKind::DisableRoot);
    if instance.tasks.values().any(|task| is_of_root(&task.kind)) {
        return Err(Rejection::wrong_state("Root is being enabled or disabled by another request."));
    }
    Ok(())
}

fn grant(instance: &Instance, key: UserKey, databases: BTreeSet<String>) -> Result<TaskKind, Rejection> {
    user(instance, &key)?;
    if databases.is_empty() {
        return Err(Rejection::invalid("No databases are named."));
    }
    let missing = databases.iter().find(|name| instance.databases.get(*name) != Some(&Presence::Present));
    if let Some(name) = missing {
        return Err(Rejection::not_found(format!("Database {name} cannot be found on the instance.")));
    }
    Ok(TaskKind::Grant { user: key, databases })
}

fn revoke(instance: &Instance, key: UserKey, database: String) -> Result<TaskKind, Rejection> {
    if !user(instance, &key)?.contains(&database) {
        return Err(Rejection::not_found(format!("Database {database} cannot be found among those of user {key}.")));
    }
    Ok(TaskKind::Revoke { user: key, database })
}

fn change_user(instance: &Instance, key: UserKey, change: UserChange) -> Result<TaskKind, Rejection> {
    user(instance, &key)?;
    if change == UserChange::default() {
        return Err(Rejection::invalid("Nothing about the user is to be changed."));
    }
    let manager = &instance.datastore.manager;
    if let Some(name) = &change.name {
        names::check_user_name(manager, name)?;
    }
    if let Some(host) = &change.host {
        names::check_host(manager, host)?;
    }
    let task = TaskKind::ChangeUser { user: key, change };
    match renamed(&task) {
        Some(wanted) if instance.users.contains_key(&wanted) => {
            Err(Rejection::invalid(format!("A user with the name '{wanted}' already exists.")))
        }
        _ => Ok(task),
    }
}

fn change_passwords(instance: &Instance, users: Vec<NewPassword>) -> Result<TaskKind, Rejection> {
    if users.is_empty() {
        return Err(Rejection::invalid("No users are named."));
    }
    let mut seen = BTreeSet::new();
    for new in &users {
        let key = UserKey { name: new.name.clone(), host: new.host.clone() };
        user(instance, &key)?;
        if let Some(key) = seen.replace(key) {
            return Err(Rejection::invalid(format!("User '{key}' occurs twice in the request.")));
        }
    }
    Ok(TaskKind::ChangePasswords { users })
}

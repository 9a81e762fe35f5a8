//! Commands: what may be asked when, and what it starts.

use std::collections::{BTreeMap, BTreeSet};

use coffer_protocol::report::EngineState;

use super::{Context, accounts, configuration, draft::Draft, operations, repair, resize, tasks};
use crate::{
    command::{Command, Create, Envelope, NewDatabase, NewUser},
    instance::{
        event::Event,
        evolve::user_key,
        policy::{MAX_CONTENTS, MAX_TASKS},
        state::{
            AgentContact, FirstContents, Health, Instance, InstanceDatastore, OperationKind, Presence, Resize,
            Resources, TaskKind, UserKey, UserState,
        },
        view,
    },
    names,
    rejection::{Rejection, RejectionKind},
};

/// `instance` is what the draft begins with.
pub fn decide(
    draft: &mut Draft,
    instance: Option<&Instance>,
    envelope: &Envelope,
    context: &Context<'_>,
) -> Result<(), Rejection> {
    if let Command::Create(order) = &envelope.command {
        return create(draft, envelope, order, context);
    }
    let instance = instance
        .filter(|instance| instance.tenant == envelope.tenant)
        .ok_or_else(|| Rejection::not_found(format!("Resource {} cannot be found.", envelope.instance)))?;
    match &envelope.command {
        Command::Create(_) => Ok(()),
        Command::Delete => {
            delete(draft, instance, envelope);
            Ok(())
        }
        Command::Restart => start_upkeep(draft, instance, envelope, OperationKind::Restart),
        Command::Stop => start_upkeep(draft, instance, envelope, OperationKind::Stop),
        Command::Rename { name } => rename(draft, name),
        Command::ResetStatus { force_delete } => {
            repair::reset(draft, instance, envelope, *force_delete);
            Ok(())
        }
        Command::ResizeVolume { volume_gib } => resize::volume(draft, instance, envelope, *volume_gib, context),
        Command::ResizeFlavor { flavor } => resize::flavor(draft, instance, envelope, flavor, context),
        Command::AttachConfiguration { group } => configuration::attach(draft, instance, envelope, *group, context),
        Command::DetachConfiguration => {
            configuration::detach(draft, instance, envelope);
            Ok(())
        }
        contents => {
            let kind = task(instance, contents, &envelope.principal)?;
            tasks::start(draft, envelope.command_id, kind);
            Ok(())
        }
    }
}

fn create(draft: &mut Draft, envelope: &Envelope, order: &Create, context: &Context<'_>) -> Result<(), Rejection> {
    if draft.state().is_some() {
        return Err(Rejection::invalid(format!("Instance {} exists already.", envelope.instance)));
    }
    let (datastore, version) = context.catalogue.offered(order.datastore_version)?;
    let flavor = context
        .catalogue
        .flavor(&order.flavor)
        .ok_or_else(|| Rejection::invalid(format!("Resource {} cannot be found.", order.flavor)))?;
    names::check_create(order, &version.manager)?;
    check_volume(order.volume_gib, context)?;
    context.catalogue.check_volume_type(order.volume_type.as_deref())?;
    let server_key = order.server_key.clone().ok_or_else(|| Rejection::invalid("create.server_key: it is missing."))?;

    let contents = FirstContents { databases: order.databases.clone(), users: order.users.clone() };
    let instance = Instance {
        id: envelope.instance,
        tenant: envelope.tenant.clone(),
        name: order.name.clone(),
        created_at: context.now,
        updated_at: context.now,
        datastore: InstanceDatastore {
            name: datastore.name.clone(),
            version_id: version.id,
            version_name: version.name.clone(),
            version_number: version.number.clone(),
            manager: version.manager.clone(),
        },
        flavor: flavor.clone(),
        volume_gib: order.volume_gib,
        volume_type: order.volume_type.clone(),
        region: order.region.clone(),
        access: order.access.clone(),
        server_key,
        resources: Resources::default(),
        operation: None,
        resize: Resize::default(),
        tasks: BTreeMap::new(),
        health: Health {
            contact: AgentContact::Silent,
            engine: EngineState::Absent,
            changed_at: context.now,
            gauges_at: context.now,
            volume_used_bytes: None,
        },
        fault: None,
        broken: false,
        databases: order.databases.iter().map(|database| (database.name.clone(), Presence::Creating)).collect(),
        users: order.users.iter().map(ordered_user).collect(),
        root_enabled_at: None,
        root_history: Vec::new(),
        delete_is_forced: false,
        configuration: configuration::first(order, version.id, envelope, context)?,
        restart_required: false,
    };
    let charge = instance.charge();
    context.usage.admit(charge, context.limits)?;
    draft.push(Event::Created { instance: Box::new(instance) });
    draft.push(Event::QuotaCharged { charge });
    operations::start(draft, operations::operation(OperationKind::Create, envelope, contents));
    Ok(())
}

fn ordered_user(user: &NewUser) -> (UserKey, UserState) {
    (user_key(user), UserState { presence: Presence::Creating, databases: user.databases.clone() })
}

pub(super) fn check_volume(size_gib: u32, context: &Context<'_>) -> Result<(), Rejection> {
    let maximum = context.limits.max_volume_gib;
    if size_gib == 0 {
        return Err(Rejection::invalid("Volume 'size' must be at least 1 GB."));
    }
    if size_gib > maximum {
        return Err(Rejection::new(
            RejectionKind::OverLimit,
            format!("Volume 'size' cannot exceed maximum of {maximum} GB, {size_gib} cannot be accepted."),
        ));
    }
    Ok(())
}

/// A delete is allowed at any time; asked for again while one runs, it is the same delete.
fn delete(draft: &mut Draft, instance: &Instance, envelope: &Envelope) {
    let deleting = instance.operation.as_ref().is_some_and(|operation| operation.kind == OperationKind::Delete);
    if !deleting {
        operations::start(draft, operations::operation(OperationKind::Delete, envelope, FirstContents::default()));
    }
}

/// At any time: nothing outside knows the name.
fn rename(draft: &mut Draft, name: &str) -> Result<(), Rejection> {
    names::check_instance_name(name)?;
    if draft.state().is_some_and(|instance| instance.name != name) {
        let at = draft.now();
        draft.push(Event::Renamed { name: name.to_owned(), at });
    }
    Ok(())
}

fn start_upkeep(
    draft: &mut Draft,
    instance: &Instance,
    envelope: &Envelope,
    kind: OperationKind,
) -> Result<(), Rejection> {
    check_reachable(instance)?;
    operations::start(draft, operations::operation(kind, envelope, FirstContents::default()));
    Ok(())
}

/// Nothing else runs, and the agent would hear of it.
pub(super) fn check_reachable(instance: &Instance) -> Result<(), Rejection> {
    check_idle(instance)?;
    if instance.health.contact == AgentContact::Silent {
        return Err(Rejection::wrong_state(format!(
            "Instance {} is not currently available for an action to be performed (instance status was ERROR).",
            instance.id
        )));
    }
    Ok(())
}

fn check_idle(instance: &Instance) -> Result<(), Rejection> {
    let task = match instance.operation.as_ref().map(|operation| operation.kind) {
        Some(OperationKind::Create) => "task status was BUILDING",
        Some(OperationKind::Delete) => "task status was DELETING",
        Some(OperationKind::Restart) => "task status was REBOOTING",
        Some(OperationKind::Stop) => "instance status was SHUTDOWN",
        Some(
            OperationKind::ResizeVolume
            | OperationKind::ResizeFlavor
            | OperationKind::UndoResizeVolume
            | OperationKind::UndoResizeFlavor,
        ) => "task status was RESIZING",
        Some(OperationKind::Reset) if !instance.broken => "task status was RESIZING",
        Some(OperationKind::CleanUp | OperationKind::Reset) => "instance status was ERROR",
        None if instance.broken => "instance status was ERROR",
        None => return Ok(()),
    };
    Err(Rejection::wrong_state(format!(
        "Instance {} is not currently available for an action to be performed ({task}).",
        instance.id
    )))
}

/// The task that a command on databases, users or root asks for.
fn task(instance: &Instance, command: &Command, principal: &str) -> Result<TaskKind, Rejection> {
    check_idle(instance)?;
    if !view::view(instance).is_healthy() {
        return Err(Rejection::wrong_state(format!(
            "Instance {} is not currently available for an action to be performed (its database server is not healthy).",
            instance.id
        )));
    }
    if instance.tasks.len() >= MAX_TASKS {
        return Err(Rejection::new(
            RejectionKind::Busy,
            format!("Instance {} has {MAX_TASKS} requests under way already.", instance.id),
        ));
    }
    let manager = &instance.datastore.manager;
    match command.clone() {
        Command::CreateDatabases { databases } => {
            names::check_databases(manager, &databases)?;
            check_new_databases(instance, &databases)?;
            Ok(TaskKind::CreateDatabases { databases })
        }
        Command::DropDatabase { name } => match instance.databases.get(&name) {
            Some(Presence::Present) => {
                accounts::check_not_being_granted(instance, &name)?;
                Ok(TaskKind::DropDatabase { name })
            }
            _ => Err(Rejection::not_found(format!("Database {name} cannot be found on the instance."))),
        },
        Command::CreateUsers { users } => {
            names::check_users(manager, &users)?;
            check_new_users(instance, &users)?;
            Ok(TaskKind::CreateUsers { users })
        }
        Command::DropUser { name, host } => {
            let user = UserKey { name, host };
            accounts::user(instance, &user)?;
            Ok(TaskKind::DropUser { user })
        }
        change => accounts::task(instance, change, principal),
    }
}

fn check_new_databases(instance: &Instance, databases: &[NewDatabase]) -> Result<(), Rejection> {
    let names: BTreeSet<&str> = databases.iter().map(|database| database.name.as_str()).collect();
    if let Some(name) = names.iter().find(|name| instance.databases.contains_key(**name)) {
        return Err(Rejection::invalid(format!("A database with the name '{name}' already exists.")));
    }
    check_room("databases", instance.databases.len() + names.len())
}

fn check_new_users(instance: &Instance, users: &[NewUser]) -> Result<(), Rejection> {
    let keys: BTreeSet<UserKey> = users.iter().map(user_key).collect();
    if let Some(key) = keys.iter().find(|key| instance.users.contains_key(key)) {
        return Err(Rejection::invalid(format!("A user with the name '{key}' already exists.")));
    }
    let missing = users
        .iter()
        .flat_map(|user| &user.databases)
        .find(|name| instance.databases.get(*name) != Some(&Presence::Present));
    if let Some(name) = missing {
        return Err(Rejection::invalid(format!("Database {name} cannot be found on the instance.")));
    }
    check_room("users", instance.users.len() + keys.len())
}

fn check_room(what: &str, count: usize) -> Result<(), Rejection> {
    if count > MAX_CONTENTS {
        return Err(Rejection::new(
            RejectionKind::OverLimit,
            format!("An instance holds at most {MAX_CONTENTS} {what}, {count} cannot be accepted."),
        ));
    }
    Ok(())
}

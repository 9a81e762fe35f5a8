//! What clients were promised, kept outside the control plane, and what became of it.

use std::collections::{BTreeMap, BTreeSet};

use coffer_domain::{
    command::{Command, Envelope},
    ids::{CommandId, InstanceId, TenantId},
    instance::{
        Instance,
        state::{OperationKind, Presence, Task, TaskKind},
        workflow::Step,
    },
};

use crate::{agent::Disk, cloud::Kind, short};

/// How a task ended, as the committed states tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    Done,
    Failed,
    /// The instance was taken down.
    Abandoned,
}

/// A command as its client knows it.
pub struct Order {
    pub envelope: Envelope,
    pub partition: u32,
    /// Whether the client waits for an answer, or is about to ask again.
    pub is_open: bool,
    pub is_accepted: bool,
    ended: Option<End>,
}

#[derive(Default)]
pub struct Ledger {
    pub orders: BTreeMap<CommandId, Order>,
    removed: BTreeSet<InstanceId>,
    /// What forced deletes may have left outside.
    left_behind: BTreeMap<InstanceId, &'static [Kind]>,
}

impl Ledger {
    pub fn open(&mut self, envelope: Envelope, partition: u32) -> CommandId {
        let id = envelope.command_id;
        self.orders.insert(id, Order { envelope, partition, is_open: true, is_accepted: false, ended: None });
        id
    }

    /// Whether every client has its answer.
    pub fn is_settled(&self) -> bool {
        self.orders.values().all(|order| !order.is_open)
    }

    pub fn is_removed(&self, instance: InstanceId) -> bool {
        self.removed.contains(&instance)
    }

    /// What a forced delete may have left of an instance that is gone.
    pub fn left_behind(&self, instance: InstanceId) -> &'static [Kind] {
        self.left_behind.get(&instance).copied().unwrap_or_default()
    }

    /// Whether all that was asked about an instance's root was done: what failed may be half done, and no inventory
    /// tells of root.
    pub fn knows_of_root(&self, instance: InstanceId) -> bool {
        let is_of_root = |order: &&Order| {
            order.envelope.instance == instance
                && matches!(order.envelope.command, Command::EnableRoot { .. } | Command::DisableRoot)
        };
        let mut orders = self.orders.values().filter(is_of_root);
        orders.all(|order| !order.is_accepted || order.ended == Some(End::Done))
    }

    /// Compares what was committed of an instance with what was asked for; `disk` is its guest's volume.
    pub fn committed(
        &mut self,
        before: Option<&Instance>,
        after: Option<&Instance>,
        disk: Option<&Disk>,
    ) -> Result<(), String> {
        match (before, after) {
            (None, Some(new)) => {
                if !self.has_order(new.id, |command| matches!(command, Command::Create(_))) {
                    return Err(format!("nobody has ordered {}", short(new.id)));
                }
                if self.removed.contains(&new.id) {
                    return Err(format!("{} is back from the dead", short(new.id)));
                }
            }
            (Some(old), None) => {
                if !self.has_order(old.id, |command| *command == Command::Delete) {
                    return Err(format!("{} is removed, and nobody has asked for it", short(old.id)));
                }
                self.removed.insert(old.id);
                self.left_behind.insert(old.id, may_be_left(old));
            }
            _ => {}
        }
        if let Some(new) = after {
            let is_reset = new.operation.as_ref().is_some_and(|operation| operation.kind == OperationKind::Reset);
            let is_ordered = || self.has_order(new.id, |command| matches!(command, Command::ResetStatus { .. }));
            if (is_reset || new.delete_is_forced) && !is_ordered() {
                return Err(format!("the status of {} is reset, and nobody has asked for it", short(new.id)));
            }
        }
        let tasks = before.map(|instance| instance.tasks.clone()).unwrap_or_default();
        let is_over = |id: &CommandId| after.is_none_or(|instance| !instance.tasks.contains_key(id));
        for (id, task) in tasks.into_iter().filter(|(id, _)| is_over(id)) {
            let end = after.map_or(End::Abandoned, |instance| end_of(&task, before, instance));
            if end == End::Done && !disk.is_some_and(|disk| disk.has_done(&id.to_string())) {
                return Err(format!("task {id} ended well, and the agent has not done it"));
            }
            if end == End::Failed && after.is_some_and(|instance| instance.fault.is_none()) {
                return Err(format!("task {id} failed, and nobody is told why"));
            }
            if let Some(order) = self.orders.get_mut(&id) {
                order.ended = Some(end);
            }
        }
        Ok(())
    }

    /// Checks, once everything is at rest, that what was promised has come to its end.
    pub fn check_kept(&self, states: &BTreeMap<InstanceId, (u32, Instance)>) -> Result<(), String> {
        for (id, order) in self.orders.iter().filter(|(_, order)| order.is_accepted) {
            let instance = order.envelope.instance;
            let state = states.get(&instance).map(|(_, state)| state);
            let is_removed = self.removed.contains(&instance);
            let is_kept = match order.envelope.command {
                // What came of them is looked at by itself: a later one may have undone it.
                ref command if command.is_of_group() || command.is_of_tenant() => true,
                Command::AttachConfiguration { .. } | Command::DetachConfiguration => true,
                Command::Create(_) => state.is_some() || is_removed,
                Command::Delete => is_removed || state.is_some_and(|state| state.broken && state.fault.is_some()),
                Command::Restart | Command::Stop | Command::ResetStatus { .. } | Command::ResizeFlavor { .. } => true,
                Command::Rename { .. } => state.is_none_or(|state| self.is_name_ordered(state)),
                Command::ResizeVolume { volume_gib } => {
                    is_removed || state.is_some_and(|state| state.volume_gib >= volume_gib || state.fault.is_some())
                }
                _ => {
                    order.ended.is_some()
                        || is_removed
                        || self.has_order(instance, |command| *command == Command::Delete)
                }
            };
            if !is_kept {
                let verb = order.envelope.command.verb();
                return Err(format!("{verb} {id} of {} was acknowledged and is lost", short(instance)));
            }
        }
        Ok(())
    }

    /// The tenant's commands that were accepted, as far as their client knows.
    pub fn accepted_of(&self, tenant: &TenantId) -> impl Iterator<Item = &Command> {
        let own = self.orders.values().filter(move |order| order.is_accepted && order.envelope.tenant == *tenant);
        own.map(|order| &order.envelope.command)
    }

    fn is_name_ordered(&self, state: &Instance) -> bool {
        self.has_order(state.id, |command| *command == Command::Rename { name: state.name.clone() })
    }

    fn has_order(&self, instance: InstanceId, wanted: impl Fn(&Command) -> bool) -> bool {
        self.orders.values().any(|order| order.envelope.instance == instance && wanted(&order.envelope.command))
    }
}

/// What the last step of a delete may leave: nothing, unless it was forced.
fn may_be_left(old: &Instance) -> &'static [Kind] {
    let step = old.operation.as_ref().map(|operation| operation.step).filter(|_| old.delete_is_forced);
    match step {
        Some(Step::DeleteServer) => &[Kind::Address, Kind::Volume, Kind::Server],
        Some(Step::ReleaseAddress) => &[Kind::Address, Kind::Volume],
        _ => &[],
    }
}

/// How a task ended that is in `before` and not in `after`.
fn end_of(task: &Task, before: Option<&Instance>, after: &Instance) -> End {
    let is_torn_down = after
        .operation
        .as_ref()
        .is_some_and(|operation| matches!(operation.kind, OperationKind::Delete | OperationKind::CleanUp));
    if is_torn_down {
        return End::Abandoned;
    }
    // What is there again as "creating" was asked for anew in the same batch.
    let is_made = |presence: Option<Presence>| {
        matches!(presence, Some(Presence::Present | Presence::Dropping | Presence::Changing))
    };
    let database = |name: &String| after.databases.get(name).copied();
    let user = |key| after.users.get(&key).map(|user| user.presence);
    let is_done = match &task.kind {
        TaskKind::CreateDatabases { databases } => databases.iter().all(|new| is_made(database(&new.name))),
        TaskKind::DropDatabase { name } => !is_made(database(name)),
        TaskKind::CreateUsers { users } => users.iter().all(|new| {
            is_made(user(coffer_domain::instance::state::UserKey { name: new.name.clone(), host: new.host.clone() }))
        }),
        TaskKind::DropUser { user: key } => !is_made(user(key.clone())),
        // They leave no mark, or none that another one of the same batch could not cover.
        TaskKind::EnableRoot { .. }
        | TaskKind::DisableRoot
        | TaskKind::Grant { .. }
        | TaskKind::Revoke { .. }
        | TaskKind::ChangeUser { .. }
        | TaskKind::ChangePasswords { .. }
        | TaskKind::Configure { .. } => true,
    };
    // A failure in the same batch may be this one's, with an inventory behind it that shows what was half done.
    let is_blamed = after.fault.as_ref() != before.and_then(|instance| instance.fault.as_ref());
    if is_done && !is_blamed { End::Done } else { End::Failed }
}

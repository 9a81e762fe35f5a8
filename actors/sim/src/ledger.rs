//! What clients were promised, kept outside the control plane, and what became of it.

use std::collections::{BTreeMap, BTreeSet};

use coffer_domain::{
    command::{Command, Envelope},
    ids::{CommandId, InstanceId},
    instance::{
        Instance,
        state::{OperationKind, Presence, Task, TaskKind},
    },
};

use crate::{agent::Disk, short};

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
            }
            _ => {}
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
                Command::Create(_) => state.is_some() || is_removed,
                Command::Delete => is_removed || state.is_some_and(|state| state.broken && state.fault.is_some()),
                Command::Restart => true,
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

    fn has_order(&self, instance: InstanceId, wanted: impl Fn(&Command) -> bool) -> bool {
        self.orders.values().any(|order| order.envelope.instance == instance && wanted(&order.envelope.command))
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
    let is_made = |presence: Option<Presence>| matches!(presence, Some(Presence::Present | Presence::Dropping));
    let database = |name: &String| after.databases.get(name).copied();
    let user = |key| after.users.get(&key).map(|user| user.presence);
    let is_done = match &task.kind {
        TaskKind::CreateDatabases { databases } => databases.iter().all(|new| is_made(database(&new.name))),
        TaskKind::DropDatabase { name } => !is_made(database(name)),
        TaskKind::CreateUsers { users } => users.iter().all(|new| {
            is_made(user(coffer_domain::instance::state::UserKey { name: new.name.clone(), host: new.host.clone() }))
        }),
        TaskKind::DropUser { user: key } => !is_made(user(key.clone())),
        // It leaves no mark when it is the second one of a millisecond.
        TaskKind::EnableRoot { .. } => true,
    };
    // A failure in the same batch may be this one's, with an inventory behind it that shows what was half done.
    let is_blamed = after.fault.as_ref() != before.and_then(|instance| instance.fault.as_ref());
    if is_done && !is_blamed { End::Done } else { End::Failed }
}

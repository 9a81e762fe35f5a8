//! What was promised of a tenant as a whole, once everything is at rest: its own limits, its groups, and what the engines that
//! follow them run with.

use coffer_domain::{
    command::Command,
    configuration::{parameters, values::engine_words},
    instance::{
        state::Standing,
        view::{self, Status},
    },
    quota::Limit,
};

use super::World;
use crate::short;

impl World {
    pub(super) fn check_promises(&self) -> Result<(), String> {
        for client in &self.clients {
            let stored = self.store.limits(client.partition, &client.tenant).map_err(|error| error.to_string())?;
            let stored = stored.and_then(|own| own.limits.instances);
            let set: Vec<Option<Limit>> = self.ledger.accepted_of(&client.tenant).filter_map(limit_set).collect();
            if !(set.contains(&stored) || set.is_empty() && stored.is_none()) {
                return Err(format!("{set:?} was set for {}, and {stored:?} holds", client.tenant));
            }
            let groups = self.store.groups_after(client.partition, &client.tenant, None, usize::MAX);
            let groups = groups.map_err(|error| error.to_string())?;
            let made = |command: &Command| matches!(command, Command::CreateConfiguration(_));
            if groups.len() > self.ledger.accepted_of(&client.tenant).filter(|command| made(command)).count() {
                return Err(format!("{} has more groups than it has asked for", client.tenant));
            }
            for (_, instance) in self.states.values().filter(|(_, state)| state.tenant == client.tenant) {
                let Some(attached) = &instance.configuration.group else { continue };
                let group = groups.iter().find(|group| group.id == attached.id);
                if group.is_none_or(|group| group.values != instance.configuration.values) {
                    return Err(format!("{} does not follow its group", short(instance.id)));
                }
            }
        }
        self.check_engines()
    }

    /// An engine whose instance says so has its values.
    fn check_engines(&self) -> Result<(), String> {
        let Some(known) = parameters::of("mysql", "10.11") else { return Ok(()) };
        for (id, (_, instance)) in &self.states {
            let configuration = &instance.configuration;
            let is_in_use = view::status(instance) == Status::Active && instance.fault.is_none();
            let Some((_, disk)) = self.cloud.guest_of(*id).filter(|_| is_in_use && !configuration.is_none()) else {
                continue;
            };
            let wanted = (configuration.number, engine_words(&configuration.values, known));
            if configuration.standing != Standing::Applied || disk.configuration != wanted {
                return Err(format!(
                    "{} is to run with {wanted:?} ({:?}) and runs with {:?}",
                    short(*id),
                    configuration.standing,
                    disk.configuration
                ));
            }
        }
        Ok(())
    }
}

fn limit_set(command: &Command) -> Option<Option<Limit>> {
    match command {
        Command::SetQuota { limits } => Some(limits.instances),
        _ => None,
    }
}

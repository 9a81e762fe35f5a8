//! What is outside, as far as a control plane can tell: things that are found again under their instance's name, and
//! agents with a journal.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard},
};

use coffer_domain::{
    ids::EffectId,
    instance::{
        effect::{Action, AgentVerb, Effect, Produced},
        state::ResourceAddress,
    },
};

/// What exists now, by instance, and what was ever done.
#[derive(Debug, Default, Clone)]
pub struct Things {
    pub addresses: BTreeMap<String, String>,
    pub volumes: BTreeSet<String>,
    pub servers: BTreeSet<String>,
    /// How often something was really made, not found: `<kind> of <instance>`.
    pub made: BTreeMap<String, usize>,
    /// Orders that an agent has carried out, by effect.
    journal: BTreeMap<EffectId, &'static str>,
}

impl Things {
    pub fn ensure_address(&mut self, instance: &str) -> String {
        if let Some(ip) = self.addresses.get(instance) {
            return ip.clone();
        }
        let number = self.count("address", instance);
        let ip = format!("127.0.{}.{}", number / 250, number % 250 + 2);
        self.addresses.insert(instance.to_owned(), ip.clone());
        ip
    }

    pub fn ensure_volume(&mut self, instance: &str) -> String {
        if self.volumes.insert(instance.to_owned()) {
            self.count("volume", instance);
        }
        format!("volume-{instance}")
    }

    /// Returns whether the server is a new one.
    pub fn ensure_server(&mut self, instance: &str) -> bool {
        assert!(self.addresses.contains_key(instance), "a server of {instance} without its address");
        assert!(self.volumes.contains(instance), "a server of {instance} without its volume");
        let is_new = self.servers.insert(instance.to_owned());
        if is_new {
            self.count("server", instance);
        }
        is_new
    }

    pub fn delete_server(&mut self, instance: &str) {
        self.servers.remove(instance);
    }

    pub fn delete_volume(&mut self, instance: &str) {
        assert!(!self.servers.contains(instance), "the server of {instance} still has its volume");
        self.volumes.remove(instance);
    }

    pub fn release_address(&mut self, instance: &str) {
        assert!(!self.servers.contains(instance), "the server of {instance} still has its address");
        self.addresses.remove(instance);
    }

    /// Everything that exists for an instance: one of each, or what is missing.
    pub fn of(&self, instance: &str) -> [bool; 3] {
        [self.addresses.contains_key(instance), self.volumes.contains(instance), self.servers.contains(instance)]
    }

    pub fn is_empty(&self) -> bool {
        self.addresses.is_empty() && self.volumes.is_empty() && self.servers.is_empty()
    }

    /// How often an agent was made to do this.
    pub fn done(&self, verb: &str) -> usize {
        self.journal.values().filter(|done| **done == verb).count()
    }

    /// Counts one more thing made; returns how many there are in all.
    fn count(&mut self, kind: &str, instance: &str) -> usize {
        *self.made.entry(format!("{kind} of {instance}")).or_default() += 1;
        self.made.values().sum()
    }
}

/// The things, shared.
#[derive(Debug, Default)]
pub struct Outside(Mutex<Things>);

impl Outside {
    pub fn things(&self) -> MutexGuard<'_, Things> {
        self.0.lock().unwrap()
    }

    /// Does what an effect asks for; done twice it is done once.
    pub fn carry_out(&self, effect: &Effect) -> Produced {
        let mut things = self.things();
        let name = effect.instance.to_string();
        match &effect.action {
            Action::EnsureAddress => {
                let ip = things.ensure_address(&name);
                return Produced::Address(ResourceAddress { ip, network_id: None });
            }
            Action::EnsureVolume { .. } => return Produced::Volume { id: things.ensure_volume(&name) },
            Action::EnsureServer(_) => {
                things.ensure_server(&name);
                return Produced::Server { id: format!("server-{name}") };
            }
            Action::GrowVolume { .. } | Action::ResizeServer { .. } => {
                assert!(things.servers.contains(&name), "no {name}")
            }
            Action::MeasureVolume => return Produced::VolumeSize { size_gib: 1 },
            Action::DeleteServer => things.delete_server(&name),
            Action::DeleteVolume => things.delete_volume(&name),
            Action::ReleaseAddress => things.release_address(&name),
            Action::Agent(order) => {
                assert!(things.servers.contains(&name), "an order for the agent of {name}, which has no server");
                things.journal.entry(effect.id.clone()).or_insert(verb(&order.verb));
            }
        }
        Produced::Nothing
    }
}

fn verb(verb: &AgentVerb) -> &'static str {
    match verb {
        AgentVerb::Prepare { .. } => "prepare",
        AgentVerb::Restart => "restart",
        AgentVerb::Stop => "stop",
        AgentVerb::Resize { .. } => "resize",
        AgentVerb::GrowVolume { .. } => "grow_volume",
        AgentVerb::CreateDatabases { .. } => "create_databases",
        AgentVerb::DropDatabase { .. } => "drop_database",
        AgentVerb::CreateUsers { .. } => "create_users",
        AgentVerb::DropUser { .. } => "drop_user",
        AgentVerb::EnableRoot { .. } => "enable_root",
        AgentVerb::DisableRoot => "disable_root",
        AgentVerb::Grant { .. } => "grant",
        AgentVerb::Revoke { .. } => "revoke",
        AgentVerb::ChangeUser { .. } => "change_user",
        AgentVerb::ChangePasswords { .. } => "change_passwords",
        AgentVerb::Configure { .. } => "configure",
    }
}

//! Clients: one of each tenant, who orders, changes its mind and repeats itself.

use std::collections::BTreeSet;

use coffer_domain::{
    catalogue::{Catalogue, Datastore, DatastoreVersion, Flavor},
    command::{
        Access, Command, Create, ENVELOPE_VERSION, Envelope, NewConfiguration, NewDatabase, NewPassword, NewUser,
        UserChange,
    },
    configuration::{Value, Values},
    ids::{CommandId, GroupId, InstanceId, TenantId},
    quota::{Limit, Limits, OwnLimits},
    sealed::Sealed,
    time::Timestamp,
};
use coffer_protocol::secret::Secret;
use coffer_runtime::vault::Vault;
use uuid::Uuid;

use crate::dice::Dice;

/// So little that a tenant runs into it all the time.
pub const LIMITS: Limits =
    Limits { instances: Some(3), volume_gib: Some(8), memory_mib: Some(2560), backups: Some(0), max_volume_gib: 4 };
/// Instances that a client has in mind at a time: one more than it may have.
const WANTED: usize = 4;
/// Configuration groups of a client at most.
const GROUPS: usize = 3;
const NAMES: [&str; 3] = ["shop", "stock", "staff"];
/// The flavors, and how much memory they have.
const FLAVORS: [(&str, u64); 2] = [("1", 512), ("2", 1536)];

/// The password of every user.
pub const PASSWORD: &str = "correct horse battery staple";

/// Something to ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    Create,
    Delete,
    Restart,
    Stop,
    ResizeVolume,
    ResizeFlavor,
    CreateDatabases,
    DropDatabase,
    CreateUsers,
    DropUser,
    EnableRoot,
    DisableRoot,
    Grant,
    Revoke,
    ChangeUser,
    ChangePasswords,
}

pub struct Client {
    pub tenant: TenantId,
    pub partition: u32,
    /// Those that it has ordered and not asked to delete.
    instances: Vec<InstanceId>,
    /// Configuration groups that it has asked for.
    groups: Vec<GroupId>,
    creates: usize,
}

impl Client {
    pub fn new(number: usize, partition: u32) -> Self {
        let tenant = TenantId(format!("9f0c1ad6b2d84a5c8d4cc45f6c1d7a{number:02x}"));
        Self { tenant, partition, instances: Vec::new(), groups: Vec::new(), creates: 0 }
    }

    /// Something to ask for, if anything comes to mind.
    pub fn think(&mut self, now: Timestamp, vault: &Vault, dice: &mut Dice) -> Option<Envelope> {
        let wants_new = self.instances.is_empty() || dice.chance(200);
        if wants_new && self.instances.len() < WANTED {
            self.creates += 1;
            let instance = InstanceId(dice.uuid());
            self.instances.push(instance);
            let is_filled = dice.chance(500);
            return Some(self.envelope(instance, self.create(instance, is_filled, vault, dice), now, dice));
        }
        if dice.chance(120) {
            return self.think_of_all(now, dice);
        }
        let instance = *dice.pick(&self.instances)?;
        let name = (*dice.pick(&NAMES)?).to_owned();
        let command = match dice.below(100) {
            0..10 => {
                self.forget(instance);
                Command::Delete
            }
            10..15 => Command::Restart,
            15 => Command::Stop,
            16..23 => Command::ResizeVolume { volume_gib: size(dice) },
            23..30 => Command::ResizeFlavor { flavor: flavor(dice) },
            30..45 => Command::CreateDatabases { databases: vec![database(&name)] },
            45..54 => Command::DropDatabase { name },
            54..66 => Command::CreateUsers { users: vec![user(&name, &[], instance, vault)] },
            66..73 => Command::DropUser { name, host: "%".into() },
            73..90 => change_of_accounts(name, instance, vault, dice)?,
            90 => Command::DetachConfiguration,
            91..93 => Command::Rename { name: format!("db-{name}") },
            93..97 => Command::ResetStatus { force_delete: false },
            _ => Command::ResetStatus { force_delete: true },
        };
        Some(self.envelope(instance, command, now, dice))
    }

    /// Something about configuration groups, or about what the tenant may have.
    fn think_of_all(&mut self, now: Timestamp, dice: &mut Dice) -> Option<Envelope> {
        if dice.chance(250) {
            let limits = OwnLimits { instances: Some(Limit::AtMost(1 + dice.below(3))), ..OwnLimits::default() };
            return Some(self.envelope(InstanceId(Uuid::nil()), Command::SetQuota { limits }, now, dice));
        }
        let group = match dice.pick(&self.groups).copied() {
            Some(group) if self.groups.len() == GROUPS || dice.chance(800) => group,
            _ => {
                let group = GroupId(dice.uuid());
                self.groups.push(group);
                let name = format!("group-{}", self.groups.len());
                let values = values(dice);
                let order = NewConfiguration { name, description: None, datastore_version: None, values };
                let command = Command::CreateConfiguration(Box::new(order));
                return Some(self.envelope(InstanceId(group.0), command, now, dice));
            }
        };
        let command = match dice.below(10) {
            0..5 => {
                let instance = *dice.pick(&self.instances)?;
                return Some(self.envelope(instance, Command::AttachConfiguration { group }, now, dice));
            }
            5..8 => Command::PatchConfiguration { values: values(dice) },
            8 => Command::ReplaceConfiguration { name: None, description: None, values: Some(values(dice)) },
            _ => {
                self.groups.retain(|other| *other != group);
                Command::DeleteConfiguration
            }
        };
        Some(self.envelope(InstanceId(group.0), command, now, dice))
    }

    /// Puts a wish into words. What is to be dropped was ordered with the instance.
    pub fn wish(&self, wish: Wish, instance: InstanceId, now: Timestamp, vault: &Vault, dice: &mut Dice) -> Envelope {
        let sealed = || vault.seal_password(&instance.to_string(), &password());
        let clerk = || "clerk".to_owned();
        let command = match wish {
            Wish::Create => {
                let (flavor, size) = (FLAVORS[0].0, 1);
                self.order(instance, flavor.into(), size, true, vault)
            }
            Wish::ResizeVolume => Command::ResizeVolume { volume_gib: 2 },
            Wish::ResizeFlavor => Command::ResizeFlavor { flavor: FLAVORS[1].0.into() },
            Wish::Delete => Command::Delete,
            Wish::Restart => Command::Restart,
            Wish::Stop => Command::Stop,
            Wish::CreateDatabases => Command::CreateDatabases { databases: vec![database("stock")] },
            Wish::DropDatabase => Command::DropDatabase { name: "shop".into() },
            Wish::CreateUsers => Command::CreateUsers { users: vec![user("waiter", &["shop"], instance, vault)] },
            Wish::DropUser => Command::DropUser { name: "clerk".into(), host: "%".into() },
            Wish::EnableRoot => Command::EnableRoot { password: sealed() },
            Wish::DisableRoot => Command::DisableRoot,
            Wish::Grant => Command::Grant { name: clerk(), host: "%".into(), databases: ["shop".to_owned()].into() },
            Wish::Revoke => Command::Revoke { name: clerk(), host: "%".into(), database: "shop".into() },
            Wish::ChangeUser => {
                let change = UserChange { name: Some("cashier".into()), host: None, password: Some(sealed()) };
                Command::ChangeUser { name: clerk(), host: "%".into(), change }
            }
            Wish::ChangePasswords => {
                let changed = NewPassword { name: clerk(), host: "%".into(), password: sealed() };
                Command::ChangePasswords { users: vec![changed] }
            }
        };
        self.envelope(instance, command, now, dice)
    }

    /// There is no such instance.
    pub fn forget(&mut self, instance: InstanceId) {
        self.instances.retain(|other| *other != instance);
    }

    pub fn delete(&self, instance: InstanceId, now: Timestamp, dice: &mut Dice) -> Envelope {
        self.envelope(instance, Command::Delete, now, dice)
    }

    fn envelope(&self, instance: InstanceId, command: Command, now: Timestamp, dice: &mut Dice) -> Envelope {
        let command_id = CommandId(dice.uuid());
        // Some come with a key under which they may be sent again.
        let answer = dice.chance(300).then(|| Sealed {
            key_id: "simulated".into(),
            context: command_id.to_string(),
            bytes: command_id.to_string().into_bytes(),
        });
        Envelope {
            version: ENVELOPE_VERSION,
            command_id,
            tenant: self.tenant.clone(),
            principal: "client".into(),
            request_id: format!("req-{command_id}"),
            issued_at: now,
            instance,
            command,
            answer,
        }
    }

    fn create(&self, instance: InstanceId, is_filled: bool, vault: &Vault, dice: &mut Dice) -> Command {
        self.order(instance, flavor(dice), size(dice), is_filled, vault)
    }

    fn order(&self, instance: InstanceId, flavor: String, volume_gib: u32, is_filled: bool, vault: &Vault) -> Command {
        let (databases, users) = match is_filled {
            true => (vec![database("shop")], vec![user("clerk", &["shop"], instance, vault)]),
            false => (Vec::new(), Vec::new()),
        };
        Command::Create(Box::new(Create {
            name: format!("db-{}", self.creates),
            flavor,
            volume_gib,
            volume_type: None,
            datastore_version: None,
            databases,
            users,
            access: Access::default(),
            region: None,
            configuration: None,
            server_key: Some(vault.new_server_key(instance, 1)),
        }))
    }
}

fn values(dice: &mut Dice) -> Values {
    let number = |number: u64| Value::Number(number.into());
    let connections = ("max_connections".to_owned(), number(100 + dice.below(5)));
    let packet = ("max_allowed_packet".to_owned(), number((1 + dice.below(3)) << 20));
    if dice.chance(500) { Values::from([connections]) } else { Values::from([connections, packet]) }
}

/// Something about a user's rights, name or password, or about root.
fn change_of_accounts(name: String, instance: InstanceId, vault: &Vault, dice: &mut Dice) -> Option<Command> {
    let other = (*dice.pick(&NAMES)?).to_owned();
    let host = "%".to_owned();
    let sealed = vault.seal_password(&instance.to_string(), &password());
    Some(match dice.below(6) {
        0 | 1 => Command::Grant { name, host, databases: [other].into() },
        2 => Command::Revoke { name, host, database: other },
        3 => {
            let is_renamed = dice.chance(700);
            let change = UserChange { name: Some(other).filter(|_| is_renamed), host: None, password: Some(sealed) };
            Command::ChangeUser { name, host, change }
        }
        4 => Command::ChangePasswords { users: vec![NewPassword { name, host, password: sealed }] },
        _ if dice.chance(500) => Command::DisableRoot,
        _ => Command::EnableRoot { password: sealed },
    })
}

fn flavor(dice: &mut Dice) -> String {
    dice.pick(&FLAVORS).map_or("", |(id, _)| *id).to_owned()
}

fn size(dice: &mut Dice) -> u32 {
    u32::try_from(dice.below(4)).unwrap_or(0) + 1
}

fn database(name: &str) -> NewDatabase {
    NewDatabase { name: name.into(), character_set: None, collate: None }
}

fn user(name: &str, databases: &[&str], instance: InstanceId, vault: &Vault) -> NewUser {
    let databases: BTreeSet<String> = databases.iter().map(|name| (*name).to_owned()).collect();
    let password = vault.seal_password(&instance.to_string(), &password());
    NewUser { name: name.into(), host: "%".into(), password, databases }
}

fn password() -> Secret {
    Secret::new(PASSWORD)
}

/// One datastore with one version, and the flavors.
pub fn catalogue() -> Catalogue {
    let (datastore, version) = (Uuid::from_u128(1), Uuid::from_u128(2));
    let versions = vec![DatastoreVersion {
        id: version,
        name: "10.11".into(),
        number: "10.11".into(),
        manager: "mysql".into(),
        active: true,
    }];
    Catalogue {
        datastores: vec![Datastore { id: datastore, name: "mysql".into(), versions, default_version: Some(version) }],
        flavors: FLAVORS.map(offered).to_vec(),
        default_datastore: Some(datastore),
        volume_types: Vec::new(),
    }
}

fn offered((id, memory_mib): (&str, u64)) -> Flavor {
    Flavor { id: id.into(), name: format!("db.{id}"), memory_mib, vcpus: 1, disk_gib: 0, ephemeral_gib: 0 }
}

//! A control plane in memory: it believes every command and does it at once.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use coffer_domain::{
    catalogue::{Catalogue, Datastore, DatastoreVersion, Flavor},
    command::{Access, Command, Create, Envelope, NewUser},
    configuration::{self, Group},
    ids::{CommandId, GroupId, InstanceId, TenantId},
    instance::{
        journal::Entry,
        shown,
        state::AttachedGroup,
        view::{InstanceView, OperatingStatus, Status, UserView},
    },
    quota::{Limits, OwnLimits, Usage},
    rejection::{Rejection, RejectionKind},
    sealed::{Sealed, ServerKey},
    time::Timestamp,
};
use coffer_rest::control::{
    ControlPlane, EngineProcess, Journal, Kept, Made, Question, Removed, Taken, Told, Unanswered, Unavailable,
};
use uuid::Uuid;

/// 2026-11-22T15:04:05.678Z.
pub const NOW: Timestamp = Timestamp(1_795_359_845_678);

pub const DATASTORE: Uuid = Uuid::from_u128(0xd5);
pub const VERSION: Uuid = Uuid::from_u128(0x1011);
pub const OLD_VERSION: Uuid = Uuid::from_u128(0x1005);
const EMPTY_DATASTORE: Uuid = Uuid::from_u128(0xd6);

#[derive(Default)]
pub struct Memory {
    pub instances: Mutex<BTreeMap<(TenantId, InstanceId), InstanceView>>,
    pub groups: Mutex<BTreeMap<(TenantId, GroupId), Group>>,
    pub journals: Mutex<BTreeMap<(TenantId, InstanceId), Vec<Entry>>>,
    /// By their ends.
    pub removed: Mutex<Vec<Removed>>,
    pub limits: Mutex<BTreeMap<TenantId, OwnLimits>>,
    /// Every command, in order.
    pub commands: Mutex<Vec<Envelope>>,
    /// The next command is refused with this.
    pub refusal: Mutex<Option<Rejection>>,
    /// What the guest makes of commands.
    pub outcome: Mutex<Option<Result<(), String>>>,
    /// What is kept with the commands that came with an answer.
    pub kept: Mutex<BTreeMap<(TenantId, CommandId), Kept>>,
    /// Why agents do not answer.
    pub unanswered: Mutex<Option<Unanswered>>,
    pub is_engine_down: AtomicBool,
    pub is_away: AtomicBool,
    ticks: AtomicI64,
}

impl Memory {
    pub fn new() -> Arc<Self> {
        Arc::new(Self { outcome: Mutex::new(Some(Ok(()))), ..Self::default() })
    }

    pub fn put(&self, view: InstanceView) {
        self.instances.lock().unwrap().insert((view.tenant.clone(), view.id), view);
    }

    /// The last command that was accepted.
    pub fn last(&self) -> Envelope {
        self.commands.lock().unwrap().last().expect("no command came").clone()
    }

    pub fn count(&self) -> usize {
        self.commands.lock().unwrap().len()
    }

    /// By the domain's own rules.
    fn decide_group(&self, envelope: Envelope) -> Result<(), Rejection> {
        let mut groups = self.groups.lock().unwrap();
        let key = (envelope.tenant.clone(), GroupId(envelope.instance.0));
        let before = groups.remove(&key);
        let context = configuration::Context { now: NOW, catalogue: &self.catalogue(), groups: groups.len() };
        let decided = configuration::decide(before.as_ref(), &envelope, &context);
        let after = match &decided {
            Ok(event) => configuration::evolve(before, event),
            Err(_) => before,
        };
        groups.extend(after.map(|group| (key, group)));
        decided?;
        self.commands.lock().unwrap().push(envelope);
        Ok(())
    }

    fn apply_to(&self, envelope: Envelope) -> Result<(), Rejection> {
        if envelope.command.is_of_group() {
            return self.decide_group(envelope);
        }
        if let Command::SetQuota { limits } = &envelope.command {
            let mut all = self.limits.lock().unwrap();
            let own = all.entry(envelope.tenant.clone()).or_default();
            *own = own.changed(*limits);
            self.commands.lock().unwrap().push(envelope);
            return Ok(());
        }
        let key = (envelope.tenant.clone(), envelope.instance);
        let mut instances = self.instances.lock().unwrap();
        if let Command::Create(order) = &envelope.command {
            let age = self.ticks.fetch_add(1000, Ordering::SeqCst);
            instances.insert(key.clone(), ordered(&envelope, order, NOW + age));
        }
        let view = instances.get_mut(&key).ok_or_else(|| Rejection::not_found("Resource cannot be found."))?;
        apply(view, &envelope.command)?;
        self.commands.lock().unwrap().push(envelope);
        Ok(())
    }

    fn available(&self) -> Result<(), Unavailable> {
        if self.is_away.load(Ordering::SeqCst) {
            return Err(Unavailable("The store cannot be read now.".into()));
        }
        Ok(())
    }
}

/// An instance as it is soon after its creation, of tenant `demo`.
pub fn healthy(id: u128) -> InstanceView {
    InstanceView {
        id: InstanceId(Uuid::from_u128(id)),
        tenant: TenantId("demo".into()),
        name: format!("db-{id}"),
        status: Status::Active,
        operating_status: OperatingStatus::Healthy,
        created_at: NOW,
        updated_at: NOW,
        service_status_updated_at: NOW,
        flavor_id: "1".into(),
        datastore_name: "mysql".into(),
        datastore_version_id: VERSION,
        datastore_version_name: "10.11".into(),
        datastore_version_number: "10.11.6".into(),
        datastore_manager: "mysql".into(),
        region: None,
        access: Access::default(),
        volume_gib: 5,
        volume_used_bytes: Some(145_000_000),
        address: Some("127.81.4.7".into()),
        network_id: None,
        server_id: Some("server-1".into()),
        volume_id: Some("volume-1".into()),
        fault: None,
        databases: Vec::new(),
        users: Vec::new(),
        root_enabled: false,
        root_last_enabled: None,
        configuration: None,
        is_serving: true,
        is_being_deleted: false,
    }
}

fn ordered(envelope: &Envelope, order: &Create, created_at: Timestamp) -> InstanceView {
    InstanceView {
        id: envelope.instance,
        tenant: envelope.tenant.clone(),
        name: order.name.clone(),
        status: Status::Build,
        operating_status: OperatingStatus::Unknown,
        created_at,
        updated_at: created_at,
        flavor_id: order.flavor.clone(),
        access: order.access.clone(),
        volume_gib: order.volume_gib,
        volume_used_bytes: None,
        address: None,
        server_id: None,
        volume_id: None,
        ..healthy(0)
    }
}

fn created(user: &NewUser) -> UserView {
    UserView { name: user.name.clone(), host: user.host.clone(), databases: user.databases.iter().cloned().collect() }
}

fn user<'a>(view: &'a mut InstanceView, name: &str, host: &str) -> Result<&'a mut UserView, Rejection> {
    let user = view.users.iter_mut().find(|user| user.name == name && user.host == host);
    user.ok_or_else(|| Rejection::not_found(format!("User {name}@{host} cannot be found on the instance.")))
}

fn apply(view: &mut InstanceView, command: &Command) -> Result<(), Rejection> {
    match command {
        Command::Create(_) => {}
        Command::Delete => view.status = Status::Shutdown,
        Command::Restart => view.status = Status::Reboot,
        Command::Stop => view.status = Status::Shutdown,
        // At once.
        Command::ResizeVolume { volume_gib } => view.volume_gib = *volume_gib,
        Command::ResizeFlavor { flavor } => view.flavor_id.clone_from(flavor),
        Command::CreateDatabases { databases } => {
            view.databases.extend(databases.iter().map(|database| database.name.clone()));
            view.databases.sort();
        }
        Command::DropDatabase { name } => {
            let index = view
                .databases
                .iter()
                .position(|known| known == name)
                .ok_or_else(|| Rejection::not_found(format!("Database {name} cannot be found on the instance.")))?;
            view.databases.remove(index);
        }
        Command::CreateUsers { users } => view.users.extend(users.iter().map(created)),
        Command::DropUser { name, host } => {
            let index =
                view.users.iter().position(|user| user.name == *name && user.host == *host).ok_or_else(|| {
                    Rejection::not_found(format!("User {name}@{host} cannot be found on the instance."))
                })?;
            view.users.remove(index);
        }
        Command::EnableRoot { .. } => view.root_enabled = true,
        Command::DisableRoot if !view.root_enabled => {
            return Err(Rejection::not_found("Root user has never been enabled on the instance."));
        }
        Command::DisableRoot => view.root_enabled = false,
        Command::Grant { name, host, databases } => {
            user(view, name, host)?.databases.extend(databases.iter().cloned());
        }
        Command::Revoke { name, host, database } => user(view, name, host)?.databases.retain(|held| held != database),
        Command::ChangeUser { name, host, change } => {
            let user = user(view, name, host)?;
            user.name = change.name.clone().unwrap_or_else(|| name.clone());
            user.host = change.host.clone().unwrap_or_else(|| host.clone());
        }
        Command::ChangePasswords { users } => {
            for changed in users {
                user(view, &changed.name, &changed.host)?;
            }
        }
        Command::Rename { name } => view.name.clone_from(name),
        Command::ResetStatus { .. } => {}
        // What the group is called is the store's matter.
        Command::AttachConfiguration { group } => {
            view.configuration = Some(AttachedGroup { id: *group, name: "utf8".into() });
        }
        Command::DetachConfiguration => view.configuration = None,
        Command::CreateConfiguration(_)
        | Command::PatchConfiguration { .. }
        | Command::ReplaceConfiguration { .. }
        | Command::DeleteConfiguration
        | Command::SetQuota { .. } => unreachable!("they are about no instance"),
    }
    Ok(())
}

#[async_trait]
impl ControlPlane for Memory {
    async fn fresh(&self, _: Option<&TenantId>) -> Result<(), Unavailable> {
        Ok(())
    }

    async fn submit(&self, envelope: Envelope) -> Result<Taken, Rejection> {
        if let Some(refusal) = self.refusal.lock().unwrap().take() {
            return Err(refusal);
        }
        let key = (envelope.tenant.clone(), envelope.command_id);
        if self.kept.lock().unwrap().contains_key(&key) {
            return Ok(Taken::Before);
        }
        let (answer, instance) = (envelope.answer.clone(), envelope.instance);
        let (is_create, is_group) = (
            matches!(envelope.command, Command::Create(_)),
            matches!(envelope.command, Command::CreateConfiguration(_)),
        );
        self.apply_to(envelope)?;
        if let Some(answer) = answer {
            let answer = String::from_utf8(answer.bytes.into_iter().rev().collect()).unwrap();
            let made = if is_create {
                self.instance(&key.0, instance).unwrap().map(|view| Made::Instance(Box::new(view)))
            } else if is_group {
                self.group(&key.0, GroupId(instance.0)).unwrap().map(|group| Made::Group(Box::new(group)))
            } else {
                None
            };
            let failure = self.outcome.lock().unwrap().clone().and_then(Result::err);
            self.kept.lock().unwrap().insert(key, Kept { answer, instance, made, failure });
        }
        Ok(Taken::Now)
    }

    fn kept(&self, tenant: &TenantId, command: CommandId) -> Result<Option<Kept>, Unavailable> {
        self.available()?;
        Ok(self.kept.lock().unwrap().get(&(tenant.clone(), command)).cloned())
    }

    async fn settled(&self, _: &TenantId, _: InstanceId, id: CommandId, _: Duration) -> Option<Result<(), String>> {
        assert!(self.commands.lock().unwrap().iter().any(|known| known.command_id == id));
        self.outcome.lock().unwrap().clone()
    }

    async fn ask(&self, _: &TenantId, _: InstanceId, question: Question, _: Duration) -> Result<Told, Unanswered> {
        if let Some(reason) = *self.unanswered.lock().unwrap() {
            return Err(reason);
        }
        let engine = EngineProcess {
            threads: 9,
            fd_size: 256,
            vm_size_kib: 900_000,
            vm_peak_kib: 910_000,
            vm_rss_kib: 120_000,
            vm_hwm_kib: 130_000,
        };
        Ok(match question {
            Question::Ping => Told::Here,
            Question::Diagnostics => {
                let engine = Some(engine).filter(|_| !self.is_engine_down.load(Ordering::SeqCst));
                Told::Diagnostics { agent_version: "0.1.0".into(), engine }
            }
            Question::Hardware => Told::Hardware { memory_kib: 524_288, cpus: 2 },
        })
    }

    fn instance(&self, tenant: &TenantId, id: InstanceId) -> Result<Option<InstanceView>, Unavailable> {
        self.available()?;
        Ok(self.instances.lock().unwrap().get(&(tenant.clone(), id)).cloned())
    }

    fn shown(&self, tenant: &TenantId, id: InstanceId) -> Result<Option<Vec<u8>>, Unavailable> {
        Ok(self.instance(tenant, id)?.as_ref().map(shown::row))
    }

    fn shown_after(
        &self,
        tenant: &TenantId,
        after: Option<InstanceId>,
        limit: usize,
    ) -> Result<Vec<(InstanceId, Vec<u8>)>, Unavailable> {
        self.available()?;
        let instances = self.instances.lock().unwrap();
        let own = instances.values().filter(|view| view.tenant == *tenant);
        let own = own.filter(|view| after.is_none_or(|after| view.id > after));
        Ok(own.take(limit).map(|view| (view.id, shown::row(view))).collect())
    }

    fn everyones_after(
        &self,
        after: Option<&(TenantId, InstanceId)>,
        limit: usize,
    ) -> Result<Vec<InstanceView>, Unavailable> {
        self.available()?;
        let instances = self.instances.lock().unwrap();
        let rest = instances.iter().filter(|(key, _)| after.is_none_or(|after| *key > after));
        Ok(rest.take(limit).map(|(_, view)| view.clone()).collect())
    }

    fn owner(&self, id: InstanceId) -> Result<Option<TenantId>, Unavailable> {
        self.available()?;
        Ok(self.instances.lock().unwrap().keys().find(|key| key.1 == id).map(|key| key.0.clone()))
    }

    fn removed_after(
        &self,
        after: Option<&(TenantId, Timestamp, InstanceId)>,
        limit: usize,
    ) -> Result<Vec<Removed>, Unavailable> {
        self.available()?;
        let removed = self.removed.lock().unwrap();
        let is_after = |gone: &&Removed| after.is_none_or(|(_, at, id)| (gone.at, gone.last.id) > (*at, *id));
        Ok(removed.iter().filter(is_after).take(limit).cloned().collect())
    }

    fn removed(&self, id: InstanceId) -> Result<Option<Removed>, Unavailable> {
        self.available()?;
        Ok(self.removed.lock().unwrap().iter().find(|gone| gone.last.id == id).cloned())
    }

    fn journal(
        &self,
        tenant: &TenantId,
        id: InstanceId,
        after: Option<u64>,
        limit: usize,
    ) -> Result<Option<Journal>, Unavailable> {
        self.available()?;
        let journals = self.journals.lock().unwrap();
        let journal = journals.get(&(tenant.clone(), id));
        let numbered = |entries: &Vec<Entry>| (0..).zip(entries.clone()).collect::<Vec<_>>();
        Ok(journal.map(numbered).map(|mut entries| {
            entries.retain(|(number, _)| after.is_none_or(|after| *number > after));
            entries.truncate(limit);
            Journal { dropped: 3, entries }
        }))
    }

    fn group(&self, tenant: &TenantId, id: GroupId) -> Result<Option<Group>, Unavailable> {
        self.available()?;
        Ok(self.groups.lock().unwrap().get(&(tenant.clone(), id)).cloned())
    }

    fn groups_after(&self, tenant: &TenantId, after: Option<GroupId>, limit: usize) -> Result<Vec<Group>, Unavailable> {
        self.available()?;
        let groups = self.groups.lock().unwrap();
        let own = groups.values().filter(|group| group.tenant == *tenant);
        Ok(own.filter(|group| after.is_none_or(|after| group.id > after)).take(limit).cloned().collect())
    }

    fn usage(&self, tenant: &TenantId) -> Result<Usage, Unavailable> {
        self.available()?;
        let instances = self.instances.lock().unwrap();
        let views: Vec<_> = instances.values().filter(|view| view.tenant == *tenant).collect();
        let volume_gib = views.iter().map(|view| u64::from(view.volume_gib)).sum();
        Ok(Usage { instances: views.len() as u64, volume_gib, memory_mib: 512 * views.len() as u64 })
    }

    fn limits(&self, tenant: &TenantId) -> Result<Limits, Unavailable> {
        self.available()?;
        let own = self.limits.lock().unwrap().get(tenant).copied().unwrap_or_default();
        Ok(own.over(&Limits::default()))
    }

    fn catalogue(&self) -> Arc<Catalogue> {
        let version = |id, name: &str, active| DatastoreVersion {
            id,
            name: name.into(),
            number: format!("{name}.6"),
            manager: "mysql".into(),
            active,
        };
        let flavor = |id: &str, name: &str, memory_mib| Flavor {
            id: id.into(),
            name: name.into(),
            memory_mib,
            vcpus: 1,
            disk_gib: 0,
            ephemeral_gib: 0,
        };
        Arc::new(Catalogue {
            datastores: vec![
                Datastore {
                    id: DATASTORE,
                    name: "mysql".into(),
                    versions: vec![version(VERSION, "10.11", true), version(OLD_VERSION, "10.5", false)],
                    default_version: Some(VERSION),
                },
                Datastore { id: EMPTY_DATASTORE, name: "empty".into(), versions: vec![], default_version: None },
            ],
            flavors: vec![flavor("1", "db.small", 512), flavor("m2", "db.medium", 1024)],
            default_datastore: Some(DATASTORE),
            volume_types: Vec::new(),
        })
    }

    /// Not the plain text, and no more than a test needs.
    fn seal(&self, context: &str, password: &str) -> Sealed {
        let bytes = password.bytes().rev().collect();
        Sealed { key_id: "test".into(), context: context.into(), bytes }
    }

    fn new_server_key(&self, instance: InstanceId) -> ServerKey {
        ServerKey { key_id: format!("{instance}.1"), wrapped: self.seal("server-key", "k") }
    }

    fn readiness(&self) -> Result<(), String> {
        self.available().map_err(|unavailable| unavailable.0)
    }

    fn now(&self) -> Timestamp {
        NOW
    }
}

pub fn refusal(kind: RejectionKind) -> Rejection {
    Rejection::new(kind, "The words of the domain.")
}

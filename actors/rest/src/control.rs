//! What the REST API needs of the control plane. The server crate implements it over the runtime.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use coffer_domain::{
    catalogue::Catalogue,
    command::Envelope,
    configuration::Group,
    ids::{CommandId, GroupId, InstanceId, TenantId},
    instance::{journal::Entry, view::InstanceView},
    quota::{Limits, Usage},
    rejection::Rejection,
    sealed::{Sealed, ServerKey},
    time::Timestamp,
};

/// The door to the partitions (commands) and to their stores (reads).
///
/// Reads are look-ups in the local store: they may block for microseconds and never for the network. Before those of a
/// request comes [`ControlPlane::fresh`].
#[async_trait]
pub trait ControlPlane: Send + Sync + 'static {
    /// Decides and commits the command; resolves after the commit. Dropping the future does not undo the command.
    async fn submit(&self, envelope: Envelope) -> Result<Taken, Rejection>;

    /// What was kept with a command of this tenant that came with an answer, for as long as it is kept.
    fn kept(&self, tenant: &TenantId, command: CommandId) -> Result<Option<Kept>, Unavailable>;

    /// Waits, at most `limit`, until what an accepted command started in the guest has ended. `None`: it has not.
    /// `Some(Err(_))`: it failed for good, in words for the tenant.
    async fn settled(
        &self,
        tenant: &TenantId,
        instance: InstanceId,
        command: CommandId,
        limit: Duration,
    ) -> Option<Result<(), String>>;

    /// Asks the agent of an instance, and waits for its answer at most `limit`.
    async fn ask(
        &self,
        tenant: &TenantId,
        instance: InstanceId,
        question: Question,
        limit: Duration,
    ) -> Result<Told, Unanswered>;

    /// Returns when what is read of this tenant from now on, or of all tenants without one, has all that was answered to
    /// anybody before. Waits for the network where the tenant's partition is another node's, some seconds at most.
    async fn fresh(&self, tenant: Option<&TenantId>) -> Result<(), Unavailable>;

    /// An instance of this tenant; another tenant's does not exist.
    fn instance(&self, tenant: &TenantId, id: InstanceId) -> Result<Option<InstanceView>, Unavailable>;

    /// What a GET shows of this tenant's instance: a row for [`coffer_domain::instance::shown::Shown`].
    fn shown(&self, tenant: &TenantId, id: InstanceId) -> Result<Option<Vec<u8>>, Unavailable>;

    /// The same of at most `limit` instances of this tenant, ordered by id, strictly after `after`.
    fn shown_after(
        &self,
        tenant: &TenantId,
        after: Option<InstanceId>,
        limit: usize,
    ) -> Result<Vec<(InstanceId, Vec<u8>)>, Unavailable>;

    /// At most `limit` instances of all tenants, for operators: in a fixed order, strictly after the instance `after`,
    /// which need not exist.
    fn everyones_after(
        &self,
        after: Option<&(TenantId, InstanceId)>,
        limit: usize,
    ) -> Result<Vec<InstanceView>, Unavailable>;

    /// The tenant of an instance, for operators, who know it by its id alone: it is looked for among all.
    fn owner(&self, id: InstanceId) -> Result<Option<TenantId>, Unavailable>;

    /// At most `limit` instances that are gone, of all tenants, for operators: in a fixed order, strictly after `after`, which
    /// need not exist. They are kept for a bounded time.
    fn removed_after(
        &self,
        after: Option<&(TenantId, Timestamp, InstanceId)>,
        limit: usize,
    ) -> Result<Vec<Removed>, Unavailable>;

    /// An instance that is gone, for operators, who know it by its id alone.
    fn removed(&self, id: InstanceId) -> Result<Option<Removed>, Unavailable>;

    /// At most `limit` entries of the journal of this tenant's instance, strictly after number `after`. `None` when there
    /// is no journal; there may be one when the instance is gone.
    fn journal(
        &self,
        tenant: &TenantId,
        id: InstanceId,
        after: Option<u64>,
        limit: usize,
    ) -> Result<Option<Journal>, Unavailable>;

    /// A configuration group of this tenant.
    fn group(&self, tenant: &TenantId, id: GroupId) -> Result<Option<Group>, Unavailable>;

    /// At most `limit` configuration groups of this tenant, ordered by id, strictly after `after`.
    fn groups_after(&self, tenant: &TenantId, after: Option<GroupId>, limit: usize) -> Result<Vec<Group>, Unavailable>;

    /// What the tenant has of its quota; zero for a tenant that was never heard of.
    fn usage(&self, tenant: &TenantId) -> Result<Usage, Unavailable>;

    /// What the tenant may have: its own limits, and those of everybody where it has none.
    fn limits(&self, tenant: &TenantId) -> Result<Limits, Unavailable>;

    fn catalogue(&self) -> Arc<Catalogue>;

    /// Seals a password so that only a holder of the deployment key opens it, and only for `context`.
    fn seal(&self, context: &str, password: &str) -> Sealed;

    /// A fresh key for the first server of a new instance, wrapped.
    fn new_server_key(&self, instance: InstanceId) -> ServerKey;

    /// Whether commands can be taken and reads are current; if not, why, in one sentence.
    fn readiness(&self) -> Result<(), String>;

    fn now(&self) -> Timestamp;
}

/// What became of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// It was accepted.
    Now,
    /// It was accepted before, and nothing was done again.
    Before,
}

/// The answer to a request, as it was kept with its command.
#[derive(Debug, Clone, PartialEq)]
pub struct Kept {
    /// [`Envelope::answer`], opened.
    pub answer: String,
    /// What the command was about.
    pub instance: InstanceId,
    /// What it has made, as it was then.
    pub made: Option<Made>,
    /// Why the agent could not do it, in words for the tenant.
    pub failure: Option<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Made {
    Instance(Box<InstanceView>),
    Group(Box<Group>),
}

/// What an agent can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    Ping,
    Diagnostics,
    Hardware,
}

/// What an agent answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    Here,
    /// `engine` is absent while it does not run.
    Diagnostics {
        agent_version: String,
        engine: Option<EngineProcess>,
    },
    Hardware {
        memory_kib: u64,
        cpus: u32,
    },
}

/// The engine's process as the kernel shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EngineProcess {
    pub threads: u64,
    pub fd_size: u64,
    pub vm_size_kib: u64,
    pub vm_peak_kib: u64,
    pub vm_rss_kib: u64,
    pub vm_hwm_kib: u64,
}

/// Why an agent has not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unanswered {
    NotHeard,
    /// It does not know the question.
    Unknown,
    /// Too many have asked already.
    Crowded,
    Late,
}

/// An instance that is gone, as it was last.
#[derive(Debug, Clone, PartialEq)]
pub struct Removed {
    pub at: Timestamp,
    pub last: InstanceView,
}

/// A part of an instance's journal.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Journal {
    /// Entries that were dropped since the journal had grown too long.
    pub dropped: u64,
    /// With their numbers, in order.
    pub entries: Vec<(u64, Entry)>,
}

/// The store cannot answer now (503).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unavailable(pub String);

//! What the REST shim asks, answered by the runtime.

mod questions;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use coffer_domain::{
    catalogue::Catalogue,
    command::Envelope,
    configuration::Group,
    ids::{CommandId, GroupId, InstanceId, TenantId},
    instance::{InstanceView, view},
    quota::{Limits, Usage},
    rejection::Rejection,
    sealed::{Sealed, ServerKey},
    time::Timestamp,
};
use coffer_protocol::secret::Secret;
use coffer_rest::control::{
    ControlPlane, Journal, Kept, Made, Question, Removed, Taken, Told, Unanswered, Unavailable,
};
use coffer_runtime::{
    clock::Clock,
    runtime::Runtime,
    store::{
        self, StoreError,
        rows::{self, AcceptedRow},
    },
    vault::Vault,
};

/// The number of an instance's first server.
const FIRST_SERVER: u32 = 1;

pub struct Control {
    pub runtime: Runtime,
    pub vault: Arc<Vault>,
    pub catalogue: Arc<Catalogue>,
    pub limits: Arc<Limits>,
    pub clock: Arc<dyn Clock>,
    pub ready: Arc<AtomicBool>,
}

#[async_trait]
impl ControlPlane for Control {
    async fn submit(&self, envelope: Envelope) -> Result<Taken, Rejection> {
        let accepted = self.runtime.submit(envelope).await?;
        Ok(if accepted.repeated { Taken::Before } else { Taken::Now })
    }

    fn kept(&self, tenant: &TenantId, command: CommandId) -> Result<Option<Kept>, Unavailable> {
        let row = self.runtime.kept(tenant, command).map_err(unavailable)?;
        let Some(AcceptedRow { instance, kept: Some(kept), .. }) = row else { return Ok(None) };
        let rows::Kept { answer, made, failure } = *kept;
        let answer = self.vault.open_password(&answer, &command.to_string()).map_err(|error| {
            tracing::error!(%command, %error, "what was answered cannot be opened");
            Unavailable("The first answer to this request cannot be read now.".into())
        })?;
        let made = made.map(|made| match made {
            rows::Made::Instance(instance) => Made::Instance(Box::new(view::view(&instance))),
            rows::Made::Group(group) => Made::Group(group),
        });
        Ok(Some(Kept { answer: answer.expose().to_owned(), instance, made, failure }))
    }

    async fn settled(
        &self,
        tenant: &TenantId,
        instance: InstanceId,
        command: CommandId,
        limit: Duration,
    ) -> Option<Result<(), String>> {
        self.runtime.settled(tenant, instance, command, limit).await
    }

    async fn fresh(&self, tenant: Option<&TenantId>) -> Result<(), Unavailable> {
        let fresh = match tenant {
            Some(tenant) => self.runtime.fresh(tenant).await,
            None => self.runtime.everyone_fresh().await,
        };
        fresh.map_err(|reason| Unavailable(format!("What is stored cannot be shown now: {reason}.")))
    }

    async fn ask(
        &self,
        tenant: &TenantId,
        instance: InstanceId,
        question: Question,
        limit: Duration,
    ) -> Result<Told, Unanswered> {
        questions::ask(&self.runtime, tenant, instance, question, limit).await
    }

    fn instance(&self, tenant: &TenantId, id: InstanceId) -> Result<Option<InstanceView>, Unavailable> {
        self.runtime.instance(tenant, id).map_err(unavailable)
    }

    fn shown(&self, tenant: &TenantId, id: InstanceId) -> Result<Option<Vec<u8>>, Unavailable> {
        self.runtime.shown(tenant, id).map_err(unavailable)
    }

    fn shown_after(
        &self,
        tenant: &TenantId,
        after: Option<InstanceId>,
        limit: usize,
    ) -> Result<Vec<(InstanceId, Vec<u8>)>, Unavailable> {
        self.runtime.shown_after(tenant, after, limit).map_err(unavailable)
    }

    fn everyones_after(
        &self,
        after: Option<&(TenantId, InstanceId)>,
        limit: usize,
    ) -> Result<Vec<InstanceView>, Unavailable> {
        self.runtime.everyones_after(after, limit).map_err(unavailable)
    }

    fn owner(&self, id: InstanceId) -> Result<Option<TenantId>, Unavailable> {
        self.runtime.owner(id).map_err(unavailable)
    }

    fn removed_after(
        &self,
        after: Option<&(TenantId, Timestamp, InstanceId)>,
        limit: usize,
    ) -> Result<Vec<Removed>, Unavailable> {
        let removed = self.runtime.removed_after(after, limit).map_err(unavailable)?;
        Ok(removed.into_iter().map(|store::Removed { at, last }| Removed { at, last }).collect())
    }

    fn removed(&self, id: InstanceId) -> Result<Option<Removed>, Unavailable> {
        let removed = self.runtime.removed(id).map_err(unavailable)?;
        Ok(removed.map(|store::Removed { at, last }| Removed { at, last }))
    }

    fn journal(
        &self,
        tenant: &TenantId,
        id: InstanceId,
        after: Option<u64>,
        limit: usize,
    ) -> Result<Option<Journal>, Unavailable> {
        let journal = self.runtime.journal(tenant, id, after, limit).map_err(unavailable)?;
        Ok(journal.map(|journal| Journal { dropped: journal.dropped, entries: journal.entries }))
    }

    fn group(&self, tenant: &TenantId, id: GroupId) -> Result<Option<Group>, Unavailable> {
        self.runtime.group(tenant, id).map_err(unavailable)
    }

    fn groups_after(&self, tenant: &TenantId, after: Option<GroupId>, limit: usize) -> Result<Vec<Group>, Unavailable> {
        self.runtime.groups_after(tenant, after, limit).map_err(unavailable)
    }

    fn usage(&self, tenant: &TenantId) -> Result<Usage, Unavailable> {
        self.runtime.usage(tenant).map_err(unavailable)
    }

    fn limits(&self, tenant: &TenantId) -> Result<Limits, Unavailable> {
        let own = self.runtime.limits(tenant).map_err(unavailable)?;
        Ok(own.map_or_else(|| (*self.limits).clone(), |own| own.limits.over(&self.limits)))
    }

    fn catalogue(&self) -> Arc<Catalogue> {
        self.catalogue.clone()
    }

    fn seal(&self, context: &str, password: &str) -> Sealed {
        self.vault.seal_password(context, &Secret::new(password))
    }

    fn new_server_key(&self, instance: InstanceId) -> ServerKey {
        self.vault.new_server_key(instance, FIRST_SERVER)
    }

    fn readiness(&self) -> Result<(), String> {
        if !self.ready.load(Ordering::Relaxed) {
            return Err("The control plane is stopping.".into());
        }
        self.runtime.refusal().map_or(Ok(()), Err)
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

/// The runtime has logged why.
fn unavailable(_: StoreError) -> Unavailable {
    Unavailable("The store cannot be read now.".into())
}

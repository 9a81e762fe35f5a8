//! Answers that are kept with their commands, for whoever sends a request again: how many there are, and what is in them.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use coffer_domain::{
    command::{Command, Envelope},
    ids::{CommandId, GroupId, InstanceId, TenantId},
    instance::Event,
    rejection::{Rejection, RejectionKind},
    sealed::Sealed,
};
use coffer_ports::telemetry::Bounded;

use super::{Partition, StepError, overlays, pages::without_secrets};
use crate::{
    fullness,
    store::{
        StoreError, keys,
        rows::{AcceptedRow, Kept, Made},
    },
};

/// Answers that a tenant has kept at most, for as long as answers are kept.
pub const MAX_KEPT: usize = 10_000;

/// How many answers the tenants have that were heard of since the last count.
#[derive(Default)]
pub(super) struct Counts {
    by_tenant: HashMap<TenantId, usize>,
    fullest: Arc<AtomicUsize>,
}

impl Counts {
    pub fn watched(bounded: &Bounded) -> Self {
        let counts = Self::default();
        let weak = Arc::downgrade(&counts.fullest);
        bounded.register(fullness::KEPT_ANSWERS, MAX_KEPT, move || Some(weak.upgrade()?.load(Ordering::Relaxed)));
        counts
    }

    /// Everything is counted anew when it is asked for. What is decided must be committed, so that the store knows all.
    pub fn forget(&mut self) {
        self.by_tenant.clear();
        self.fullest.store(0, Ordering::Relaxed);
    }

    fn set(&mut self, tenant: &TenantId, count: usize) {
        self.by_tenant.insert(tenant.clone(), count);
        self.fullest.fetch_max(count, Ordering::Relaxed);
    }
}

/// Where it is looked up that a command was accepted.
pub(super) fn key(partition: u32, envelope: &Envelope) -> Vec<u8> {
    match envelope.answer {
        Some(_) => keys::kept(partition, &envelope.tenant, envelope.command_id),
        None => keys::dedup(partition, &envelope.tenant, envelope.command_id),
    }
}

impl Partition {
    /// That a command was accepted, with all that is decided.
    pub(super) fn accepted(&self, key: &[u8]) -> Result<Option<AcceptedRow>, StoreError> {
        match overlays(&self.open, &self.committing).find_map(|overlay| overlay.remembered(key)) {
            Some(accepted) => Ok(Some(accepted)),
            None => self.parts.store.accepted(key),
        }
    }

    /// Whether one more answer of this tenant can be kept. An old one is not let go of for it: its request might come again,
    /// and be done again.
    pub(super) fn room_for_answer(&mut self, tenant: &TenantId) -> Result<Result<(), Rejection>, StepError> {
        let count = match self.kept.by_tenant.get(tenant) {
            Some(count) => *count,
            None => {
                let count = self.parts.store.count_kept(self.id, tenant, MAX_KEPT)?;
                self.kept.set(tenant, count);
                count
            }
        };
        let message = || {
            format!(
                "There are {MAX_KEPT} requests with an Idempotency-Key already whose answers are kept for 24 hours."
            )
        };
        Ok(if count < MAX_KEPT { Ok(()) } else { Err(Rejection::new(RejectionKind::OverLimit, message())) })
    }

    /// What is kept with a command that was just accepted.
    pub(super) fn keep(&mut self, tenant: &TenantId, answer: Sealed, makes: Makes) -> Kept {
        let count = self.kept.by_tenant.get(tenant).copied().unwrap_or_default();
        self.kept.set(tenant, count + 1);
        let made = match makes {
            Makes::Nothing => None,
            Makes::Instance(id) => {
                let made = self.open.overlay.state(tenant, id).flatten();
                made.map(|instance| Made::Instance(Box::new(without_secrets(&instance))))
            }
            Makes::Group(id) => {
                self.open.overlay.group(tenant, id).flatten().map(|group| Made::Group(Box::new((*group).clone())))
            }
        };
        Kept { answer, made, failure: None }
    }

    /// Notes with the answers that are kept why the agent's tasks of these events have failed.
    pub(super) fn keep_failures(&mut self, tenant: &TenantId, events: &[Event]) -> Result<(), StoreError> {
        for (command, failure) in failed_tasks(events) {
            let key = keys::kept(self.id, tenant, command);
            if let Some(AcceptedRow { at, instance, kept: Some(mut kept) }) = self.accepted(&key)? {
                kept.failure = Some(failure);
                self.open.overlay.remember(key, AcceptedRow { at, instance, kept: Some(kept) });
            }
        }
        Ok(())
    }
}

/// What a command makes that its answer shows as it was then.
#[derive(Debug, Clone, Copy)]
pub(super) enum Makes {
    Nothing,
    Instance(InstanceId),
    Group(GroupId),
}

impl Makes {
    pub fn of(envelope: &Envelope) -> Self {
        match envelope.command {
            Command::Create(_) => Self::Instance(envelope.instance),
            Command::CreateConfiguration(_) => Self::Group(GroupId(envelope.instance.0)),
            _ => Self::Nothing,
        }
    }
}

/// The tasks that failed for good, with what their tenant is told.
fn failed_tasks(events: &[Event]) -> Vec<(CommandId, String)> {
    let mut fault = None;
    let mut failed = Vec::new();
    for event in events {
        match event {
            Event::FaultRaised { fault: raised } => fault = Some(raised.message.clone()),
            Event::TaskEnded { command, succeeded: false, .. } => {
                failed.push((*command, fault.take().unwrap_or_default()));
            }
            _ => {}
        }
    }
    failed
}

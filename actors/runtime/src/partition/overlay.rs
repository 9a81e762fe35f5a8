//! What a batch has changed so far: written as one, and dropped if it is not committed.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use coffer_domain::{
    configuration::Group,
    ids::{EffectId, GroupId, InstanceId, TenantId},
    instance::{
        Event, Instance,
        effect::{Effect, EffectChange, TimerChange, TimerId},
        shown, view,
    },
    quota::{TenantLimits, Usage},
    time::Timestamp,
};
use coffer_ports::{
    log::{Batch, Space, Write},
    telemetry::Happening,
};

use super::{Stepped, TaskEnded, Verdict, operations, pages::Pages};
use crate::{
    borders::DONE,
    instances::Considered,
    metrics::Metrics,
    store::{keys, rows},
    telemetry::{LeftBehind, OperationEnded, OperationStarted, QuotaSet},
    timers::OwnedTimer,
};

pub struct Overlay {
    partition: u32,
    touched: BTreeMap<InstanceId, Touched>,
    usage: HashMap<TenantId, Usage>,
    /// The last word on each effect: outstanding, or withdrawn (with its instance).
    effects: BTreeMap<EffectId, (InstanceId, Option<Effect>)>,
    timers: BTreeMap<(InstanceId, TimerId), Option<OwnedTimer>>,
    accepted: BTreeMap<Vec<u8>, rows::AcceptedRow>,
    /// Configuration groups that have changed; `None` is one that is gone.
    groups: BTreeMap<(TenantId, GroupId), Option<Arc<Group>>>,
    /// What tenants may have that was set.
    limits: BTreeMap<TenantId, TenantLimits>,
    borders: Vec<(&'static str, &'static str)>,
    tasks_ended: Vec<TaskEnded>,
    operations_started: Vec<OperationStarted>,
    operations_ended: Vec<OperationEnded>,
    left_behind: Vec<LeftBehind>,
    pub pages: Pages,
}

struct Touched {
    tenant: TenantId,
    existed: bool,
    after: Option<Arc<Instance>>,
}

impl Overlay {
    pub fn new(partition: u32) -> Self {
        Self {
            partition,
            touched: BTreeMap::new(),
            usage: HashMap::new(),
            effects: BTreeMap::new(),
            timers: BTreeMap::new(),
            accepted: BTreeMap::new(),
            groups: BTreeMap::new(),
            limits: BTreeMap::new(),
            borders: Vec::new(),
            tasks_ended: Vec::new(),
            operations_started: Vec::new(),
            operations_ended: Vec::new(),
            left_behind: Vec::new(),
            pages: Pages::default(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.touched.is_empty()
            && self.effects.is_empty()
            && self.timers.is_empty()
            && self.accepted.is_empty()
            && self.groups.is_empty()
            && self.limits.is_empty()
    }

    pub fn remembered(&self, key: &[u8]) -> Option<rows::AcceptedRow> {
        self.accepted.get(key).cloned()
    }

    pub fn remember(&mut self, key: Vec<u8>, accepted: rows::AcceptedRow) {
        self.accepted.insert(key, accepted);
    }

    /// A group that was changed; the inner `None` means that it is gone.
    pub fn group(&self, tenant: &TenantId, id: GroupId) -> Option<Option<Arc<Group>>> {
        self.groups.get(&(tenant.clone(), id)).cloned()
    }

    pub fn put_group(&mut self, tenant: &TenantId, id: GroupId, group: Option<Arc<Group>>) {
        self.groups.insert((tenant.clone(), id), group);
    }

    /// The tenant's groups that were changed, and whether each is there.
    pub fn groups_of(&self, tenant: &TenantId) -> impl Iterator<Item = (GroupId, bool)> {
        let first = (tenant.clone(), GroupId(uuid::Uuid::nil()));
        let own = self.groups.range(first..).take_while(move |((owner, _), _)| owner == tenant);
        own.map(|((_, id), group)| (*id, group.is_some()))
    }

    pub fn limits(&self, tenant: &TenantId) -> Option<TenantLimits> {
        self.limits.get(tenant).cloned()
    }

    pub fn put_limits(&mut self, tenant: &TenantId, limits: TenantLimits) {
        self.limits.insert(tenant.clone(), limits);
    }

    /// Tells the operator who has set what a tenant may have.
    pub fn tell_of_limits(&self, metrics: &Metrics) {
        for (tenant, limits) in &self.limits {
            QuotaSet { tenant, limits }.emit(metrics);
        }
    }

    /// A timer that has fired is spent, whatever comes of it.
    pub fn drop_timer(&mut self, instance: InstanceId, id: &TimerId) {
        self.timers.insert((instance, id.clone()), None);
    }

    /// Takes in a decision; `usage` is the tenant's before it. Returns what it is after it, if that has changed.
    pub fn take(
        &mut self,
        tenant: &TenantId,
        instance: InstanceId,
        usage: Usage,
        considered: Considered,
        now: Timestamp,
    ) -> Option<Usage> {
        let Considered { decision, before, after, journal: _ } = considered;
        if decision.is_empty() {
            return None;
        }
        self.note(instance, before.as_deref(), after.as_deref(), &decision.events);
        let (ended, started) = operations::passed(tenant, instance, before.as_deref(), &decision.events, now);
        self.operations_ended.extend(ended);
        self.operations_started.extend(started);
        for event in &decision.events {
            if let Event::LeftBehind { step, id, reason } = event {
                let (tenant, id, reason) = (tenant.clone(), id.clone(), reason.clone());
                self.left_behind.push(LeftBehind { tenant, instance, step: step.as_str(), id, reason });
            }
        }
        let usage_after = decision.events.iter().fold(usage, |usage, event| match event {
            Event::QuotaCharged { charge } => usage.charged(*charge),
            Event::QuotaRefunded { charge } => usage.refunded(*charge),
            _ => usage,
        });
        let changed_usage = (usage_after != usage).then_some(usage_after);
        if let Some(usage) = changed_usage {
            self.usage.insert(tenant.clone(), usage);
        }
        for change in decision.effects {
            match change {
                EffectChange::Dispatch(effect) => self.effects.insert(effect.id.clone(), (instance, Some(effect))),
                EffectChange::Withdraw(id) => self.effects.insert(id, (instance, None)),
            };
        }
        for change in decision.timers {
            match change {
                TimerChange::Set(timer) => {
                    let owned = OwnedTimer { tenant: tenant.clone(), instance, timer };
                    self.timers.insert((instance, owned.timer.id.clone()), Some(owned))
                }
                TimerChange::Cancel(id) => self.timers.insert((instance, id), None),
            };
        }
        if !decision.events.is_empty() {
            let existed = self.touched.get(&instance).map_or(before.is_some(), |touched| touched.existed);
            self.touched.insert(instance, Touched { tenant: tenant.clone(), existed, after });
        }
        changed_usage
    }

    /// Notes what others have to hear of: borders passed, tasks that ended.
    fn note(&mut self, id: InstanceId, before: Option<&Instance>, after: Option<&Instance>, events: &[Event]) {
        let kind_of = |instance: Option<&Instance>| {
            instance.and_then(|instance| instance.operation.as_ref()).map(|operation| operation.kind)
        };
        let mut fault = None;
        for event in events {
            match event {
                Event::StepStarted { step, .. } => {
                    if let Some(kind) = kind_of(after) {
                        self.borders.push((kind.as_str(), step.as_str()));
                    }
                }
                Event::OperationEnded { .. } | Event::Removed => {
                    if let Some(kind) = kind_of(before) {
                        self.borders.push((kind.as_str(), DONE));
                    }
                }
                Event::FaultRaised { fault: raised } => fault = Some(raised.message.clone()),
                Event::TaskEnded { command, succeeded, .. } => {
                    let result = if *succeeded { Ok(()) } else { Err(fault.take().unwrap_or_default()) };
                    self.tasks_ended.push(TaskEnded { instance: id, command: *command, result });
                }
                _ => {}
            }
        }
    }

    pub fn borders(&self) -> Vec<(&'static str, &'static str)> {
        self.borders.clone()
    }

    /// Tells the operator what is left outside. Before the commit: told twice is better than never, should the process
    /// die between the two.
    pub fn tell_of_left_behind(&self, metrics: &Metrics) {
        for left in &self.left_behind {
            left.count(metrics);
            // Not throttled: nobody else knows of the thing.
            left.log(0);
        }
    }

    /// The state of an instance that was changed; the inner `None` means that it is gone.
    pub fn state(&self, tenant: &TenantId, instance: InstanceId) -> Option<Option<Arc<Instance>>> {
        let touched = self.touched.get(&instance).filter(|touched| touched.tenant == *tenant)?;
        Some(touched.after.clone())
    }

    /// The instances that are gone.
    pub fn removed(&self) -> impl Iterator<Item = (TenantId, InstanceId)> {
        let gone = self.touched.iter().filter(|(_, touched)| touched.after.is_none());
        gone.map(|(id, touched)| (touched.tenant.clone(), *id))
    }

    /// Everything that has changed, as rows.
    pub fn batch(&self) -> Batch {
        let partition = self.partition;
        let mut writes = Vec::new();
        let mut write = |space, key, value| writes.push(Write { space, key, value });
        for (id, touched) in &self.touched {
            let key = keys::instance(partition, &touched.tenant, *id);
            let state = touched.after.as_deref().map(rows::encode);
            let view = touched.after.as_deref().map(|instance| shown::row(&view::view(instance)));
            write(Space::State, key.clone(), state);
            write(Space::View, key, view);
        }
        for (tenant, usage) in &self.usage {
            let value = (*usage != Usage::default()).then(|| rows::encode(usage));
            write(Space::State, keys::usage(partition, tenant), value);
        }
        for (id, (_, effect)) in &self.effects {
            write(Space::Outbox, keys::effect(partition, id), effect.as_ref().map(rows::encode));
        }
        for ((instance, id), timer) in &self.timers {
            write(Space::Timer, keys::timer(partition, *instance, id), timer.as_ref().map(rows::encode));
        }
        for ((tenant, id), group) in &self.groups {
            write(Space::State, keys::group(partition, tenant, *id), group.as_deref().map(rows::encode));
        }
        for (tenant, limits) in &self.limits {
            write(Space::State, keys::limits(partition, tenant), Some(rows::encode(limits)));
        }
        for (key, accepted) in &self.accepted {
            write(Space::Dedup, key.clone(), Some(rows::encode(accepted)));
        }
        writes.extend(self.pages.writes(partition));
        Batch { partition, writes, ..Batch::default() }
    }

    pub fn into_stepped(self, answers: Vec<Verdict>) -> Stepped {
        let mut stepped = Stepped {
            answers,
            tasks_ended: self.tasks_ended,
            operations_started: self.operations_started,
            operations_ended: self.operations_ended,
            ..Stepped::default()
        };
        for (id, (instance, effect)) in self.effects {
            match effect {
                Some(effect) => stepped.dispatch.push(effect),
                None => stepped.withdrawn.push((instance, id)),
            }
        }
        for (id, touched) in self.touched {
            match (touched.existed, touched.after) {
                (false, Some(instance)) => stepped.created.push(instance),
                (true, None) => stepped.removed.push(id),
                _ => {}
            }
        }
        stepped
    }
}

/// A batch that takes rows away.
pub fn removal(partition: u32, space: Space, keys: Vec<Vec<u8>>) -> Batch {
    let writes = keys.into_iter().map(|key| Write { space, key, value: None }).collect();
    Batch { partition, writes, ..Batch::default() }
}

//! One writer for its tenants. Inputs are decided in order of arrival, against all that was decided before; what they
//! change is collected in a batch. While one batch is on its way to the log, the next one is filled. Only when a batch is
//! committed do clients and the outside hear of it, and only then does the next one go: what follows from a batch is
//! never in the log without it.

mod groups;
mod kept;
mod limits;
mod operations;
mod overlay;
mod pages;

use std::{collections::HashMap, sync::Arc};

use coffer_domain::{
    catalogue::Catalogue,
    command::Envelope,
    ids::{CommandId, EffectId, InstanceId, TenantId},
    instance::{Input, effect::Effect, journal, policy::DEDUP_WINDOW, state::Waiting},
    quota::{Limits, Usage},
    rejection::{Rejection, RejectionKind},
    time::Timestamp,
};
use coffer_ports::{
    log::{Batch, CommitError, Log},
    telemetry::Happening,
};
use prometheus::HistogramTimer;

use crate::{
    borders::{Border, Borders, Moment},
    instances::{Consider, Considered, Instances},
    metrics::Metrics,
    store::{Store, StoreError, rows},
    telemetry::{CommandDecided, CommandOrigin, OperationEnded, OperationStarted},
    timers::Timers,
};
pub use kept::MAX_KEPT;
use kept::{Counts, Makes};
use overlay::Overlay;

/// Journals of removed instances that are forgotten at a time.
const JOURNALS_AT_ONCE: usize = 100;

/// What came of an accepted command.
#[derive(Debug, Clone, PartialEq)]
pub struct Accepted {
    pub instance: InstanceId,
    /// The command was accepted before: nothing was done again.
    pub repeated: bool,
}

/// Something for one instance of this partition.
#[derive(Debug)]
pub struct Item {
    pub tenant: TenantId,
    pub instance: InstanceId,
    pub input: Input,
}

impl Item {
    pub fn command(envelope: Envelope) -> Self {
        Self { tenant: envelope.tenant.clone(), instance: envelope.instance, input: Input::Command(Box::new(envelope)) }
    }
}

/// How a task of the agent ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskEnded {
    pub instance: InstanceId,
    pub command: CommandId,
    /// What went wrong, in words for the tenant.
    pub result: Result<(), String>,
}

/// What a committed batch leads to.
#[derive(Debug, Default)]
pub struct Stepped {
    /// One for each item, in order; what is not a command is accepted as a matter of course.
    pub answers: Vec<Verdict>,
    pub dispatch: Vec<Effect>,
    pub withdrawn: Vec<(InstanceId, EffectId)>,
    pub created: Vec<Arc<coffer_domain::instance::Instance>>,
    pub removed: Vec<InstanceId>,
    pub tasks_ended: Vec<TaskEnded>,
    pub operations_started: Vec<OperationStarted>,
    pub operations_ended: Vec<OperationEnded>,
}

/// Why a batch was not committed for sure.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// This partition's memory may be ahead of the log: it must be dropped and loaded anew.
    #[error(transparent)]
    NotCommitted(CommitError),
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A rehearsed crash.
    #[error("stopped at the border {0}")]
    Stopped(Border),
}

/// What a partition works with.
#[derive(Clone)]
pub struct Parts {
    pub log: Arc<dyn Log>,
    pub store: Arc<Store>,
    pub borders: Arc<dyn Borders>,
    pub catalogue: Arc<Catalogue>,
    /// Of every tenant that has none of its own.
    pub limits: Arc<Limits>,
    pub metrics: Metrics,
}

/// The memory of one partition. All of it can be loaded from the store.
pub struct Partition {
    id: u32,
    parts: Parts,
    instances: Instances,
    usage: HashMap<TenantId, Usage>,
    limits: limits::Known,
    timers: Timers,
    kept: Counts,
    /// What is decided and not on its way to the log yet.
    open: Decided,
    /// What is on its way to the log.
    committing: Option<Committing>,
}

/// Decisions, and what they change.
struct Decided {
    overlay: Overlay,
    /// One for each item, in order.
    verdicts: Vec<Verdict>,
}

struct Committing {
    decided: Decided,
    borders: Vec<(&'static str, &'static str)>,
    timer: HistogramTimer,
}

/// What a take-over finds to be done.
pub struct TakenOver {
    pub partition: Partition,
    /// Effects without an outcome: dispatch them again.
    pub outstanding: Vec<Effect>,
}

impl Partition {
    /// Loads what the store holds of a partition.
    pub fn take_over(id: u32, parts: Parts, now: Timestamp) -> Result<TakenOver, StoreError> {
        let mut timers = Timers::default();
        for stored in parts.store.timers(id)? {
            timers.take_over(stored, now);
        }
        let outstanding = parts.store.outbox(id)?;
        let (instances, usage, open) = (Instances::default(), HashMap::new(), Decided::new(id));
        let kept = Counts::watched(&parts.metrics.bounded);
        let limits = limits::Known::default();
        let partition = Self { id, parts, instances, usage, limits, timers, kept, open, committing: None };
        Ok(TakenOver { partition, outstanding })
    }

    pub fn next_due(&self) -> Option<Timestamp> {
        self.timers.next_due()
    }

    /// Timers that are due, as items for the next step.
    pub fn due(&self, now: Timestamp, limit: usize) -> Vec<Item> {
        let due = self.timers.due(now, limit).into_iter();
        due.map(|(tenant, instance, id)| Item { tenant, instance, input: Input::Timer(id) }).collect()
    }

    /// Nothing was taken in for a while up to `now`: timers get their grace, as after a take-over.
    pub fn was_away(&mut self, now: Timestamp) {
        self.timers.was_away(now);
    }

    /// Lets go of actors that are idle.
    pub fn passivate(&mut self, now: Timestamp) {
        self.instances.passivate(now);
    }

    /// Forgets answers that nobody may ask for any more, at most `limit`. All that is decided must be committed.
    pub async fn forget_old_answers(&mut self, now: Timestamp, limit: usize) -> Result<usize, StepError> {
        let keys = self.parts.store.forgettable(self.id, now + -DEDUP_WINDOW, limit)?;
        let count = keys.len();
        if count > 0 {
            let batch = overlay::removal(self.id, coffer_ports::log::Space::Dedup, keys);
            self.parts.log.commit(batch).await.map_err(StepError::NotCommitted)?;
            self.kept.forget();
        }
        Ok(count)
    }

    /// Forgets the journals of instances that are gone long enough, or too many.
    pub async fn forget_journals(&mut self, now: Timestamp) -> Result<(), StepError> {
        let before = now + -journal::KEPT_AFTER_REMOVAL;
        let store = &self.parts.store;
        let mut keys = Vec::new();
        for removed in store.forgettable_journals(self.id, before, journal::MAX_REMOVED, JOURNALS_AT_ONCE)? {
            let row = store.journal_row(self.id, &removed.tenant, removed.instance)?.unwrap_or_default();
            keys.extend(pages::all_keys(self.id, &removed, &row));
        }
        if !keys.is_empty() {
            let batch = overlay::removal(self.id, coffer_ports::log::Space::Journal, keys);
            self.parts.log.commit(batch).await.map_err(StepError::NotCommitted)?;
        }
        Ok(())
    }

    /// Decides `items`, after all that was decided before.
    pub async fn decide_all(&mut self, items: Vec<Item>, now: Timestamp) -> Result<(), StepError> {
        for item in items {
            let verdict = self.decide(item, now).await?;
            self.open.verdicts.push(verdict);
        }
        Ok(())
    }

    /// Takes what is decided as the batch that is to be committed next, and handed back by [`Partition::end_commit`]; it
    /// may have nothing to write. There must be no other one under way.
    pub fn begin_commit(&mut self) -> Result<Batch, StepError> {
        debug_assert!(self.committing.is_none(), "one batch follows the other");
        let decided = std::mem::replace(&mut self.open, Decided::new(self.id));
        let borders = decided.overlay.borders();
        self.pass(&borders, Moment::BeforeCommit)?;
        decided.overlay.tell_of_left_behind(&self.parts.metrics);
        let batch = decided.overlay.batch();
        let timer = self.parts.metrics.commit_seconds.start_timer();
        self.committing = Some(Committing { decided, borders, timer });
        Ok(batch)
    }

    /// Tells what the log has said of the batch; returns what follows from it. After an error all of this partition is
    /// to be dropped, what was decided meanwhile as well.
    pub fn end_commit(&mut self, committed: Result<(), CommitError>) -> Result<Stepped, StepError> {
        let Some(Committing { decided, borders, timer }) = self.committing.take() else {
            return Ok(Stepped::default());
        };
        let Decided { overlay, verdicts } = decided;
        if overlay.is_empty() {
            timer.stop_and_discard();
        } else {
            timer.observe_duration();
        }
        committed.map_err(StepError::NotCommitted)?;
        self.parts.metrics.journal_entries_dropped.inc_by(overlay.pages.dropped());
        self.pass(&borders, Moment::AfterCommit)?;
        overlay.tell_of_limits(&self.parts.metrics);
        self.instances.let_go(overlay.removed());
        self.pass(&borders, Moment::AfterApply)?;
        Ok(overlay.into_stepped(verdicts))
    }

    async fn decide(&mut self, item: Item, now: Timestamp) -> Result<Verdict, StepError> {
        let Item { tenant, instance, input } = item;
        let command = match &input {
            Input::Command(envelope) => {
                if let Some(verdict) = self.known(envelope, now)? {
                    return Ok(verdict);
                }
                let kept = envelope.answer.clone().map(|answer| (answer, Makes::of(envelope)));
                Some((kept::key(self.id, envelope), envelope.issued_at, kept, CommandOrigin::of(envelope)))
            }
            Input::Timer(id) => {
                self.open.overlay.drop_timer(instance, id);
                self.timers.cancel(instance, id);
                None
            }
            Input::Outcome { .. } | Input::Observed(_) | Input::GroupChanged(_) => None,
        };
        let decided = match &input {
            Input::Command(envelope) if envelope.command.is_of_group() => self.decide_group(envelope, now).await?,
            Input::Command(envelope) if envelope.command.is_of_tenant() => Ok(self.set_limits(envelope, now)?),
            _ => self.decide_instance(&tenant, instance, input, now).await?,
        };
        let verdict = decided.map(|()| Accepted { instance, repeated: false });
        if let Some((key, issued_at, kept, origin)) = command {
            if verdict.is_ok() {
                let kept = kept.map(|(answer, makes)| Box::new(self.keep(&tenant, answer, makes)));
                // A client's clock may be ahead: the answer is kept for as long as the command counts as young.
                let row = rows::AcceptedRow { at: now.max(issued_at), instance, kept };
                self.open.overlay.remember(key, row);
            }
            CommandDecided { command: &origin, result: label(&verdict) }.emit(&self.parts.metrics);
        }
        Ok(verdict)
    }

    async fn decide_instance(
        &mut self,
        tenant: &TenantId,
        instance: InstanceId,
        input: Input,
        now: Timestamp,
    ) -> Result<Result<(), Rejection>, StepError> {
        let usage = self.usage_of(tenant)?;
        let wanted_group = match &input {
            Input::Command(envelope) => envelope.command.wanted_group(),
            _ => None,
        };
        let group = wanted_group.map(|id| self.group(tenant, id)).transpose()?.flatten();
        let (catalogue, limits) = (self.parts.catalogue.clone(), self.limits_of(tenant)?);
        let message = Consider { input, now, catalogue, usage, limits, group };
        let outcome_of = match &message.input {
            Input::Outcome { effect, .. } => Some(effect.clone()),
            _ => None,
        };
        let (id, store) = (self.id, &self.parts.store);
        let hydrate =
            || match overlays(&self.open, &self.committing).find_map(|overlay| overlay.state(tenant, instance)) {
                Some(state) => Ok(state),
                None => Ok(store.instance(id, tenant, instance)?.map(Arc::new)),
            };
        match self.instances.consider(tenant, instance, message, hydrate).await? {
            Ok(mut considered) => {
                self.write_journal(tenant, instance, &mut considered, now)?;
                if let Some(border) = outcome_of.and_then(|effect| outcome_border(&considered, &effect)) {
                    self.pass(&[border], Moment::AfterEffect)?;
                }
                self.timers.change(tenant, instance, &considered.decision.timers);
                self.keep_members(tenant, instance, &considered)?;
                self.keep_failures(tenant, &considered.decision.events)?;
                if let Some(usage) = self.open.overlay.take(tenant, instance, usage, considered, now) {
                    self.usage.insert(tenant.clone(), usage);
                }
                Ok(Ok(()))
            }
            Err(rejection) => Ok(Err(rejection)),
        }
    }

    fn write_journal(
        &mut self,
        tenant: &TenantId,
        instance: InstanceId,
        considered: &mut Considered,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let entries = std::mem::take(&mut considered.journal);
        if entries.is_empty() {
            return Ok(());
        }
        let known = overlays(&self.open, &self.committing).find_map(|overlay| overlay.pages.row(instance));
        let stored = match known {
            Some(row) => Some(row.clone()),
            None => self.parts.store.journal_row(self.id, tenant, instance)?,
        };
        let removed = considered.after.is_none().then(|| (now, considered.before.clone()));
        self.open.overlay.pages.add(tenant, instance, stored, entries, removed);
        Ok(())
    }

    /// The verdict on a command that was accepted before, or that is too old for anybody to know.
    fn known(&mut self, envelope: &Envelope, now: Timestamp) -> Result<Option<Verdict>, StepError> {
        if let Some(accepted) = self.accepted(&kept::key(self.id, envelope))? {
            CommandDecided { command: &CommandOrigin::of(envelope), result: "repeated" }.emit(&self.parts.metrics);
            return Ok(Some(Ok(Accepted { instance: accepted.instance, repeated: true })));
        }
        if now - envelope.issued_at >= DEDUP_WINDOW {
            let message = "issued_at: the command is more than 24 hours old and is not carried out any more.";
            return Ok(Some(Err(Rejection::invalid(message))));
        }
        if envelope.answer.is_some()
            && let Err(rejection) = self.room_for_answer(&envelope.tenant)?
        {
            CommandDecided { command: &CommandOrigin::of(envelope), result: "over_limit" }.emit(&self.parts.metrics);
            return Ok(Some(Err(rejection)));
        }
        Ok(None)
    }

    fn pass(&self, borders: &[(&'static str, &'static str)], moment: Moment) -> Result<(), StepError> {
        let stopped = borders
            .iter()
            .map(|(operation, step)| Border { operation, step, moment })
            .find(|border| self.parts.borders.stops_at(border));
        stopped.map_or(Ok(()), |border| Err(StepError::Stopped(border)))
    }

    /// With all that is decided.
    fn usage_of(&mut self, tenant: &TenantId) -> Result<Usage, StoreError> {
        if let Some(usage) = self.usage.get(tenant) {
            return Ok(*usage);
        }
        let usage = self.parts.store.usage(self.id, tenant)?;
        self.usage.insert(tenant.clone(), usage);
        Ok(usage)
    }
}

/// What is decided and not committed for sure, the latest first.
fn overlays<'a>(open: &'a Decided, committing: &'a Option<Committing>) -> impl Iterator<Item = &'a Overlay> {
    let committing = committing.iter().map(|committing| &committing.decided.overlay);
    std::iter::once(&open.overlay).chain(committing)
}

impl Decided {
    fn new(partition: u32) -> Self {
        Self { overlay: Overlay::new(partition), verdicts: Vec::new() }
    }
}

/// Operation and step that waited for this outcome.
fn outcome_border(considered: &Considered, effect: &EffectId) -> Option<(&'static str, &'static str)> {
    let operation = considered.before.as_ref()?.operation.as_ref()?;
    let awaited = operation.waiting == Waiting::Effect { effect: effect.clone() };
    awaited.then(|| (operation.kind.as_str(), operation.step.as_str()))
}

pub(crate) type Verdict = Result<Accepted, Rejection>;

/// The verdict as a metric's label.
pub(crate) fn label(verdict: &Verdict) -> &'static str {
    match verdict {
        Ok(_) => "accepted",
        Err(rejection) => match rejection.kind {
            RejectionKind::Invalid => "invalid",
            RejectionKind::NotFound => "not_found",
            RejectionKind::WrongState => "wrong_state",
            RejectionKind::Unprocessable => "unprocessable",
            RejectionKind::OverLimit => "over_limit",
            RejectionKind::Unsupported => "unsupported",
            RejectionKind::Busy => "busy",
            RejectionKind::NoRoom => "no_room",
        },
    }
}

#[cfg(test)]
mod tests;

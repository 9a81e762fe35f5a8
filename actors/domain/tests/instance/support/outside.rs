//! A small model of the outside, and the world of both: the partition, what exists out there, and the calls that are
//! under way between them.
//!
//! The outside keeps to its contract and to no more: a call is carried out at most until its deadline, perhaps done
//! although it is reported as failed, perhaps never answered; answers come late or twice.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use coffer_domain::{
    ids::{EffectId, InstanceId},
    instance::{
        Decision, Event, Input,
        effect::{Action, Effect, EffectChange, Observation, Outcome, Produced, TimerChange, TimerId},
        state::{OperationKind, Waiting},
        workflow::Step,
    },
    rejection::Rejection,
    time::{Millis, SECOND, Timestamp},
};
use coffer_protocol::report::EngineState;

use super::{
    partition::Partition,
    samples::{failure, produced},
};

/// Answers and timers that are remembered, to come again.
const REMEMBERED: usize = 64;
/// Steps after which everything must have come to rest: the longest create with the longest clean-up takes about 90,
/// and there are tasks and other instances.
const STEPS_TO_REST: usize = 1000;

/// How the outside deals with a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Done,
    /// Answered with a failure; it may have been carried out all the same.
    Failed {
        done: bool,
        retryable: bool,
    },
    /// Never answered.
    Lost {
        done: bool,
    },
}

pub struct World {
    pub partition: Partition,
    pub addresses: BTreeSet<InstanceId>,
    /// With their sizes in GiB.
    pub volumes: BTreeMap<InstanceId, u32>,
    /// With their flavors.
    pub servers: BTreeMap<InstanceId, String>,
    pub calls: Vec<Call>,
    pub past_answers: VecDeque<(InstanceId, EffectId, Outcome)>,
    pub past_timers: VecDeque<(InstanceId, TimerId)>,
}

/// Something that the outside is about to do or is doing.
pub struct Call {
    pub effect: Effect,
    pub since: Timestamp,
}

impl Call {
    /// Whoever carries it out has given up by then, and nothing comes of it later.
    fn over_at(&self) -> Timestamp {
        self.since + self.effect.deadline
    }

    fn is_agents(&self) -> bool {
        matches!(self.effect.action, Action::Agent(_))
    }
}

impl World {
    pub fn new(partition: Partition) -> Self {
        Self {
            partition,
            addresses: BTreeSet::new(),
            volumes: BTreeMap::new(),
            servers: BTreeMap::new(),
            calls: Vec::new(),
            past_answers: VecDeque::new(),
            past_timers: VecDeque::new(),
        }
    }

    pub fn give(&mut self, id: InstanceId, input: &Input) -> Result<Decision, Rejection> {
        let before = self.partition.instances.get(&id);
        let operation = before.and_then(|instance| instance.operation.clone());
        let forced = before.is_some_and(|instance| instance.delete_is_forced);
        let decision = self.partition.give(id, input)?;
        for change in &decision.effects {
            match change {
                EffectChange::Withdraw(effect) => self.withdraw(effect),
                EffectChange::Dispatch(effect) => {
                    self.check_order(effect);
                    self.call(effect.clone());
                }
            }
        }
        for change in &decision.timers {
            if let TimerChange::Set(timer) = change {
                remember(&mut self.past_timers, (id, timer.id.clone()));
            }
        }
        for event in &decision.events {
            if let Event::LeftBehind { step, reason, .. } = event {
                assert!(forced && !reason.is_empty(), "{step:?} is left behind without need or reason");
                self.handed_over(id, *step);
            }
        }
        if self.partition.instances.get(&id).is_some_and(|instance| instance.operation.is_none() && !instance.broken) {
            self.assert_sizes(id);
        }
        let has = |wanted: fn(&Event) -> bool| decision.events.iter().any(wanted);
        let cleaned_up = operation.is_some_and(|operation| operation.kind == OperationKind::CleanUp)
            && has(|event| matches!(event, Event::OperationEnded { .. }))
            && !has(|event| matches!(event, Event::FaultRaised { .. }));
        if cleaned_up || has(|event| *event == Event::Removed) {
            self.assert_nothing_left(id);
        }
        Ok(decision)
    }

    /// Somebody was told of what a forced delete leaves, and takes it away.
    fn handed_over(&mut self, id: InstanceId, step: Step) {
        match step {
            Step::DeleteServer => self.servers.remove(&id).is_some(),
            Step::DeleteVolume => self.volumes.remove(&id).is_some(),
            Step::ReleaseAddress => self.addresses.remove(&id),
            _ => panic!("{step:?} leaves nothing"),
        };
    }

    fn withdraw(&mut self, effect: &EffectId) {
        let Some(position) = self.calls.iter().position(|call| call.effect.id == *effect) else { return };
        let call = self.calls.swap_remove(position);
        assert!(call.is_agents(), "{effect} is withdrawn while the outside may still carry it out");
        remember(&mut self.past_answers, (call.effect.instance, call.effect.id, Ok(Produced::Nothing)));
    }

    /// Things are made from the bottom up by a create and by nothing else, and taken away from the top down.
    fn check_order(&self, effect: &Effect) {
        let id = effect.instance;
        let kind = self.partition.instances[&id].operation.as_ref().map(|operation| operation.kind);
        match &effect.action {
            Action::EnsureAddress | Action::EnsureVolume { .. } => assert_eq!(kind, Some(OperationKind::Create)),
            Action::EnsureServer(_) => {
                assert_eq!(kind, Some(OperationKind::Create));
                assert!(self.addresses.contains(&id) && self.volumes.contains_key(&id), "a server without its parts");
            }
            Action::DeleteServer => assert_ne!(kind, Some(OperationKind::Create)),
            Action::DeleteVolume | Action::ReleaseAddress => {
                assert_ne!(kind, Some(OperationKind::Create));
                assert!(!self.servers.contains_key(&id), "the server still has it");
            }
            Action::GrowVolume { size_gib } => {
                assert!(self.volumes[&id] <= *size_gib, "a volume never shrinks");
            }
            Action::MeasureVolume => assert_eq!(kind, Some(OperationKind::UndoResizeVolume)),
            Action::ResizeServer { .. } => assert!(self.servers.contains_key(&id), "no server to resize"),
            Action::Agent(_) => {}
        }
    }

    fn call(&mut self, effect: Effect) {
        let id = effect.instance;
        let call = Call { effect, since: self.partition.now };
        let busy = self.calls.iter().any(|other| other.effect.instance == id && !other.is_agents());
        assert!(call.is_agents() || !busy, "two outside calls for one instance at a time");
        self.calls.push(call);
    }

    fn carry_out(&mut self, effect: &Effect) {
        let id = effect.instance;
        match &effect.action {
            Action::EnsureAddress => drop(self.addresses.insert(id)),
            Action::EnsureVolume { size_gib, .. } => drop(self.volumes.entry(id).or_insert(*size_gib)),
            Action::EnsureServer(order) => drop(self.servers.entry(id).or_insert(order.flavor.id.clone())),
            Action::GrowVolume { size_gib } => drop(self.volumes.insert(id, *size_gib)),
            Action::ResizeServer { flavor } => drop(self.servers.insert(id, flavor.id.clone())),
            Action::MeasureVolume => {}
            Action::DeleteServer => drop(self.servers.remove(&id)),
            Action::DeleteVolume => drop(self.volumes.remove(&id)),
            Action::ReleaseAddress => drop(self.addresses.remove(&id)),
            Action::Agent(_) => {}
        }
    }

    /// What a call tells that was carried out.
    fn produced(&self, effect: &Effect) -> Produced {
        match effect.action {
            Action::MeasureVolume => Produced::VolumeSize { size_gib: self.volumes[&effect.instance] },
            ref action => produced(action),
        }
    }

    /// Outside is what the instance says; either size, where it says that it does not know.
    fn assert_sizes(&self, id: InstanceId) {
        let instance = &self.partition.instances[&id];
        let (Some(size), Some(flavor)) = (self.volumes.get(&id), self.servers.get(&id)) else { return };
        assert!([instance.volume_gib, instance.wanted_volume_gib()].contains(size), "{size} GiB: {instance:?}");
        let flavors = [&instance.flavor.id, &instance.wanted_flavor().id];
        assert!(flavors.contains(&flavor) || instance.fault.is_some(), "flavor {flavor}: {instance:?}");
        assert!(instance.resize.is_none() || instance.fault.is_some(), "a size in doubt, and nobody is told");
    }

    /// Lets the outside deal with one call.
    pub fn answer(&mut self, position: usize, fate: Fate) {
        let Call { effect, .. } = self.calls.remove(position);
        let outcome = match fate {
            Fate::Done | Fate::Lost { done: true } => Ok(self.produced(&effect)),
            Fate::Failed { retryable, .. } => Err(failure(retryable)),
            Fate::Lost { done: false } => Err(failure(true)),
        };
        if matches!(fate, Fate::Done | Fate::Failed { done: true, .. } | Fate::Lost { done: true }) {
            self.carry_out(&effect);
        }
        remember(&mut self.past_answers, (effect.instance, effect.id.clone(), outcome.clone()));
        if !matches!(fate, Fate::Lost { .. }) {
            self.give(effect.instance, &Input::Outcome { effect: effect.id, outcome }).unwrap();
        }
    }

    /// An answer of before comes again, or for the first time and late: unless its effect is still waited for, it
    /// must change nothing.
    pub fn repeat_answer(&mut self, position: usize) {
        let (id, effect, outcome) = self.past_answers[position].clone();
        if let Some(call) = self.calls.iter().position(|call| call.effect.id == effect) {
            self.calls.remove(call);
        }
        let is_awaited = self.partition.effects.contains_key(&effect);
        let decision = self.give(id, &Input::Outcome { effect, outcome }).unwrap();
        assert!(is_awaited || decision.is_empty(), "a stale answer led to {decision:?}");
    }

    /// A timer of before fires again: it must change nothing.
    pub fn repeat_timer(&mut self, position: usize) {
        let (id, timer) = self.past_timers[position].clone();
        if !self.partition.timers.contains_key(&(id, timer.clone())) {
            let decision = self.give(id, &Input::Timer(timer)).unwrap();
            assert!(decision.is_empty(), "a stale timer led to {decision:?}");
        }
    }

    /// Lets time go on; timers fire as they fall due. Calls that run out of time are lost, `done` or not.
    pub fn wait(&mut self, span: Millis, done: bool) {
        let end = self.partition.now + span;
        loop {
            let over = self.calls.iter().enumerate().min_by_key(|(_, call)| call.over_at());
            let over = over.map(|(position, call)| (call.over_at(), position)).filter(|(at, _)| *at <= end);
            let timer = self.partition.next_timer().filter(|(_, timer)| timer.due <= end);
            match (over, timer) {
                (Some((at, position)), timer) if timer.as_ref().is_none_or(|(_, timer)| at <= timer.due) => {
                    self.partition.now = self.partition.now.max(at);
                    self.answer(position, Fate::Lost { done });
                }
                (_, Some((id, timer))) => {
                    self.partition.now = self.partition.now.max(timer.due);
                    self.give(id, &Input::Timer(timer.id)).unwrap();
                }
                _ => break,
            }
        }
        self.partition.now = end;
    }

    /// The control plane dies, is away for a while and starts again. The calls that were under way have been carried
    /// out or not; all are made again.
    pub fn take_over(&mut self, away: Millis, done: bool) {
        for call in std::mem::take(&mut self.calls) {
            if done {
                self.carry_out(&call.effect);
            }
        }
        self.partition.now = self.partition.now + away;
        self.partition.take_over();
        let outstanding: Vec<Effect> =
            self.partition.effects.values().map(|outstanding| outstanding.effect.clone()).collect();
        outstanding.into_iter().for_each(|effect| self.call(effect));
    }

    /// Lets everything take its course until nothing is waited for: each call meets its fate, agents speak if they
    /// are said to and have a server, and otherwise time goes on.
    pub fn come_to_rest(&mut self, agents_speak: bool, mut fate: impl FnMut() -> Fate) {
        for _ in 0..STEPS_TO_REST {
            if !self.calls.is_empty() {
                self.answer(0, fate());
            } else if agents_speak && self.hear_awaited_agent() {
            } else if let Some((_, timer)) = self.partition.next_timer() {
                self.wait((timer.due - self.partition.now).max(SECOND), false);
            } else {
                return;
            }
        }
        panic!("not at rest after {STEPS_TO_REST} steps: {:?}", self.partition.outstanding());
    }

    /// Lets an agent speak that is waited for and has a server; returns whether there was one.
    pub fn hear_awaited_agent(&mut self) -> bool {
        let waits = |id: &&InstanceId| {
            let operation = self.partition.instances.get(*id).and_then(|instance| instance.operation.as_ref());
            operation.is_some_and(|operation| operation.waiting == Waiting::Agent)
        };
        let Some(id) = self.servers.keys().find(waits).copied() else { return false };
        self.give(id, &Input::Observed(Observation::Heard { engine: EngineState::Absent })).unwrap();
        true
    }

    pub fn assert_nothing_left(&self, id: InstanceId) {
        let under_way = self.calls.iter().any(|call| call.effect.instance == id);
        assert!(!under_way, "a call for {id} is under way");
        assert!(!self.servers.contains_key(&id), "the server of {id} is left");
        assert!(!self.volumes.contains_key(&id), "the volume of {id} is left");
        assert!(!self.addresses.contains(&id), "the address of {id} is left");
    }
}

fn remember<T>(past: &mut VecDeque<T>, item: T) {
    if past.len() == REMEMBERED {
        past.pop_front();
    }
    past.push_back(item);
}

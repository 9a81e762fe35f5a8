//! What the runtime does around `decide`, in memory and on a virtual clock: one tenant's partition.
//!
//! Every input is decided three times, the last time on a state that went through its stored form: all three must
//! agree.

use std::collections::{BTreeMap, BTreeSet};

use coffer_domain::{
    catalogue::Catalogue,
    command::{Command, ENVELOPE_VERSION, Envelope},
    configuration::Group,
    ids::{CommandId, EffectId, InstanceId, TenantId},
    instance::{
        Context, Decision, Event, Input, Instance, InstanceView, decide,
        effect::{Effect, EffectChange, Observation, Outcome, Produced, Timer, TimerChange, TimerId},
        evolve,
        journal::{self, Entry},
        view,
    },
    quota::{Limits, Usage},
    rejection::Rejection,
    time::{Millis, Timestamp},
};
use coffer_protocol::report::EngineState;

use super::{
    invariants,
    samples::{self, START, catalogue, command_id, tenant},
};

#[derive(Clone)]
pub struct Partition {
    pub now: Timestamp,
    pub catalogue: Catalogue,
    pub limits: Limits,
    pub usage: Usage,
    pub instances: BTreeMap<InstanceId, Instance>,
    pub effects: BTreeMap<EffectId, Outstanding>,
    pub timers: BTreeMap<(InstanceId, TimerId), Timer>,
    /// Every effect ever dispatched.
    pub dispatched: BTreeSet<EffectId>,
    /// Of all instances.
    pub journal: Vec<Entry>,
    /// What a command that names a group finds.
    pub group: Option<Group>,
    commands: u32,
}

/// An effect without an outcome, and when it was last dispatched.
#[derive(Clone)]
pub struct Outstanding {
    pub effect: Effect,
    pub since: Timestamp,
}

impl Partition {
    pub fn new() -> Self {
        Self {
            now: START,
            catalogue: catalogue(),
            limits: Limits::default(),
            usage: Usage::default(),
            instances: BTreeMap::new(),
            effects: BTreeMap::new(),
            timers: BTreeMap::new(),
            dispatched: BTreeSet::new(),
            journal: Vec::new(),
            group: Some(samples::group()),
            commands: 0,
        }
    }

    /// Decides an input and takes over all that follows from it, or nothing.
    pub fn give(&mut self, id: InstanceId, input: &Input) -> Result<Decision, Rejection> {
        // A timer fires once, whatever is made of it.
        let fired = match input {
            Input::Timer(timer) => self.timers.remove(&(id, timer.clone())),
            _ => None,
        };
        let decision = self.decide(id, input)?;
        let before = self.instances.get(&id).cloned();
        for event in &decision.events {
            self.apply(id, event);
        }
        for change in &decision.effects {
            self.change_effect(change);
        }
        for change in &decision.timers {
            self.change_timer(id, change, fired.as_ref());
        }
        let written = journal::entries(input, &decision, before.as_ref(), self.instances.get(&id), self.now);
        invariants::check_journal(&written);
        self.journal.extend(written);
        invariants::check(self);
        Ok(decision)
    }

    fn decide(&self, id: InstanceId, input: &Input) -> Result<Decision, Rejection> {
        let context = Context {
            now: self.now,
            catalogue: &self.catalogue,
            usage: self.usage,
            limits: &self.limits,
            group: self.group.as_ref(),
        };
        let state = self.instances.get(&id);
        let decision = decide(state, input, &context);
        assert_eq!(decision, decide(state, input, &context), "the same input decides the same");
        let stored = serde_json::to_vec(&state).unwrap();
        let reloaded: Option<Instance> = serde_json::from_slice(&stored).unwrap();
        assert_eq!(state, reloaded.as_ref(), "a row is read as it was written");
        assert_eq!(decision, decide(reloaded.as_ref(), input, &context), "a reloaded row decides the same");
        decision
    }

    fn apply(&mut self, id: InstanceId, event: &Event) {
        match event {
            Event::QuotaCharged { charge } => self.usage = self.usage.charged(*charge),
            Event::QuotaRefunded { charge } => self.usage = self.usage.refunded(*charge),
            _ => {}
        }
        if let Some(instance) = evolve(self.instances.remove(&id), event) {
            self.instances.insert(id, instance);
        }
    }

    fn change_effect(&mut self, change: &EffectChange) {
        match change {
            EffectChange::Dispatch(effect) => {
                assert!(self.dispatched.insert(effect.id.clone()), "{} is dispatched a second time", effect.id);
                let outstanding = Outstanding { effect: effect.clone(), since: self.now };
                self.effects.insert(effect.id.clone(), outstanding);
            }
            EffectChange::Withdraw(effect) => {
                let known = self.effects.remove(effect);
                assert!(known.is_some(), "{effect} is withdrawn and was not outstanding");
            }
        }
    }

    fn change_timer(&mut self, id: InstanceId, change: &TimerChange, fired: Option<&Timer>) {
        match change {
            TimerChange::Set(timer) => {
                let replaced = self.timers.insert((id, timer.id.clone()), timer.clone());
                assert_eq!(replaced, None, "a timer is set a second time");
            }
            TimerChange::Cancel(timer) => {
                let known = self.timers.remove(&(id, timer.clone())).is_some();
                let has_fired = fired.is_some_and(|fired| fired.id == *timer);
                assert!(known || has_fired, "{timer:?} is cancelled and was not set");
            }
        }
    }

    /// The control plane was away until now: what is outstanding is dispatched again, and no timer fires before its
    /// grace is over.
    pub fn take_over(&mut self) {
        for timer in self.timers.values_mut() {
            timer.due = timer.due.max(self.now + timer.grace);
        }
        for outstanding in self.effects.values_mut() {
            outstanding.since = self.now;
        }
        invariants::check(self);
    }

    /// The timer that is due first.
    pub fn next_timer(&self) -> Option<(InstanceId, Timer)> {
        let soonest = self.timers.iter().min_by_key(|((instance, id), timer)| (timer.due, *instance, id.clone()));
        soonest.map(|((instance, _), timer)| (*instance, timer.clone()))
    }
}

/// Shorthands for tests with one instance, number 1.
impl Partition {
    pub const ID: u8 = 1;

    /// With one instance that is ACTIVE and HEALTHY.
    pub fn with_active_instance() -> Self {
        let mut partition = Self::new();
        partition.order(samples::create()).unwrap();
        partition.succeed("ensure_address");
        partition.succeed("ensure_volume");
        partition.succeed("ensure_server");
        partition.hear(EngineState::Absent);
        partition.hear(EngineState::Running);
        partition.succeed("prepare_database");
        assert_eq!(partition.words(), "ACTIVE HEALTHY");
        partition
    }

    pub fn id(&self) -> InstanceId {
        samples::instance(Self::ID)
    }

    pub fn order(&mut self, command: Command) -> Result<Decision, Rejection> {
        self.order_as(tenant(), self.id(), command)
    }

    /// Gives a command, under an id of its own.
    pub fn order_as(&mut self, tenant: TenantId, id: InstanceId, command: Command) -> Result<Decision, Rejection> {
        let envelope = self.envelope(tenant, id, command);
        self.give(id, &Input::Command(Box::new(envelope)))
    }

    pub fn envelope(&mut self, tenant: TenantId, instance: InstanceId, command: Command) -> Envelope {
        self.commands += 1;
        Envelope {
            version: ENVELOPE_VERSION,
            command_id: self.last_command(),
            tenant,
            principal: "shopkeeper".into(),
            request_id: format!("req-{}", self.commands),
            issued_at: self.now,
            instance,
            command,
            answer: None,
        }
    }

    /// The id of the command given last.
    pub fn last_command(&self) -> CommandId {
        command_id(self.commands)
    }

    /// Step and attempt of everything outstanding, for example `ensure_volume/1`.
    pub fn outstanding(&self) -> Vec<&str> {
        self.effects.keys().map(short).collect()
    }

    /// The one outstanding effect of this step or task.
    pub fn effect(&self, step: &str) -> &Effect {
        let found = self.effects.values().find(|outstanding| short(&outstanding.effect.id).starts_with(step));
        &found.unwrap_or_else(|| panic!("{step} is not among {:?}", self.outstanding())).effect
    }

    pub fn succeed(&mut self, step: &str) -> Decision {
        let outcome: Outcome = Ok(samples::produced(&self.effect(step).action));
        self.end(step, outcome)
    }

    pub fn end(&mut self, step: &str, outcome: Result<Produced, coffer_domain::instance::effect::Failure>) -> Decision {
        let effect = self.effect(step).id.clone();
        self.input(&Input::Outcome { effect, outcome })
    }

    pub fn observe(&mut self, observation: Observation) -> Decision {
        self.input(&Input::Observed(observation))
    }

    pub fn hear(&mut self, engine: EngineState) -> Decision {
        self.observe(Observation::Heard { engine })
    }

    /// Lets time go on until the first timer fires.
    pub fn wait_for_timer(&mut self) -> Decision {
        let (id, timer) = self.next_timer().expect("a timer is set");
        self.now = self.now.max(timer.due);
        self.give(id, &Input::Timer(timer.id)).unwrap()
    }

    pub fn wait(&mut self, span: Millis) {
        self.now = self.now + span;
    }

    pub fn input(&mut self, input: &Input) -> Decision {
        self.give(self.id(), input).unwrap()
    }

    pub fn instance(&self) -> &Instance {
        &self.instances[&self.id()]
    }

    pub fn view(&self) -> InstanceView {
        view(self.instance())
    }

    /// Trove's `status` and `operating_status`, or `none` when the instance does not exist.
    pub fn words(&self) -> String {
        self.instances.get(&self.id()).map_or_else(|| "none".into(), words)
    }
}

/// Trove's words for an instance.
pub fn words(instance: &Instance) -> String {
    let view = view(instance);
    let words = serde_json::to_value((view.status, view.operating_status)).unwrap();
    format!("{} {}", words[0].as_str().unwrap(), words[1].as_str().unwrap()).trim_end().to_owned()
}

/// An effect's id without the command's: `ensure_volume/1`.
pub fn short(effect: &EffectId) -> &str {
    effect.0.split_once('/').map_or("", |(_, step)| step)
}

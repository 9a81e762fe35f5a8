//! From an input and the state to what happens next. Pure: the same input decides the same.

mod accounts;
mod commands;
mod configuration;
mod draft;
mod operations;
mod repair;
mod resize;
mod tasks;

use super::{
    effect::{EffectChange, Observation, Outcome, TimerChange, TimerId},
    event::Event,
    state::{AgentContact, Instance, Waiting},
};
use crate::{
    catalogue::Catalogue,
    command::Envelope,
    configuration::{Group, Values},
    ids::{CommandId, EffectId, GroupId},
    quota::{Limits, Usage},
    rejection::Rejection,
    time::Timestamp,
};
use draft::Draft;

/// Everything that can happen to an instance.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    Command(Box<Envelope>),
    Outcome {
        effect: EffectId,
        outcome: Outcome,
    },
    Timer(TimerId),
    Observed(Observation),
    /// The group that it may be attached to was changed.
    GroupChanged(Box<GroupChanged>),
}

/// A change of a configuration group, in the batch of which its instances hear of it.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupChanged {
    pub command: CommandId,
    pub principal: String,
    pub request_id: String,
    pub group: GroupId,
    pub name: String,
    /// Absent when they stay.
    pub values: Option<Values>,
}

/// What a decision may read besides the instance.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    pub now: Timestamp,
    pub catalogue: &'a Catalogue,
    /// The tenant's quota, with what the batch under way has changed.
    pub usage: Usage,
    pub limits: &'a Limits,
    /// The group that a command names, where there is one.
    pub group: Option<&'a Group>,
}

/// What an input leads to. The caller commits it as one, then does the effects.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Decision {
    pub events: Vec<Event>,
    pub effects: Vec<EffectChange>,
    pub timers: Vec<TimerChange>,
}

impl Decision {
    pub fn is_empty(&self) -> bool {
        self.events.is_empty() && self.effects.is_empty() && self.timers.is_empty()
    }
}

/// Decides one input. Only a command can be rejected; any other input that does not fit the state is silence.
pub fn decide(instance: Option<&Instance>, input: &Input, context: &Context<'_>) -> Result<Decision, Rejection> {
    let mut draft = Draft::new(instance.cloned(), context.now);
    match input {
        Input::Command(envelope) => commands::decide(&mut draft, instance, envelope, context)?,
        Input::Outcome { effect, outcome } => take_outcome(&mut draft, effect, outcome),
        Input::Timer(timer) => take_timer(&mut draft, timer),
        Input::Observed(observation) => take_observation(&mut draft, observation),
        Input::GroupChanged(changed) => configuration::group_changed(&mut draft, changed),
    }
    configuration::settle(&mut draft);
    Ok(draft.into_decision())
}

fn take_outcome(draft: &mut Draft, effect: &EffectId, outcome: &Outcome) {
    let Some(instance) = draft.state() else { return };
    let waits_for_it = instance
        .operation
        .as_ref()
        .is_some_and(|operation| operation.waiting == Waiting::Effect { effect: effect.clone() });
    if waits_for_it {
        draft.settle(effect);
        operations::step_ended(draft, effect, outcome);
        return;
    }
    let task =
        instance.tasks.iter().find(|(_, task)| task.effect.as_ref() == Some(effect)).map(|(command, _)| *command);
    if let Some(command) = task {
        draft.settle(effect);
        tasks::attempt_ended(draft, command, effect, outcome);
    }
}

fn take_timer(draft: &mut Draft, timer: &TimerId) {
    match timer {
        TimerId::Deadline { effect } => take_outcome(draft, effect, &Err(operations::deadline_passed())),
        TimerId::Retry { command } => {
            if draft.state().is_some_and(|instance| instance.tasks.contains_key(command)) {
                tasks::retry(draft, *command);
            } else {
                operations::retry(draft, *command);
            }
        }
        TimerId::Agent { command } => operations::agent_missing(draft, *command),
    }
}

fn take_observation(draft: &mut Draft, observation: &Observation) {
    let Some(instance) = draft.state() else { return };
    let health = instance.health.clone();
    let now = draft.now();
    match observation {
        Observation::Heard { engine } => {
            if (health.contact, health.engine) != (AgentContact::Heard, *engine) {
                draft.push(Event::HealthChanged { contact: AgentContact::Heard, engine: *engine, at: now });
            }
            operations::agent_spoke(draft);
        }
        Observation::Silent => {
            if health.contact != AgentContact::Silent {
                draft.push(Event::HealthChanged { contact: AgentContact::Silent, engine: health.engine, at: now });
            }
        }
        Observation::Gauges { volume_used_bytes } => {
            if health.volume_used_bytes != *volume_used_bytes {
                draft.push(Event::GaugesTaken { volume_used_bytes: *volume_used_bytes, at: now });
            }
        }
        Observation::RestartRequired { required } => configuration::restart_required(draft, *required),
        Observation::Inventory(inventory) => {
            // During a create the engine's contents are those ordered, whatever it holds half-way.
            if instance.operation.as_ref().is_none_or(|operation| operation.kind.is_upkeep()) {
                draft.push_if_changing(Event::InventoryTaken { inventory: inventory.clone() });
            }
        }
    }
}

//! A decision in the making: each event is applied at once, so that what follows decides on what it leads to.

use super::Decision;
use crate::{
    ids::EffectId,
    instance::{
        effect::{Effect, EffectChange, Timer, TimerChange, TimerId},
        event::Event,
        evolve::evolve,
        policy::TIMER_MARGIN,
        state::Instance,
    },
    time::{Millis, Timestamp},
};

pub struct Draft {
    state: Option<Instance>,
    now: Timestamp,
    decision: Decision,
}

impl Draft {
    pub fn new(state: Option<Instance>, now: Timestamp) -> Self {
        Self { state, now, decision: Decision::default() }
    }

    /// The instance as it is after all events so far.
    pub fn state(&self) -> Option<&Instance> {
        self.state.as_ref()
    }

    pub fn now(&self) -> Timestamp {
        self.now
    }

    pub fn push(&mut self, event: Event) {
        self.state = evolve(self.state.take(), &event);
        self.decision.events.push(event);
    }

    /// Pushes the event unless it would leave everything as it is.
    pub fn push_if_changing(&mut self, event: Event) {
        let after = evolve(self.state.clone(), &event);
        if after != self.state {
            self.state = after;
            self.decision.events.push(event);
        }
    }

    /// Dispatches an effect, with the timer that outlives it.
    pub fn dispatch(&mut self, effect: Effect) {
        let id = TimerId::Deadline { effect: effect.id.clone() };
        self.set_timer(id, effect.deadline + TIMER_MARGIN, effect.deadline + TIMER_MARGIN);
        self.decision.effects.push(EffectChange::Dispatch(effect));
    }

    /// The effect has ended, or is not wanted any more: it and its timer go.
    pub fn settle(&mut self, effect: &EffectId) {
        self.decision.effects.push(EffectChange::Withdraw(effect.clone()));
        self.cancel_timer(TimerId::Deadline { effect: effect.clone() });
    }

    pub fn set_timer(&mut self, id: TimerId, after: Millis, grace: Millis) {
        self.decision.timers.push(TimerChange::Set(Timer { id, due: self.now + after, grace }));
    }

    pub fn cancel_timer(&mut self, id: TimerId) {
        self.decision.timers.push(TimerChange::Cancel(id));
    }

    pub fn into_decision(self) -> Decision {
        self.decision
    }
}

//! What goes wrong on purpose: one effect of one workflow, in one way, while nothing else goes wrong.

use std::collections::{BTreeMap, BTreeSet};

use coffer_domain::{
    ids::InstanceId,
    instance::{state::OperationKind, workflow::Step},
};
use coffer_runtime::borders::{Border, Moment};

/// What becomes of an effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Not done the first time, and reported as a failure that may pass.
    FailsOnce,
    /// Never done, and each time reported as a failure that may pass.
    FailsAlways,
    /// Never done, and each time reported as a failure for good.
    FailsForGood,
    /// Done the first time, and nobody hears of it in time.
    TimesOut,
    /// Done, and done again, since whoever should remember has died.
    DoneTwice,
}

pub const WAYS: [Way; 5] = [Way::FailsOnce, Way::FailsAlways, Way::FailsForGood, Way::TimesOut, Way::DoneTwice];

impl Way {
    /// Whether it goes on until the plan is dropped.
    pub fn lasts(self) -> bool {
        matches!(self, Self::FailsAlways | Self::FailsForGood)
    }
}

/// What an effect belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    Operation(OperationKind),
    /// A task of the agent, which is its own only step.
    Task,
}

/// An effect, and what becomes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Planted {
    pub work: Work,
    /// The name of the step or task.
    pub step: &'static str,
    pub way: Way,
}

/// What is planned for a history.
#[derive(Debug, Default)]
pub struct Plan {
    planted: Vec<Planted>,
    /// The call of a create at which the next thing is asked for, without waiting for its end.
    interrupted_at: Option<Step>,
    is_interrupting: bool,
    running: BTreeMap<InstanceId, OperationKind>,
    /// Effects whose outcome is never told.
    muted: BTreeSet<String>,
    /// How often it struck.
    pub struck: u32,
}

impl Plan {
    pub fn new(planted: Vec<Planted>, interrupted_at: Option<Step>) -> Self {
        Self { planted, interrupted_at, ..Self::default() }
    }

    /// Nothing goes wrong from now on.
    pub fn stop(&mut self) {
        self.planted.clear();
    }

    /// Which operation an instance is in, as it was committed.
    pub fn note(&mut self, instance: InstanceId, operation: Option<OperationKind>) {
        match operation {
            Some(kind) => self.running.insert(instance, kind),
            None => self.running.remove(&instance),
        };
    }

    /// What becomes of a call to the cloud. That it is done twice is left to [`Plan::stops_at`].
    pub fn of_call(&mut self, instance: InstanceId, step: Step) -> Option<Way> {
        if self.interrupted_at.take_if(|at| *at == step).is_some() {
            self.is_interrupting = true;
        }
        let is_back = self.running.get(&instance) == Some(&OperationKind::UndoResizeFlavor);
        // The cloud is asked for the old size in the same words.
        let step = if is_back && step == Step::ResizeServer { Step::RestoreServer } else { step };
        self.strike(instance, step.as_str(), |way| way != Way::DoneTwice)
    }

    /// What becomes of what an agent does; `step` is the name of the step or task.
    pub fn of_agent(&mut self, instance: InstanceId, step: &str) -> Option<Way> {
        self.strike(instance, step, |_| true)
    }

    /// Whether the control plane dies here, with an outcome in its hands.
    pub fn stops_at(&mut self, border: &Border) -> bool {
        let position = self.planted.iter().position(|planted| {
            border.moment == Moment::AfterEffect
                && planted.way == Way::DoneTwice
                && planted.step == border.step
                && matches!(planted.work, Work::Operation(kind) if kind.as_str() == border.operation)
        });
        if let Some(position) = position {
            self.planted.remove(position);
            self.struck += 1;
        }
        position.is_some()
    }

    /// Whether the next thing is to be asked for at once.
    pub fn interrupts(&mut self) -> bool {
        std::mem::take(&mut self.is_interrupting)
    }

    pub fn mute(&mut self, effect: &str) {
        self.muted.insert(effect.to_owned());
    }

    pub fn is_muted(&self, effect: &str) -> bool {
        self.muted.contains(effect)
    }

    fn strike(&mut self, instance: InstanceId, step: &str, wanted: impl Fn(Way) -> bool) -> Option<Way> {
        let running = self.running.get(&instance).copied();
        let position = self.planted.iter().position(|planted| {
            let is_running = match planted.work {
                Work::Operation(kind) => running == Some(kind),
                Work::Task => true,
            };
            is_running && planted.step == step && wanted(planted.way)
        })?;
        self.struck += 1;
        let way = self.planted[position].way;
        if !way.lasts() {
            self.planted.remove(position);
        }
        Some(way)
    }
}

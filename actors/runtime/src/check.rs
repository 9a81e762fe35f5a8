//! Whether the rows agree with each other, and with what is outside.
//!
//! A state row is the truth; view rows, quota rows, outbox and timers follow from it. Operators, tests and the simulation
//! ask here, so that the rules are said once.

mod outside;
mod problem;
mod rows;

use std::collections::{BTreeMap, BTreeSet};

use coffer_domain::{
    ids::{EffectId, TenantId},
    instance::{Instance, effect::TimerId, state::Waiting},
    quota::Usage,
};
use coffer_ports::log::Write;

pub use outside::{Parts, Seen, outside};
pub use problem::Problem;
pub use rows::{Partition, check_rows};

/// What is wrong, and what may be written to mend it where that follows from the states alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub problem: Problem,
    pub mend: Option<Write>,
}

/// Effects without an outcome.
pub fn awaited_effects(instance: &Instance) -> impl Iterator<Item = EffectId> {
    let operation = instance.operation.as_ref().and_then(|operation| match &operation.waiting {
        Waiting::Effect { effect } => Some(effect.clone()),
        Waiting::Backoff | Waiting::Agent => None,
    });
    operation.into_iter().chain(instance.tasks.values().filter_map(|task| task.effect.clone()))
}

/// Timers that must be set.
pub fn awaited_timers(instance: &Instance) -> impl Iterator<Item = TimerId> {
    let operation = instance.operation.as_ref().map(|operation| match &operation.waiting {
        Waiting::Effect { effect } => TimerId::Deadline { effect: effect.clone() },
        Waiting::Backoff => TimerId::Retry { command: operation.command },
        Waiting::Agent => TimerId::Agent { command: operation.command },
    });
    let tasks = instance.tasks.iter().map(|(command, task)| match &task.effect {
        Some(effect) => TimerId::Deadline { effect: effect.clone() },
        None => TimerId::Retry { command: *command },
    });
    operation.into_iter().chain(tasks)
}

/// What each tenant's instances take of its quota.
pub fn charged<'a>(instances: impl Iterator<Item = &'a Instance>) -> BTreeMap<TenantId, Usage> {
    let mut sums: BTreeMap<TenantId, Usage> = BTreeMap::new();
    for instance in instances {
        let sum = sums.entry(instance.tenant.clone()).or_default();
        *sum = sum.charged(instance.charge());
    }
    sums
}

/// What one set has and the other has not, in both directions.
fn differences<T: Ord + Clone>(expected: &BTreeSet<T>, found: &BTreeSet<T>) -> (Vec<T>, Vec<T>) {
    (expected.difference(found).cloned().collect(), found.difference(expected).cloned().collect())
}

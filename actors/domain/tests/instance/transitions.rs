//! The transition table, `tests/golden/transitions.txt`: every situation that can be reached, and what each class of
//! input does in it.
//!
//! It is found by walking: from nothing, every input of every situation is tried, and each situation that is new is
//! walked from in its turn. Two states are the same situation when they differ only in what no decision looks at.
//! Several tasks at once and tasks beside a restart are left to the random histories.

mod inputs;
mod render;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use coffer_domain::instance::{
    Instance,
    policy::{self, Policy},
    state::{AgentContact, Operation, OperationKind, Task, Waiting},
    workflow::Step,
};

use crate::support::{
    golden,
    partition::{Partition, short, words},
};

const HEADER: &str = "\
Transitions of an instance
==========================

Each block is a situation, with the words that a reader sees in it. Each entry is an input and the words after it,
then the events, the effects (+ dispatched, - withdrawn) and the timers (+ set, - cancelled). An effect reads
step/attempt; times count from the input.

";

const KINDS: [OperationKind; 9] = [
    OperationKind::Create,
    OperationKind::Restart,
    OperationKind::Stop,
    OperationKind::ResizeVolume,
    OperationKind::UndoResizeVolume,
    OperationKind::ResizeFlavor,
    OperationKind::UndoResizeFlavor,
    OperationKind::Delete,
    OperationKind::CleanUp,
];

/// Orders situations along the life of an instance; the text tells them apart.
type Situation = (u8, Step, u8, String);

#[test]
fn the_transition_table_is_as_written() {
    let situations = walk();
    let mut text = HEADER.to_owned();
    for ((_, _, _, title), partition) in &situations {
        text.push_str(&render::block(title, partition));
    }
    golden::compare("transitions.txt", &text);
}

#[test]
fn the_walk_comes_by_every_step_in_every_way_of_waiting() {
    let titles: Vec<String> = walk().into_keys().map(|(_, _, _, title)| title).collect();
    let has = |title: &str| assert!(titles.iter().any(|found| found == title), "{title} is not among {titles:#?}");
    has("none");
    for kind in KINDS {
        for step in kind.steps() {
            let prefix = format!("{}: {}", kind.as_str(), step.as_str());
            match (kind, step) {
                // A clean-up begins when an effect has ended: there is nothing to settle.
                (OperationKind::CleanUp, Step::Settle) => {}
                (_, Step::Settle) => has(&format!("{prefix}, ensure_server under way")),
                (_, Step::AwaitAgent) => has(&format!("{prefix}, the agent has not spoken")),
                _ => {
                    for phase in ["more attempts left", "last attempt", "waiting to try again"] {
                        has(&format!("{prefix}, {phase}"));
                    }
                }
            }
        }
    }
    has("reset: settle, ensure_server under way");
    has("reset: settle, delete_volume under way");
    for step in ["delete_server", "delete_volume", "release_address"] {
        has(&format!("forced delete: {step}, last attempt"));
    }
    has("broken");
    has("broken, the delete will be forced");
    for phase in ["more attempts left", "last attempt", "waiting to try again"] {
        has(&format!("active, healthy, a task: {phase}"));
    }
}

/// Every situation, with the state that the shortest way leads to. Attempts in the middle are walked through and are
/// no situations of their own.
fn walk() -> BTreeMap<Situation, Partition> {
    let mut found = BTreeMap::new();
    let mut seen = BTreeSet::new();
    let mut queue = VecDeque::from([Partition::new()]);
    while let Some(partition) = queue.pop_front() {
        let instance = partition.instances.get(&partition.id());
        if !is_walked_from(instance) || !seen.insert((situation(instance), attempt(instance))) {
            continue;
        }
        for (_, mut next, input) in inputs::all(&partition) {
            if next.give(next.id(), &input).is_ok() {
                queue.push_back(next);
            }
        }
        let situation = situation(instance);
        found.entry(situation).or_insert(partition);
    }
    found
}

fn attempt(instance: Option<&Instance>) -> u32 {
    let operation = instance.and_then(|instance| instance.operation.as_ref()).map(|operation| operation.attempt);
    let task = instance.and_then(|instance| instance.tasks.values().next()).map(|task| task.attempt);
    operation.or(task).unwrap_or_default()
}

fn is_walked_from(instance: Option<&Instance>) -> bool {
    let Some(instance) = instance else { return true };
    // That the delete will be forced matters once there is one.
    let goes_on_as_before =
        !instance.broken && instance.operation.as_ref().is_none_or(|operation| operation.kind != OperationKind::Delete);
    if instance.delete_is_forced && goes_on_as_before {
        return false;
    }
    let plainly_working = instance.operation.is_none() && words(instance) == "ACTIVE HEALTHY";
    match instance.tasks.len() {
        0 => true,
        1 => plainly_working,
        _ => false,
    }
}

fn situation(instance: Option<&Instance>) -> Situation {
    let Some(instance) = instance else { return (0, Step::Settle, 0, "none".into()) };
    if let Some(operation) = &instance.operation {
        return during(instance, operation);
    }
    if instance.broken {
        let forced = if instance.delete_is_forced { ", the delete will be forced" } else { "" };
        return (11, Step::Settle, u8::from(instance.delete_is_forced), format!("broken{forced}"));
    }
    let health = words(instance);
    if let Some(operating) = health.strip_prefix("SHUTDOWN ") {
        let tasks = if instance.tasks.is_empty() { "" } else { ", with tasks" };
        return (
            2,
            Step::StopEngine,
            u8::from(!tasks.is_empty()),
            format!("stopped, {}{tasks}", operating.to_lowercase()),
        );
    }
    let health = health.strip_prefix("ACTIVE ").expect("an instance at rest is broken or ACTIVE").to_lowercase();
    match instance.tasks.values().next() {
        None if !instance.resize.is_none() => (2, Step::Settle, 9, format!("active, {health}, its size in doubt")),
        None => (2, Step::Settle, u8::from(health != "healthy"), format!("active, {health}")),
        Some(task) => {
            let (rank, phase) = task_phase(task);
            (2, Step::Settle, 2 + rank, format!("active, {health}, a task: {phase}"))
        }
    }
}

fn during(instance: &Instance, operation: &Operation) -> Situation {
    let rank = match operation.kind {
        OperationKind::Create => 1,
        OperationKind::Restart | OperationKind::Stop => 3,
        OperationKind::ResizeVolume => 4,
        OperationKind::UndoResizeVolume => 5,
        OperationKind::ResizeFlavor => 6,
        OperationKind::UndoResizeFlavor => 7,
        OperationKind::Delete => 8,
        OperationKind::CleanUp => 9,
        OperationKind::Reset => 10,
    };
    let forced = operation.kind == OperationKind::Delete && instance.delete_is_forced;
    let (phase_rank, mut phase) = match &operation.waiting {
        Waiting::Effect { effect } if operation.step == Step::Settle => {
            let step = short(effect).split('/').next().unwrap_or_default();
            (0, format!("{step} under way"))
        }
        Waiting::Effect { .. } => {
            let policy = policy::of(operation.step);
            let attempts = if forced { policy::FORCED_ATTEMPTS } else { policy.attempts };
            attempt_phase(operation.attempt, Policy { attempts, ..policy })
        }
        Waiting::Backoff => (2, "waiting to try again".into()),
        Waiting::Agent => (3, "the agent has not spoken".into()),
    };
    let heard = instance.health.contact == AgentContact::Heard;
    if operation.kind == OperationKind::Create && operation.step == Step::EnsureServer && heard {
        phase.push_str(", the agent has spoken");
    }
    let kind = if forced { "forced delete" } else { operation.kind.as_str() };
    let title = format!("{kind}: {}, {phase}", operation.step.as_str());
    (rank + if forced { 4 } else { 0 }, operation.step, phase_rank, title)
}

fn task_phase(task: &Task) -> (u8, String) {
    match task.effect {
        Some(_) => attempt_phase(task.attempt, policy::TASK),
        None => (2, "waiting to try again".into()),
    }
}

fn attempt_phase(attempt: u32, policy: Policy) -> (u8, String) {
    if attempt < policy.attempts { (0, "more attempts left".into()) } else { (1, "last attempt".into()) }
}

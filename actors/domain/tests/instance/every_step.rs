//! Every step of every workflow: failed, failed after it was done, never answered, and interrupted by a delete or by
//! the death of the control plane.

use coffer_domain::{
    command::Command,
    instance::{
        Input,
        state::OperationKind,
        view::{Status, status},
    },
    time::{HOUR, SECOND},
};

use crate::support::{
    outside::{Fate, World},
    partition::Partition,
    samples::{create, instance, tenant},
};

const FAILURES: [Fate; 6] = [
    Fate::Failed { done: false, retryable: true },
    Fate::Failed { done: true, retryable: true },
    Fate::Failed { done: false, retryable: false },
    Fate::Failed { done: true, retryable: false },
    Fate::Lost { done: false },
    Fate::Lost { done: true },
];

/// Calls of a create, and of a teardown.
const CREATE_CALLS: usize = 4;
const TEARDOWN_CALLS: usize = 3;

fn order(world: &mut World, command: Command) {
    let envelope = world.partition.envelope(tenant(), instance(1), command);
    world.give(instance(1), &Input::Command(Box::new(envelope))).unwrap();
}

fn building() -> World {
    let mut world = World::new(Partition::new());
    order(&mut world, create());
    world
}

fn deleting() -> World {
    let mut world = building();
    world.come_to_rest(true, || Fate::Done);
    order(&mut world, Command::Delete);
    world
}

/// Goes on until the call after `calls` calls is under way.
fn go_on(world: &mut World, calls: usize) {
    for _ in 0..calls {
        world.answer(0, Fate::Done);
        world.hear_awaited_agent();
    }
}

/// Lets the first `good` calls succeed, the next `bad` ones meet `fate` and all others succeed.
fn come_to_rest(world: &mut World, good: usize, bad: usize, fate: Fate) {
    let mut calls = 0;
    world.come_to_rest(true, || {
        calls += 1;
        if (good + 1..=good + bad).contains(&calls) { fate } else { Fate::Done }
    });
}

fn delete(world: &mut World) {
    order(world, Command::Delete);
    world.come_to_rest(true, || Fate::Done);
    assert!(world.partition.instances.is_empty());
}

#[test]
fn the_calls_are_as_many_as_the_workflows_say() {
    let waits_for_nobody = 1;
    assert_eq!(OperationKind::Create.steps().len(), CREATE_CALLS + waits_for_nobody);
    assert_eq!(OperationKind::Delete.steps().len(), TEARDOWN_CALLS + waits_for_nobody);
    assert_eq!(OperationKind::CleanUp.steps(), OperationKind::Delete.steps());
}

#[test]
fn a_create_survives_one_failure_for_now_at_any_call() {
    for good in 0..CREATE_CALLS {
        for fate in FAILURES {
            let mut world = building();
            come_to_rest(&mut world, good, 1, fate);
            let for_good = matches!(fate, Fate::Failed { retryable: false, .. });
            let expected = if for_good { Status::Error } else { Status::Active };
            assert_eq!(status(&world.partition.instances[&instance(1)]), expected, "{good} calls, then {fate:?}");
            // A clean-up that ended has been checked to leave nothing; here it is the delete after it.
            delete(&mut world);
        }
    }
}

#[test]
fn a_create_that_fails_again_and_again_is_taken_back() {
    for good in 0..CREATE_CALLS {
        for fate in FAILURES {
            let attempts = if matches!(fate, Fate::Failed { retryable: false, .. }) { 1 } else { 5 };
            let mut world = building();
            come_to_rest(&mut world, good, attempts, fate);
            let found = status(&world.partition.instances[&instance(1)]);
            assert_eq!(found, Status::Error, "{good} calls, then {fate:?}");
            world.assert_nothing_left(instance(1));
        }
    }
}

#[test]
fn a_teardown_survives_failures_for_now_at_any_call() {
    for good in 0..TEARDOWN_CALLS {
        for fate in FAILURES.into_iter().filter(|fate| !matches!(fate, Fate::Failed { retryable: false, .. })) {
            let mut world = deleting();
            come_to_rest(&mut world, good, 7, fate);
            assert!(world.partition.instances.is_empty(), "{good} calls, then {fate:?}");
        }
    }
}

#[test]
fn a_delete_at_any_call_leaves_nothing() {
    for calls in 0..CREATE_CALLS {
        for fate in FAILURES {
            let mut world = building();
            go_on(&mut world, calls);
            order(&mut world, Command::Delete);
            come_to_rest(&mut world, 0, 1, fate);
            match world.partition.instances.get(&instance(1)) {
                None => world.assert_nothing_left(instance(1)),
                // The first call was the teardown's own, and it was refused.
                Some(instance) => {
                    assert_eq!(status(instance), Status::Error, "{calls} calls, then {fate:?}");
                    delete(&mut world);
                }
            }
        }
    }
}

#[test]
fn a_control_plane_that_dies_at_any_call_ends_what_was_asked() {
    for away in [SECOND, 5 * HOUR] {
        for done in [false, true] {
            for calls in 0..CREATE_CALLS {
                let mut world = building();
                go_on(&mut world, calls);
                world.take_over(away, done);
                world.come_to_rest(true, || Fate::Done);
                assert_eq!(status(&world.partition.instances[&instance(1)]), Status::Active);
            }
            for calls in 0..TEARDOWN_CALLS {
                let mut world = deleting();
                go_on(&mut world, calls);
                world.take_over(away, done);
                world.come_to_rest(true, || Fate::Done);
                assert!(world.partition.instances.is_empty());
            }
        }
    }
}

//! Timers across absences: grace for what was under way, no delay for what was only put off.

use coffer_domain::{
    command::Command,
    instance::{
        effect::{Failure, Outcome, TimerId},
        policy,
        state::Waiting,
        view::{Status, status},
        workflow::Step,
    },
    time::{HOUR, Millis, SECOND},
};
use coffer_protocol::report::EngineState;

use crate::support::{
    poll::run,
    samples::{command_id, create, create_database, envelope, instance},
    world::{PARTITION, World},
};

const WEEK: Millis = 7 * 24 * HOUR;

fn hiccup() -> Outcome {
    Err(Failure { retryable: true, code: "busy".into(), message: "not now".into(), retry_after: None })
}

async fn building() -> World {
    let mut world = World::new();
    let order = envelope(command_id(1), instance(1), create(instance(1)), world.now);
    world.ask(&order).await.unwrap();
    world
}

/// The control plane dies and is away for a week.
async fn away_for_a_week(world: &mut World) {
    world.now = world.now + WEEK;
    world.crash().await;
}

#[test]
fn a_control_plane_that_was_away_for_a_week_fails_nothing_that_is_outstanding() {
    run(async {
        for step in [Step::EnsureAddress, Step::EnsureVolume, Step::EnsureServer, Step::PrepareDatabase] {
            let mut world = building().await;
            while world.instance(instance(1)).operation.as_ref().is_some_and(|operation| operation.step != step) {
                match world.awaited_agent() {
                    Some(id) => world.hear(id, EngineState::Absent).await,
                    None => world.succeed().await,
                }
            }
            away_for_a_week(&mut world).await;
            assert_eq!(world.calls.len(), 1, "{step:?} is asked for again");
            world.wait(0).await;
            let grace = policy::of(step).deadline + policy::TIMER_MARGIN;
            assert_eq!(world.partition().next_due(), Some(world.now + grace), "{step:?}");
            world.wait(grace - 1).await;
            assert_eq!(world.instance(instance(1)).operation.unwrap().attempt, 1, "{step:?} was not given up");
            world.succeed().await;
            world.come_to_rest().await;
            assert_eq!(status(&world.instance(instance(1))), Status::Active, "{step:?}");
        }
    });
}

#[test]
fn an_agent_has_its_full_time_to_speak_after_an_absence() {
    run(async {
        let mut world = building().await;
        for _ in 0..3 {
            world.succeed().await;
        }
        assert_eq!(world.awaited_agent(), Some(instance(1)));
        for _ in 0..2 {
            away_for_a_week(&mut world).await;
            world.wait(policy::of(Step::AwaitAgent).deadline - 1).await;
            assert_eq!(world.awaited_agent(), Some(instance(1)), "it is still waited for");
        }
        world.hear(instance(1), EngineState::Absent).await;
        world.come_to_rest().await;
        assert_eq!(status(&world.instance(instance(1))), Status::Active);
    });
}

#[test]
fn an_agent_that_never_speaks_fails_the_create_and_all_is_taken_back() {
    run(async {
        let mut world = building().await;
        for _ in 0..3 {
            world.succeed().await;
        }
        world.wait(policy::of(Step::AwaitAgent).deadline).await;
        world.come_to_rest().await;
        let instance = world.instance(instance(1));
        assert_eq!(status(&instance), Status::Error);
        assert!(instance.fault.unwrap().details.contains("agent_missing"));
        assert!(world.outside.things().is_empty());
    });
}

#[test]
fn an_effect_without_an_outcome_is_tried_again_when_its_deadline_has_passed() {
    run(async {
        let mut world = building().await;
        let lost = world.calls.pop_front().unwrap();
        let deadline = policy::of(Step::EnsureAddress).deadline + policy::TIMER_MARGIN;
        world.wait(deadline - 1).await;
        assert!(world.calls.is_empty() && world.find(instance(1)).unwrap().operation.unwrap().attempt == 1);
        world.wait(1).await;
        assert_eq!(world.instance(instance(1)).operation.unwrap().waiting, Waiting::Backoff);
        world.come_to_rest().await;
        assert_eq!(status(&world.instance(instance(1))), Status::Active);
        // What was lost and found changes nothing any more.
        world.calls.push_back(lost);
        world.succeed().await;
        assert_eq!(status(&world.instance(instance(1))), Status::Active);
    });
}

#[test]
fn a_retry_comes_when_its_wait_is_over_and_not_before() {
    run(async {
        let mut world = building().await;
        world.answer(hiccup()).await;
        let due = world.partition().next_due().unwrap();
        assert!(due > world.now && due <= world.now + 2 * SECOND);
        let before = due - world.now - 1;
        world.wait(before).await;
        assert!(world.calls.is_empty());
        world.wait(1).await;
        assert_eq!(world.calls[0].id.0, format!("{}/ensure_address/2", command_id(1)));
        let timers = world.store().timers(PARTITION).unwrap();
        assert!(timers.iter().all(|owned| matches!(owned.timer.id, TimerId::Deadline { .. })), "the retry is spent");
    });
}

#[test]
fn a_retry_that_fell_due_during_an_absence_comes_at_once() {
    run(async {
        let mut world = building().await;
        world.answer(hiccup()).await;
        away_for_a_week(&mut world).await;
        assert!(world.calls.is_empty());
        world.wait(0).await;
        assert_eq!(world.calls[0].id.0, format!("{}/ensure_address/2", command_id(1)));
    });
}

#[test]
fn a_task_is_tried_again_across_an_absence() {
    run(async {
        let mut world = World::new();
        let id = world.active(1).await;
        let order = envelope(command_id(1), id, create_database("stock"), world.now);
        world.ask(&order).await.unwrap();
        world.answer(hiccup()).await;
        away_for_a_week(&mut world).await;
        world.come_to_rest().await;
        assert_eq!(world.outside.things().done("create_databases"), 1);
        assert!(world.instance(id).databases.contains_key("stock"));
        let delete = envelope(command_id(2), id, Command::Delete, world.now);
        world.ask(&delete).await.unwrap();
        world.come_to_rest().await;
        assert!(world.outside.things().is_empty());
    });
}

/// Actors that were let go know no less than those that stayed.
#[test]
fn an_instance_that_was_passivated_goes_on_where_it_was() {
    run(async {
        let mut world = building().await;
        world.succeed().await;
        world.now = world.now + HOUR;
        let now = world.now;
        world.partition().passivate(now);
        world.come_to_rest().await;
        assert_eq!(status(&world.instance(instance(1))), Status::Active);
        assert_eq!(world.outside.things().made.values().sum::<usize>(), 3);
    });
}

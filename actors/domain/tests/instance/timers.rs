//! Timers outlive what they watch, also across a control plane that was away.
//!
//! The runtime fires no timer sooner than `grace` after a take-over, and dispatches again what is outstanding: so a
//! grace that covers the effect's whole budget is what keeps an absence from raising an alarm.

use coffer_domain::{
    command::Command,
    instance::{effect::TimerId, policy, workflow::Step},
    time::{HOUR, SECOND},
};
use coffer_protocol::report::{EngineState, HEARTBEAT_INTERVAL_S};

use crate::support::{
    partition::Partition,
    samples::{create, create_databases, hiccup},
};

/// Every situation in which something is outstanding.
fn waiting_partitions() -> Vec<(&'static str, Partition)> {
    let mut waiting = Vec::new();
    let mut partition = Partition::new();
    partition.order(create()).unwrap();
    for step in ["ensure_address", "ensure_volume", "ensure_server"] {
        waiting.push((step, partition.clone()));
        partition.succeed(step);
    }
    waiting.push(("await_agent", partition.clone()));
    partition.hear(EngineState::Absent);
    waiting.push(("prepare_database", partition));

    let mut restarting = Partition::with_active_instance();
    restarting.order(Command::Restart).unwrap();
    waiting.push(("restart_engine", restarting));
    let mut working = Partition::with_active_instance();
    working.order(create_databases("stock")).unwrap();
    waiting.push(("create_databases", working));
    let mut deleting = Partition::with_active_instance();
    deleting.order(Command::Delete).unwrap();
    for step in ["delete_server", "delete_volume", "release_address"] {
        waiting.push((step, deleting.clone()));
        deleting.succeed(step);
    }
    waiting
}

#[test]
fn a_timer_and_its_grace_outlive_the_effects_budget() {
    for (step, partition) in waiting_partitions() {
        for outstanding in partition.effects.values() {
            let effect = &outstanding.effect;
            let timer = &partition.timers[&(partition.id(), TimerId::Deadline { effect: effect.id.clone() })];
            assert!(timer.due >= partition.now + effect.deadline + policy::TIMER_MARGIN, "{step}");
            assert!(timer.grace >= effect.deadline + policy::TIMER_MARGIN, "{step}");
        }
    }
}

#[test]
fn an_agent_has_as_long_to_speak_after_an_absence_as_before() {
    let (_, partition) = waiting_partitions().swap_remove(3);
    let (_, timer) = partition.next_timer().unwrap();
    assert!(matches!(timer.id, TimerId::Agent { .. }));
    assert_eq!(timer.grace, policy::of(Step::AwaitAgent).deadline);
    assert_eq!(timer.due, partition.now + timer.grace);
}

#[test]
fn a_control_plane_that_was_away_for_hours_goes_on_where_it_was() {
    for (step, mut partition) in waiting_partitions() {
        let words = partition.words();
        partition.wait(5 * HOUR);
        partition.take_over();
        let (_, timer) = partition.next_timer().unwrap();
        assert!(timer.due > partition.now + 30 * SECOND, "{step}: {timer:?}");
        assert_eq!(partition.words(), words);

        match step {
            "await_agent" => partition.hear(EngineState::Absent),
            step => partition.succeed(step),
        };
        assert_ne!(partition.words(), "ERROR", "{step}");
    }
}

#[test]
fn a_retry_that_fell_due_during_an_absence_comes_at_once() {
    let mut partition = Partition::new();
    partition.order(create()).unwrap();
    partition.end("ensure_address", hiccup());
    partition.wait(HOUR);
    partition.take_over();
    let (_, timer) = partition.next_timer().unwrap();
    assert_eq!((timer.due, timer.grace), (partition.now, 0));
    partition.wait_for_timer();
    assert_eq!(partition.outstanding(), ["ensure_address/2"]);
}

#[test]
fn an_interrupted_call_keeps_its_own_timer() {
    let mut partition = Partition::new();
    partition.order(create()).unwrap();
    let before = partition.next_timer();
    partition.wait(20 * SECOND);
    partition.order(Command::Delete).unwrap();
    assert_eq!(partition.next_timer(), before);
}

#[test]
fn an_agent_is_silent_after_three_heartbeats_missed() {
    assert_eq!(policy::SILENCE, 3 * i64::try_from(HEARTBEAT_INTERVAL_S).unwrap() * SECOND);
}

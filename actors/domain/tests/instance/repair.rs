//! Repairs: a reset of the status at any moment, and a delete that does not give up.

use coffer_domain::{
    command::Command,
    instance::{
        Decision, Event, Input,
        policy::FORCED_ATTEMPTS,
        view::{Status, status},
        workflow::Step,
    },
    quota::Usage,
    rejection::RejectionKind,
    time::SECOND,
};
use coffer_protocol::report::EngineState;

use crate::support::{
    outside::{Fate, World},
    partition::Partition,
    samples::{create, create_databases, hiccup, instance, refusal, rename, reset_status, tenant},
};

fn left_behind(decision: &Decision) -> Vec<(Step, Option<&str>)> {
    let told = |event| match event {
        &Event::LeftBehind { step, ref id, .. } => Some((step, id.as_deref())),
        _ => None,
    };
    decision.events.iter().filter_map(told).collect()
}

fn fault(partition: &Partition) -> String {
    partition.view().fault.unwrap().message
}

#[test]
fn an_instance_is_renamed_at_any_time() {
    let mut partition = Partition::new();
    partition.order(create()).unwrap();
    partition.order(rename()).unwrap();
    assert_eq!(partition.view().name, "sales-db");
    assert!(partition.order(rename()).unwrap().is_empty(), "it has that name");
    let rejection = partition.order(Command::Rename { name: "!".into() }).unwrap_err();
    assert_eq!(rejection.kind, RejectionKind::Invalid);
}

#[test]
fn a_reset_during_a_create_waits_for_the_call_under_way_and_ends_in_error() {
    let mut partition = Partition::new();
    partition.order(create()).unwrap();
    partition.succeed("ensure_address");
    partition.order(reset_status(false)).unwrap();
    assert_eq!(partition.words(), "ERROR");
    assert_eq!(fault(&partition), "The status was reset during the create. The instance cannot be used: delete it.");
    assert_eq!(partition.outstanding(), ["ensure_volume/1"], "it may still make something");

    partition.succeed("ensure_volume");
    assert_eq!(partition.outstanding(), [""; 0], "the create does not go on");
    assert_eq!(partition.words(), "ERROR");
    assert_eq!(partition.order(Command::Restart).unwrap_err().kind, RejectionKind::WrongState);
    assert_eq!(partition.usage.instances, 1, "the volume is still there");

    partition.order(Command::Delete).unwrap();
    for step in ["delete_server", "delete_volume", "release_address"] {
        partition.succeed(step);
    }
    assert_eq!((partition.words(), partition.usage), ("none".into(), Usage::default()));
}

#[test]
fn a_delete_after_a_reset_waits_for_the_call_under_way() {
    let mut partition = Partition::new();
    partition.order(create()).unwrap();
    partition.order(reset_status(false)).unwrap();
    partition.order(Command::Delete).unwrap();
    assert_eq!(partition.words(), "SHUTDOWN");
    assert_eq!(partition.outstanding(), ["ensure_address/1"], "it may still make something");
    partition.succeed("ensure_address");
    assert_eq!(partition.outstanding(), ["delete_server/1"]);
}

#[test]
fn a_reset_during_a_restart_leaves_the_instance_in_use() {
    let mut partition = Partition::with_active_instance();
    partition.order(create_databases("stock")).unwrap();
    partition.order(Command::Restart).unwrap();
    let restart = partition.effect("restart_engine").id.clone();
    partition.order(reset_status(false)).unwrap();
    assert_eq!(partition.words(), "ACTIVE HEALTHY");
    assert_eq!(fault(&partition), "The status was reset during the restart, which may still be carried out.");
    assert_eq!(partition.outstanding(), ["create_databases/1"], "a small job ends by itself");
    let late = Input::Outcome { effect: restart, outcome: hiccup() };
    assert!(partition.give(partition.id(), &late).unwrap().is_empty());

    partition.hear(EngineState::Starting);
    assert_eq!(partition.words(), "ACTIVE RESTARTING");
    partition.order(Command::Restart).unwrap();
    partition.succeed("restart_engine");
    assert_eq!(partition.words(), "ACTIVE HEALTHY");
    assert!(!partition.instance().delete_is_forced);
}

#[test]
fn a_reset_of_what_does_nothing_does_nothing() {
    let mut partition = Partition::with_active_instance();
    assert!(partition.order(reset_status(false)).unwrap().is_empty());
    partition.order(reset_status(true)).unwrap();
    assert_eq!(partition.words(), "ACTIVE HEALTHY");
    assert!(partition.view().fault.is_none());
    assert!(partition.order(reset_status(true)).unwrap().is_empty(), "it was said already");
}

#[test]
fn a_reset_at_any_call_and_whatever_becomes_of_it_leaves_nothing() {
    for calls in 0..4 {
        for fate in [Fate::Done, Fate::Lost { done: true }, Fate::Failed { done: true, retryable: true }] {
            for deletes_at_once in [false, true] {
                let mut world = World::new(Partition::new());
                order(&mut world, create());
                for _ in 0..calls {
                    world.answer(0, Fate::Done);
                    world.hear_awaited_agent();
                }
                order(&mut world, reset_status(false));
                if !deletes_at_once {
                    world.come_to_rest(true, || fate);
                    assert_eq!(status(&world.partition.instances[&instance(1)]), Status::Error);
                }
                order(&mut world, Command::Delete);
                world.come_to_rest(true, || Fate::Done);
                assert!(world.partition.instances.is_empty(), "{calls} calls, then {fate:?}");
                world.assert_nothing_left(instance(1));
            }
        }
    }
}

#[test]
fn a_stuck_delete_is_reset_and_then_forced() {
    let mut partition = Partition::with_active_instance();
    partition.order(Command::Delete).unwrap();
    partition.succeed("delete_server");
    partition.end("delete_volume", refusal());
    partition.order(reset_status(false)).unwrap();
    assert_eq!(partition.words(), "ERROR");
    assert_eq!(fault(&partition), "The status was reset during the delete, which can be asked for again.");

    partition.order(Command::Delete).unwrap();
    partition.succeed("delete_server");
    for attempt in 1..=FORCED_ATTEMPTS {
        assert_eq!(partition.outstanding(), [format!("delete_volume/{attempt}")]);
        let decision = partition.end("delete_volume", refusal());
        match attempt {
            FORCED_ATTEMPTS => assert_eq!(left_behind(&decision), [(Step::DeleteVolume, Some("volume-1"))]),
            _ => drop(partition.wait_for_timer()),
        }
    }
    let decision = partition.succeed("release_address");
    assert_eq!(left_behind(&decision), []);
    assert_eq!((partition.words(), partition.usage), ("none".into(), Usage::default()));
}

#[test]
fn a_forced_delete_does_not_pull_away_what_a_server_runs_on() {
    let mut partition = Partition::with_active_instance();
    partition.order(reset_status(true)).unwrap();
    partition.order(Command::Delete).unwrap();
    for _ in 1..FORCED_ATTEMPTS {
        partition.end("delete_server", hiccup());
        partition.wait_for_timer();
    }
    let decision = partition.end("delete_server", hiccup());
    let expected = [
        (Step::DeleteServer, Some("server-1")),
        (Step::DeleteVolume, Some("volume-1")),
        (Step::ReleaseAddress, Some("127.81.4.7")),
    ];
    assert_eq!(left_behind(&decision), expected);
    assert_eq!((partition.words(), partition.usage), ("none".into(), Usage::default()));
}

#[test]
fn a_forced_delete_ends_whatever_happens() {
    for fate in [
        Fate::Failed { done: false, retryable: true },
        Fate::Failed { done: false, retryable: false },
        Fate::Lost { done: false },
    ] {
        let mut world = World::new(Partition::new());
        order(&mut world, create());
        world.come_to_rest(true, || Fate::Done);
        order(&mut world, reset_status(true));
        order(&mut world, Command::Delete);
        world.come_to_rest(true, || fate);
        assert!(world.partition.instances.is_empty(), "{fate:?}");
        // What is left, somebody was told of.
        world.assert_nothing_left(instance(1));
    }
}

#[test]
fn a_plain_delete_leaves_nothing_behind() {
    let mut world = World::new(Partition::new());
    order(&mut world, create());
    world.come_to_rest(true, || Fate::Done);
    order(&mut world, Command::Delete);
    world.come_to_rest(true, || Fate::Failed { done: false, retryable: false });
    assert_eq!(status(&world.partition.instances[&instance(1)]), Status::Error);
    world.partition.wait(SECOND);
    assert!(world.servers.contains_key(&instance(1)));
}

fn order(world: &mut World, command: Command) {
    let envelope = world.partition.envelope(tenant(), instance(1), command);
    world.give(instance(1), &Input::Command(Box::new(envelope))).unwrap();
}

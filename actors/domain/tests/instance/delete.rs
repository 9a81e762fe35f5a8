//! A delete: allowed at any time, waits for what is under way outside, and leaves nothing.

use coffer_domain::{
    command::Command,
    ids::TenantId,
    instance::{
        Input,
        effect::{Observation, TimerId},
    },
    quota::Usage,
    rejection::RejectionKind,
};
use coffer_protocol::report::EngineState;

use crate::support::{
    partition::Partition,
    samples::{create, create_databases, hiccup, refusal},
};

const TEARDOWN: [&str; 3] = ["delete_server", "delete_volume", "release_address"];

fn tear_down(partition: &mut Partition) {
    for step in TEARDOWN {
        assert_eq!(partition.words(), "SHUTDOWN");
        assert_eq!(partition.outstanding(), [format!("{step}/1")]);
        partition.succeed(step);
    }
    assert_eq!(partition.words(), "none");
    assert_eq!(partition.usage, Usage::default());
}

#[test]
fn an_active_instance_is_taken_down_from_the_top() {
    let mut partition = Partition::with_active_instance();
    partition.order(Command::Delete).unwrap();
    tear_down(&mut partition);
}

#[test]
fn a_delete_during_an_outside_call_waits_for_its_end() {
    let calls = ["ensure_address", "ensure_volume", "ensure_server"];
    for (done, under_way) in calls.iter().enumerate() {
        for outcome_is_failure in [false, true] {
            let mut partition = Partition::new();
            partition.order(create()).unwrap();
            calls[..done].iter().for_each(|step| drop(partition.succeed(step)));

            partition.order(Command::Delete).unwrap();
            assert_eq!(partition.words(), "SHUTDOWN");
            assert_eq!(partition.outstanding(), [format!("{under_way}/1")], "it may still make something");
            match outcome_is_failure {
                true => partition.end(under_way, refusal()),
                false => partition.succeed(under_way),
            };
            tear_down(&mut partition);
        }
    }
}

#[test]
fn a_delete_during_an_outside_call_that_never_ends_waits_for_its_deadline() {
    let mut partition = Partition::new();
    partition.order(create()).unwrap();
    let call = partition.effect("ensure_address").clone();
    let over_at = partition.now + call.deadline;

    partition.order(Command::Delete).unwrap();
    partition.wait_for_timer();
    assert!(partition.now > over_at);
    tear_down(&mut partition);
}

#[test]
fn a_delete_between_two_attempts_starts_at_once() {
    for step in ["ensure_address", "ensure_volume", "ensure_server"] {
        let mut partition = Partition::new();
        partition.order(create()).unwrap();
        while partition.outstanding() != [format!("{step}/1")] {
            let before = partition.outstanding()[0].to_owned();
            partition.succeed(&before);
        }
        partition.end(step, hiccup());
        partition.order(Command::Delete).unwrap();
        tear_down(&mut partition);
    }
}

#[test]
fn a_delete_does_not_wait_for_the_agent() {
    let mut booting = Partition::new();
    booting.order(create()).unwrap();
    for step in ["ensure_address", "ensure_volume", "ensure_server"] {
        booting.succeed(step);
    }

    let mut preparing = booting.clone();
    preparing.hear(EngineState::Absent);
    assert_eq!(preparing.outstanding(), ["prepare_database/1"]);

    let mut restarting = Partition::with_active_instance();
    restarting.order(Command::Restart).unwrap();

    let mut working = Partition::with_active_instance();
    working.order(create_databases("stock")).unwrap();
    working.order(create_databases("staff")).unwrap();
    working.end("create_databases", hiccup());

    for mut partition in [booting, preparing, restarting, working] {
        partition.order(Command::Delete).unwrap();
        tear_down(&mut partition);
    }
}

#[test]
fn a_delete_takes_over_from_a_clean_up() {
    let mut partition = Partition::new();
    partition.order(create()).unwrap();
    partition.end("ensure_address", refusal());
    assert_eq!(partition.outstanding(), ["delete_server/1"]);

    partition.order(Command::Delete).unwrap();
    assert_eq!(partition.outstanding(), ["delete_server/1"], "the clean-up's call");
    partition.succeed("delete_server");
    tear_down(&mut partition);
}

#[test]
fn a_second_delete_is_the_first_one() {
    let mut partition = Partition::with_active_instance();
    partition.order(Command::Delete).unwrap();
    assert!(partition.order(Command::Delete).unwrap().is_empty());
    tear_down(&mut partition);
}

#[test]
fn a_delete_that_fails_can_be_asked_for_again() {
    let mut partition = Partition::with_active_instance();
    partition.order(Command::Delete).unwrap();
    partition.succeed("delete_server");
    for _ in 1..8 {
        partition.end("delete_volume", refusal());
        assert_eq!(partition.words(), "SHUTDOWN", "a teardown does not give up at the first refusal");
        partition.wait_for_timer();
    }
    partition.end("delete_volume", refusal());
    assert_eq!(partition.words(), "ERROR");
    let message = partition.view().fault.unwrap().message;
    assert_eq!(
        message,
        "The delete failed: its volume could not be removed (the host has no room left). Ask for the delete again."
    );
    assert_eq!(partition.usage.instances, 1, "the volume is still there");

    partition.order(Command::Delete).unwrap();
    tear_down(&mut partition);
}

#[test]
fn a_removed_instance_answers_nothing() {
    let mut partition = Partition::with_active_instance();
    let create_command = partition.last_command();
    partition.order(Command::Delete).unwrap();
    let effect = partition.effect("delete_server").id.clone();
    tear_down(&mut partition);

    let id = partition.id();
    for input in [
        Input::Outcome { effect: effect.clone(), outcome: hiccup() },
        Input::Timer(TimerId::Deadline { effect }),
        Input::Timer(TimerId::Retry { command: create_command }),
        Input::Timer(TimerId::Agent { command: create_command }),
        Input::Observed(Observation::Heard { engine: EngineState::Running }),
        Input::Observed(Observation::Silent),
    ] {
        assert!(partition.give(id, &input).unwrap().is_empty(), "{input:?}");
    }
    for command in [Command::Delete, Command::Restart, create_databases("stock")] {
        assert_eq!(partition.order(command).unwrap_err().kind, RejectionKind::NotFound);
    }
}

/// Ids are never given out twice. Should one come again all the same, it names another instance: that a repeated
/// command is not carried out twice is a matter of its command id, which the partition remembers.
#[test]
fn the_id_of_a_removed_instance_is_free() {
    let mut partition = Partition::with_active_instance();
    partition.order(Command::Delete).unwrap();
    tear_down(&mut partition);

    partition.order(create()).unwrap();
    assert_eq!(partition.words(), "BUILD");
    assert_eq!(partition.usage.instances, 1);
}

#[test]
fn another_tenant_learns_nothing() {
    let mut partition = Partition::with_active_instance();
    let id = partition.id();
    let rejection = partition.order_as(TenantId("another".into()), id, Command::Delete).unwrap_err();
    assert_eq!(rejection.kind, RejectionKind::NotFound);
    assert_eq!(rejection.message, format!("Resource {id} cannot be found."));
    assert_eq!(partition.words(), "ACTIVE HEALTHY");
}

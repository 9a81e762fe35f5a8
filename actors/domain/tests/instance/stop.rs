//! An engine that an operator has stopped.

use coffer_domain::{
    command::Command,
    instance::{
        effect::{Action, AgentVerb, Observation},
        view::Status,
    },
    rejection::RejectionKind,
};
use coffer_protocol::report::EngineState;

use crate::support::{
    partition::Partition,
    samples::{create_databases, hiccup, refusal, resize_flavor, resize_volume},
};

fn stopped() -> Partition {
    let mut partition = Partition::with_active_instance();
    partition.order(Command::Stop).unwrap();
    partition.succeed("stop_engine");
    partition
}

#[test]
fn a_stopped_engine_stays_so_until_it_is_restarted() {
    let mut partition = Partition::with_active_instance();
    partition.order(Command::Stop).unwrap();
    let Action::Agent(order) = &partition.effect("stop_engine").action else { panic!("not for the agent") };
    assert_eq!(order.verb, AgentVerb::Stop);
    assert_eq!(partition.words(), "SHUTDOWN");
    assert!(!partition.view().is_being_deleted);

    partition.succeed("stop_engine");
    assert_eq!(partition.words(), "SHUTDOWN SHUTDOWN", "its agent's heartbeat comes after");
    assert!(partition.view().fault.is_none() && !partition.view().is_healthy());
    // An old heartbeat, on its way while the engine was stopped, and the next one.
    partition.hear(EngineState::Running);
    partition.hear(EngineState::Stopped);
    assert_eq!(partition.words(), "SHUTDOWN SHUTDOWN");
    partition.observe(Observation::Silent);
    assert_eq!(partition.words(), "SHUTDOWN ERROR");
    partition.hear(EngineState::Stopped);

    partition.order(Command::Restart).unwrap();
    assert_eq!(partition.words(), "REBOOT");
    partition.succeed("restart_engine");
    assert_eq!(partition.words(), "ACTIVE HEALTHY");
}

#[test]
fn what_needs_the_engine_is_refused_meanwhile_and_the_rest_is_not() {
    let stopped = stopped();
    let refused = stopped.clone().order(create_databases("stock")).unwrap_err();
    assert_eq!(refused.kind, RejectionKind::WrongState);
    for command in [Command::Stop, Command::Delete, resize_volume(6), resize_flavor("2")] {
        stopped.clone().order(command).unwrap();
    }
    let mut resized = stopped;
    resized.order(resize_flavor("2")).unwrap();
    resized.succeed("resize_server");
    resized.succeed("resize_engine");
    assert_eq!(resized.words(), "ACTIVE HEALTHY", "another flavor starts it");
}

#[test]
fn a_stop_that_fails_leaves_the_instance_as_the_agent_tells() {
    let mut partition = Partition::with_active_instance();
    partition.order(Command::Stop).unwrap();
    partition.end("stop_engine/1", hiccup());
    partition.wait_for_timer();
    partition.end("stop_engine/2", refusal());
    assert_eq!(partition.words(), "ACTIVE HEALTHY");
    let message = partition.view().fault.unwrap().message;
    assert!(message.starts_with("The database server could not be stopped"), "{message}");
    partition.hear(EngineState::Stopped);
    assert_eq!(partition.view().status, Status::Shutdown, "it was, after all");
}

#[test]
fn a_stop_waits_for_nothing_else_and_is_not_for_a_silent_agent() {
    let mut stopping = Partition::with_active_instance();
    stopping.order(Command::Stop).unwrap();
    for command in [Command::Restart, Command::Stop] {
        let refused = stopping.order(command).unwrap_err();
        assert!(refused.message.contains("instance status was SHUTDOWN"), "{refused}");
    }
    stopping.order(Command::ResetStatus { force_delete: false }).unwrap();
    assert!(stopping.view().fault.unwrap().message.contains("during the stop"));

    let mut silent = Partition::with_active_instance();
    silent.observe(Observation::Silent);
    assert_eq!(silent.order(Command::Stop).unwrap_err().kind, RejectionKind::WrongState);
}

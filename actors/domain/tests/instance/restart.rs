//! A restart of the engine.

use coffer_domain::{
    command::Command,
    instance::effect::{Action, AgentVerb, Observation},
    rejection::RejectionKind,
};
use coffer_protocol::report::EngineState;

use crate::support::{
    partition::Partition,
    samples::{create, create_databases, hiccup, refusal},
};

#[test]
fn a_restart_is_the_agents_work() {
    let mut partition = Partition::with_active_instance();
    partition.order(Command::Restart).unwrap();
    assert_eq!(partition.words(), "REBOOT");
    let Action::Agent(order) = &partition.effect("restart_engine").action else { panic!("not for the agent") };
    assert_eq!(order.verb, AgentVerb::Restart);

    partition.hear(EngineState::Starting);
    partition.hear(EngineState::Running);
    assert_eq!(partition.words(), "REBOOT", "until the agent says that it is done");
    partition.succeed("restart_engine");
    assert_eq!(partition.words(), "ACTIVE HEALTHY");
}

#[test]
fn a_restart_is_tried_twice_and_then_leaves_the_instance_as_it_is() {
    let mut partition = Partition::with_active_instance();
    partition.order(Command::Restart).unwrap();
    partition.end("restart_engine/1", hiccup());
    partition.wait_for_timer();
    partition.hear(EngineState::Crashed);
    partition.end("restart_engine/2", hiccup());

    assert_eq!(partition.words(), "ACTIVE SHUTDOWN", "the engine's health tells the rest");
    assert_eq!(
        partition.view().fault.unwrap().message,
        "The restart failed: the database server could not be started again (the host does not answer). Ask for it \
         again; if that does not help, tell the operator of this service."
    );
    partition.order(Command::Restart).unwrap();
    assert_eq!(partition.words(), "REBOOT");
}

#[test]
fn one_thing_at_a_time() {
    let mut building = Partition::new();
    building.order(create()).unwrap();
    let mut restarting = Partition::with_active_instance();
    restarting.order(Command::Restart).unwrap();
    let mut deleting = Partition::with_active_instance();
    deleting.order(Command::Delete).unwrap();
    let mut broken = Partition::new();
    broken.order(create()).unwrap();
    broken.end("ensure_address", refusal());

    for (mut partition, word) in [
        (building, "task status was BUILDING"),
        (restarting, "task status was REBOOTING"),
        (deleting, "task status was DELETING"),
        (broken, "instance status was ERROR"),
    ] {
        let id = partition.id();
        for command in [Command::Restart, create_databases("stock")] {
            let rejection = partition.order(command).unwrap_err();
            assert_eq!(rejection.kind, RejectionKind::WrongState);
            let message = format!("Instance {id} is not currently available for an action to be performed ({word}).");
            assert_eq!(rejection.message, message);
        }
    }
}

#[test]
fn a_stopped_engine_can_be_restarted_and_a_silent_agent_cannot() {
    let mut partition = Partition::with_active_instance();
    partition.hear(EngineState::Crashed);
    partition.clone().order(Command::Restart).unwrap();

    partition.observe(Observation::Silent);
    assert_eq!(partition.order(Command::Restart).unwrap_err().kind, RejectionKind::WrongState);
}

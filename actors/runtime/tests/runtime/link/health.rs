//! Heartbeats are folded: only a changed fact is passed on. Silence is one, too.

use coffer_domain::{
    ids::InstanceId,
    instance::{
        Input,
        effect::Observation,
        policy::{GAUGES_INTERVAL, SILENCE},
    },
    time::{MINUTE, SECOND},
};
use coffer_protocol::report::{EngineState, Heartbeat, Inventory, Metrics, Report};
use coffer_runtime::partition::Item;
use uuid::Uuid;

use super::{Line, new_instance};
use crate::support::{
    agent::{heartbeat, heartbeat_with_volume},
    samples::instance,
};

const MIB: u64 = 1 << 20;

fn observed(items: Vec<Item>) -> Vec<Observation> {
    items
        .into_iter()
        .map(|item| match item.input {
            Input::Observed(observation) => observation,
            other => panic!("{other:?}"),
        })
        .collect()
}

#[test]
fn only_a_change_of_the_engine_is_passed_on() {
    let mut line = Line::established();
    for _ in 0..10 {
        line.tick(SECOND);
        assert!(line.say(heartbeat(EngineState::Running)).is_empty());
    }
    let heard = |engine| vec![Observation::Heard { engine }];
    assert_eq!(observed(line.say(heartbeat(EngineState::Crashed))), heard(EngineState::Crashed));
    assert_eq!(observed(line.say(heartbeat(EngineState::Running))), heard(EngineState::Running));
}

#[test]
fn that_a_restart_is_needed_is_told_once_and_so_is_its_end() {
    let mut line = Line::established();
    let beat = |restart_required| {
        let (engine, metrics) = (EngineState::Running, Metrics::default());
        Report::Heartbeat(Heartbeat { at_ms: 0, engine, metrics, inventory: None, restart_required })
    };
    for required in [true, false] {
        assert_eq!(observed(line.say(beat(required))), [Observation::RestartRequired { required }]);
        assert!(line.say(beat(required)).is_empty());
    }
}

#[test]
fn silence_is_told_once_and_so_is_its_end() {
    let mut line = Line::established();
    assert!(line.tick(SILENCE - 1).is_empty());
    assert_eq!(observed(line.tick(1)), [Observation::Silent]);
    for _ in 0..200 {
        assert!(line.tick(SECOND).is_empty());
    }
    // The session ended with the silence: the agent is challenged until it answers.
    line.deliver();
    let engine = EngineState::Running;
    assert_eq!(observed(line.say(heartbeat(engine))), [Observation::Heard { engine }]);
    assert!(line.tick(SILENCE - 1).is_empty());
    assert_eq!(observed(line.tick(1)), [Observation::Silent], "silent again");
}

#[test]
fn silence_counts_from_the_take_over_for_an_agent_that_was_not_heard_since() {
    let mut line = Line::new();
    assert!(line.tick(SILENCE - 1).is_empty());
    assert_eq!(observed(line.tick(1)), [Observation::Silent]);
}

#[test]
fn a_refused_message_does_not_end_the_silence() {
    let mut line = Line::established();
    line.agent.session = Some("another one".into());
    line.now = line.now + (SILENCE - SECOND);
    line.say(heartbeat(EngineState::Running));
    assert_eq!(observed(line.tick(SECOND)), [Observation::Silent]);
}

#[test]
fn gauges_are_passed_on_once_per_interval() {
    let mut line = Line::established();
    let mut gauges = Vec::new();
    // Ten minutes of heartbeats, every one with a fuller volume.
    for beat in 0..60 {
        line.tick(10 * SECOND);
        for observation in observed(line.say(heartbeat_with_volume(beat * MIB))) {
            let Observation::Gauges { volume_used_bytes } = observation else { panic!("{observation:?}") };
            gauges.push(volume_used_bytes.unwrap() / MIB);
        }
    }
    assert_eq!(GAUGES_INTERVAL, MINUTE);
    assert_eq!(gauges, [0, 6, 12, 18, 24, 30, 36, 42, 48, 54]);
}

#[test]
fn gauges_come_with_a_change_of_health_and_small_changes_not_at_all() {
    let mut line = Line::established();
    let told = observed(line.say(heartbeat_with_volume(5 * MIB)));
    assert_eq!(told, [Observation::Gauges { volume_used_bytes: Some(5 * MIB) }]);
    line.tick(5 * SECOND);
    line.say(heartbeat(EngineState::Crashed));
    let told = observed(line.say(heartbeat_with_volume(7 * MIB)));
    let heard = Observation::Heard { engine: EngineState::Running };
    assert_eq!(told, [heard, Observation::Gauges { volume_used_bytes: Some(7 * MIB) }]);
    line.now = line.now + 2 * MINUTE;
    let told = observed(line.say(heartbeat_with_volume(7 * MIB + 4_000)));
    assert!(told.is_empty(), "less than a step: {told:?}");
}

#[test]
fn an_inventory_is_passed_on_as_it_came() {
    let mut line = Line::established();
    let inventory = Inventory { databases: vec!["shop".into()], users: Vec::new() };
    let report = Report::Heartbeat(Heartbeat {
        at_ms: 0,
        engine: EngineState::Running,
        metrics: Metrics::default(),
        inventory: Some(inventory.clone()),
        restart_required: false,
    });
    assert_eq!(observed(line.say(report)), [Observation::Inventory(inventory)]);
}

#[test]
fn a_thousand_agents_fall_silent_in_parts_with_room_for_others_in_between() {
    let mut line = Line::new();
    let neighbours = (1..1000).map(|number| InstanceId(Uuid::from_u128(number)));
    for neighbour in neighbours.clone() {
        line.links.add(&new_instance(neighbour), line.now);
    }
    line.now = line.now + SILENCE;
    let mut silent = Vec::new();
    loop {
        let items = line.tick(0);
        assert!(items.len() <= 200, "{}", items.len());
        silent.extend(items.iter().map(|item| item.instance));
        let rest = line.links.next_tick(line.now) - line.now;
        if rest >= SECOND {
            break;
        }
        assert!(!items.is_empty() && rest > 0);
    }
    assert_eq!(silent, neighbours.chain([instance(1)]).collect::<Vec<_>>());
}

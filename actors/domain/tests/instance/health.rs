//! What the agent tells, and the words that a reader finds for it.

use coffer_domain::{
    instance::{Event, effect::Observation},
    time::MINUTE,
};
use coffer_protocol::report::{EngineState, Inventory};

use crate::support::{
    partition::Partition,
    samples::{SHOP, create},
};

#[test]
fn the_engines_state_becomes_a_word() {
    for (engine, words) in [
        (EngineState::Running, "ACTIVE HEALTHY"),
        (EngineState::Starting, "ACTIVE RESTARTING"),
        (EngineState::Stopped, "SHUTDOWN SHUTDOWN"),
        (EngineState::Crashed, "ACTIVE SHUTDOWN"),
        (EngineState::Absent, "ACTIVE SHUTDOWN"),
        (EngineState::Unresponsive, "ACTIVE BLOCKED"),
    ] {
        let mut partition = Partition::with_active_instance();
        partition.hear(engine);
        assert_eq!(partition.words(), words, "{engine:?}");
    }
}

#[test]
fn silence_is_shown_and_ends_with_the_next_word() {
    let mut partition = Partition::with_active_instance();
    partition.wait(MINUTE);
    partition.observe(Observation::Silent);
    assert_eq!(partition.words(), "ACTIVE ERROR");
    assert_eq!(partition.view().service_status_updated_at, partition.now);

    partition.wait(MINUTE);
    partition.hear(EngineState::Running);
    assert_eq!(partition.words(), "ACTIVE HEALTHY");
    assert_eq!(partition.view().service_status_updated_at, partition.now);
}

#[test]
fn silence_alone_never_ends_or_breaks_an_instance() {
    let mut partition = Partition::with_active_instance();
    let decision = partition.observe(Observation::Silent);
    assert!(matches!(decision.events[..], [Event::HealthChanged { .. }]));
    assert!(decision.effects.is_empty() && decision.timers.is_empty());
    assert!(partition.view().fault.is_none());
}

#[test]
fn only_what_changes_is_an_event() {
    let mut partition = Partition::with_active_instance();
    let inventory = Inventory {
        databases: vec![SHOP.into()],
        users: vec![coffer_protocol::report::UserEntry {
            name: "clerk".into(),
            host: "%".into(),
            databases: vec![SHOP.into()],
        }],
    };
    for observation in [
        Observation::Heard { engine: EngineState::Crashed },
        Observation::Silent,
        Observation::Gauges { volume_used_bytes: Some(4096) },
    ] {
        assert!(!partition.observe(observation.clone()).is_empty(), "{observation:?}");
        assert!(partition.observe(observation.clone()).is_empty(), "{observation:?} again");
    }
    assert!(partition.observe(Observation::Inventory(inventory)).is_empty(), "it holds what was ordered");
}

#[test]
fn gauges_reach_the_row() {
    let mut partition = Partition::with_active_instance();
    partition.observe(Observation::Gauges { volume_used_bytes: Some(167_772_160) });
    assert_eq!(partition.view().volume_used_bytes, Some(167_772_160));
}

#[test]
fn health_does_not_count_as_an_update() {
    let mut partition = Partition::with_active_instance();
    let updated_at = partition.view().updated_at;
    partition.wait(MINUTE);
    partition.observe(Observation::Silent);
    partition.observe(Observation::Gauges { volume_used_bytes: Some(1) });
    assert_eq!(partition.view().updated_at, updated_at);
}

#[test]
fn an_engine_half_way_through_a_create_does_not_change_what_was_ordered() {
    let mut partition = Partition::new();
    partition.order(create()).unwrap();
    assert!(partition.observe(Observation::Inventory(Inventory::default())).is_empty());
    assert_eq!(partition.view().databases, [SHOP]);
}

//! What is refused, each counted under its reason, and that it changes nothing.

use coffer_domain::instance::{Input, effect::Observation};
use coffer_ports::transport::Outgoing;
use coffer_protocol::{
    report::EngineState,
    seal::{Direction, Envelope, Key},
};

use super::{EPOCH, Line, agent_of, new_instance};
use crate::support::{
    agent::{Agent, heartbeat},
    samples::{START, instance, tenant},
};

/// Makes something out of a well-formed heartbeat.
type Spoil = fn(&mut Agent) -> Outgoing;

fn spoilt_envelope(agent: &mut Agent, spoil: impl Fn(&mut Envelope)) -> Outgoing {
    let record = agent.say(heartbeat(EngineState::Crashed));
    let mut envelope: Envelope = serde_json::from_slice(&record.value).unwrap();
    spoil(&mut envelope);
    agent.record(&envelope)
}

const SPOILT: [(&str, &str, Spoil); 15] = [
    ("no envelope", "malformed", |agent| {
        let record = agent.say(heartbeat(EngineState::Crashed));
        Outgoing { value: b"{\"version\":1".to_vec(), ..record }
    }),
    ("nothing at all", "malformed", |agent| {
        let record = agent.say(heartbeat(EngineState::Crashed));
        Outgoing { value: Vec::new(), ..record }
    }),
    ("sealed, and no report", "malformed", |agent| {
        agent.sequence += 1;
        agent.seal(agent.header(), b"{\"type\":\"heartbeat\"}")
    }),
    ("another protocol version", "version", |agent| {
        agent.sequence += 1;
        let mut header = agent.header();
        header.version += 1;
        agent.seal(header, b"{}")
    }),
    ("the key of no instance", "unknown_key", |agent| {
        spoilt_envelope(agent, |envelope| envelope.header.key_id = format!("{}.1", instance(99)))
    }),
    ("a key id that is none", "unknown_key", |agent| {
        spoilt_envelope(agent, |envelope| envelope.header.key_id = "nonsense".into())
    }),
    ("another incarnation of the server", "unknown_key", |agent| {
        spoilt_envelope(agent, |envelope| envelope.header.key_id = format!("{}.2", instance(1)))
    }),
    ("under another tenant", "unknown_key", |agent| {
        let record = agent.say(heartbeat(EngineState::Crashed));
        Outgoing { key: Some(tenant(2).to_string()), ..record }
    }),
    ("under no tenant", "unknown_key", |agent| {
        let record = agent.say(heartbeat(EngineState::Crashed));
        Outgoing { key: None, ..record }
    }),
    ("another cell", "cell", |agent| {
        agent.sequence += 1;
        let mut header = agent.header();
        header.cell = "p6".into();
        agent.seal(header, b"{}")
    }),
    ("a bit flipped in the content", "forged", |agent| spoilt_envelope(agent, |envelope| envelope.ciphertext[3] ^= 1)),
    ("a bit flipped in the seal", "forged", |agent| {
        spoilt_envelope(agent, |envelope| *envelope.ciphertext.last_mut().unwrap() ^= 0x80)
    }),
    ("a header that was changed", "forged", |agent| {
        spoilt_envelope(agent, |envelope| envelope.header.sequence += 1_000)
    }),
    ("our own words", "forged", |agent| {
        agent.sequence += 1;
        let mut header = agent.header();
        header.direction = Direction::ToAgent;
        agent.seal(header, b"{}")
    }),
    ("another key", "forged", |agent| {
        let own = std::mem::replace(&mut agent.key, Key::from_bytes([9; 32]));
        let record = agent.say(heartbeat(EngineState::Crashed));
        agent.key = own;
        record
    }),
];

#[test]
fn whatever_is_not_as_it_must_be_is_refused_and_counted() {
    for (what, reason, spoil) in SPOILT {
        let mut line = Line::established();
        let record = spoil(&mut line.agent);
        assert!(line.receive(record).is_empty(), "{what}");
        assert_eq!((line.refused(reason), line.refused_in_all()), (1, 1), "{what}");
        assert_eq!(line.metrics.agent_messages.get(), 1, "{what}");
        let items = line.say(heartbeat(EngineState::Running));
        assert!(items.is_empty(), "{what} has changed {items:?}");
        assert_eq!(line.refused_in_all(), 1, "{what}: the agent is still heard");
    }
}

#[test]
fn a_report_counts_once() {
    let mut line = Line::established();
    let record = line.agent.say(heartbeat(EngineState::Crashed));
    let later = line.agent.say(heartbeat(EngineState::Running));
    assert_eq!(line.receive(record.clone()).len(), 1);
    assert!(line.receive(record.clone()).is_empty(), "the same again");
    assert_eq!(line.receive(later).len(), 1);
    assert!(line.receive(record).is_empty(), "an old one");
    assert_eq!(line.refused("replayed"), 2);
}

#[test]
fn a_neighbours_key_does_not_speak_for_an_instance() {
    let mut line = Line::established();
    let neighbour = new_instance(instance(2));
    line.links.add(&neighbour, line.now);
    let mut stolen = agent_of(&neighbour);
    stolen.key_id = line.agent.key_id.clone();
    stolen.session = line.agent.session.clone();
    stolen.sequence = line.agent.sequence;
    assert!(line.receive(stolen.say(heartbeat(EngineState::Crashed))).is_empty());
    assert_eq!(line.refused("forged"), 1);
}

#[test]
fn a_removed_instance_is_heard_no_more() {
    let mut line = Line::established();
    line.links.remove(instance(1));
    assert!(line.say(heartbeat(EngineState::Crashed)).is_empty());
    assert_eq!(line.refused("unknown_key"), 1);
    assert!(line.tick(60_000).is_empty());
    assert!(line.sent().is_empty());
}

#[test]
fn an_agent_whose_key_cannot_be_opened_is_refused() {
    let mut broken = new_instance(instance(1));
    let agent = agent_of(&broken);
    broken.server_key.wrapped.bytes[30] ^= 1;
    let mut line = Line::take_over(broken, agent, EPOCH, START);
    assert!(line.say(heartbeat(EngineState::Running)).is_empty());
    assert_eq!(line.refused("unknown_key"), 1);
    let items = line.tick(60_000);
    assert!(!items.iter().any(|item| matches!(item.input, Input::Observed(Observation::Heard { .. }))));
}

//! Sessions: opened by a challenge, closed by the next one; nothing of before counts.

use coffer_domain::{
    instance::{Input, effect::AgentVerb, effect::Observation},
    time::{MINUTE, SECOND},
};
use coffer_protocol::{
    command::ToAgent,
    report::{EngineState, Report},
    seal::{Direction, Envelope},
    topics,
};

use super::{EPOCH, Line, PARTITION, challenges, commands, order};
use crate::support::{
    agent::{enrol, heartbeat},
    samples::instance,
};

#[test]
fn an_agent_that_enrols_is_challenged_and_then_heard() {
    let mut line = Line::new();
    assert!(line.say(enrol()).is_empty());
    let messages = line.deliver();
    assert!(matches!(&messages[..], [ToAgent::Challenge { .. }]), "{messages:?}");
    let items = line.say(heartbeat(EngineState::Absent));
    let [item] = &items[..] else { panic!("{items:?}") };
    assert_eq!(item.instance, instance(1));
    assert_eq!(item.input, Input::Observed(Observation::Heard { engine: EngineState::Absent }));
    assert_eq!((line.metrics.agent_messages.get(), line.refused_in_all()), (2, 0));
}

#[test]
fn an_agent_that_does_not_know_of_the_new_owner_is_challenged_until_it_answers() {
    let mut line = Line::new();
    let mut sent_at = Vec::new();
    for second in 0..120 {
        line.tick(if second == 0 { 0 } else { SECOND });
        if challenges(&line.deliver()) > 0 {
            sent_at.push(second);
        }
    }
    assert_eq!(sent_at, [0, 2, 6, 14, 30, 60, 90], "each wait is twice the one before, up to 30 s");
    line.say(heartbeat(EngineState::Running));
    for _ in 0..29 {
        line.tick(SECOND);
        line.say(heartbeat(EngineState::Running));
    }
    assert!(line.sent().is_empty(), "once it has answered it is left alone");
}

#[test]
fn a_word_of_no_session_is_refused() {
    let mut line = Line::new();
    assert!(line.say(heartbeat(EngineState::Running)).is_empty());
    assert_eq!(line.refused("session"), 1);

    line.tick(0);
    assert!(line.say(heartbeat(EngineState::Running)).is_empty(), "the challenge was not heard yet");
    line.agent.session = Some("a guess".into());
    assert!(line.say(heartbeat(EngineState::Running)).is_empty());
    assert_eq!(line.refused("session"), 3);
    line.deliver();
    assert_eq!(line.say(heartbeat(EngineState::Running)).len(), 1);
}

#[test]
fn a_new_challenge_ends_the_session_of_before() {
    let mut line = Line::established();
    let old = line.agent.session.clone();
    line.tick(SECOND);
    line.say(enrol());
    line.deliver();
    assert_ne!(line.agent.session, old);
    let new = std::mem::replace(&mut line.agent.session, old);
    assert!(line.say(heartbeat(EngineState::Crashed)).is_empty());
    assert_eq!(line.refused("session"), 1);
    line.agent.session = new;
    assert_eq!(line.say(heartbeat(EngineState::Crashed)).len(), 1);
}

#[test]
fn enrolments_in_quick_succession_are_answered_once() {
    let mut line = Line::new();
    for _ in 0..5 {
        line.say(enrol());
    }
    assert_eq!(challenges(&line.deliver()), 1);
    line.now = line.now + SECOND;
    line.say(enrol());
    assert_eq!(challenges(&line.deliver()), 1, "whoever still asks later is answered");
}

#[test]
fn a_recorded_enrolment_does_not_end_the_session() {
    let mut line = Line::new();
    let recorded = line.agent.say(enrol());
    line.receive(recorded.clone());
    line.deliver();
    line.say(heartbeat(EngineState::Running));
    line.now = line.now + MINUTE;
    line.receive(recorded);
    assert_eq!(line.refused("replayed"), 1);
    assert!(line.sent().is_empty());
    assert_eq!(line.say(heartbeat(EngineState::Crashed)).len(), 1, "the session goes on");
}

/// Somebody has recorded all that an agent said to one owner, and plays it to the next one.
#[test]
fn a_replay_after_a_take_over_changes_nothing() {
    let mut line = Line::new();
    let mut recorded = vec![line.agent.say(enrol())];
    line.receive(recorded[0].clone());
    line.deliver();
    assert!(line.dispatch(order(1, AgentVerb::Restart)).is_none());
    for report in [
        heartbeat(EngineState::Running),
        Report::Outcome { command_id: order(1, AgentVerb::Restart).id.0, result: Ok(()), restart_required: false },
        heartbeat(EngineState::Crashed),
    ] {
        let record = line.agent.say(report);
        recorded.push(record.clone());
        assert_eq!(line.receive(record).len(), 1);
        line.deliver();
    }

    let now = line.now + MINUTE;
    let mut next = Line::take_over(line.instance, line.agent, EPOCH + 1, now);
    next.dispatch(order(2, AgentVerb::Restart));
    for _ in 0..2 {
        for record in &recorded {
            assert!(next.receive(record.clone()).is_empty());
            next.now = next.now + SECOND;
        }
    }
    let messages = next.deliver();
    assert_eq!(commands(&messages), Vec::<&str>::new(), "no order goes to a voice of the past");
    assert_eq!(next.refused_in_all(), 7, "all but the enrolment, which only asks for a challenge, once");

    assert_eq!(next.say(heartbeat(EngineState::Running)).len(), 1, "the agent itself answers the challenge");
    assert_eq!(commands(&next.deliver()).len(), 1);
}

#[test]
fn a_broker_that_was_lost_has_everybody_challenged_and_told_again() {
    let mut line = Line::established();
    line.dispatch(order(1, AgentVerb::Restart));
    assert_eq!(commands(&line.deliver()).len(), 1);
    let old = line.agent.session.clone();

    line.links.reconnected(line.now);
    assert!(line.say(heartbeat(EngineState::Running)).is_empty());
    assert_eq!(line.refused("session"), 1, "the old session is over");
    line.tick(0);
    let messages = line.deliver();
    assert_eq!((challenges(&messages), commands(&messages).len()), (1, 0));
    assert_ne!(line.agent.session, old);
    line.say(heartbeat(EngineState::Running));
    assert_eq!(commands(&line.deliver()).len(), 1, "the order is sent again at the agent's first word");
}

#[test]
fn epoch_and_growing_sequence_travel_with_every_message() {
    let mut line = Line::new();
    let mut last = 0;
    for _ in 0..5 {
        line.links.reconnected(line.now);
        line.tick(SECOND);
        for record in line.sent() {
            assert_eq!(record.topic, topics::agents(&format!("p{PARTITION}")));
            let envelope: Envelope = serde_json::from_slice(&record.value).unwrap();
            assert_eq!((envelope.header.epoch, envelope.header.direction), (EPOCH, Direction::ToAgent));
            assert!(envelope.header.sequence > last, "{} after {last}", envelope.header.sequence);
            last = envelope.header.sequence;
        }
    }
    assert!(last >= 5);
}

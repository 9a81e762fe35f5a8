//! Questions to an agent: asked once, within a session, and answered by whoever knows them.

use coffer_domain::time::{MINUTE, SECOND};
use coffer_protocol::{
    command::{AgentCommand, ToAgent},
    question::{Answer, Hardware, Question},
    report::{EngineState, Failure, Report},
};
use coffer_runtime::link::{Answered, Unanswered};
use tokio::sync::oneshot::{self, Receiver};

use super::Line;
use crate::support::{
    agent::heartbeat,
    samples::{instance, tenant},
};

const HARDWARE: Answer = Answer::Hardware(Hardware { memory_kib: 1 << 20, cpus: 4 });

fn ask_of(line: &mut Line, number: u8, question: Question) -> Receiver<Answered> {
    let (answer, answered) = oneshot::channel();
    line.links.ask((&tenant(number), instance(1)), question, answer, line.now);
    answered
}

fn ask(line: &mut Line, question: Question) -> Receiver<Answered> {
    ask_of(line, 1, question)
}

/// The id under which the agent was asked this.
fn asked(line: &mut Line, expected: Question) -> String {
    let messages = line.deliver();
    let [ToAgent::Command { command_id, command: AgentCommand::Tell { question }, .. }] = &messages[..] else {
        panic!("{messages:?}")
    };
    assert_eq!(*question, expected);
    command_id.clone()
}

#[test]
fn an_answer_reaches_whoever_asked_and_changes_nothing() {
    let mut line = Line::established();
    line.deliver();
    let mut first = ask(&mut line, Question::Ping);
    let first_id = asked(&mut line, Question::Ping);
    let mut second = ask(&mut line, Question::Hardware);
    let second_id = asked(&mut line, Question::Hardware);
    assert_ne!(first_id, second_id);
    assert!(line.say(Report::Answer { command_id: second_id, answer: HARDWARE }).is_empty());
    assert_eq!((second.try_recv().unwrap(), first.try_recv().is_err()), (Ok(HARDWARE), true));
    assert!(line.say(Report::Answer { command_id: first_id.clone(), answer: Answer::Here }).is_empty());
    assert_eq!(first.try_recv().unwrap(), Ok(Answer::Here));
    assert!(line.say(Report::Answer { command_id: first_id, answer: Answer::Here }).is_empty(), "said twice");

    line.tick(MINUTE);
    assert!(line.deliver().iter().all(|message| !matches!(message, ToAgent::Command { .. })), "asked once");
}

#[test]
fn an_old_agent_is_told_apart_from_a_silent_one() {
    let mut line = Line::established();
    line.deliver();
    let mut answered = ask(&mut line, Question::Diagnostics);
    let command_id = asked(&mut line, Question::Diagnostics);
    let failure = Failure { retryable: false, code: "unsupported".into(), message: "what?".into() };
    assert!(line.say(Report::Outcome { command_id, result: Err(failure), restart_required: false }).is_empty());
    assert_eq!(answered.try_recv().unwrap(), Err(Unanswered::Unknown));

    line.tick(31 * SECOND);
    assert_eq!(ask(&mut line, Question::Ping).try_recv().unwrap(), Err(Unanswered::NotHeard));
}

#[test]
fn nobody_asks_another_tenants_agent_nor_one_without_a_session() {
    let mut line = Line::established();
    line.deliver();
    assert_eq!(ask_of(&mut line, 2, Question::Ping).try_recv().unwrap(), Err(Unanswered::NotHeard));
    let mut early = Line::new();
    assert_eq!(ask(&mut early, Question::Ping).try_recv().unwrap(), Err(Unanswered::NotHeard));
    assert!(line.deliver().is_empty());
    line.say(heartbeat(EngineState::Running));
}

#[test]
fn those_who_wait_are_bounded_and_those_who_left_make_room() {
    let mut line = Line::established();
    line.deliver();
    let mut waiting: Vec<Receiver<Answered>> = (0..16).map(|_| ask(&mut line, Question::Ping)).collect();
    assert_eq!(ask(&mut line, Question::Ping).try_recv().unwrap(), Err(Unanswered::Crowded));
    waiting.pop();
    assert!(ask(&mut line, Question::Ping).try_recv().is_err(), "it waits");
    assert!(waiting.iter_mut().all(|answered| answered.try_recv().is_err()));
}

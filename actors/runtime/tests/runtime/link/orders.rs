//! Orders: sent within a session, repeated until withdrawn; their secrets are in clear nowhere else.

use std::collections::{BTreeMap, BTreeSet};

use coffer_domain::{
    command::{NewPassword, UserChange},
    instance::{
        Input,
        effect::{AgentVerb, Effect, Outcome, Produced},
        state::UserKey,
    },
    time::SECOND,
};
use coffer_protocol::{
    command::{AgentCommand, ToAgent},
    report::{EngineState, Failure, Report},
    seal::Nonce,
    secret::Secret,
};
use coffer_runtime::{partition::Item, vault::random_nonce};

use super::{Line, OUTGOING, challenges, commands, order};
use crate::support::{
    agent::{enrol, heartbeat},
    samples::{CLERK, PASSWORD, SHOP, START, instance, new_database, new_user, vault},
};

fn restart(number: u32) -> Effect {
    order(number, AgentVerb::Restart)
}

fn outcome(effect: &Effect, result: Result<(), Failure>) -> Report {
    Report::Outcome { command_id: effect.id.0.clone(), result, restart_required: true }
}

fn outcomes(items: Vec<Item>) -> Vec<(String, Outcome)> {
    items
        .into_iter()
        .map(|item| match item.input {
            Input::Outcome { effect, outcome } => (effect.0, outcome),
            other => panic!("{other:?}"),
        })
        .collect()
}

#[test]
fn an_order_waits_for_the_session() {
    let mut line = Line::new();
    assert!(line.dispatch(restart(1)).is_none());
    line.tick(0);
    line.say(enrol());
    line.tick(30 * SECOND);
    let messages = line.deliver();
    assert!(challenges(&messages) > 0 && commands(&messages).is_empty(), "{messages:?}");
    line.say(heartbeat(EngineState::Running));
    assert_eq!(commands(&line.deliver()), [restart(1).id.0]);
}

#[test]
fn an_order_in_a_session_is_sent_at_once() {
    let mut line = Line::established();
    assert!(line.dispatch(restart(1)).is_none());
    let messages = line.deliver();
    let [ToAgent::Command { command_id, issued_at_ms, converge, command }] = &messages[..] else {
        panic!("{messages:?}")
    };
    assert_eq!(*command_id, restart(1).id.0);
    assert_eq!(*issued_at_ms, START.0);
    assert_eq!((*converge, command), (false, &AgentCommand::Restart));
}

#[test]
fn an_order_is_repeated_until_it_is_withdrawn() {
    let mut line = Line::established();
    line.dispatch(restart(1));
    line.deliver();
    let mut sent_at = Vec::new();
    for second in 1..=40 {
        line.tick(SECOND);
        // Else it would be silent, and the session over.
        line.say(heartbeat(EngineState::Running));
        if !commands(&line.deliver()).is_empty() {
            sent_at.push(second);
        }
    }
    assert_eq!(sent_at, [2, 6, 14, 24, 34], "each wait is twice the one before, up to 10 s");
    line.links.withdraw(instance(1), &restart(1).id);
    for _ in 0..25 {
        line.tick(SECOND);
    }
    assert!(line.sent().is_empty());
}

#[test]
fn an_outcome_ends_its_order_and_counts_once() {
    let mut line = Line::established();
    line.dispatch(restart(1));
    line.dispatch(restart(2));
    line.deliver();
    let done = outcomes(line.say(outcome(&restart(1), Ok(()))));
    assert_eq!(done, [(restart(1).id.0, Ok(Produced::Nothing))]);
    assert!(line.say(outcome(&restart(1), Ok(()))).is_empty(), "a repeat of the agent's");
    assert!(line.say(outcome(&restart(3), Ok(()))).is_empty(), "nobody asked for that");
    line.tick(2 * SECOND);
    assert_eq!(commands(&line.deliver()), [restart(2).id.0], "only what is open is sent again");
    assert_eq!(line.refused_in_all(), 0);
}

#[test]
fn a_failure_keeps_the_agents_own_words() {
    let mut line = Line::established();
    line.dispatch(restart(1));
    let failure = Failure { retryable: true, code: "engine_failed".into(), message: "it did not start".into() };
    let ended = outcomes(line.say(outcome(&restart(1), Err(failure.clone()))));
    let [(_, Err(told))] = &ended[..] else { panic!("{ended:?}") };
    assert_eq!((told.retryable, &told.code, &told.message), (true, &failure.code, &failure.message));
}

#[test]
fn passwords_are_opened_for_the_agent_and_seen_by_nobody_else() {
    let mut line = Line::established();
    let root = Secret::new("root's own password");
    let sealed = vault().seal_password(&instance(1).to_string(), &root);
    let prepare = AgentVerb::Prepare {
        datastore_version: "10.11".into(),
        memory_mib: 512,
        vcpus: 1,
        volume_gib: 2,
        databases: vec![new_database(SHOP)],
        users: vec![new_user(instance(1), CLERK)],
        values: BTreeMap::new(),
    };
    line.dispatch(order(1, prepare));
    line.dispatch(order(2, AgentVerb::CreateUsers { users: vec![new_user(instance(1), "second")] }));
    line.dispatch(order(3, AgentVerb::EnableRoot { password: sealed.clone() }));
    let key = || UserKey { name: CLERK.into(), host: "%".into() };
    let change = UserChange { password: Some(sealed.clone()), ..UserChange::default() };
    line.dispatch(order(4, AgentVerb::ChangeUser { user: key(), change }));
    let new = NewPassword { name: CLERK.into(), host: "%".into(), password: sealed };
    line.dispatch(order(5, AgentVerb::ChangePasswords { users: vec![new] }));

    let sent = line.sent();
    assert_eq!(sent.len(), 5);
    let mut told = Vec::new();
    for record in &sent {
        let text = String::from_utf8(record.value.clone()).unwrap();
        for secret in [PASSWORD, root.expose(), CLERK] {
            assert!(!text.contains(secret), "{secret} is in {text}");
        }
        match line.agent.hear(&record.headers, &record.value).unwrap() {
            Some(ToAgent::Command { command: AgentCommand::Prepare(prepare), .. }) => told.extend(prepare.users),
            Some(ToAgent::Command { command: AgentCommand::CreateUsers { users }, .. }) => told.extend(users),
            Some(ToAgent::Command { command: AgentCommand::EnableRoot { password }, .. }) => {
                assert_eq!(password, root);
            }
            Some(ToAgent::Command { command: AgentCommand::ChangeUser(change), .. }) => {
                assert_eq!(change.new_password.as_ref(), Some(&root));
            }
            Some(ToAgent::Command { command: AgentCommand::ChangePasswords { users }, .. }) => {
                assert_eq!(users[0].password, root);
            }
            other => panic!("{other:?}"),
        }
    }
    let names: Vec<_> = told.iter().map(|user| (user.name.as_str(), user.password.expose())).collect();
    assert_eq!(names, [(CLERK, PASSWORD), ("second", PASSWORD)]);
}

#[test]
fn an_order_that_can_never_be_sent_fails_for_good() {
    let mut line = Line::established();
    // Sealed for another instance: whoever moved it here must not have it opened.
    let foreign = AgentVerb::CreateUsers { users: vec![new_user(instance(2), CLERK)] };
    let mut stranger = restart(2);
    stranger.instance = instance(9);
    for (effect, code) in [(order(1, foreign), "vault"), (stranger, "no_agent")] {
        let item = line.dispatch(effect).expect("it fails at once");
        let ended = outcomes(vec![item]);
        let [(_, Err(failure))] = &ended[..] else { panic!("{ended:?}") };
        assert_eq!((failure.retryable, failure.code.as_str()), (false, code));
        assert!(!failure.message.contains(PASSWORD));
    }
    assert!(line.sent().is_empty());
}

#[test]
fn what_finds_the_outgoing_queue_full_is_sent_later() {
    let mut line = Line::established();
    let fits = u32::try_from(OUTGOING).unwrap();
    for number in 0..fits + 3 {
        line.dispatch(restart(number));
    }
    assert_eq!(line.metrics.agent_sends_deferred.get(), 3);
    assert_eq!(line.deliver().len(), OUTGOING);
    for number in 0..fits {
        line.links.withdraw(instance(1), &restart(number).id);
    }
    line.tick(2 * SECOND);
    let mut late: Vec<String> = commands(&line.deliver()).iter().map(ToString::to_string).collect();
    late.sort();
    assert_eq!(late, [restart(fits).id.0, restart(fits + 1).id.0, restart(fits + 2).id.0]);
}

#[test]
fn no_nonce_is_used_twice() {
    let nonces: BTreeSet<Nonce> = (0..1000).map(|_| random_nonce()).collect();
    assert_eq!(nonces.len(), 1000);
    let seal = || vault().seal_password("instance-1", &Secret::new("hunter2")).bytes;
    assert_ne!(seal(), seal(), "the same password looks the same");
}

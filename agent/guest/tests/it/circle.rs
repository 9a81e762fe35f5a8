//! The whole conversation: enrol, challenge, prepare, databases and users, restart, crash, rotation, repeats.

use coffer_guest::{
    failure,
    journal::{Journal, Known, WINDOW_MS},
    outbox::now_ms,
    supervisor::Pace,
};
use coffer_protocol::{
    VERSION,
    command::{AgentCommand, ToAgent},
    question::{Answer, Question},
    report::{EngineState, Inventory, Report},
    seal::Key,
    secret::Secret,
};
use tokio::time::{Duration, timeout};

use crate::{
    control::Control,
    guest::{Guest, brisk, database, kill_now, prepare, user},
    unprivileged,
};

fn prepared(databases: &[&str], password: &str) -> AgentCommand {
    AgentCommand::Prepare(prepare(databases, vec![user("app", password, databases)]))
}

fn create(name: &str) -> AgentCommand {
    AgentCommand::CreateDatabases { databases: vec![database(name)] }
}

fn drop_database(name: &str) -> AgentCommand {
    AgentCommand::DropDatabase { name: name.into() }
}

#[test]
fn a_database_is_ordered_used_restarted_crashed_and_back_with_its_data() {
    unprivileged::run(|| async {
        let guest = Guest::new();
        let mut control = Control::new(guest.broker.clone(), &guest.boot).await;
        let agent = guest.start_agent(Pace::default()).await;

        let Report::Enrol(enrol) = control.next().await.report else { panic!("the first word is an enrolment") };
        assert_eq!((enrol.protocol_min, enrol.protocol_max), (VERSION, VERSION));
        assert_eq!(enrol.datastores, ["mysql"]);
        let first = control.challenge("s1").await;
        assert_eq!((first.engine, first.inventory), (EngineState::Absent, None));

        assert_eq!(control.execute("c1", prepared(&["shop"], "pw")).await, Ok(()));
        let told = control.heartbeat(|heartbeat| heartbeat.inventory.is_some()).await;
        let Inventory { databases, users } = told.inventory.unwrap();
        assert_eq!(
            (databases.as_slice(), users[0].databases.as_slice()),
            (&["shop".to_owned()][..], &["shop".to_owned()][..])
        );
        assert_eq!(told.engine, EngineState::Running);

        let create_table = "CREATE TABLE t (n INT) ENGINE=InnoDB";
        let numbers =
            guest.query("app", "pw", "shop", &[create_table, "INSERT INTO t VALUES (41)", "SELECT n FROM t"]).await;
        assert_eq!(numbers, ["41"]);

        let before = guest.engine();
        assert_eq!(control.execute("c2", AgentCommand::Restart).await, Ok(()));
        assert_ne!(guest.engine(), before);

        kill_now(guest.engine());
        control.engine_is(EngineState::Crashed).await;
        let back = control.engine_is(EngineState::Running).await;
        assert_eq!(back.metrics.engine_restarts_total, 1);
        assert_eq!(guest.query("app", "pw", "shop", &["SELECT n FROM t"]).await, ["41"]);

        let running = guest.engine();
        agent.abort();
        let _agent = guest.start_agent(Pace::default()).await;
        control.open_session_with_engine("s2").await;
        assert_eq!(guest.engine(), running, "the engine is adopted");
        kill_now(running);
        control.engine_is(EngineState::Crashed).await;
        control.engine_is(EngineState::Running).await;
        assert_ne!(guest.engine(), running, "an adopted engine is watched too");
        assert_eq!(guest.query("app", "pw", "shop", &["SELECT n FROM t"]).await, ["41"]);
    });
}

#[test]
fn a_stopped_engine_stays_stopped_over_the_agents_death_until_it_is_restarted() {
    unprivileged::run(|| async {
        let guest = Guest::new();
        let mut control = Control::new(guest.broker.clone(), &guest.boot).await;
        let agent = guest.start_agent(Pace::default()).await;
        control.open_session("s1").await;
        assert_eq!(control.execute("c1", prepared(&["shop"], "pw")).await, Ok(()));
        guest.query("app", "pw", "shop", &["CREATE TABLE t (n INT)", "INSERT INTO t VALUES (41)"]).await;

        assert_eq!(control.execute("c2", AgentCommand::Stop).await, Ok(()));
        assert_eq!(control.challenge("s2").await.engine, EngineState::Stopped);
        assert!(guest.log_in("app", "pw", None).await.is_err());
        assert_eq!(control.execute("c3", create("stock")).await.unwrap_err().code, "engine_unavailable");
        // The volume's size may be noted meanwhile; nothing starts the engine.
        assert_eq!(control.execute("c4", AgentCommand::GrowVolume { volume_gib: 3 }).await, Ok(()));
        agent.abort();
        let _agent = guest.start_agent(Pace::default()).await;
        assert_eq!(control.open_session("s3").await.engine, EngineState::Stopped);
        assert_eq!(control.execute("c5", AgentCommand::Stop).await, Ok(()), "stopped it stays");
        assert!(guest.log_in("app", "pw", None).await.is_err());

        assert_eq!(control.execute("c6", AgentCommand::Restart).await, Ok(()));
        control.engine_is(EngineState::Running).await;
        assert_eq!(guest.query("app", "pw", "shop", &["SELECT n FROM t"]).await, ["41"]);
        kill_now(guest.engine());
        control.engine_is(EngineState::Crashed).await;
        control.engine_is(EngineState::Running).await;
    });
}

#[test]
fn questions_are_answered_at_once_also_beside_a_command() {
    unprivileged::run(|| async {
        let guest = Guest::new();
        let mut control = Control::new(guest.broker.clone(), &guest.boot).await;
        let agent = guest.start_agent(Pace::default()).await;
        control.open_session("s1").await;
        assert_eq!(control.ask("q1", Question::Ping).await, Answer::Here);
        let Answer::Diagnostics(before) = control.ask("q2", Question::Diagnostics).await else {
            panic!("no diagnostics")
        };
        assert_eq!((before.agent_version.as_str(), before.engine), (env!("CARGO_PKG_VERSION"), None));
        let Answer::Hardware(hardware) = control.ask("q3", Question::Hardware).await else { panic!("no hardware") };
        assert!(hardware.memory_kib > 100_000 && hardware.cpus > 0, "{hardware:?}");

        control.order("c1", prepared(&["shop"], "pw")).await;
        assert_eq!(control.ask("q4", Question::Ping).await, Answer::Here, "the engine is being prepared");
        assert_eq!(control.outcome("c1").await, Ok(()));
        let Answer::Diagnostics(after) = control.ask("q5", Question::Diagnostics).await else {
            panic!("no diagnostics")
        };
        let engine = after.engine.expect("it runs");
        assert!(
            engine.threads > 1 && engine.vm_rss_kib > 20_000 && engine.vm_rss_kib <= engine.vm_peak_kib,
            "{engine:?}"
        );
        agent.abort();
        let journal = Journal::open(&guest.volume().await.journal(), now_ms()).unwrap();
        assert_eq!(journal.look_up("q5", now_ms(), now_ms()), Known::New, "a question is not recorded");
    });
}

#[test]
fn heartbeats_measure_the_engine_and_name_what_changed_only() {
    unprivileged::run(|| async {
        let guest = Guest::new();
        let mut control = Control::new(guest.broker.clone(), &guest.boot).await;
        let _agent = guest.start_agent(brisk()).await;
        control.open_session("s1").await;
        assert_eq!(control.execute("c1", prepared(&["shop"], "pw")).await, Ok(()));
        control.heartbeat(|heartbeat| heartbeat.inventory.is_some()).await;

        let _connection = guest.log_in("app", "pw", None).await.unwrap();
        let measured = async {
            for number in 2.. {
                let heartbeat = control.challenge(&format!("s{number}")).await;
                if heartbeat.metrics.connections == Some(1) {
                    return heartbeat;
                }
            }
            unreachable!("it is looked for without end")
        };
        let heartbeat = timeout(Duration::from_secs(60), measured).await.unwrap();
        assert!(heartbeat.inventory.is_some(), "each challenge is told the inventory");
        let metrics = heartbeat.metrics;
        assert!(metrics.queries_total.unwrap() > 0);
        assert!(metrics.memory_used_bytes.unwrap() > 20 << 20);
        assert!(metrics.cpu_seconds_total.unwrap() > 0.0);
        assert_eq!(metrics.volume_total_bytes, Some(1 << 30));

        assert_eq!(control.execute("c2", AgentCommand::EnableRoot { password: Secret::new("r") }).await, Ok(()));
        let unchanged = control.heartbeat(|_| true).await;
        assert_eq!(unchanged.inventory, None);
        guest.query("root", "r", "mysql", &["CREATE DATABASE behind_our_back", "SELECT 1"]).await;
        assert_eq!(control.execute("c3", create("b")).await, Ok(()));
        let changed = control.heartbeat(|heartbeat| heartbeat.inventory.is_some()).await;
        assert_eq!(changed.inventory.unwrap().databases, ["b", "behind_our_back", "shop"]);
    });
}

#[test]
fn a_command_is_done_once_and_names_are_checked() {
    unprivileged::run(|| async {
        let guest = Guest::new();
        let mut control = Control::new(guest.broker.clone(), &guest.boot).await;
        let _agent = guest.start_agent(brisk()).await;
        control.open_session("s1").await;
        let no_engine = control.execute("c0", create("a")).await.unwrap_err();
        assert_eq!((no_engine.code.as_str(), no_engine.retryable), ("engine_unavailable", true));
        assert_eq!(control.execute("c1", prepared(&[], "pw")).await, Ok(()));
        assert_eq!(control.execute("c0", create("a")).await, Ok(()), "what may succeed later is tried again");

        let code = |outcome: Result<(), coffer_protocol::report::Failure>| outcome.unwrap_err().code;
        assert_eq!(code(control.execute("c2", create("a")).await), "already_exists");
        assert_eq!(control.execute("c3", drop_database("a")).await, Ok(()));
        assert_eq!(control.execute("c3", drop_database("a")).await, Ok(()), "answered from the record");
        assert_eq!(code(control.execute("c4", drop_database("a")).await), "not_found");
        assert_eq!(code(control.execute("c2", create("a")).await), "already_exists", "answered from the record");
        assert_eq!(control.execute("c5", create("a")).await, Ok(()));

        // An attempt under another id came before: what is there, or gone, counts as done.
        control.order_as("c6", now_ms(), true, create("a")).await;
        assert_eq!(control.outcome("c6").await, Ok(()));
        control.order_as("c7", now_ms(), true, drop_database("never")).await;
        assert_eq!(control.outcome("c7").await, Ok(()));

        let users = AgentCommand::CreateUsers { users: vec![user("u", "p", &["a"])] };
        let gone = AgentCommand::DropUser { name: "u".into(), host: "%".into() };
        assert_eq!(control.execute("u1", users.clone()).await, Ok(()));
        assert_eq!(code(control.execute("u2", users).await), "already_exists");
        assert_eq!(control.execute("u3", gone.clone()).await, Ok(()));
        assert_eq!(code(control.execute("u4", gone).await), "not_found");

        assert_eq!(code(control.execute("r1", create("mysql")).await), "invalid");
        let too_old = now_ms() - WINDOW_MS - 1000;
        control.order_as("old", too_old, false, create("late")).await;
        assert_eq!(code(control.outcome("old").await), "expired");
        let unknown = r#"{"type":"command","command_id":"new","issued_at_ms":1,"command":{"verb":"levitate"}}"#;
        let sealed = control.seal(unknown);
        control.publish(sealed).await;
        assert_eq!(code(control.outcome("new").await), code(Err(failure::unsupported(""))));
    });
}

#[test]
fn commands_go_in_order_and_repeats_of_a_running_one_are_not_answered_twice() {
    unprivileged::run(|| async {
        let guest = Guest::new();
        let mut control = Control::new(guest.broker.clone(), &guest.boot).await;
        let _agent = guest.start_agent(brisk()).await;
        control.open_session("s1").await;
        for _ in 0..3 {
            control.order("c1", prepared(&["a"], "pw")).await;
        }
        control.order("c2", drop_database("a")).await;
        control.order("c3", create("a")).await;
        // Heartbeats go on meanwhile.
        control.engine_is(EngineState::Starting).await;
        let mut told = Vec::new();
        while told.len() < 3 {
            if let Report::Outcome { command_id, result, .. } = control.next().await.report {
                assert_eq!(result, Ok(()), "{command_id}");
                told.push(command_id);
            }
        }
        assert_eq!(told, ["c1", "c2", "c3"]);
    });
}

#[test]
fn a_key_is_rotated_and_the_old_one_is_no_longer_obeyed() {
    unprivileged::run(|| async {
        let guest = Guest::new();
        let mut control = Control::new(guest.broker.clone(), &guest.boot).await;
        let agent = guest.start_agent(brisk()).await;
        control.open_session("s1").await;
        let before = control.seal(&serde_json::to_string(&ToAgent::Challenge { session: "stale".into() }).unwrap());
        let key = Key::from_bytes([42; 32]);
        control.order("k", AgentCommand::Rotate { key_id: "key-2".into(), key: key.clone() }).await;
        // The outcome is sealed with the new key already; `next` checks that.
        let old = (control.key_id.clone(), control.key.clone());
        (control.key_id, control.key) = ("key-2".into(), key);
        assert_eq!(control.outcome("k").await, Ok(()));

        let new = (control.key_id.clone(), control.key.clone());
        (control.key_id, control.key) = old;
        control.publish(before).await;
        (control.key_id, control.key) = new;
        assert_eq!(control.challenge("s2").await.engine, EngineState::Absent);

        // It outlives the agent.
        agent.abort();
        let _agent = guest.start_agent(brisk()).await;
        control.open_session("s3").await;
    });
}

#[test]
fn a_lost_broker_and_an_unanswered_enrolment_are_asked_again() {
    unprivileged::run(|| async {
        let guest = Guest::new();
        let mut control = Control::new(guest.broker.clone(), &guest.boot).await;
        let _agent = guest.start_agent(brisk()).await;
        for _ in 0..2 {
            assert!(matches!(control.next().await.report, Report::Enrol(_)), "repeated until it is answered");
        }
        control.challenge("s1").await;
        guest.broker.replace().await;
        loop {
            let message = control.next().await;
            if matches!(message.report, Report::Enrol(_)) {
                assert_eq!(message.session.as_deref(), Some("s1"));
                break;
            }
        }
        control.challenge("s2").await;
    });
}

#[test]
fn what_an_agent_began_before_it_crashed_is_carried_on_and_not_refused() {
    unprivileged::run(|| async {
        let guest = Guest::new();
        let mut control = Control::new(guest.broker.clone(), &guest.boot).await;
        let agent = guest.start_agent(brisk()).await;
        control.open_session("s1").await;
        assert_eq!(control.execute("c1", prepared(&["half"], "pw")).await, Ok(()));
        agent.abort();
        assert!(agent.await.unwrap_err().is_cancelled());

        // It had made the database, and was killed before it could record that.
        let volume = guest.volume().await;
        Journal::open(&volume.journal(), now_ms())
            .unwrap()
            .begin("c2", "create_databases", now_ms(), now_ms())
            .unwrap();
        drop(volume);
        let _agent = guest.start_agent(brisk()).await;
        control.open_session_with_engine("s2").await;
        assert_eq!(control.execute("c2", create("half")).await, Ok(()));
        assert_eq!(control.execute("c3", create("half")).await.unwrap_err().code, "already_exists");
    });
}

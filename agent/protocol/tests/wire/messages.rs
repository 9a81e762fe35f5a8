//! The clear text of every message: to the agent, from the agent, and the first-boot file.

use std::collections::BTreeMap;

use coffer_protocol::{
    VERSION,
    boot::{Bootstrap, FirstBoot},
    command::{AgentCommand, Configure, Database, NewPassword, Prepare, ToAgent, User, UserChange},
    question::{Answer, Diagnostics, EngineProcess, Hardware, Question},
    report::{EngineState, Enrol, Failure, FromAgent, Heartbeat, Inventory, MAX_INVENTORY, Metrics, Report, UserEntry},
    seal::Key,
    secret::Secret,
};

use crate::golden::Samples;

/// 2026-01-02 03:04:05.678 UTC.
pub const AT_MS: i64 = 1_767_323_045_678;
pub const COMMAND_ID: &str = "5c2a6f0e-9d3b-4d4e-8a51-0d9f0a3c7b11";

pub fn first_boot(bootstrap: Bootstrap) -> FirstBoot {
    FirstBoot {
        version: VERSION,
        instance_id: "44b277eb-39be-4921-be31-3d61b43651d7".into(),
        tenant: "9f0c1ad6b2d84a5c8d4cc45f6c1d7a55".into(),
        key_id: "44b277eb-39be-4921-be31-3d61b43651d7.1".into(),
        key: Key::from_bytes([7; 32]),
        cell: "p3-0".into(),
        epoch: 12,
        bootstrap,
        datastore: "mysql".into(),
        listen_address: "127.81.4.7".into(),
    }
}

pub fn command(command: AgentCommand) -> ToAgent {
    ToAgent::Command { command_id: COMMAND_ID.into(), issued_at_ms: AT_MS, converge: false, command }
}

fn databases() -> Vec<Database> {
    vec![
        Database { name: "shop".into(), character_set: Some("utf8mb4".into()), collate: Some("utf8mb4_bin".into()) },
        Database { name: "stock".into(), character_set: None, collate: None },
    ]
}

fn users() -> Vec<User> {
    vec![User {
        name: "clerk".into(),
        host: "%".into(),
        password: Secret::new("not a real password"),
        databases: vec!["shop".into()],
    }]
}

fn values() -> BTreeMap<String, String> {
    BTreeMap::from([("max_connections".into(), "200".into())])
}

/// One of each verb. The match stops compiling when a verb is added: give it a sample.
fn commands() -> Vec<AgentCommand> {
    let samples = vec![
        AgentCommand::Prepare(Prepare {
            datastore_version: "10.11".into(),
            memory_mib: 512,
            vcpus: 1,
            volume_gib: 2,
            databases: databases(),
            users: users(),
            values: values(),
        }),
        AgentCommand::Restart,
        AgentCommand::Stop,
        AgentCommand::Resize { memory_mib: 2048, vcpus: 2 },
        AgentCommand::GrowVolume { volume_gib: 3 },
        AgentCommand::CreateDatabases { databases: databases() },
        AgentCommand::DropDatabase { name: "shop".into() },
        AgentCommand::CreateUsers { users: users() },
        AgentCommand::DropUser { name: "clerk".into(), host: "%".into() },
        AgentCommand::EnableRoot { password: Secret::new("not a real password either") },
        AgentCommand::DisableRoot,
        AgentCommand::Grant { name: "clerk".into(), host: "%".into(), databases: vec!["stock".into()] },
        AgentCommand::Revoke { name: "clerk".into(), host: "%".into(), database: "shop".into() },
        AgentCommand::ChangeUser(UserChange {
            name: "clerk".into(),
            host: "%".into(),
            new_name: Some("seller".into()),
            new_host: Some("10.0.%".into()),
            new_password: Some(Secret::new("another one")),
        }),
        AgentCommand::ChangePasswords {
            users: vec![NewPassword {
                name: "clerk".into(),
                host: "%".into(),
                password: Secret::new("yet another one"),
            }],
        },
        AgentCommand::Configure(Configure { number: 3, values: values() }),
        AgentCommand::Rotate { key_id: "44b277eb-39be-4921-be31-3d61b43651d7.2".into(), key: Key::from_bytes([8; 32]) },
        AgentCommand::Tell { question: Question::Diagnostics },
    ];
    for sample in &samples {
        match sample {
            AgentCommand::Prepare(_)
            | AgentCommand::Restart
            | AgentCommand::Stop
            | AgentCommand::Resize { .. }
            | AgentCommand::GrowVolume { .. }
            | AgentCommand::CreateDatabases { .. }
            | AgentCommand::DropDatabase { .. }
            | AgentCommand::CreateUsers { .. }
            | AgentCommand::DropUser { .. }
            | AgentCommand::EnableRoot { .. }
            | AgentCommand::DisableRoot
            | AgentCommand::Grant { .. }
            | AgentCommand::Revoke { .. }
            | AgentCommand::ChangeUser(_)
            | AgentCommand::ChangePasswords { .. }
            | AgentCommand::Configure(_)
            | AgentCommand::Rotate { .. }
            | AgentCommand::Tell { .. } => {}
        }
    }
    samples
}

#[test]
fn the_control_plane_speaks_to_the_agent() {
    let mut samples = vec![("challenge", ToAgent::Challenge { session: "d1f3".into() })];
    samples.extend(commands().into_iter().map(|sample| (sample.verb(), command(sample))));
    let converging = ToAgent::Command {
        command_id: COMMAND_ID.into(),
        issued_at_ms: AT_MS,
        converge: true,
        command: AgentCommand::Restart,
    };
    samples.push(("restart, converging", converging));
    Samples(samples).check("to_agent.json", &["values"]);
}

#[test]
fn a_verb_stands_on_the_wire_as_it_is_logged() {
    for command in commands() {
        assert_eq!(serde_json::to_value(&command).unwrap()["verb"], command.verb());
    }
}

#[test]
fn a_command_of_a_control_plane_that_knew_no_convergence_is_a_plain_one() {
    let mut value = serde_json::to_value(command(AgentCommand::Restart)).unwrap();
    value.as_object_mut().unwrap().remove("converge");
    assert_eq!(serde_json::from_value::<ToAgent>(value).unwrap(), command(AgentCommand::Restart));
}

pub fn heartbeat(engine: EngineState) -> Heartbeat {
    Heartbeat { at_ms: AT_MS, engine, metrics: Metrics::default(), inventory: None, restart_required: false }
}

fn full_heartbeat() -> Heartbeat {
    Heartbeat {
        metrics: Metrics {
            connections: Some(3),
            queries_total: Some(1_234_567),
            volume_used_bytes: Some(167_772_160),
            volume_total_bytes: Some(2_147_483_648),
            cpu_seconds_total: Some(12.5),
            memory_used_bytes: Some(134_217_728),
            engine_restarts_total: 1,
        },
        inventory: Some(Inventory {
            databases: vec!["shop".into(), "stock".into()],
            users: vec![UserEntry { name: "clerk".into(), host: "%".into(), databases: vec!["shop".into()] }],
        }),
        restart_required: true,
        ..heartbeat(EngineState::Running)
    }
}

/// One of each state. The match stops compiling when a state is added: give it a sample.
fn engine_states() -> Vec<(&'static str, EngineState)> {
    use EngineState::{Absent, Crashed, Running, Starting, Stopped, Unresponsive};
    let name = |state| match state {
        Absent => "heartbeat, engine absent",
        Starting => "heartbeat, engine starting",
        Running => "heartbeat, engine running",
        Stopped => "heartbeat, engine stopped",
        Crashed => "heartbeat, engine crashed",
        Unresponsive => "heartbeat, engine unresponsive",
    };
    [Absent, Starting, Running, Stopped, Crashed, Unresponsive].map(|state| (name(state), state)).to_vec()
}

/// What agents and control planes said before there were configurations.
#[test]
fn messages_without_configurations_are_read() {
    let mut value = serde_json::to_value(&commands()[0]).unwrap();
    assert!(value.as_object_mut().unwrap().remove("values").is_some());
    let AgentCommand::Prepare(prepare) = serde_json::from_value(value).unwrap() else { panic!("not a prepare") };
    assert_eq!(prepare.values, BTreeMap::new());
    let quiet = heartbeat(EngineState::Running);
    assert_eq!(serde_json::to_value(&quiet).unwrap().get("restart_required"), None);
    let outcome = format!(r#"{{ "type": "outcome", "command_id": "{COMMAND_ID}", "result": {{ "Ok": null }} }}"#);
    let expected = Report::Outcome { command_id: COMMAND_ID.into(), result: Ok(()), restart_required: false };
    assert_eq!(serde_json::from_str::<Report>(&outcome).unwrap(), expected);
}

#[test]
fn the_agent_speaks_to_the_control_plane() {
    let enrol = Report::Enrol(Enrol {
        agent_version: "0.1.0".into(),
        protocol_min: 1,
        protocol_max: VERSION,
        datastores: vec!["mysql".into()],
    });
    let failure =
        Failure { retryable: true, code: "engine_failed".into(), message: "the engine is not running".into() };
    let outcome = |result| Report::Outcome { command_id: COMMAND_ID.into(), result, restart_required: false };
    let answer = |answer| Report::Answer { command_id: COMMAND_ID.into(), answer };
    let diagnostics = |engine| Answer::Diagnostics(Diagnostics { agent_version: "0.1.0".into(), engine });
    let engine = EngineProcess {
        threads: 9,
        fd_size: 256,
        vm_size_kib: 900_000,
        vm_peak_kib: 910_000,
        vm_rss_kib: 120_000,
        vm_hwm_kib: 130_000,
    };
    let mut reports = vec![
        ("enrol", enrol),
        ("heartbeat, all known", Report::Heartbeat(full_heartbeat())),
        ("outcome, done", outcome(Ok(()))),
        (
            "outcome, done but for a restart",
            Report::Outcome { command_id: COMMAND_ID.into(), result: Ok(()), restart_required: true },
        ),
        ("outcome, failed", outcome(Err(failure))),
        ("answer, here", answer(Answer::Here)),
        ("answer, diagnostics", answer(diagnostics(Some(engine)))),
        ("answer, diagnostics without an engine", answer(diagnostics(None))),
        ("answer, hardware", answer(Answer::Hardware(Hardware { memory_kib: 2_097_152, cpus: 2 }))),
    ];
    reports.extend(engine_states().into_iter().map(|(name, state)| (name, Report::Heartbeat(heartbeat(state)))));
    for (_, report) in &reports {
        // Stops compiling when a report is added: give it a sample.
        match report {
            Report::Enrol(_) | Report::Heartbeat(_) | Report::Outcome { .. } | Report::Answer { .. } => {}
        }
    }
    let in_session = |(name, report)| (name, FromAgent { session: Some("d1f3".into()), report });
    let mut samples: Vec<_> = reports.into_iter().map(in_session).collect();
    let before_any_challenge = FromAgent { session: None, report: Report::Heartbeat(heartbeat(EngineState::Absent)) };
    samples.push(("heartbeat, no session yet", before_any_challenge));
    Samples(samples).check("from_agent.json", &["result"]);
}

#[test]
fn a_full_inventory_fits_into_a_message() {
    // Kafka's default `message.max.bytes`, and base64 takes four characters for three bytes.
    let limit = 1_048_576 * 3 / 4;
    // MariaDB's longest names: 64 characters for a database, 80 for a user, 255 for a host.
    let inventory = Inventory {
        databases: vec!["d".repeat(64); MAX_INVENTORY],
        users: vec![
            UserEntry { name: "u".repeat(80), host: "h".repeat(255), databases: vec!["d".repeat(64)] };
            MAX_INVENTORY
        ],
    };
    let report = Report::Heartbeat(Heartbeat { inventory: Some(inventory), ..full_heartbeat() });
    let length = serde_json::to_vec(&FromAgent { session: Some("d1f3".into()), report }).unwrap().len();
    assert!(length < limit, "{length} of {limit} bytes");
}

#[test]
fn a_guest_is_handed_its_first_boot_data() {
    let samples = vec![
        ("servers", first_boot(Bootstrap::Servers("10.0.0.5:9092,10.0.0.6:9092".into()))),
        ("file", first_boot(Bootstrap::File("/var/lib/coffer/bootstrap".into()))),
    ];
    Samples(samples).check("first_boot.json", &["bootstrap"]);
}

#[test]
fn a_key_of_another_length_is_refused() {
    let mut value = serde_json::to_value(first_boot(Bootstrap::File("/run/b".into()))).unwrap();
    value["key"] = "c2hvcnQ=".into();
    let error = serde_json::from_value::<FirstBoot>(value).unwrap_err();
    assert_eq!(error.to_string(), "a key is 32 bytes, base64");
}

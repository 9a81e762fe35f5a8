//! Holds still what stands in the store and on topics: commands, effects, timers, events, rows and views. A file is
//! read by every later version; a difference here needs a way for rows that are already written.

mod events;
mod rows;

use std::collections::BTreeMap;

use coffer_domain::{
    command::{
        Access, Command, Create, ENVELOPE_VERSION, Envelope, NewConfiguration, NewDatabase, NewPassword, UserChange,
    },
    ids::EffectId,
    instance::effect::{
        Action, AgentOrder, AgentVerb, Effect, Failure, Observation, Outcome, Produced, ServerOrder, Timer, TimerId,
    },
    quota::{Limit, OwnLimits},
    rejection::{Rejection, RejectionKind},
    time::SECOND,
};
use coffer_protocol::report::{EngineState, Inventory, UserEntry};

use crate::support::{
    golden::Samples,
    samples::{
        CLERK, MYSQL_10_11, SHOP, START, address, attach, change_passwords, change_user, command_id, create,
        create_databases, create_users, disable_root, drop_database, drop_user, enable_root, failure, grant, group_id,
        hiccup, instance, large_flavor, new_database, new_user, order, password, rename, reset_status, resize_flavor,
        resize_volume, revoke, server_key, small_flavor, tenant, user_key, values,
    },
};

fn effect_id() -> EffectId {
    EffectId::new(command_id(1), "ensure_volume", 2)
}

/// One of each verb. The match stops compiling when a verb is added: give it a sample.
fn commands() -> Vec<Command> {
    let samples = vec![
        create(),
        Command::Delete,
        Command::Restart,
        Command::Stop,
        resize_volume(3),
        resize_flavor("2"),
        create_databases("stock"),
        drop_database(SHOP),
        create_users("buyer"),
        drop_user(CLERK),
        enable_root(),
        disable_root(),
        grant(CLERK, "stock"),
        revoke(CLERK, SHOP),
        change_user(CLERK, "seller"),
        change_passwords(&[CLERK]),
        rename(),
        reset_status(true),
        attach(),
        Command::DetachConfiguration,
        Command::CreateConfiguration(Box::new(NewConfiguration {
            name: "latin".into(),
            description: Some("as in the old days".into()),
            datastore_version: Some(MYSQL_10_11),
            values: values(200),
        })),
        Command::PatchConfiguration { values: values(300) },
        Command::ReplaceConfiguration { name: Some("western".into()), description: None, values: None },
        Command::DeleteConfiguration,
        Command::SetQuota {
            limits: OwnLimits {
                instances: Some(Limit::AtMost(5)),
                memory_mib: Some(Limit::Unlimited),
                ..OwnLimits::default()
            },
        },
    ];
    for sample in &samples {
        match sample {
            Command::Create(_)
            | Command::Delete
            | Command::Restart
            | Command::Stop
            | Command::ResizeVolume { .. }
            | Command::ResizeFlavor { .. }
            | Command::CreateDatabases { .. }
            | Command::DropDatabase { .. }
            | Command::CreateUsers { .. }
            | Command::DropUser { .. }
            | Command::EnableRoot { .. }
            | Command::DisableRoot
            | Command::Grant { .. }
            | Command::Revoke { .. }
            | Command::ChangeUser { .. }
            | Command::ChangePasswords { .. }
            | Command::Rename { .. }
            | Command::ResetStatus { .. }
            | Command::AttachConfiguration { .. }
            | Command::DetachConfiguration
            | Command::CreateConfiguration(_)
            | Command::PatchConfiguration { .. }
            | Command::ReplaceConfiguration { .. }
            | Command::DeleteConfiguration
            | Command::SetQuota { .. } => {}
        }
    }
    samples
}

fn full_order() -> Create {
    Create {
        volume_type: Some("fast".into()),
        datastore_version: Some(MYSQL_10_11),
        databases: vec![NewDatabase {
            name: SHOP.into(),
            character_set: Some("utf8mb4".into()),
            collate: Some("utf8mb4_bin".into()),
        }],
        access: Access { is_public: Some(false), allowed_cidrs: Some(vec!["10.0.0.0/8".into()]) },
        region: Some("RegionOne".into()),
        configuration: Some(group_id(1)),
        ..order()
    }
}

/// What a producer outside writes on the topic: no more than it must, and no server key.
fn least_order() -> Create {
    Create { databases: vec![], users: vec![], server_key: None, ..order() }
}

fn envelope(command: Command) -> Envelope {
    Envelope {
        version: ENVELOPE_VERSION,
        command_id: command_id(1),
        tenant: tenant(),
        principal: "shopkeeper".into(),
        request_id: "req-1".into(),
        issued_at: START,
        instance: instance(1),
        command,
        answer: None,
    }
}

#[test]
fn commands_stand_on_a_topic() {
    let mut samples: Vec<_> = commands().into_iter().map(|command| (command.verb(), envelope(command))).collect();
    samples.push(("create, all given", envelope(Command::Create(Box::new(full_order())))));
    samples.push(("create, least", envelope(Command::Create(Box::new(least_order())))));
    samples.push(("restart, with an answer", Envelope { answer: Some(password()), ..envelope(Command::Restart) }));
    Samples(samples).check("commands.json");
}

#[test]
fn a_verb_stands_on_the_topic_as_it_is_logged() {
    for command in commands() {
        assert_eq!(serde_json::to_value(&command).unwrap()["verb"], command.verb());
    }
}

#[test]
fn a_create_needs_no_more_than_a_name_a_flavor_and_a_size() {
    let text = r#"{ "verb": "create", "name": "orders-db", "flavor": "1", "volume_gib": 2 }"#;
    assert_eq!(serde_json::from_str::<Command>(text).unwrap(), Command::Create(Box::new(least_order())));
}

#[test]
fn a_password_cannot_be_put_on_a_topic_in_clear() {
    let text = r#"{ "verb": "enable_root", "password": "hunter2" }"#;
    serde_json::from_str::<Command>(text).unwrap_err();
    let text = r#"{ "verb": "change_user", "name": "clerk", "host": "%", "change": { "password": "hunter2" } }"#;
    serde_json::from_str::<Command>(text).unwrap_err();
}

fn server_order() -> ServerOrder {
    ServerOrder {
        flavor: small_flavor(),
        address: address(),
        volume: "volume-1".into(),
        server_key: server_key(),
        manager: "mysql".into(),
    }
}

fn agent(verb: AgentVerb) -> Action {
    Action::Agent(Box::new(AgentOrder { server_key: server_key(), issued_at: START, converge: true, verb }))
}

/// One of each action and of each verb of the agent. The matches stop compiling when one is added: give it a sample.
fn actions() -> Vec<(&'static str, Action)> {
    let prepare = AgentVerb::Prepare {
        datastore_version: "10.11".into(),
        memory_mib: 512,
        vcpus: 1,
        volume_gib: 2,
        databases: vec![new_database(SHOP)],
        users: vec![new_user(CLERK, &[SHOP])],
        values: engine_values(),
    };
    let samples = vec![
        Action::EnsureAddress,
        Action::EnsureVolume { size_gib: 2, volume_type: Some("fast".into()) },
        Action::EnsureServer(Box::new(server_order())),
        Action::GrowVolume { size_gib: 3 },
        Action::MeasureVolume,
        Action::ResizeServer { flavor: large_flavor() },
        Action::DeleteServer,
        Action::DeleteVolume,
        Action::ReleaseAddress,
        agent(prepare),
        agent(AgentVerb::Restart),
        agent(AgentVerb::Stop),
        agent(AgentVerb::Resize { memory_mib: 2048, vcpus: 2 }),
        agent(AgentVerb::GrowVolume { volume_gib: 3 }),
        agent(AgentVerb::CreateDatabases { databases: vec![new_database("stock")] }),
        agent(AgentVerb::DropDatabase { name: SHOP.into() }),
        agent(AgentVerb::CreateUsers { users: vec![new_user("buyer", &[SHOP])] }),
        agent(AgentVerb::DropUser { user: user_key(CLERK) }),
        agent(AgentVerb::EnableRoot { password: password() }),
        agent(AgentVerb::DisableRoot),
        agent(AgentVerb::Grant { user: user_key(CLERK), databases: ["stock".to_owned()].into() }),
        agent(AgentVerb::Revoke { user: user_key(CLERK), database: SHOP.into() }),
        agent(AgentVerb::ChangeUser { user: user_key(CLERK), change: user_change() }),
        agent(AgentVerb::ChangePasswords { users: new_passwords() }),
        agent(AgentVerb::Configure { number: 3, values: engine_values() }),
    ];
    let name = |action: &Action| match action {
        Action::Agent(order) => match order.verb {
            AgentVerb::Prepare { .. } => "agent, prepare",
            AgentVerb::Restart => "agent, restart",
            AgentVerb::Stop => "agent, stop",
            AgentVerb::Resize { .. } => "agent, resize",
            AgentVerb::GrowVolume { .. } => "agent, grow_volume",
            AgentVerb::CreateDatabases { .. } => "agent, create_databases",
            AgentVerb::DropDatabase { .. } => "agent, drop_database",
            AgentVerb::CreateUsers { .. } => "agent, create_users",
            AgentVerb::DropUser { .. } => "agent, drop_user",
            AgentVerb::EnableRoot { .. } => "agent, enable_root",
            AgentVerb::DisableRoot => "agent, disable_root",
            AgentVerb::Grant { .. } => "agent, grant",
            AgentVerb::Revoke { .. } => "agent, revoke",
            AgentVerb::ChangeUser { .. } => "agent, change_user",
            AgentVerb::ChangePasswords { .. } => "agent, change_passwords",
            AgentVerb::Configure { .. } => "agent, configure",
        },
        other => other.as_str(),
    };
    samples.into_iter().map(|action| (name(&action), action)).collect()
}

fn engine_values() -> BTreeMap<String, String> {
    BTreeMap::from([("max_connections".to_owned(), "200".to_owned())])
}

fn user_change() -> UserChange {
    UserChange { name: Some("seller".into()), host: None, password: Some(password()) }
}

fn new_passwords() -> Vec<NewPassword> {
    vec![NewPassword { name: CLERK.into(), host: "%".into(), password: password() }]
}

#[test]
fn effects_stand_in_the_outbox() {
    let effect =
        |action| Effect { id: effect_id(), tenant: tenant(), instance: instance(1), deadline: 120 * SECOND, action };
    Samples(actions().into_iter().map(|(name, action)| (name, effect(action))).collect()).check("effects.json");
}

#[test]
fn an_action_is_stored_as_it_is_named() {
    for (_, action) in actions() {
        assert_eq!(serde_json::to_value(&action).unwrap()["action"], action.as_str());
    }
}

#[test]
fn outcomes_come_back_as_inputs() {
    let throttled = Failure { retry_after: Some(30 * SECOND), ..failure(true) };
    let samples: Vec<(_, Outcome)> = vec![
        ("nothing", Ok(Produced::Nothing)),
        ("address", Ok(Produced::Address(address()))),
        ("volume", Ok(Produced::Volume { id: "volume-1".into() })),
        ("server", Ok(Produced::Server { id: "server-1".into() })),
        ("volume size", Ok(Produced::VolumeSize { size_gib: 3 })),
        ("configured", Ok(Produced::Configured { restart_required: true })),
        ("failed", hiccup()),
        ("throttled", Err(throttled)),
    ];
    Samples(samples).check("outcomes.json");
}

#[test]
fn timers_stand_in_the_store() {
    let timer = |id| Timer { id, due: START + 130 * SECOND, grace: 130 * SECOND };
    let samples = vec![
        ("deadline", timer(TimerId::Deadline { effect: effect_id() })),
        ("retry", timer(TimerId::Retry { command: command_id(1) })),
        ("agent", timer(TimerId::Agent { command: command_id(1) })),
    ];
    Samples(samples).check("timers.json");
}

fn inventory() -> Inventory {
    Inventory {
        databases: vec![SHOP.into()],
        users: vec![UserEntry { name: CLERK.into(), host: "%".into(), databases: vec![SHOP.into()] }],
    }
}

#[test]
fn observations_come_as_inputs() {
    let samples = vec![
        ("heard", Observation::Heard { engine: EngineState::Running }),
        ("silent", Observation::Silent),
        ("gauges", Observation::Gauges { volume_used_bytes: Some(167_772_160) }),
        ("restart required", Observation::RestartRequired { required: true }),
        ("inventory", Observation::Inventory(inventory())),
    ];
    Samples(samples).check("observations.json");
}

#[test]
fn rejections_are_stored_as_answers() {
    let samples = [
        ("invalid", RejectionKind::Invalid),
        ("not found", RejectionKind::NotFound),
        ("wrong state", RejectionKind::WrongState),
        ("unprocessable", RejectionKind::Unprocessable),
        ("over limit", RejectionKind::OverLimit),
        ("unsupported", RejectionKind::Unsupported),
        ("busy", RejectionKind::Busy),
        ("no room", RejectionKind::NoRoom),
    ];
    let samples = samples.map(|(name, kind)| (name, Rejection::new(kind, "names the field and the rule")));
    Samples(samples.to_vec()).check("rejections.json");
}

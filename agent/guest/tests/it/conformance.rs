//! What every datastore must do, run against the real engine. Calls are made twice: they converge.

use std::sync::Arc;

use coffer_guest::{
    datastores::Datastore,
    supervisor::{Gauges, Supervisor, settings::Settings},
};
use coffer_protocol::{
    command::{AgentCommand, NewPassword, UserChange},
    report::{EngineState, Inventory, UserEntry},
    secret::Secret,
};
use tokio::time::timeout;

use crate::{
    control::DEADLINE,
    guest::{database, kill_now, user},
};

/// The engine as a client sees it.
pub trait Client {
    /// Whether this login works, into the database if one is named.
    async fn can_log_in(&self, user: &str, password: &str, database: Option<&str>) -> bool;
    /// Keeps a value in this database, with the rights of this user.
    async fn write(&self, user: &str, password: &str, database: &str, value: &str);
    async fn read(&self, user: &str, password: &str, database: &str) -> Vec<String>;
}

/// A datastore on an empty volume, which nothing was prepared on, passes all of this.
pub async fn conforms(
    datastore: Arc<dyn Datastore>,
    supervisor: &Supervisor,
    settings: Settings,
    client: &impl Client,
) {
    is_silent_before_it_is_prepared(&*datastore, supervisor).await;
    is_prepared_once(supervisor, &settings).await;
    let capabilities = datastore.capabilities();
    if capabilities.databases {
        keeps_databases(&*datastore).await;
    }
    if capabilities.users {
        keeps_users(&*datastore, client).await;
        changes_users(&*datastore, client).await;
    }
    if capabilities.users && capabilities.databases {
        gives_and_takes_rights(&*datastore, client).await;
    }
    if capabilities.root {
        enables_and_disables_root(&*datastore, client).await;
    }
    keeps_data_through_restart_crash_and_stop(&*datastore, supervisor, settings, client).await;
}

async fn is_silent_before_it_is_prepared(datastore: &dyn Datastore, supervisor: &Supervisor) {
    assert_eq!(*supervisor.state().borrow(), EngineState::Absent);
    assert_eq!(supervisor.gauges(), Gauges::default());
    assert!(datastore.probe().await.is_err());
    assert!(datastore.inventory().await.unwrap_err().retryable);
    assert_eq!(supervisor.restart().await.unwrap_err().code, "not_found");
}

async fn is_prepared_once(supervisor: &Supervisor, settings: &Settings) {
    supervisor.prepare(settings.clone()).await.unwrap();
    assert_eq!(*supervisor.state().borrow(), EngineState::Running);
    let first = supervisor.gauges().pid.unwrap();
    supervisor.prepare(settings.clone()).await.unwrap();
    assert_eq!(supervisor.gauges().pid, Some(first));
    // Other settings need another start.
    supervisor.prepare(Settings { memory_mib: settings.memory_mib + 64, ..settings.clone() }).await.unwrap();
    assert_ne!(supervisor.gauges().pid, Some(first));
    supervisor.prepare(settings.clone()).await.unwrap();
}

async fn keeps_databases(datastore: &dyn Datastore) {
    assert_eq!(datastore.inventory().await.unwrap(), Inventory::default());
    let names = ["Zeta", "a_b", "axb", "o'clock `\"%", "with space"];
    let databases: Vec<_> = names.iter().rev().map(|name| database(name)).collect();
    datastore.validate(&AgentCommand::CreateDatabases { databases: databases.clone() }).unwrap();
    for _ in 0..2 {
        datastore.create_databases(&databases).await.unwrap();
        assert_eq!(datastore.inventory().await.unwrap().databases, names);
    }
    for name in names {
        assert!(datastore.has_database(name).await.unwrap(), "{name}");
    }
    assert!(!datastore.has_database("A_B").await.unwrap(), "case counts");
    for _ in 0..2 {
        datastore.drop_database("o'clock `\"%").await.unwrap();
    }
    assert_eq!(datastore.inventory().await.unwrap().databases, ["Zeta", "a_b", "axb", "with space"]);
    let unknown_set = coffer_protocol::command::Database { character_set: Some("klingon".into()), ..database("x") };
    assert_eq!(datastore.create_databases(&[unknown_set]).await.unwrap_err().code, "invalid");
}

async fn keeps_users(datastore: &dyn Datastore, client: &impl Client) {
    let password = "p'w\\\"%_ ü";
    let users = [user("app", password, &["a_b", "Zeta"]), user("o'neil", "other", &[])];
    for _ in 0..2 {
        datastore.create_users(&users).await.unwrap();
    }
    let entry = |name: &str, databases: &[&str]| UserEntry {
        name: name.into(),
        host: "%".into(),
        databases: databases.iter().map(|name| (*name).to_owned()).collect(),
    };
    let expected = [entry("app", &["Zeta", "a_b"]), entry("o'neil", &[])];
    assert_eq!(datastore.inventory().await.unwrap().users, expected);
    assert!(datastore.has_user("app", "%").await.unwrap());
    assert!(!datastore.has_user("app", "10.%").await.unwrap());

    assert!(client.can_log_in("app", password, Some("a_b")).await);
    assert!(!client.can_log_in("app", password, Some("axb")).await, "the grant is a pattern");
    assert!(!client.can_log_in("app", password, Some("with space")).await);
    assert!(!client.can_log_in("app", "wrong", None).await);
    assert!(!client.can_log_in("app", "", None).await);
    assert!(client.can_log_in("o'neil", "other", None).await);
    assert!(!client.can_log_in("o'neil", "other", Some("a_b")).await);
    assert!(!client.can_log_in("", "", None).await, "there is an anonymous user");

    for _ in 0..2 {
        datastore.drop_user("o'neil", "%").await.unwrap();
    }
    assert!(!client.can_log_in("o'neil", "other", None).await);
    assert_eq!(datastore.inventory().await.unwrap().users, [entry("app", &["Zeta", "a_b"])]);
}

async fn changes_users(datastore: &dyn Datastore, client: &impl Client) {
    datastore.create_users(&[user("first", "one", &["a_b"]), user("second", "two", &[])]).await.unwrap();
    let passwords = ["first", "second"].map(|name| NewPassword {
        name: name.into(),
        host: "%".into(),
        password: Secret::new(format!("new'{name}")),
    });
    for _ in 0..2 {
        datastore.change_passwords(&passwords).await.unwrap();
    }
    assert!(!client.can_log_in("first", "one", None).await);
    assert!(client.can_log_in("first", "new'first", Some("a_b")).await);
    assert!(client.can_log_in("second", "new'second", None).await);

    let plain = UserChange {
        name: "first".into(),
        host: "%".into(),
        new_name: None,
        new_host: None,
        new_password: Some(Secret::new("three")),
    };
    datastore.change_user(&plain).await.unwrap();
    assert!(!client.can_log_in("first", "new'first", None).await);
    assert!(client.can_log_in("first", "three", Some("a_b")).await);

    let renamed = UserChange { new_name: Some("th'ird".into()), new_password: None, ..plain.clone() };
    for _ in 0..2 {
        datastore.change_user(&renamed).await.unwrap();
        assert!(client.can_log_in("th'ird", "three", Some("a_b")).await, "rights and password stay");
        assert!(!client.can_log_in("first", "three", None).await);
    }
    let elsewhere = UserChange { name: "th'ird".into(), new_host: Some("10.%".into()), ..renamed.clone() };
    datastore.change_user(&UserChange { new_name: None, ..elsewhere }).await.unwrap();
    assert!(!client.can_log_in("th'ird", "three", None).await, "we do not come from 10.%");

    let taken = UserChange { name: "second".into(), new_name: Some("app".into()), ..plain.clone() };
    assert_eq!(datastore.change_user(&taken).await.unwrap_err().code, "already_exists");
    let nobody = UserChange { name: "nobody".into(), ..plain };
    assert_eq!(datastore.change_user(&nobody).await.unwrap_err().code, "not_found");
    datastore.drop_user("th'ird", "10.%").await.unwrap();
    datastore.drop_user("second", "%").await.unwrap();
}

async fn gives_and_takes_rights(datastore: &dyn Datastore, client: &impl Client) {
    datastore.create_users(&[user("guest", "secret", &[])]).await.unwrap();
    let rights = async || {
        let users = datastore.inventory().await.unwrap().users;
        users.into_iter().find(|user| user.name == "guest").unwrap().databases
    };
    let both = ["a_b".to_owned(), "with space".to_owned()];
    for _ in 0..2 {
        datastore.grant("guest", "%", &both).await.unwrap();
        assert_eq!(rights().await, both);
    }
    assert!(client.can_log_in("guest", "secret", Some("a_b")).await);
    assert!(!client.can_log_in("guest", "secret", Some("axb")).await, "the grant is a pattern");
    for _ in 0..2 {
        datastore.revoke("guest", "%", "a_b").await.unwrap();
        assert_eq!(rights().await, ["with space"]);
    }
    assert!(!client.can_log_in("guest", "secret", Some("a_b")).await);
    assert!(client.can_log_in("guest", "secret", Some("with space")).await);

    assert_eq!(datastore.grant("nobody", "%", &both).await.unwrap_err().code, "not_found");
    assert!(!datastore.has_user("nobody", "%").await.unwrap(), "a grant makes no user");
    datastore.drop_user("guest", "%").await.unwrap();
}

async fn enables_and_disables_root(datastore: &dyn Datastore, client: &impl Client) {
    assert!(!client.can_log_in("root", "", None).await);
    for password in ["first", "second"] {
        datastore.enable_root(&Secret::new(password)).await.unwrap();
        assert!(client.can_log_in("root", password, Some("a_b")).await);
    }
    assert!(!client.can_log_in("root", "first", None).await);
    for _ in 0..2 {
        datastore.disable_root().await.unwrap();
        assert!(!client.can_log_in("root", "second", None).await);
    }
    datastore.enable_root(&Secret::new("third")).await.unwrap();
    assert!(client.can_log_in("root", "third", None).await);
    let users = datastore.inventory().await.unwrap().users;
    assert!(users.iter().all(|user| user.name != "root"), "the superuser is not a tenant's user");
}

async fn keeps_data_through_restart_crash_and_stop(
    datastore: &dyn Datastore,
    supervisor: &Supervisor,
    settings: Settings,
    client: &impl Client,
) {
    datastore.create_databases(&[database("kept")]).await.unwrap();
    datastore.create_users(&[user("keeper", "secret", &["kept"])]).await.unwrap();
    client.write("keeper", "secret", "kept", "value").await;

    let before = supervisor.gauges().pid.unwrap();
    supervisor.restart().await.unwrap();
    let restarted = supervisor.gauges().pid.unwrap();
    assert_ne!(restarted, before);
    assert_eq!(client.read("keeper", "secret", "kept").await, ["value"]);

    let mut state = supervisor.state();
    state.borrow_and_update();
    kill_now(restarted);
    timeout(DEADLINE, state.wait_for(|state| *state == EngineState::Crashed)).await.unwrap().unwrap();
    timeout(DEADLINE, state.wait_for(|state| *state == EngineState::Running)).await.unwrap().unwrap();
    assert_eq!(supervisor.gauges().restarts_total, 1);
    assert_eq!(client.read("keeper", "secret", "kept").await, ["value"]);

    supervisor.stop().await.unwrap();
    assert_eq!(*supervisor.state().borrow(), EngineState::Stopped);
    assert!(!client.can_log_in("keeper", "secret", None).await);
    assert!(datastore.probe().await.is_err());
    supervisor.prepare(settings).await.unwrap();
    assert_eq!(client.read("keeper", "secret", "kept").await, ["value"]);
}

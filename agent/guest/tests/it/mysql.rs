//! The datastore `mysql` on the installed MariaDB.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use coffer_guest::{
    datastores::{self, Datastore},
    supervisor::{Pace, Supervisor, settings::Settings},
    volume::Volume,
};
use coffer_protocol::{report::EngineState, secret::Secret};
use mysql_async::prelude::Queryable;
use rustix::process::{Signal, kill_process};
use tokio::time::timeout;

use crate::{
    conformance::{self, Client},
    control::DEADLINE,
    guest::{Guest, brisk, database, settings, user},
    unprivileged,
};

impl Client for Guest {
    async fn can_log_in(&self, user: &str, password: &str, database: Option<&str>) -> bool {
        match self.log_in(user, password, database).await {
            Ok(connection) => connection.disconnect().await.is_ok(),
            Err(_) => false,
        }
    }

    async fn write(&self, user: &str, password: &str, database: &str, value: &str) {
        let insert = format!("INSERT INTO kept VALUES ('{value}')");
        let statements = ["CREATE TABLE kept (value VARCHAR(99)) ENGINE=InnoDB", &insert, "SELECT 1"];
        self.query(user, password, database, &statements).await;
    }

    async fn read(&self, user: &str, password: &str, database: &str) -> Vec<String> {
        self.query(user, password, database, &["SELECT value FROM kept"]).await
    }
}

fn open(guest: &Guest, pace: Pace) -> (Arc<dyn Datastore>, Supervisor) {
    let volume = Arc::new(Volume::open(&guest.data).unwrap());
    let datastore = datastores::open("mysql", &volume, &guest.boot.listen_address).unwrap();
    let supervisor = Supervisor::start(volume, Arc::clone(&datastore), pace).unwrap();
    (datastore, supervisor)
}

#[test]
fn mariadb_conforms() {
    unprivileged::run(|| async {
        let guest = Guest::new();
        let (datastore, supervisor) = open(&guest, brisk());
        conformance::conforms(datastore, &supervisor, settings(), &guest).await;
    });
}

#[test]
fn a_volume_deeper_than_a_socket_address_is_long_works_the_same() {
    unprivileged::run(|| async {
        let guest = Guest::below(&format!("{0}/{0} with spaces/{0}", "d".repeat(60)));
        assert!(guest.data.as_os_str().len() > 190);
        let (datastore, supervisor) = open(&guest, brisk());
        supervisor.prepare(settings()).await.unwrap();
        datastore.create_users(&[user("u", "password", &[])]).await.unwrap();
        assert!(guest.can_log_in("u", "password", None).await);
    });
}

#[test]
fn a_version_that_is_not_installed_is_refused_and_leaves_nothing() {
    unprivileged::run(|| async {
        let guest = Guest::new();
        let (_, supervisor) = open(&guest, brisk());
        let wrong = Settings { datastore_version: "99.1".into(), ..settings() };
        assert_eq!(supervisor.prepare(wrong).await.unwrap_err().code, "unsupported");
        assert_eq!(*supervisor.state().borrow(), EngineState::Absent);
        assert!(!guest.data.join("mysql/data").exists());
        assert!(!guest.data.join("agent/prepared.json").exists());
    });
}

#[test]
fn an_engine_that_hangs_is_told_and_recovers_when_it_answers() {
    unprivileged::run(|| async {
        let guest = Guest::new();
        let pace = Pace { probe_timeout: Duration::from_millis(200), ..brisk() };
        let (_, supervisor) = open(&guest, pace);
        supervisor.prepare(settings()).await.unwrap();
        let mut state = supervisor.state();
        kill_process(guest.engine(), Signal::STOP).unwrap();
        timeout(DEADLINE, state.wait_for(|state| *state == EngineState::Unresponsive)).await.unwrap().unwrap();
        kill_process(guest.engine(), Signal::CONT).unwrap();
        timeout(DEADLINE, state.wait_for(|state| *state == EngineState::Running)).await.unwrap().unwrap();
        assert_eq!(supervisor.gauges().restarts_total, 0);
    });
}

#[test]
fn an_engine_that_hangs_before_it_was_up_is_started_anew() {
    unprivileged::run(|| async {
        let guest = Guest::new();
        let (datastore, supervisor) = open(&guest, brisk());
        supervisor.prepare(settings()).await.unwrap();
        drop((datastore, supervisor));
        drop(guest.volume().await);
        let hung = guest.engine();
        kill_process(hung, Signal::STOP).unwrap();
        let pace =
            Pace { probe_timeout: Duration::from_millis(100), start_silence: Duration::from_millis(500), ..brisk() };
        let (_, supervisor) = open(&guest, pace);
        let mut state = supervisor.state();
        timeout(DEADLINE, state.wait_for(|state| *state == EngineState::Running)).await.unwrap().unwrap();
        assert_ne!(guest.engine(), hung);
    });
}

#[test]
fn an_engine_that_hangs_is_restarted_when_asked() {
    unprivileged::run(|| async {
        let guest = Guest::new();
        let pace = Pace { stop_timeout: Duration::from_millis(300), ..brisk() };
        let (_, supervisor) = open(&guest, pace);
        supervisor.prepare(settings()).await.unwrap();
        let hung = guest.engine();
        kill_process(hung, Signal::STOP).unwrap();
        supervisor.restart().await.unwrap();
        assert_ne!(guest.engine(), hung);
    });
}

#[test]
fn an_engine_that_cannot_start_is_a_failure_with_its_own_words() {
    unprivileged::run(|| async {
        let guest = Guest::new();
        let _squatter = std::net::TcpListener::bind((guest.boot.listen_address.as_str(), 3306)).unwrap();
        let (_, supervisor) = open(&guest, brisk());
        let failed = supervisor.prepare(settings()).await.unwrap_err();
        assert_eq!(failed.code, "engine_failed");
        assert!(failed.message.contains("Address already in use"), "{}", failed.message);
        assert_eq!(*supervisor.state().borrow(), EngineState::Crashed);
    });
}

#[test]
fn a_tenant_with_root_cannot_lock_the_agent_out_for_good() {
    unprivileged::run(|| async {
        let guest = Guest::new();
        let (datastore, supervisor) = open(&guest, brisk());
        supervisor.prepare(settings()).await.unwrap();
        datastore.enable_root(&Secret::new("rootpw")).await.unwrap();
        let mut root = guest.log_in("root", "rootpw", None).await.unwrap();
        root.query_drop("DROP USER os_admin@localhost").await.unwrap();
        assert_eq!(datastore.inventory().await.unwrap_err().code, "engine_failed");
        datastore.probe().await.expect("an engine that refuses us is alive");
        supervisor.restart().await.unwrap();
        assert_eq!(datastore.inventory().await.unwrap().users, []);
    });
}

#[test]
fn a_disabled_root_is_out_wherever_it_came_from() {
    unprivileged::run(|| async {
        let guest = Guest::new();
        let (datastore, supervisor) = open(&guest, brisk());
        supervisor.prepare(settings()).await.unwrap();
        datastore.create_users(&[user("app", "password", &[])]).await.unwrap();
        datastore.enable_root(&Secret::new("rootpw")).await.unwrap();
        let mut root = guest.log_in("root", "rootpw", None).await.unwrap();
        root.query_drop("CREATE USER root@'127.%' IDENTIFIED BY 'backdoor'").await.unwrap();
        root.query_drop("GRANT ALL PRIVILEGES ON *.* TO root@'127.%'").await.unwrap();
        let mut app = guest.log_in("app", "password", None).await.unwrap();

        datastore.disable_root().await.unwrap();
        assert!(!guest.can_log_in("root", "rootpw", None).await);
        assert!(!guest.can_log_in("root", "backdoor", None).await);
        root.query_drop("SELECT 1").await.expect_err("a connection of root goes on");
        app.query_drop("SELECT 1").await.expect("others are left alone");
    });
}

#[test]
fn rights_by_a_wider_grant_are_not_said_to_be_taken() {
    unprivileged::run(|| async {
        let guest = Guest::new();
        let (datastore, supervisor) = open(&guest, brisk());
        supervisor.prepare(settings()).await.unwrap();
        datastore.create_databases(&[database("shop_1"), database("shop_2")]).await.unwrap();
        datastore.create_users(&[user("app", "password", &["shop_1"])]).await.unwrap();
        datastore.enable_root(&Secret::new("rootpw")).await.unwrap();
        let grant =
            async |statement: &str| drop(guest.query("root", "rootpw", "mysql", &[statement, "SELECT 1"]).await);
        grant(r"GRANT ALL ON `shop\_1`.* TO app WITH GRANT OPTION").await;
        datastore.revoke("app", "%", "shop_1").await.unwrap();
        assert!(!guest.can_log_in("app", "password", Some("shop_1")).await, "the right to hand on is taken too");

        grant("GRANT ALL ON `shop%`.* TO app").await;
        let refused = datastore.revoke("app", "%", "shop_1").await.unwrap_err();
        assert_eq!(refused.code, "invalid");
        assert!(refused.message.contains("shop%"), "{}", refused.message);
        assert!(guest.can_log_in("app", "password", Some("shop_2")).await, "it keeps what it has besides");
    });
}

#[test]
fn a_full_house_is_not_a_sick_engine() {
    unprivileged::run(|| async {
        let guest = Guest::new();
        // The supervisor's own probes must not take the place that this test counts on.
        let (datastore, supervisor) = open(&guest, Pace { probe_interval: DEADLINE, ..brisk() });
        supervisor.prepare(settings()).await.unwrap();
        datastore.create_users(&[user("u", "password", &[])]).await.unwrap();
        let places: usize = 32;
        let mut guests = Vec::new();
        let fill = async {
            // Connections of the agent that were closed just now may hold a place for a moment.
            while guests.len() < places {
                match guest.log_in("u", "password", None).await {
                    Ok(connection) => guests.push(connection),
                    Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
                }
            }
        };
        timeout(DEADLINE, fill).await.unwrap();
        assert!(!guest.can_log_in("u", "password", None).await, "the house is full");
        // One place more is kept for administrators; it too may be held for a moment by a closed connection.
        let seen = async {
            loop {
                let vitals = datastore.probe().await.expect("an engine that refuses us is alive");
                if vitals.connections.is_some() {
                    return vitals.connections;
                }
            }
        };
        assert_eq!(timeout(DEADLINE, seen).await.unwrap(), Some(places as u64));
    });
}

#[test]
fn nothing_of_the_engine_is_open_to_others_or_outside_the_volume() {
    unprivileged::run(|| async {
        let guest = Guest::new();
        let (datastore, supervisor) = open(&guest, brisk());
        supervisor.prepare(settings()).await.unwrap();
        datastore.enable_root(&Secret::new("rootpw")).await.unwrap();
        let ask = async |statement: &str| guest.query("root", "rootpw", "mysql", &[statement]).await;
        for (variable, expected) in [
            ("secure_file_priv", format!("{}/", guest.data.join("mysql/files").canonicalize().unwrap().display())),
            ("local_infile", "OFF".into()),
            ("have_symlink", "DISABLED".into()),
            ("skip_name_resolve", "ON".into()),
            ("log_bin", "OFF".into()),
            ("innodb_flush_log_at_trx_commit", "1".into()),
            ("innodb_buffer_pool_size", (64 << 20).to_string()),
            ("bind_address", guest.boot.listen_address.clone()),
        ] {
            assert_eq!(ask(&format!("SELECT CAST(@@{variable} AS CHAR)")).await, [expected], "{variable}");
        }
        let accounts = ask("SELECT CONCAT(user, '@', host, IFNULL(JSON_VALUE(priv, '$.account_locked'), 0)) \
                            FROM mysql.global_priv ORDER BY user, host")
        .await;
        assert_eq!(accounts, ["mariadb.sys@localhost1", "os_admin@localhost0", "root@%0", "root@localhost1"]);
    });
}

const CHARSETS: [(&str, &str); 9] = [
    ("character_set_client", "utf8"),
    ("character_set_connection", "utf8"),
    ("character_set_database", "utf8"),
    ("character_set_filesystem", "utf8"),
    ("character_set_results", "utf8"),
    ("character_set_server", "utf8"),
    ("collation_connection", "utf8_unicode_ci"),
    ("collation_database", "utf8_unicode_ci"),
    ("collation_server", "utf8_unicode_ci"),
];

fn values(values: &[(&str, &str)]) -> BTreeMap<String, String> {
    values.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// What the whole engine has, as its superuser sees it.
async fn engine_has(guest: &Guest, names: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for name in names {
        found.extend(guest.query("root", "rootpw", "mysql", &[&format!("SELECT CAST(@@GLOBAL.{name} AS CHAR)")]).await);
    }
    found
}

async fn with_root(guest: &Guest) -> (Arc<dyn Datastore>, Supervisor) {
    let (datastore, supervisor) = open(guest, brisk());
    supervisor.prepare(settings()).await.unwrap();
    datastore.enable_root(&Secret::new("rootpw")).await.unwrap();
    (datastore, supervisor)
}

#[test]
fn a_configuration_counts_at_once_and_outlives_engine_and_agent() {
    unprivileged::run(|| async {
        let guest = Guest::new();
        let (datastore, supervisor) = with_root(&guest).await;
        let names = CHARSETS.map(|(name, _)| name);
        let at_first = engine_has(&guest, &names).await;
        supervisor.configure(1, &values(&CHARSETS)).await.unwrap();
        assert!(!datastore.restart_required());
        let expected = CHARSETS.map(|(_, value)| value.replace("utf8", "utf8mb3"));
        assert_eq!(engine_has(&guest, &names).await, expected);

        supervisor.restart().await.unwrap();
        assert_eq!(engine_has(&guest, &names).await, expected, "after a restart");
        drop((supervisor, datastore));
        drop(guest.volume().await);
        let (_, supervisor) = open(&guest, brisk());
        supervisor.restart().await.unwrap();
        assert_eq!(engine_has(&guest, &names).await, expected, "after another agent's restart");

        supervisor.configure(2, &values(&[("max_connections", "77"), ("sort_buffer_size", "1000001")])).await.unwrap();
        assert_eq!(engine_has(&guest, &names).await, at_first, "what is not wanted any more is as it was");
        assert_eq!(engine_has(&guest, &["max_connections"]).await, ["77"]);
        supervisor.configure(1, &values(&CHARSETS)).await.expect("an older one is nothing to do");
        assert_eq!(engine_has(&guest, &names).await, at_first);

        supervisor.configure(3, &values(&[])).await.unwrap();
        assert_eq!(engine_has(&guest, &["max_connections"]).await, ["32"], "the default of this guest's size");
    });
}

#[test]
fn what_the_running_engine_cannot_take_waits_for_its_next_start() {
    unprivileged::run(|| async {
        let guest = Guest::new();
        let (datastore, supervisor) = with_root(&guest).await;
        let wanted = values(&[("ft_min_word_len", "6"), ("wait_timeout", "999")]);
        supervisor.configure(1, &wanted).await.unwrap();
        assert!(datastore.restart_required());
        assert_eq!(engine_has(&guest, &["ft_min_word_len", "wait_timeout"]).await, ["4", "999"]);
        supervisor.restart().await.unwrap();
        assert!(!datastore.restart_required());
        assert_eq!(engine_has(&guest, &["ft_min_word_len", "wait_timeout"]).await, ["6", "999"]);
        supervisor.configure(2, &wanted).await.unwrap();
        assert!(!datastore.restart_required(), "the engine has it");
        supervisor.configure(3, &values(&[])).await.unwrap();
        assert!(datastore.restart_required());
        supervisor.configure(4, &wanted).await.unwrap();
        assert!(!datastore.restart_required(), "it is as it is wanted again");
    });
}

#[test]
fn a_value_that_the_engine_refuses_leaves_everything_as_it_was() {
    unprivileged::run(|| async {
        let guest = Guest::new();
        let (datastore, supervisor) = with_root(&guest).await;
        supervisor.configure(1, &values(&[("max_connections", "77")])).await.unwrap();
        let options = std::fs::read(guest.data.join("mysql/my.cnf")).unwrap();
        for (wanted, words) in [
            (vec![("max_connections", "88"), ("time_zone", "Atlantis")], "time_zone = Atlantis"),
            (vec![("max_connections", "88"), ("wait_timeout", "99999999999")], "takes wait_timeout = 99999999999"),
            (vec![("max_connections", "88"), ("no_such_thing", "1")], "has no parameter no_such_thing"),
            (vec![("max_connections", "88"), ("ft_min_word_len", "xyz")], "would not start with these values"),
        ] {
            let refused = supervisor.configure(2, &values(&wanted)).await.unwrap_err();
            assert_eq!(refused.code, "invalid", "{wanted:?}");
            assert!(refused.message.contains(words), "{}", refused.message);
            assert_eq!(engine_has(&guest, &["max_connections"]).await, ["77"], "{wanted:?}");
            assert_eq!(std::fs::read(guest.data.join("mysql/my.cnf")).unwrap(), options, "{wanted:?}");
            assert!(!datastore.restart_required());
        }
    });
}

#[test]
fn an_engine_that_does_not_start_with_its_values_is_started_with_the_ones_before() {
    unprivileged::run(|| async {
        let guest = Guest::new();
        let (datastore, supervisor) = with_root(&guest).await;
        supervisor.configure(1, &values(&[("max_connections", "77")])).await.unwrap();
        // It is read as it should be, and then the engine ends of it.
        let wanted = values(&[("max_connections", "88"), ("innodb_data_file_path", "nonsense")]);
        supervisor.configure(2, &wanted).await.unwrap();
        assert!(datastore.restart_required());
        let refused = supervisor.restart().await.unwrap_err();
        assert_eq!(refused.code, "configuration_refused");
        assert!(refused.message.contains("innodb_data_file_path"), "{}", refused.message);
        assert_eq!(*supervisor.state().borrow(), EngineState::Running);
        assert_eq!(engine_has(&guest, &["max_connections"]).await, ["77"]);
        assert!(!datastore.restart_required());
    });
}

#[test]
fn what_a_tenant_sets_for_all_sessions_does_not_hinder_the_agent() {
    unprivileged::run(|| async {
        let guest = Guest::new();
        let (datastore, supervisor) = with_root(&guest).await;
        let hindering = [("sql_select_limit", "1"), ("max_statement_time", "0.000001"), ("max_join_size", "1")];
        supervisor.configure(1, &values(&hindering)).await.unwrap();
        datastore.create_databases(&[database("shop"), database("store")]).await.unwrap();
        assert_eq!(datastore.inventory().await.unwrap().databases, ["shop", "store"]);
        supervisor.configure(2, &values(&[])).await.unwrap();
    });
}

async fn sized_for(guest: &Guest) -> Vec<String> {
    let mut sizes = Vec::new();
    for variable in ["innodb_buffer_pool_size", "max_connections", "innodb_log_file_size"] {
        sizes.extend(guest.query("u", "password", "shop", &[&format!("SELECT @@{variable}")]).await);
    }
    sizes
}

#[test]
fn an_engine_is_sized_anew_and_keeps_its_data() {
    unprivileged::run(|| async {
        let guest = Guest::new();
        let (datastore, supervisor) = open(&guest, brisk());
        supervisor.prepare(settings()).await.unwrap();
        datastore.create_databases(&[database("shop")]).await.unwrap();
        datastore.create_users(&[user("u", "password", &["shop"])]).await.unwrap();
        guest.write("u", "password", "shop", "kept").await;
        assert_eq!(sized_for(&guest).await, mib([64, 32, 16]));

        supervisor.grow_volume(10).await.unwrap();
        assert_eq!(sized_for(&guest).await, mib([64, 32, 16]), "the engine goes on as it is");
        let before = guest.engine();
        supervisor.resize(512, 2).await.unwrap();
        assert_ne!(guest.engine(), before);
        assert_eq!(sized_for(&guest).await, mib([256, 128, 64]));
        supervisor.resize(512, 2).await.unwrap();
        assert_eq!(guest.read("u", "password", "shop").await, ["kept"]);
    });
}

/// As the engine says it: the second is a number of connections.
fn mib([buffer_pool, connections, redo_log]: [u64; 3]) -> [String; 3] {
    [buffer_pool << 20, connections, redo_log << 20].map(|size| size.to_string())
}

#[test]
fn an_agent_that_died_between_the_settings_and_the_start_makes_up_for_it() {
    unprivileged::run(|| async {
        let guest = Guest::new();
        let (datastore, supervisor) = open(&guest, brisk());
        supervisor.prepare(settings()).await.unwrap();
        datastore.create_databases(&[database("shop")]).await.unwrap();
        datastore.create_users(&[user("u", "password", &["shop"])]).await.unwrap();
        drop((supervisor, datastore));

        // The settings are stored and the engine is the old one.
        let volume = guest.volume().await;
        coffer_guest::supervisor::settings::store(&volume, &Settings { memory_mib: 512, ..settings() }).unwrap();
        drop(volume);
        let before = guest.engine();
        let (_, supervisor) = open(&guest, brisk());
        // Whether or not it has met its engine yet.
        supervisor.resize(512, 1).await.unwrap();
        assert_ne!(guest.engine(), before);
        assert_eq!(sized_for(&guest).await[..2], mib([256, 128, 0])[..2]);
    });
}

#[test]
fn nothing_is_sized_before_there_is_an_engine() {
    unprivileged::run(|| async {
        let guest = Guest::new();
        let (_, supervisor) = open(&guest, brisk());
        assert_eq!(supervisor.resize(512, 1).await.unwrap_err().code, "not_found");
        assert_eq!(supervisor.grow_volume(2).await.unwrap_err().code, "not_found");
    });
}

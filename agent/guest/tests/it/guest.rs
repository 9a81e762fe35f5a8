//! A guest: a volume, an address, first-boot data, and no engine left running when the test ends, however it ends.

use std::{
    collections::BTreeMap,
    net::TcpListener,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use coffer_guest::{
    agent::Agent,
    datastores::mysql::PORT,
    host::{proc, random},
    supervisor::{Pace, settings::Settings},
    volume::Volume,
};
use coffer_protocol::{
    VERSION,
    boot::{Bootstrap, FirstBoot},
    command::{Database, Prepare, User},
    seal::Key,
    secret::Secret,
};
use mysql_async::{Conn, OptsBuilder, prelude::Queryable};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::{task::JoinHandle, time::Instant};

use crate::{broker::Broker, control::DEADLINE};

pub struct Guest {
    directory: TempDir,
    pub data: PathBuf,
    pub boot: FirstBoot,
    pub broker: Arc<Broker>,
}

impl Guest {
    pub fn new() -> Self {
        Self::below("data")
    }

    /// A guest whose volume lies at this path below a temporary directory.
    pub fn below(path: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let data = directory.path().join(path);
        std::fs::create_dir_all(&data).unwrap();
        Self { data, boot: first_boot(&free_address()), directory, broker: Arc::default() }
    }

    pub fn root(&self) -> &Path {
        self.directory.path()
    }

    /// Starts an agent in this process. Aborted, it stops where it stands and leaves its engine.
    pub async fn start_agent(&self, pace: Pace) -> JoinHandle<std::io::Error> {
        // Free, if only for now: nobody else takes it.
        drop(self.volume().await);
        let agent = Agent::start(self.boot.clone(), &self.data, pace).unwrap();
        tokio::spawn(agent.run(self.broker.clone()))
    }

    /// The volume, as soon as an aborted agent has let go of it: when its last task has been dropped.
    pub async fn volume(&self) -> Volume {
        let deadline = Instant::now() + DEADLINE;
        loop {
            match Volume::open(&self.data) {
                Ok(volume) => return volume,
                Err(error) => assert!(Instant::now() < deadline, "{error}"),
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// All processes that work on this guest's volume, by their arguments.
    pub fn processes(&self) -> Vec<Pid> {
        let root = self.directory.path().to_str().unwrap();
        proc::find(|arguments| arguments.iter().any(|argument| argument.to_string_lossy().contains(root)))
    }

    /// The engines (not bootstraps) on this volume.
    pub fn engines(&self) -> Vec<Pid> {
        let data = format!("--datadir={}", self.data.join("mysql/data").display());
        proc::find(|arguments| arguments.iter().any(|argument| *argument == *data))
    }

    pub fn engine(&self) -> Pid {
        let engines = self.engines();
        assert_eq!(engines.len(), 1, "engines on one data directory: {engines:?}");
        engines[0]
    }

    /// Logs in over TCP.
    pub async fn log_in(&self, user: &str, password: &str, database: Option<&str>) -> mysql_async::Result<Conn> {
        let options = OptsBuilder::default()
            .ip_or_hostname(self.boot.listen_address.clone())
            .tcp_port(PORT)
            .user(Some(user))
            .pass(Some(password))
            .db_name(database)
            .prefer_socket(false);
        Conn::new(options).await
    }

    /// Logs in over TCP, executes statements and returns what the last one answers.
    pub async fn query(&self, user: &str, password: &str, database: &str, statements: &[&str]) -> Vec<String> {
        let mut connection = self.log_in(user, password, Some(database)).await.unwrap();
        let (last, before) = statements.split_last().unwrap();
        for statement in before {
            connection.query_drop(*statement).await.unwrap();
        }
        let rows = connection.query(*last).await.unwrap();
        connection.disconnect().await.unwrap();
        rows
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        for pid in self.processes() {
            if pid != rustix::process::getpid() {
                let _ = kill_process(pid, Signal::KILL);
            }
        }
    }
}

pub fn kill_now(pid: Pid) {
    kill_process(pid, Signal::KILL).unwrap();
}

/// Probes fast, so that tests need not wait.
pub fn brisk() -> Pace {
    Pace { probe_interval: Duration::from_millis(100), ..Pace::default() }
}

pub fn prepare(databases: &[&str], users: Vec<User>) -> Prepare {
    let Settings { datastore_version, memory_mib, vcpus, volume_gib, stopped: _ } = settings();
    let databases = databases.iter().map(|name| database(name)).collect();
    Prepare { datastore_version, memory_mib, vcpus, volume_gib, databases, users, values: BTreeMap::new() }
}

pub fn settings() -> Settings {
    Settings { datastore_version: "10.11".into(), memory_mib: 128, vcpus: 1, volume_gib: 1, stopped: false }
}

pub fn database(name: &str) -> Database {
    Database { name: name.into(), character_set: None, collate: None }
}

pub fn user(name: &str, password: &str, databases: &[&str]) -> User {
    let databases = databases.iter().map(|name| (*name).to_owned()).collect();
    User { name: name.into(), host: "%".into(), password: Secret::new(password), databases }
}

fn first_boot(address: &str) -> FirstBoot {
    FirstBoot {
        version: VERSION,
        instance_id: "0e4b1c52-7c0f-4bf1-9f7e-6f2a6a4f5f11".into(),
        tenant: "tenant-1".into(),
        key_id: "key-1".into(),
        key: Key::from_bytes(random::bytes().unwrap()),
        cell: "7".into(),
        epoch: 3,
        // Nobody listens there: for the program, which finds its engine without a broker.
        bootstrap: Bootstrap::Servers("127.0.0.1:9".into()),
        datastore: "mysql".into(),
        listen_address: address.into(),
    }
}

/// A loopback address on which the engine's port is free.
fn free_address() -> String {
    loop {
        let [second, third, fourth] = random::bytes::<3>().unwrap();
        let address = format!("127.{}.{third}.{}", second.max(1), fourth.clamp(1, 254));
        if TcpListener::bind((address.as_str(), PORT)).is_ok() {
            return address;
        }
    }
}

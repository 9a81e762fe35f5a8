//! `coffer admin move-log`: what is committed goes to where the configuration wants it.

use std::{path::Path, process::ExitCode, sync::Arc};

use coffer_runtime::{
    clock::{Clock, SystemClock},
    local_log::LocalLog,
    metrics::Metrics,
    move_log,
    replicated_log::ReplicatedLog,
    store::Store,
};
use prometheus::Registry;

use crate::{
    broker,
    config::{self, LogKind},
    state_dir::StateDir,
};

type Outcome = Result<ExitCode, Box<dyn std::error::Error>>;

pub fn run(file: &Path) -> Outcome {
    let config = config::read(file)?;
    let state = StateDir::at(config.state_dir.clone());
    let _lock = state.lock_existing()?.ok_or("coffer runs: stop it before its log is moved")?;
    if !state.store().exists() {
        return Err(format!("{} holds no store", state.path().display()).into());
    }
    let servers = config.broker.bootstrap_servers.clone();
    let servers = servers.ok_or("broker.bootstrap_servers: the cluster that is moved to, or from, must be named")?;
    let store = Arc::new(Store::open(&state.store())?);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(async {
        let changelog = broker::changelog_at(&servers);
        let clock = Arc::new(SystemClock::default());
        match config.broker.log {
            LogKind::Kafka => {
                broker::prepare_all(&servers, LogKind::Kafka).await?;
                let rows = move_log::to_changelog(&store, changelog.as_ref(), clock.now()).await?;
                println!("{rows} rows moved; the store follows them from now on");
            }
            LogKind::Local => {
                if store.follows()?.is_none() {
                    return Err("the store holds its own state already".into());
                }
                let metrics = Metrics::new(&Registry::new())?;
                let applier = Arc::new(LocalLog::start(store.clone(), &metrics.bounded)?);
                let log = ReplicatedLog::open(changelog, store.clone(), applier, clock, metrics).await?;
                move_log::to_store(&store, &log).await?;
                println!("the store holds its own state from now on");
            }
        }
        Ok(ExitCode::SUCCESS)
    })
}

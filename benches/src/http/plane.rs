//! The control plane with its API, put together as the server does it; only cloud and broker are the benches' own.

use std::{
    net::TcpListener,
    path::Path,
    sync::{Arc, atomic::AtomicBool},
};

use coffer_local::identity::StaticIdentity;
use coffer_runtime::{
    borders::NoRehearsal,
    clock::SystemClock,
    metrics::Metrics,
    runtime::{Config, Runtime},
    store::Store,
};
use coffer_server::control::Control;
use prometheus::Registry;
use tracing_subscriber::EnvFilter;

use super::{child, home};
use crate::{Failure, in_system, one_partition::unlimited, outside, samples};

pub fn serve(home: &Path) -> Result<(), Failure> {
    // As the server logs: each request a line.
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new("info"))
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .init();
    let store = Arc::new(Store::open(&home::store(home))?);
    let identity = Arc::new(StaticIdentity::open(&home::users(home), home::TOKEN_KEY)?);
    in_system(async move {
        let registry = Registry::new();
        let (vault, catalogue, limits) =
            (Arc::new(samples::vault()), Arc::new(samples::catalogue()), Arc::new(unlimited()));
        let clock = Arc::new(SystemClock::default());
        let (runtime, _failure) = Runtime::start(Config {
            store,
            connectors: outside::connectors(),
            transport: Arc::new(outside::DeadBroker::default()),
            vault: vault.clone(),
            clock: clock.clone(),
            borders: Arc::new(NoRehearsal),
            catalogue: catalogue.clone(),
            limits: limits.clone(),
            metrics: Metrics::new(&registry)?,
            cluster: None,
            open_intake: false,
        })
        .await?;
        let ready = Arc::new(AtomicBool::new(true));
        let control = Control { runtime: runtime.clone(), vault, catalogue, limits, clock, ready };
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let api = coffer_rest::serve(Default::default(), listener, Arc::new(control), identity, registry, None)?;
        let handle = api.handle();
        let api = tokio::task::spawn_local(api);
        child::tell(address);
        child::parent_ends().await;
        handle.stop(false).await;
        let _ = api.await;
        runtime.stop().await;
        Ok(())
    })
}

//! Starts all parts, runs until a signal or a failure, and stops them in order: the API first, then the partitions.
//! Guests go on.

use std::{
    net::TcpListener,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use actix::System;
use coffer_domain::quota::Limits;
use coffer_local::LocalProvider;
use coffer_rest::tls::Certificates;
use coffer_runtime::{
    borders::{Borders, NoRehearsal},
    clock::{Clock, SystemClock},
    dispatcher::Connectors,
    metrics::Metrics,
    runtime::{Config as RuntimeConfig, Runtime},
    store::Store,
};
use coffer_server::control::Control;
use prometheus::Registry;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};

use crate::{
    CommandResult, admin,
    broker::{Broker, host_name},
    catalogue,
    cli::{DevOptions, ServeOptions},
    config::{self, Config},
    desk::ServiceDesk,
    identity, keys, local_api, logging, rehearsal,
    state_dir::{Endpoints, StateDir},
    systemd,
};

/// How long the end waits for the store to be closed, and how often it looks.
const STORE_CLOSE: Duration = Duration::from_secs(5);
const STORE_CLOSE_LOOK: Duration = Duration::from_millis(2);
/// Threads for calls to the outside; partitions and the API have their own.
const WORKER_THREADS: usize = 2;
/// How often somebody looks whether the supervisor of the local guests is there.
const SUPERVISOR_WATCH: Duration = Duration::from_secs(2);
/// How often somebody looks whether the certificate was replaced.
const CERTIFICATE_WATCH: Duration = Duration::from_secs(5);

/// What differs between `coffer dev` and `coffer serve`.
struct Mode {
    borders: Arc<dyn Borders>,
    clock: Arc<dyn Clock>,
    dev: bool,
}

/// `coffer dev`.
pub fn dev(options: &DevOptions) -> CommandResult {
    if !options.listen.ip().is_loopback() {
        return Err(format!("--listen {}: coffer dev listens on loopback only", options.listen).into());
    }
    logging::start(options.log_format);
    let state = StateDir::dev(options.state.state_dir.as_deref())?;
    let config = Config {
        state_dir: state.path().to_owned(),
        rest: coffer_rest::config::Config {
            listen: options.listen,
            tls_certificate_file: options.tls_cert.clone(),
            tls_key_file: options.tls_key.clone(),
            serve_identity: true,
            ..Default::default()
        },
        identity: config::Identity::default(),
        broker: config::Broker { open_intake: true, ..Default::default() },
        provider: config::Provider::default(),
        catalogue: config::Catalogue::default(),
        quota: Limits::default(),
    };
    let mode = Mode { borders: rehearsal::borders(), clock: Arc::new(rehearsal::clock()?), dev: true };
    run(config, &mode)
}

/// `coffer serve`.
pub fn serve(options: &ServeOptions) -> CommandResult {
    logging::start(options.log_format);
    let mut config = config::read(&options.config)?;
    identity::announce(&mut config);
    let mode = Mode { borders: Arc::new(NoRehearsal), clock: Arc::new(SystemClock::default()), dev: false };
    run(config, &mode)
}

fn run(mut config: Config, mode: &Mode) -> CommandResult {
    config.rest.max_connections = config.rest.max_connections.min(raise_file_limit() / 2);
    let state = StateDir::at(config.state_dir.clone());
    let _lock = state.open()?;
    state.check_restored()?;
    if let Some(directory) = &config.provider.directory {
        state.share_local(directory)?;
    }
    let catalogue = Arc::new(catalogue::load(config.catalogue.file.as_deref())?);
    let key = keys::load(&state.deployment_key(), &state.store())?;
    identity::need_users(&config.identity, &state, mode.dev)?;
    config.rest.check_policy()?;
    let certificates = config.rest.certificates()?;
    let listener = TcpListener::bind(config.rest.listen)
        .map_err(|error| format!("rest.listen {}: {error}", config.rest.listen))?;
    let parts = Parts {
        provider: open_provider(&state, config.provider.agent_program.clone())?,
        token_key: key.token_key,
        store: Arc::new(Store::open(&state.store())?),
        vault: Arc::new(key.vault),
        catalogue,
        certificates,
        listener,
        state,
        config,
    };
    tracing::warn!("{}", coffer_local::sizes::words());
    let system = System::with_tokio_rt(|| {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(WORKER_THREADS)
            .enable_all()
            .build()
            .expect("threads and timers are available when the process starts")
    });
    let open_mark = parts.store.open_mark();
    let result = system.block_on(work(parts, mode));
    drop(system);
    // The log's thread may be the last to let go of the store. A process that ends while RocksDB closes is aborted.
    let deadline = Instant::now() + STORE_CLOSE;
    while open_mark.strong_count() > 0 && Instant::now() < deadline {
        thread::sleep(STORE_CLOSE_LOOK);
    }
    result
}

/// Raises the limit of open files to what the host allows; returns it. Connections may use half of it: the store, the
/// broker and the guests need the rest.
fn raise_file_limit() -> usize {
    let limits = getrlimit(Resource::Nofile);
    let wanted = Rlimit { current: limits.maximum, maximum: limits.maximum };
    let reached = if setrlimit(Resource::Nofile, wanted).is_ok() { limits.maximum } else { limits.current };
    reached.map_or(usize::MAX, |files| usize::try_from(files).unwrap_or(usize::MAX))
}

/// What is opened before anything runs.
struct Parts {
    provider: LocalProvider,
    token_key: [u8; 32],
    store: Arc<Store>,
    vault: Arc<coffer_runtime::vault::Vault>,
    catalogue: Arc<coffer_domain::catalogue::Catalogue>,
    certificates: Option<Arc<Certificates>>,
    listener: TcpListener,
    state: StateDir,
    config: Config,
}

fn open_provider(
    state: &StateDir,
    agent_program: Option<PathBuf>,
) -> Result<LocalProvider, Box<dyn std::error::Error>> {
    Ok(LocalProvider::open(admin::local_config(state, agent_program)?)?)
}

async fn work(parts: Parts, mode: &Mode) -> CommandResult {
    let Parts { provider, token_key, store, vault, catalogue, certificates, listener, state, config } = parts;
    let (desk_store, desk_vault) = (store.clone(), vault.clone());
    let registry = Registry::new();
    let limits = Arc::new(config.quota);
    let metrics = Metrics::new(&registry)?;
    let identity = identity::open(&config.identity, &state, token_key, mode.clock.clone(), &metrics.bounded)?;
    let mut broker = Broker::start(&config.broker, &state)?;
    broker.prepare().await?;
    let connectors = Connectors {
        network: Arc::new(provider.clone()),
        volumes: Arc::new(provider.clone()),
        compute: Arc::new(provider.clone()),
        agent_bootstrap: broker.agent_bootstrap(),
    };
    let (runtime, mut failure) = Runtime::start(RuntimeConfig {
        store,
        connectors: if mode.dev { rehearsal::effects::connectors(connectors)? } else { connectors },
        transport: Arc::new(broker.connect(metrics.bounded.clone())?),
        vault: vault.clone(),
        clock: mode.clock.clone(),
        borders: mode.borders.clone(),
        catalogue: catalogue.clone(),
        limits: limits.clone(),
        metrics,
        cluster: broker.cluster(place(&state)),
        open_intake: config.broker.open_intake,
    })
    .await?;
    let ready = Arc::new(AtomicBool::new(true));
    let control =
        Control { runtime: runtime.clone(), vault, catalogue, limits, clock: mode.clock.clone(), ready: ready.clone() };
    let address = listener.local_addr()?;
    let api_url = format!("{}://{address}", if certificates.is_some() { "https" } else { "http" });
    let clients_auth_url = config.rest.auth_url.clone();
    let api = coffer_rest::serve(config.rest, listener, Arc::new(control), identity, registry, certificates.as_ref())?;
    let api_handle = api.handle();
    let api = tokio::task::spawn_local(api);
    let desk = ServiceDesk {
        state: state.clone(),
        runtime: runtime.clone(),
        store: desk_store,
        vault: desk_vault,
        provider: provider.clone(),
        ready: ready.clone(),
        api: api_url.clone(),
    };
    let local_api = local_api::serve(state.path(), Arc::new(desk))?;
    let watch = tokio::spawn(watch_supervisor(provider));

    let publish = |broker: &Broker| {
        let api = api_url.clone();
        let auth_url = clients_auth_url.clone().unwrap_or_else(|| format!("{api}/v3"));
        state.publish(&Endpoints { auth_url, api, kafka: broker.servers(), pid: std::process::id() })
    };
    publish(&broker)?;
    tracing::info!(%address, "ready");
    systemd::ready();

    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let mut certificate_watch = tokio::time::interval(CERTIFICATE_WATCH);
    let mut drill = signal(SignalKind::user_defined1())?;
    let failed = loop {
        tokio::select! {
            _ = terminate.recv() => break None,
            _ = interrupt.recv() => break None,
            error = failure.recv() => break error,
            _ = hangup.recv() => certificates.iter().for_each(|certificates| reload(certificates)),
            _ = certificate_watch.tick() => {
                certificates.iter().filter(|certificates| certificates.have_changed()).for_each(|certificates| reload(certificates));
            }
            _ = drill.recv(), if mode.dev => {
                tracing::warn!("drill: the embedded broker is dropped and started empty");
                broker.recreate()?;
                publish(&broker)?;
            }
        }
    };
    tracing::info!("stopping");
    systemd::stopping();
    ready.store(false, Ordering::Relaxed);
    watch.abort();
    local_api.abort();
    api_handle.stop(failed.is_none()).await;
    // The server ends with its handle; its own result says nothing new.
    let _ = api.await;
    if failed.is_none() {
        runtime.stop().await;
    }
    state.withdraw();
    failed.map_or(Ok(()), |error| Err(error.into()))
}

/// What the provider `local` makes is found on the same host below the same directory.
fn place(state: &StateDir) -> String {
    let local = state.local();
    format!("local:{}:{}", host_name(), local.canonicalize().unwrap_or(local).display())
}

fn reload(certificates: &Certificates) {
    match certificates.reload() {
        Ok(()) => tracing::info!("the certificate was read again"),
        Err(error) => tracing::error!(%error, "the new certificate cannot be used: the one before it stays"),
    }
}

/// Nobody else watches over the supervisor of the local guests.
async fn watch_supervisor(provider: LocalProvider) {
    loop {
        if let Err(error) = provider.ensure_supervisor().await {
            tracing::warn!(%error, "the supervisor of the local guests could not be started");
        }
        tokio::time::sleep(SUPERVISOR_WATCH).await;
    }
}

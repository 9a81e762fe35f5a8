//! The whole runtime on a store that outlives it, with a broker, a provider and guests that outlive it, too.

use std::{
    path::Path,
    sync::{
        Arc, Weak,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use coffer_domain::{
    command::{Command, Envelope},
    ids::{CommandId, InstanceId, TenantId},
    instance::{
        InstanceView,
        view::{OperatingStatus, Status},
    },
    quota::Limits,
    rejection::Rejection,
    time::{Millis, Timestamp},
};
use coffer_runtime::{
    clock::{Clock, SystemClock},
    metrics::Metrics,
    partition::Accepted,
    runtime::{Config, Failure, Runtime},
    store::Store,
};
use prometheus::Registry;
use tempfile::TempDir;

use super::{
    broker::Broker,
    cloud::Cloud,
    faults::Faults,
    poll::{DEADLINE, in_time, until},
    samples::{catalogue, command_id, create, envelope_of, vault},
};

/// The host's clock, shifted.
#[derive(Debug, Default)]
pub struct ShiftedClock(AtomicI64);

impl ShiftedClock {
    pub fn shift(&self, span: Millis) {
        self.0.fetch_add(span, Ordering::Relaxed);
    }
}

impl Clock for ShiftedClock {
    fn now(&self) -> Timestamp {
        SystemClock { offset: self.0.load(Ordering::Relaxed) }.now()
    }
}

pub struct Circle {
    directory: TempDir,
    runtime: Option<Runtime>,
    store: Weak<Store>,
    pub failure: Failure,
    pub broker: Broker,
    pub cloud: Cloud,
    pub clock: Arc<ShiftedClock>,
    pub faults: Arc<Faults>,
    pub registry: Registry,
    pub metrics: Metrics,
    open_intake: bool,
    commands: u32,
}

impl Circle {
    pub async fn start() -> Self {
        Self::start_with(false).await
    }

    /// Must be called within an actix system.
    pub async fn start_with(open_intake: bool) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), open_intake).await
    }

    /// With its store in this directory.
    pub async fn start_in(directory: TempDir, open_intake: bool) -> Self {
        let broker = Broker::default();
        let cloud = Cloud::new(broker.clone());
        let (clock, faults) = (Arc::new(ShiftedClock::default()), Arc::new(Faults::default()));
        let registry = Registry::new();
        let metrics = Metrics::new(&registry).unwrap();
        let config = config(directory.path(), &broker, &cloud, &clock, &faults, &metrics, open_intake);
        let config = config.expect("nobody else has the store");
        let store = Arc::downgrade(&config.store);
        let (runtime, failure) = Runtime::start(config).await.unwrap();
        let runtime = Some(runtime);
        Self {
            directory,
            runtime,
            store,
            failure,
            broker,
            cloud,
            clock,
            faults,
            registry,
            metrics,
            open_intake,
            commands: 0,
        }
    }

    pub fn runtime(&self) -> &Runtime {
        self.runtime.as_ref().expect("it runs")
    }

    /// The store of the running runtime; it may not be held on to.
    pub fn store(&self) -> Arc<Store> {
        self.store.upgrade().expect("it runs")
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Stops the runtime, and waits until it has let go of everything.
    pub async fn stop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            in_time("the stop", runtime.stop()).await;
        }
    }

    /// Starts on what the store says.
    pub async fn start_again(&mut self) {
        let mut opened = None;
        until("the store is let go of", || {
            let Self { directory, broker, cloud, clock, faults, metrics, open_intake, .. } = &*self;
            opened = config(directory.path(), broker, cloud, clock, faults, metrics, *open_intake);
            opened.is_some()
        })
        .await;
        let opened = opened.expect("it was just opened");
        self.store = Arc::downgrade(&opened.store);
        let (runtime, failure) = Runtime::start(opened).await.unwrap();
        (self.runtime, self.failure) = (Some(runtime), failure);
    }

    /// A new command of a tenant.
    pub fn envelope(&mut self, tenant: &TenantId, instance: InstanceId, command: Command) -> Envelope {
        self.commands += 1;
        envelope_of(tenant.clone(), command_id(self.commands), instance, command, self.clock.now())
    }

    pub async fn ask(
        &mut self,
        tenant: &TenantId,
        instance: InstanceId,
        command: Command,
    ) -> Result<Accepted, Rejection> {
        let envelope = self.envelope(tenant, instance, command);
        self.runtime().submit(envelope).await
    }

    /// Asks for a task and waits for its end.
    pub async fn settle(&mut self, tenant: &TenantId, id: InstanceId, command: Command) -> Result<(), String> {
        let envelope = self.envelope(tenant, id, command);
        let command = envelope.command_id;
        self.runtime().submit(envelope).await.unwrap();
        self.settled(tenant, id, command, DEADLINE).await.expect("the task ends in time")
    }

    pub async fn settled(
        &self,
        tenant: &TenantId,
        id: InstanceId,
        command: CommandId,
        limit: Duration,
    ) -> Option<Result<(), String>> {
        self.runtime().settled(tenant, id, command, limit).await
    }

    pub fn view(&self, tenant: &TenantId, id: InstanceId) -> Option<InstanceView> {
        self.runtime().instance(tenant, id).unwrap()
    }

    pub async fn becomes_healthy(&self, tenant: &TenantId, id: InstanceId) {
        until("the instance is healthy", || {
            let healthy = (Status::Active, OperatingStatus::Healthy);
            self.view(tenant, id).is_some_and(|view| (view.status, view.operating_status) == healthy)
        })
        .await;
    }

    pub async fn becomes_gone(&self, tenant: &TenantId, id: InstanceId) {
        until("the instance is gone", || self.view(tenant, id).is_none()).await;
    }

    /// Creates an instance and waits until it is healthy.
    pub async fn active(&mut self, tenant: &TenantId, id: InstanceId) {
        self.ask(tenant, id, create(id)).await.unwrap();
        self.becomes_healthy(tenant, id).await;
    }
}

/// `None` while somebody still has the store.
fn config(
    directory: &Path,
    broker: &Broker,
    cloud: &Cloud,
    clock: &Arc<ShiftedClock>,
    faults: &Arc<Faults>,
    metrics: &Metrics,
    open_intake: bool,
) -> Option<Config> {
    Some(Config {
        store: Arc::new(Store::open(directory).ok()?),
        connectors: cloud.connectors(),
        transport: Arc::new(broker.clone()),
        vault: Arc::new(vault()),
        clock: clock.clone(),
        borders: faults.clone(),
        catalogue: Arc::new(catalogue()),
        limits: Arc::new(Limits::default()),
        metrics: metrics.clone(),
        cluster: None,
        open_intake,
    })
}

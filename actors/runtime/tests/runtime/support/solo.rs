//! One runner with its whole surroundings, and a log that can fail or be held.

use std::sync::Arc;

use coffer_domain::{
    command::Envelope,
    ids::InstanceId,
    instance::{Instance, InstanceView},
    quota::Limits,
    rejection::Rejection,
    time::Timestamp,
};
use coffer_ports::{
    log::{Batch, Space, Write},
    transport::{Delivery, Start, Transport},
};
use coffer_protocol::topics;
use coffer_runtime::{
    clock::{Clock, SystemClock},
    dispatcher::{Dispatcher, Ownership},
    link::LinkParts,
    local_log::LocalLog,
    metrics::Metrics,
    nodes::Name,
    partition::{Accepted, Parts},
    runner::{INBOX, Message, Runner, RunnerError, RunnerParts},
    store::{Store, keys, rows},
};
use prometheus::Registry;
use tempfile::TempDir;
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
};

use super::{
    broker::Broker,
    cloud::Cloud,
    faults::{Faults, FlakyLog},
    poll::in_time,
    samples::{catalogue, tenant, vault},
};

const PARTITION: u32 = 0;

pub struct Solo {
    _directory: TempDir,
    pub store: Arc<Store>,
    inbox: mpsc::Sender<Message>,
    pub faults: Arc<Faults>,
    pub cloud: Cloud,
    pub metrics: Metrics,
    running: JoinHandle<Result<(), RunnerError>>,
}

impl Solo {
    /// Must be called within an actix system.
    pub async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = Arc::new(Store::open(directory.path()).unwrap());
        let (broker, faults) = (Broker::default(), Arc::new(Faults::default()));
        let cloud = Cloud::new(broker.clone());
        let metrics = Metrics::new(&Registry::new()).unwrap();
        let vault = Arc::new(vault());
        let inner = LocalLog::start(store.clone(), &metrics.bounded).unwrap();
        let (outgoing, mut relay) = mpsc::channel(64);
        let parts = RunnerParts {
            partition: Parts {
                log: Arc::new(FlakyLog { inner, faults: faults.clone() }),
                store: store.clone(),
                borders: faults.clone(),
                catalogue: Arc::new(catalogue()),
                limits: Arc::new(Limits::default()),
                metrics: metrics.clone(),
            },
            link: LinkParts { vault: vault.clone(), outgoing, metrics: metrics.clone() },
            dispatcher: Dispatcher::new(cloud.connectors(), vault, metrics.clone(), tokio::runtime::Handle::current()),
            clock: Arc::new(SystemClock::default()),
            name: Arc::new(Name { node: "solo".into(), place: "solo".into() }),
        };
        let mut telemetry = broker.subscribe(&[topics::TELEMETRY.to_owned()], Start::Latest).await.unwrap();
        let (inbox, messages) = mpsc::channel(INBOX);
        // Not through the log, whose commits are counted.
        let ownership = Ownership { partition: PARTITION, epoch: 1 };
        let row =
            Write { space: Space::Meta, key: keys::epoch(PARTITION), value: Some(rows::encode(&ownership.epoch)) };
        store.write(&[Batch { writes: vec![row], ..Batch::default() }]).unwrap();
        let runner = Runner::load(ownership, parts, messages, inbox.downgrade()).unwrap();
        let running = actix::spawn(runner.run());

        actix::spawn(async move {
            while let Some(record) = relay.recv().await {
                broker.send(record).await.unwrap();
            }
        });
        let reports = inbox.downgrade();
        actix::spawn(async move {
            while let Some(delivery) = telemetry.recv().await {
                let (Delivery::Record(record), Some(inbox)) = (delivery, reports.upgrade()) else { return };
                let _ = inbox.send(Message::Telemetry(record)).await;
            }
        });
        Self { _directory: directory, store, inbox, faults, cloud, metrics, running }
    }

    /// Hands a command over; the answer comes through what is returned.
    pub async fn hand_over(&self, envelope: &Envelope) -> oneshot::Receiver<Result<Accepted, Rejection>> {
        let (answer, answered) = oneshot::channel();
        let message = Message::Command { envelope: Box::new(envelope.clone()), answer };
        assert!(self.inbox.send(message).await.is_ok(), "the runner has ended");
        answered
    }

    pub async fn ask(&self, envelope: &Envelope) -> Result<Accepted, Rejection> {
        let answered = self.hand_over(envelope).await;
        in_time("an answer", answered).await.expect("whoever asks is answered")
    }

    pub fn view(&self, id: InstanceId) -> Option<InstanceView> {
        self.store.view(PARTITION, &tenant(1), id).unwrap()
    }

    pub fn instance(&self, id: InstanceId) -> Option<Instance> {
        self.store.instance(PARTITION, &tenant(1), id).unwrap()
    }

    pub fn now(&self) -> Timestamp {
        SystemClock::default().now()
    }

    /// Goes away without a word, and returns how the runner ended.
    pub async fn leave(self) -> Result<(), RunnerError> {
        drop(self.inbox);
        in_time("the runner's end", self.running).await.expect("the runner does not panic")
    }

    /// Tells the runner to stop, and returns how it ended.
    pub async fn stop(self) -> Result<(), RunnerError> {
        let _ = self.inbox.send(Message::Stop).await;
        in_time("the runner's end", self.running).await.expect("the runner does not panic")
    }
}

//! Nodes that share what a cluster in memory keeps, and a group that does what a test says.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use async_trait::async_trait;
use coffer_domain::{
    command::{Command, Envelope},
    ids::{InstanceId, TenantId},
    quota::Limits,
};
use coffer_ports::{
    Result,
    changelog::{Changelog, Chunk, Extent},
    log::{Batch, CommitError, Write},
    membership::{Assigned, Change, Membership},
};
use coffer_runtime::{
    clock::{Clock, SystemClock},
    metrics::Metrics,
    nodes::{Cluster as Shares, Name},
    runtime::{Config, Failure, PARTITIONS, Runtime},
    store::Store,
};
use prometheus::Registry;
use tempfile::TempDir;
use tokio::sync::{mpsc, oneshot};

use super::{
    broker::Broker,
    cloud::Cloud,
    faults::Faults,
    poll::in_time,
    samples::{catalogue, command_id, envelope_of, vault},
};

/// What outlives every node: the records of each partition, and whose it is.
#[derive(Default)]
pub struct Cluster(Mutex<BTreeMap<u32, Kept>>);

#[derive(Default)]
struct Kept {
    records: Vec<Write>,
    fences: u64,
    assignee: Option<usize>,
    commands_taken: i64,
}

impl Cluster {
    fn with<T>(&self, partition: u32, look: impl FnOnce(&mut Kept) -> T) -> T {
        look(self.0.lock().unwrap().entry(partition).or_default())
    }
}

/// A node's place in the cluster.
pub struct Member {
    number: usize,
    cluster: Arc<Cluster>,
    /// The fence that this node has set up for each partition, and those that have let it write since.
    fences: Mutex<BTreeMap<u32, u64>>,
    confirmed: Mutex<BTreeSet<u32>>,
    changes: Mutex<Option<mpsc::Sender<Change>>>,
    /// Whether the group counts on it.
    pub is_current: AtomicBool,
    /// Whether what it reads of the changelog has no end.
    pub reads_in_vain: AtomicBool,
    unanswered: Mutex<Vec<mpsc::Sender<Result<Chunk>>>>,
}

impl Member {
    async fn tell(&self, change: Change) {
        let changes = self.changes.lock().unwrap().clone();
        if let Some(changes) = changes {
            changes.send(change).await.unwrap();
        }
    }

    async fn assign(&self, partitions: impl IntoIterator<Item = u32>) {
        let assigned = partitions.into_iter().map(|partition| {
            let commands_from = self.cluster.with(partition, |kept| {
                kept.assignee = Some(self.number);
                kept.commands_taken
            });
            Assigned { partition, commands_from }
        });
        self.tell(Change::Assigned(assigned.collect())).await;
    }

    /// Tells it of an assignment that does not hold any more.
    pub async fn assign_in_vain(&self, partition: u32) {
        self.tell(Change::Assigned(vec![Assigned { partition, commands_from: 0 }])).await;
    }

    async fn revoke(&self, partition: u32) {
        let (released, is_released) = oneshot::channel();
        self.tell(Change::Revoked { partition, released }).await;
        let _ = in_time("the release", is_released).await;
    }

    fn own(&self) -> Vec<u32> {
        let kept = self.cluster.0.lock().unwrap();
        kept.iter().filter(|(_, kept)| kept.assignee == Some(self.number)).map(|(partition, _)| *partition).collect()
    }
}

/// A client of the cluster that belongs to a member.
struct Client(Arc<Member>);

#[async_trait]
impl Membership for Client {
    async fn join(&self) -> Result<mpsc::Receiver<Change>> {
        let (changes, receiver) = mpsc::channel(64);
        *self.0.changes.lock().unwrap() = Some(changes);
        let is_first = self.0.number == 0;
        self.0.assign((0..PARTITIONS).filter(|_| is_first)).await;
        Ok(receiver)
    }

    fn leave(&self) {
        let member = self.0.clone();
        tokio::spawn(async move {
            for partition in member.own() {
                member.revoke(partition).await;
            }
            *member.changes.lock().unwrap() = None;
        });
    }

    fn is_current(&self) -> bool {
        self.0.is_current.load(Ordering::Relaxed)
    }

    fn took(&self, partition: u32, next_offset: i64) {
        let number = self.0.number;
        self.0.cluster.with(partition, |kept| {
            if kept.assignee == Some(number) {
                kept.commands_taken = kept.commands_taken.max(next_offset);
            }
        });
    }
}

#[async_trait]
impl Changelog for Client {
    async fn identity(&self) -> Result<String> {
        Ok("nodes".into())
    }

    async fn fence(&self, partition: u32) -> Result<()> {
        let fence = self.0.cluster.with(partition, |kept| {
            kept.fences += 1;
            kept.fences
        });
        self.0.fences.lock().unwrap().insert(partition, fence);
        self.0.confirmed.lock().unwrap().remove(&partition);
        Ok(())
    }

    async fn extent(&self, partition: u32) -> Result<Extent> {
        Ok(Extent { start: 0, end: self.0.cluster.with(partition, |kept| kept.records.len() as i64) })
    }

    async fn append(&self, batch: &Batch) -> Result<i64, CommitError> {
        let partition = batch.partition;
        let fence = self.0.fences.lock().unwrap().get(&partition).copied();
        let is_confirmed = self.0.confirmed.lock().unwrap().contains(&partition);
        let next_offset = self.0.cluster.with(partition, |kept| {
            if Some(kept.fences) != fence {
                return Err(CommitError::Uncertain("fenced".into()));
            }
            if !is_confirmed && kept.assignee != Some(self.0.number) {
                return Err(CommitError::Refused("not the assignee".into()));
            }
            kept.records.extend(batch.writes.iter().cloned());
            Ok(kept.records.len() as i64)
        })?;
        self.0.confirmed.lock().unwrap().insert(partition);
        Ok(next_offset)
    }

    async fn read(&self, partition: u32, from: i64) -> Result<mpsc::Receiver<Result<Chunk>>> {
        let (chunks, receiver) = mpsc::channel(1);
        if self.0.reads_in_vain.load(Ordering::Relaxed) {
            self.0.unanswered.lock().unwrap().push(chunks);
            return Ok(receiver);
        }
        let (writes, end) = self.0.cluster.with(partition, |kept| {
            (kept.records[usize::try_from(from).unwrap()..].to_vec(), kept.records.len() as i64)
        });
        if !writes.is_empty() {
            chunks.try_send(Ok(Chunk { writes, next_offset: end })).unwrap();
        }
        Ok(receiver)
    }
}

/// A node at work.
pub struct Node {
    pub runtime: Runtime,
    pub member: Arc<Member>,
    pub failure: Failure,
    pub metrics: Metrics,
    pub registry: Registry,
    _directory: TempDir,
}

/// Nodes with one broker and one cloud. The first one owns everything in the beginning.
pub struct Nodes {
    pub nodes: Vec<Node>,
    pub broker: Broker,
    pub cloud: Cloud,
    cluster: Arc<Cluster>,
    commands: u32,
}

impl Nodes {
    /// Must be called within an actix system.
    pub async fn start(count: usize) -> Self {
        let broker = Broker::default();
        let cloud = Cloud::new(broker.clone());
        let mut started = Self { nodes: Vec::new(), broker, cloud, cluster: Arc::default(), commands: 0 };
        for _ in 0..count {
            started.add().await;
        }
        started
    }

    /// Another node, which owns nothing yet.
    async fn add(&mut self) {
        let number = self.nodes.len();
        let member = Arc::new(Member {
            number,
            cluster: self.cluster.clone(),
            fences: Mutex::default(),
            confirmed: Mutex::default(),
            changes: Mutex::default(),
            is_current: AtomicBool::new(true),
            reads_in_vain: AtomicBool::new(false),
            unanswered: Mutex::default(),
        });
        let client = Arc::new(Client(member.clone()));
        let directory = tempfile::tempdir().unwrap();
        let registry = Registry::new();
        let metrics = Metrics::new(&registry).unwrap();
        let starting = Runtime::start(Config {
            store: Arc::new(Store::open(directory.path()).unwrap()),
            connectors: self.cloud.connectors(),
            transport: Arc::new(self.broker.clone()),
            vault: Arc::new(vault()),
            clock: Arc::new(SystemClock::default()),
            borders: Arc::new(Faults::default()),
            catalogue: Arc::new(catalogue()),
            limits: Arc::new(Limits::default()),
            metrics: metrics.clone(),
            cluster: Some(Shares {
                changelog: client.clone(),
                membership: client,
                name: Name { node: format!("node-{number}"), place: "memory".into() },
            }),
            open_intake: false,
        });
        let (runtime, failure) = in_time("the start", starting).await.unwrap();
        self.nodes.push(Node { runtime, member, failure, metrics, registry, _directory: directory });
    }

    /// The group moves a partition, and waits for the node that gives it up.
    pub async fn give(&self, partition: u32, to: usize) {
        let from = self.cluster.with(partition, |kept| kept.assignee);
        if let Some(from) = from {
            self.nodes[from].member.revoke(partition).await;
        }
        self.nodes[to].member.assign([partition]).await;
    }

    /// The group gives a partition to another node, and its owner hears nothing of it.
    pub async fn give_behind_its_back(&self, partition: u32, to: usize) {
        self.nodes[to].member.assign([partition]).await;
    }

    /// The owner hears of it at last.
    pub async fn tell_lost(&self, partition: u32, node: usize) {
        self.nodes[node].member.tell(Change::Lost { partition }).await;
    }

    /// A new command of a tenant.
    pub fn envelope(&mut self, tenant: &TenantId, instance: InstanceId, command: Command) -> Envelope {
        self.commands += 1;
        envelope_of(tenant.clone(), command_id(self.commands), instance, command, SystemClock::default().now())
    }

    pub async fn stop(self) {
        for node in self.nodes {
            in_time("the stop", node.runtime.stop()).await;
        }
    }
}

//! A changelog in memory, as a cluster would keep it for several nodes.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU64, Ordering},
};

use async_trait::async_trait;
use coffer_ports::{
    Result,
    changelog::{Changelog, Chunk, Extent},
    log::{Batch, CommitError, Write},
};
use tokio::sync::mpsc;

/// Rows in a chunk: few, so that a batch spans several.
const CHUNK_ROWS: usize = 3;

/// What the next appends meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AppendFault {
    /// Nothing is written, and that is known.
    Refused,
    /// Nothing is written, and nobody knows.
    Lost,
    /// All is written, and nobody knows.
    Written,
}

/// What the nodes share: one partition's records, and who may write.
#[derive(Default)]
pub struct Cluster {
    pub records: Mutex<Vec<Write>>,
    writer: AtomicU64,
    fault: Mutex<Option<AppendFault>>,
}

impl Cluster {
    pub fn fail_next(&self, fault: AppendFault) {
        *self.fault.lock().unwrap() = Some(fault);
    }
}

/// One node's client of it.
pub struct Node {
    pub cluster: Arc<Cluster>,
    identity: &'static str,
    /// The fence that this node has set up.
    fence: AtomicU64,
}

impl Node {
    pub fn of(cluster: &Arc<Cluster>, identity: &'static str) -> Arc<Self> {
        Arc::new(Self { cluster: cluster.clone(), identity, fence: AtomicU64::new(u64::MAX) })
    }
}

#[async_trait]
impl Changelog for Node {
    async fn identity(&self) -> Result<String> {
        Ok(self.identity.to_owned())
    }

    async fn fence(&self, _: u32) -> Result<()> {
        self.fence.store(self.cluster.writer.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
        Ok(())
    }

    async fn extent(&self, _: u32) -> Result<Extent> {
        Ok(Extent { start: 0, end: self.cluster.records.lock().unwrap().len() as i64 })
    }

    async fn append(&self, batch: &Batch) -> Result<i64, CommitError> {
        if self.fence.load(Ordering::Relaxed) != self.cluster.writer.load(Ordering::Relaxed) {
            return Err(CommitError::Uncertain("fenced".into()));
        }
        let fault = self.cluster.fault.lock().unwrap().take();
        let mut records = self.cluster.records.lock().unwrap();
        if matches!(fault, None | Some(AppendFault::Written)) {
            records.extend(batch.writes.iter().cloned());
        }
        match fault {
            None => Ok(records.len() as i64),
            Some(AppendFault::Refused) => Err(CommitError::Refused("no".into())),
            Some(AppendFault::Lost | AppendFault::Written) => Err(CommitError::Uncertain("no answer".into())),
        }
    }

    async fn read(&self, _: u32, from: i64) -> Result<mpsc::Receiver<Result<Chunk>>> {
        let from = usize::try_from(from).unwrap();
        let rest = self.cluster.records.lock().unwrap()[from..].to_vec();
        let (chunks, receiver) = mpsc::channel(1);
        tokio::spawn(async move {
            for (number, writes) in rest.chunks(CHUNK_ROWS).enumerate() {
                let next_offset = (from + number * CHUNK_ROWS + writes.len()) as i64;
                if chunks.send(Ok(Chunk { writes: writes.to_vec(), next_offset })).await.is_err() {
                    return;
                }
            }
        });
        Ok(receiver)
    }
}

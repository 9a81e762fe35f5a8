//! What a cluster keeps of the partitions: a changelog, and who may write to it. Half of the seeds have one, and lose disks
//! and control planes that they could not lose without.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use coffer_ports::{
    Error, ErrorKind, Result,
    changelog::{Changelog, Chunk, Extent},
    log::{Batch, CommitError, Log, Space, Write},
};
use coffer_runtime::store::Store;
use tokio::sync::mpsc;

use crate::{
    connectors::rest,
    world::{CommitFate, PARTITIONS, Shared, lock},
};

/// Rows of a chunk.
const CHUNK_ROWS: usize = 50;

/// One partition's records. Those that were written again later may be compacted away.
#[derive(Default)]
struct Partition {
    records: Vec<Option<Write>>,
    /// How often somebody became the writer.
    fences: u64,
}

/// What outlives every node.
#[derive(Default)]
pub struct Cluster {
    partitions: [Partition; PARTITIONS as usize],
}

impl Cluster {
    /// Keeps the last record of each key.
    pub fn compact(&mut self) {
        for partition in &mut self.partitions {
            let mut later = std::collections::HashSet::new();
            for record in partition.records.iter_mut().rev() {
                if record.as_ref().is_some_and(|write| !later.insert((write.space, write.key.clone()))) {
                    *record = None;
                }
            }
        }
    }

    /// Whether a row was written, and not removed since.
    pub fn holds(&self, partition: u32, space: Space, key: &[u8]) -> bool {
        let mut records = self.partitions[partition as usize].records.iter().rev().flatten();
        records.find(|write| write.space == space && write.key == key).is_some_and(|write| write.value.is_some())
    }
}

/// New disks, each with a store of its own.
pub struct Disks {
    directory: PathBuf,
    used: u32,
}

impl Disks {
    pub fn new(directory: PathBuf) -> Self {
        Self { directory, used: 0 }
    }

    /// # Errors
    /// When there is no room for another one.
    pub fn next(&mut self) -> std::result::Result<Arc<Store>, String> {
        self.used += 1;
        let directory = self.directory.join(self.used.to_string());
        Store::open(&directory).map(Arc::new).map_err(|error| error.to_string())
    }
}

/// The cluster as one life of the control plane knows it.
pub struct ClusterPort {
    world: Shared,
    /// The fence of each partition that this life has set up.
    fences: Mutex<[u64; PARTITIONS as usize]>,
}

impl ClusterPort {
    pub fn new(world: Shared) -> Self {
        Self { world, fences: Mutex::default() }
    }

    fn with<T>(&self, partition: u32, look: impl FnOnce(&mut Partition) -> T) -> T {
        let mut locked = lock(&self.world);
        let cluster = locked.cluster.get_or_insert_default();
        look(&mut cluster.partitions[partition as usize])
    }

    fn fence_of(&self, partition: u32) -> u64 {
        self.fences.lock().unwrap_or_else(PoisonError::into_inner)[partition as usize]
    }
}

#[async_trait]
impl Changelog for ClusterPort {
    async fn identity(&self) -> Result<String> {
        Ok("simulated".into())
    }

    async fn fence(&self, partition: u32) -> Result<()> {
        if lock(&self.world).is_disk_full() {
            return Err(Error::new(ErrorKind::Unavailable, "cluster.away", "the cluster is away"));
        }
        let fence = self.with(partition, |partition| {
            partition.fences += 1;
            partition.fences
        });
        self.fences.lock().unwrap_or_else(PoisonError::into_inner)[partition as usize] = fence;
        Ok(())
    }

    async fn extent(&self, partition: u32) -> Result<Extent> {
        let end = self.with(partition, |partition| i64::try_from(partition.records.len()).unwrap_or(i64::MAX));
        Ok(Extent { start: 0, end })
    }

    async fn append(&self, batch: &Batch) -> Result<i64, CommitError> {
        let doubt = || CommitError::Uncertain("the cluster does not say".into());
        let (fate, before, after) = lock(&self.world).commit_fate();
        rest(before).await;
        match fate {
            CommitFate::Refused => return Err(CommitError::Refused("the cluster is away".into())),
            CommitFate::Lost => return Err(doubt()),
            CommitFate::Good | CommitFate::Unconfirmed => {}
        }
        let ours = self.fence_of(batch.partition);
        let next_offset = self.with(batch.partition, |partition| {
            (partition.fences == ours).then(|| {
                partition.records.extend(batch.writes.iter().cloned().map(Some));
                i64::try_from(partition.records.len()).unwrap_or(i64::MAX)
            })
        });
        let next_offset = next_offset.ok_or_else(|| CommitError::Uncertain("another writer has taken over".into()))?;
        lock(&self.world).committed(batch);
        rest(after).await;
        if fate == CommitFate::Unconfirmed { Err(doubt()) } else { Ok(next_offset) }
    }

    async fn read(&self, partition: u32, from: i64) -> Result<mpsc::Receiver<Result<Chunk>>> {
        let from = usize::try_from(from).unwrap_or_default();
        let chunks: Vec<Chunk> = self.with(partition, |partition| {
            let records = partition.records.get(from..).unwrap_or_default();
            let chunk = |(number, records): (usize, &[Option<Write>])| Chunk {
                writes: records.iter().flatten().cloned().collect(),
                next_offset: i64::try_from(from + number * CHUNK_ROWS + records.len()).unwrap_or(i64::MAX),
            };
            records.chunks(CHUNK_ROWS).enumerate().map(chunk).collect()
        });
        let (sender, receiver) = mpsc::channel(chunks.len().max(1));
        for chunk in chunks {
            let _ = sender.try_send(Ok(chunk));
        }
        Ok(receiver)
    }
}

/// Writes to a store at once, as the thread that does it elsewhere would.
pub struct Applier(pub Arc<Store>);

#[async_trait]
impl Log for Applier {
    async fn commit(&self, batch: Batch) -> Result<(), CommitError> {
        self.0.write_unsynced(&[batch]).map_err(|error| CommitError::Uncertain(error.to_string()))
    }
}

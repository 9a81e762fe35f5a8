//! The log of a single host: the store itself. A batch is one synced write, so commit and apply are one.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use async_trait::async_trait;
use coffer_ports::{
    log::{Batch, CommitError, Log},
    telemetry::Bounded,
};
use tokio::sync::{mpsc, oneshot};

use crate::{
    fullness, post,
    store::{Store, StoreError, room::Standing},
};

/// Batches that wait for the writer at most; each partition has one under way at a time.
const QUEUE: usize = 256;
/// Batches that one synced write carries at most.
const GROUP: usize = 64;

type WriteBatches = fn(&Store, &[Batch]) -> Result<(), StoreError>;
type Job = (Batch, oneshot::Sender<Result<(), CommitError>>);

/// Commits to the store on a thread of its own. Batches that wait together share one sync.
pub struct LocalLog {
    jobs: mpsc::Sender<Job>,
}

impl LocalLog {
    /// Starts the writer; it ends when the log is dropped.
    pub fn start(store: Arc<Store>, bounded: &Bounded) -> std::io::Result<Self> {
        Self::start_with(store, bounded, Store::write)
    }

    /// One that does not wait for the disk: for what is committed elsewhere already.
    pub fn unsynced(store: Arc<Store>, bounded: &Bounded) -> std::io::Result<Self> {
        Self::start_with(store, bounded, Store::write_unsynced)
    }

    fn start_with(store: Arc<Store>, bounded: &Bounded, write: WriteBatches) -> std::io::Result<Self> {
        let (jobs, queue) = mpsc::channel(QUEUE);
        post::watch(bounded, fullness::LOG_QUEUE, &jobs);
        let writing = Arc::new(AtomicUsize::new(0));
        let weak = Arc::downgrade(&writing);
        bounded.register(fullness::LOG_GROUP, GROUP, move || Some(weak.upgrade()?.load(Ordering::Relaxed)));
        thread::Builder::new().name("log".into()).spawn(move || write_all(&store, write, queue, &writing))?;
        Ok(Self { jobs })
    }
}

#[async_trait]
impl Log for LocalLog {
    async fn commit(&self, batch: Batch) -> Result<(), CommitError> {
        let (done, result) = oneshot::channel();
        let gone = || CommitError::Uncertain("the log's writer has ended".into());
        self.jobs.send((batch, done)).await.map_err(|_| gone())?;
        result.await.map_err(|_| gone())?
    }
}

fn write_all(store: &Store, write: WriteBatches, mut queue: mpsc::Receiver<Job>, writing: &AtomicUsize) {
    let mut jobs: Vec<Job> = Vec::with_capacity(GROUP);
    while queue.blocking_recv_many(&mut jobs, GROUP) > 0 {
        writing.store(jobs.len(), Ordering::Relaxed);
        let (batches, waiting): (Vec<Batch>, Vec<_>) = jobs.drain(..).unzip();
        let result = match store.room().standing() {
            Standing::Stopped(reason) => Err(CommitError::Refused(reason)),
            // RocksDB does not say whether a failed write left something behind: the partitions reload.
            _ => write(store, &batches).map_err(|error| CommitError::Uncertain(error.to_string())),
        };
        writing.store(0, Ordering::Relaxed);
        for done in waiting {
            // Nobody waits when the partition has ended meanwhile.
            let _ = done.send(result.clone());
        }
    }
}

//! What can go wrong around a commit: a stop at a border, and a log that fails.

use std::sync::{
    Mutex,
    atomic::{AtomicUsize, Ordering},
};

use async_trait::async_trait;
use coffer_ports::log::{Batch, CommitError, Log};
use coffer_runtime::{
    borders::{Border, Borders, Moment},
    local_log::LocalLog,
};
use tokio::sync::watch;

/// How a commit fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommitFault {
    /// Not written, and known not to be.
    Refused,
    /// Nobody knows; in truth it was not written.
    Lost,
    /// Nobody knows; in truth it was written.
    Written,
}

pub const COMMIT_FAULTS: [CommitFault; 3] = [CommitFault::Refused, CommitFault::Lost, CommitFault::Written];

/// Where to stop once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    At(Border),
    /// At the next border of this moment, whatever its operation.
    When(Moment),
}

/// What is planned to go wrong. Each plan comes true once.
#[derive(Debug, Default)]
pub struct Faults {
    stop: Mutex<Option<Stop>>,
    /// Commits that still go well before the one that fails, and how it does.
    commit: Mutex<Option<(usize, CommitFault)>>,
    commits: AtomicUsize,
    /// No commit is carried out for now.
    held: watch::Sender<bool>,
}

impl Faults {
    pub fn stop(&self, stop: Stop) {
        *self.stop.lock().unwrap() = Some(stop);
    }

    /// Fails a commit after `good` more that go well.
    pub fn fail_commit(&self, good: usize, fault: CommitFault) {
        *self.commit.lock().unwrap() = Some((good, fault));
    }

    /// Holds all commits back, or lets them go on.
    pub fn hold_commits(&self, held: bool) {
        self.held.send_replace(held);
    }

    /// Forgets what is planned; returns whether anything still was.
    pub fn clear(&self) -> bool {
        let stop = self.stop.lock().unwrap().take();
        let commit = self.commit.lock().unwrap().take();
        stop.is_some() || commit.is_some()
    }

    /// Commits that were asked for.
    pub fn commits(&self) -> usize {
        self.commits.load(Ordering::Relaxed)
    }

    fn next_commit_fault(&self) -> Option<CommitFault> {
        let mut plan = self.commit.lock().unwrap();
        match plan.take() {
            Some((0, fault)) => Some(fault),
            Some((good, fault)) => {
                *plan = Some((good - 1, fault));
                None
            }
            None => None,
        }
    }
}

impl Borders for Faults {
    fn stops_at(&self, border: &Border) -> bool {
        let mut stop = self.stop.lock().unwrap();
        let stops = match &*stop {
            Some(Stop::At(wanted)) => wanted == border,
            Some(Stop::When(moment)) => *moment == border.moment,
            None => false,
        };
        if stops {
            *stop = None;
        }
        stops
    }
}

/// The local log, failing as planned.
pub struct FlakyLog {
    pub inner: LocalLog,
    pub faults: std::sync::Arc<Faults>,
}

#[async_trait]
impl Log for FlakyLog {
    async fn commit(&self, batch: Batch) -> Result<(), CommitError> {
        self.faults.commits.fetch_add(1, Ordering::Relaxed);
        let mut held = self.faults.held.subscribe();
        held.wait_for(|held| !held).await.expect("the sender is in `faults`");
        match self.faults.next_commit_fault() {
            None => self.inner.commit(batch).await,
            Some(CommitFault::Refused) => Err(CommitError::Refused("the disk says no".into())),
            Some(CommitFault::Lost) => Err(CommitError::Uncertain("the disk says nothing".into())),
            Some(CommitFault::Written) => {
                self.inner.commit(batch).await?;
                Err(CommitError::Uncertain("the disk says nothing".into()))
            }
        }
    }
}

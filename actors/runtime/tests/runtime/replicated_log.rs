//! A store that follows a changelog: what is committed there is in it, whatever happened in between.

use std::sync::Arc;

use coffer_domain::time::{DAY, Millis};
use coffer_ports::log::{Batch, CommitError, Log, Space, Write};
use coffer_runtime::{
    clock::Clock,
    local_log::LocalLog,
    metrics::Metrics,
    replicated_log::{OpenError, ReplicatedLog},
    store::{Store, keys, rows},
};
use prometheus::Registry;
use tempfile::TempDir;

use crate::support::{
    changelog::{AppendFault, Cluster, Node},
    circle::ShiftedClock,
    poll::until,
};

const PARTITION: u32 = 3;

/// A node: its disk, its clock, and its client of the cluster.
struct Host {
    directory: TempDir,
    store: Arc<Store>,
    clock: Arc<ShiftedClock>,
    metrics: Metrics,
    log: ReplicatedLog,
}

impl Host {
    async fn new(cluster: &Arc<Cluster>) -> Self {
        Self::on(tempfile::tempdir().unwrap(), cluster, 0).await.unwrap()
    }

    async fn on(directory: TempDir, cluster: &Arc<Cluster>, later: Millis) -> Result<Self, OpenError> {
        Self::follow(directory, Node::of(cluster, "cluster-1/coffer.state"), later).await
    }

    async fn follow(directory: TempDir, node: Arc<Node>, later: Millis) -> Result<Self, OpenError> {
        let store = Arc::new(Store::open(directory.path()).unwrap());
        let clock = Arc::new(ShiftedClock::default());
        clock.shift(later);
        let metrics = Metrics::new(&Registry::new()).unwrap();
        let shared: Arc<dyn Clock> = clock.clone();
        let applier = Arc::new(LocalLog::unsynced(store.clone(), &metrics.bounded).unwrap());
        let log = ReplicatedLog::open(node, store.clone(), applier, shared, metrics.clone()).await?;
        Ok(Self { directory, store, clock, metrics, log })
    }

    /// Ends without a word; what is on its disk stays.
    async fn stop(self) -> TempDir {
        let open = self.store.open_mark();
        let directory = self.directory;
        drop((self.store, self.log));
        until("the store is closed", || open.strong_count() == 0).await;
        directory
    }

    fn epoch(&self) -> u64 {
        self.store.epoch(PARTITION).unwrap()
    }

    /// How many answers the store remembers.
    fn answers(&self) -> usize {
        self.store.forgettable(PARTITION, self.clock.now() + DAY, 100).unwrap().len()
    }
}

/// A batch of rows that a partition writes: its epoch, and some answers.
fn batch(epoch: u64, answers: std::ops::Range<u8>) -> Batch {
    let row = |space, key, value| Write { space, key, value: Some(value) };
    let mut writes = vec![row(Space::Meta, keys::epoch(PARTITION), rows::encode(&epoch))];
    writes.extend(answers.map(|number| row(Space::Dedup, answer(number), accepted())));
    Batch { partition: PARTITION, writes, ..Batch::default() }
}

fn answer(number: u8) -> Vec<u8> {
    let mut key = keys::partition(PARTITION);
    key.push(number);
    key
}

fn accepted() -> Vec<u8> {
    rows::encode(&rows::AcceptedRow {
        kept: None,
        at: coffer_domain::time::Timestamp(0),
        instance: coffer_domain::ids::InstanceId(uuid::Uuid::nil()),
    })
}

fn gone(number: u8) -> Batch {
    let write = Write { space: Space::Dedup, key: answer(number), value: None };
    Batch { partition: PARTITION, writes: vec![write], ..Batch::default() }
}

#[tokio::test]
async fn a_new_disk_is_told_all_and_an_old_one_what_it_missed() {
    let cluster = Arc::new(Cluster::default());
    let first = Host::new(&cluster).await;
    first.log.take_over(PARTITION).await.unwrap();
    first.log.commit(batch(1, 0..7)).await.unwrap();
    assert_eq!((first.epoch(), first.answers()), (1, 7), "what is committed can be read");
    let old_disk = first.stop().await;

    let second = Host::new(&cluster).await;
    second.log.take_over(PARTITION).await.unwrap();
    assert_eq!((second.epoch(), second.answers()), (1, 7));
    assert_eq!(second.metrics.changelog_rows.get(), 8);
    second.log.commit(batch(2, 7..9)).await.unwrap();
    second.log.commit(gone(0)).await.unwrap();

    let back = Host::on(old_disk, &cluster, 0).await.unwrap();
    back.log.take_over(PARTITION).await.unwrap();
    assert_eq!((back.epoch(), back.answers()), (2, 8));
    assert_eq!(back.metrics.changelog_rows.get(), 4, "what the store had is not told again");
}

#[tokio::test]
async fn what_nobody_knows_of_is_known_after_the_next_take_over() {
    for (fault, answers) in [(AppendFault::Refused, 1), (AppendFault::Lost, 1), (AppendFault::Written, 3)] {
        let cluster = Arc::new(Cluster::default());
        let host = Host::new(&cluster).await;
        host.log.take_over(PARTITION).await.unwrap();
        host.log.commit(batch(1, 0..1)).await.unwrap();
        cluster.fail_next(fault);
        let error = host.log.commit(batch(1, 1..3)).await.unwrap_err();
        assert_eq!(matches!(error, CommitError::Refused(_)), fault == AppendFault::Refused, "{fault:?}: {error}");
        assert_eq!(host.answers(), 1, "{fault:?}: the store is not ahead of the log");
        host.log.take_over(PARTITION).await.unwrap();
        assert_eq!(host.answers(), answers, "{fault:?}");
    }
}

#[tokio::test]
async fn whoever_was_replaced_writes_nothing_more() {
    let cluster = Arc::new(Cluster::default());
    let (first, second) = (Host::new(&cluster).await, Host::new(&cluster).await);
    first.log.take_over(PARTITION).await.unwrap();
    first.log.commit(batch(1, 0..1)).await.unwrap();
    second.log.take_over(PARTITION).await.unwrap();
    second.log.commit(batch(2, 1..2)).await.unwrap();
    first.log.commit(batch(1, 2..5)).await.unwrap_err();
    first.log.confirm(PARTITION).await.unwrap_err();
    second.log.confirm(PARTITION).await.unwrap();
    assert_eq!(first.answers(), 1);
    second.log.take_over(PARTITION).await.unwrap();
    assert_eq!((second.epoch(), second.answers()), (2, 2));
}

#[tokio::test]
async fn a_store_that_was_away_for_too_long_is_built_up_anew() {
    away_for_too_long().await;
}

/// Returns what was counted when the store was built up anew.
pub async fn away_for_too_long() -> Metrics {
    let cluster = Arc::new(Cluster::default());
    let first = Host::new(&cluster).await;
    first.log.take_over(PARTITION).await.unwrap();
    first.log.commit(batch(1, 0..5)).await.unwrap();
    let disk = first.stop().await;
    // The row has gone, and so has, by compaction, what said so.
    let gone = answer(2);
    cluster
        .records
        .lock()
        .unwrap()
        .iter_mut()
        .filter(|write| write.key == gone)
        .for_each(|write| write.key = answer(1));

    let soon = Host::on(disk, &cluster, 5 * DAY).await.unwrap();
    soon.log.take_over(PARTITION).await.unwrap();
    assert_eq!((soon.answers(), soon.metrics.store_wipes.get()), (5, 0));
    let late = Host::on(soon.stop().await, &cluster, 7 * DAY).await.unwrap();
    late.log.take_over(PARTITION).await.unwrap();
    assert_eq!((late.answers(), late.metrics.store_wipes.get()), (4, 1));
    assert_eq!(late.epoch(), 1);
    late.metrics
}

#[tokio::test]
async fn a_changelog_that_has_lost_records_is_not_followed() {
    let cluster = Arc::new(Cluster::default());
    let host = Host::new(&cluster).await;
    host.log.take_over(PARTITION).await.unwrap();
    host.log.commit(batch(1, 0..5)).await.unwrap();
    cluster.records.lock().unwrap().truncate(3);
    let error = host.log.take_over(PARTITION).await.unwrap_err();
    assert!(error.to_string().contains("records were lost"), "{error}");
    assert_eq!(host.answers(), 5, "nothing is taken away for it");
}

#[tokio::test]
async fn a_store_follows_one_changelog_and_none_that_holds_its_own_truth() {
    let cluster = Arc::new(Cluster::default());
    let disk = Host::new(&cluster).await.stop().await;
    let other = Host::follow(disk, Node::of(&cluster, "cluster-2/coffer.state"), 0).await;
    assert!(matches!(other, Err(OpenError::OtherChangelog { .. })));

    let own = tempfile::tempdir().unwrap();
    Store::open(own.path()).unwrap().write(&[batch(1, 0..1)]).unwrap();
    assert!(matches!(Host::on(own, &cluster, 0).await, Err(OpenError::OwnState)));
}

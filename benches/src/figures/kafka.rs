//! The same commands with their log in a real Kafka, against a bare producer of the same transactions; and how long a new disk
//! takes to be told everything.

use std::{
    env,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use coffer_domain::ids::TenantId;
use coffer_kafka::{KafkaChangelog, prepare_topics};
use coffer_ports::{
    changelog::Changelog,
    log::{Batch, Log},
    transport::Topic,
};
use coffer_runtime::{
    local_log::LocalLog,
    metrics::Metrics,
    move_log,
    replicated_log::ReplicatedLog,
    runtime::{PARTITIONS, changelog_topic, partition_of},
    store::Store,
};
use prometheus::Registry;
use rdkafka::{
    ClientConfig,
    producer::{BaseProducer, BaseRecord, Producer},
};
use rocksdb::{DB, Options, WriteBatch};

use super::commands::{latencies, throughput};
use crate::{
    Failure, in_system,
    measure::Scale,
    one_partition::ForwardClock,
    samples::{self, Fill},
    table::{Line, Target},
};

/// Where a Kafka listens; without one this bench is left out.
const KAFKA: &str = "COFFER_BENCH_KAFKA";
const CLIENT_ID: &str = "coffer-bench";
/// Instances that a new disk is told of.
const INSTANCES: usize = 100_000;
const TENANTS: usize = 64;
const TIMEOUT: Duration = Duration::from_secs(30);

pub fn measure(scale: Scale) -> Result<Vec<Line>, Failure> {
    let Ok(servers) = env::var(KAFKA) else {
        eprintln!("left out: {KAFKA} does not say where a Kafka listens");
        return Ok(Vec::new());
    };
    in_system(async move {
        let mut lines = commands(scale, &servers).await?;
        lines.push(rebuilt(scale, &servers).await?);
        Ok(lines)
    })
}

async fn commands(scale: Scale, servers: &str) -> Result<Vec<Line>, Failure> {
    let changelog = new_changelog(servers).await?;
    let bare = BareLoop::new(servers).await?;
    let throughput = throughput(scale, Some(changelog), |batches| bare.replay(batches)).await?;
    let line = Line::new("durable commands through one partition, log in Kafka", "/s", throughput.ours)
        .against("a bare producer of the same transactions, and RocksDB", throughput.bare)
        .target(Target::Share(0.5));
    let mut lines = vec![line];
    lines.extend(throughput.details.into_iter().take(1));
    lines.extend(latencies(scale, throughput.ours, Some(new_changelog(servers).await?)).await?);
    Ok(lines)
}

/// A topic of its own for each: nothing is left of what was before.
async fn new_topic(servers: &str) -> Result<String, Failure> {
    let now_ns = SystemTime::UNIX_EPOCH.elapsed()?.as_nanos();
    let topic = Topic { name: format!("coffer-bench-{now_ns}"), ..changelog_topic() };
    let (servers, name) = (servers.to_owned(), topic.name.clone());
    tokio::task::spawn_blocking(move || prepare_topics(&servers, CLIENT_ID, &[topic])).await??;
    Ok(name)
}

async fn new_changelog(servers: &str) -> Result<Arc<dyn Changelog>, Failure> {
    Ok(Arc::new(KafkaChangelog::new(servers, CLIENT_ID, &new_topic(servers).await?)))
}

/// One transaction after the other, each put into RocksDB when it is committed. Nothing is consumed on either side: what
/// is ordered comes over REST.
struct BareLoop {
    producer: BaseProducer,
    topic: String,
    db: DB,
    _directory: tempfile::TempDir,
}

impl BareLoop {
    async fn new(servers: &str) -> Result<Self, Failure> {
        let topic = new_topic(servers).await?;
        let producer: BaseProducer = ClientConfig::new()
            .set("bootstrap.servers", servers)
            .set("transactional.id", &topic)
            .set("linger.ms", "0")
            .set("retry.backoff.ms", "2")
            .set("compression.type", "lz4")
            .create()?;
        producer.init_transactions(TIMEOUT)?;
        let directory = tempfile::tempdir()?;
        let mut options = Options::default();
        options.create_if_missing(true);
        Ok(Self { producer, topic, db: DB::open(&options, directory.path())?, _directory: directory })
    }

    fn replay(&self, batches: &[Batch]) -> Result<(), Failure> {
        for batch in batches {
            self.producer.begin_transaction()?;
            let mut rows = WriteBatch::default();
            for write in &batch.writes {
                let mut record = BaseRecord::<[u8], [u8]>::to(&self.topic).key(&write.key).partition(0);
                match &write.value {
                    Some(value) => {
                        record = record.payload(value);
                        rows.put(&write.key, value);
                    }
                    None => rows.delete(&write.key),
                }
                self.producer.send(record).map_err(|(error, _)| error)?;
            }
            while self.producer.in_flight_count() > 0 {
                self.producer.poll(Duration::from_millis(1));
            }
            self.producer.commit_transaction(TIMEOUT)?;
            self.db.write(rows)?;
        }
        Ok(())
    }
}

/// From an empty disk to all partitions taken over.
async fn rebuilt(scale: Scale, servers: &str) -> Result<Line, Failure> {
    let changelog = new_changelog(servers).await?;
    let instances = scale.of(INSTANCES, 100);
    let full = tempfile::tempdir()?;
    let store = Store::open(full.path())?;
    for tenant in 0..TENANTS {
        let tenant = TenantId(format!("tenant-{tenant}"));
        samples::fill(&store, &tenant, 0..instances / TENANTS, Fill::Whole)?;
    }
    move_log::to_changelog(&store, changelog.as_ref(), samples::now()).await?;
    drop(store);

    let empty = tempfile::tempdir()?;
    let started = Instant::now();
    let store = Arc::new(Store::open(empty.path())?);
    let metrics = Metrics::new(&Registry::new())?;
    let applier = Arc::new(LocalLog::unsynced(store.clone(), &metrics.bounded)?);
    let clock = Arc::new(ForwardClock::default());
    let log = ReplicatedLog::open(changelog, store.clone(), applier, clock, metrics).await?;
    for partition in 0..PARTITIONS {
        log.take_over(partition).await?;
    }
    let took = started.elapsed().as_secs_f64();
    let tenant = TenantId("tenant-0".into());
    let last = samples::instance_id(instances / TENANTS - 1);
    store.instance(partition_of(&tenant), &tenant, last)?.ok_or("the rebuilt store lacks an instance")?;
    Ok(Line::new(format!("an empty disk told of {instances} instances by Kafka"), "s", took))
}

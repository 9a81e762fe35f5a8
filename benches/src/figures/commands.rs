//! Durable commands through one partition, REST excluded, against the same bytes in the same synced batches.
//!
//! A command here makes a database on an instance, or drops it; its agent reports at once that it is done, which is a
//! second input and a second change of the same row. Both are committed before the next command of that instance.

use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use coffer_domain::{
    command::Command,
    ids::{EffectId, InstanceId, TenantId},
};
use coffer_ports::{changelog::Changelog, log::Batch};
use coffer_runtime::store::Store;
use tokio::{sync::Mutex, task::JoinSet};

use crate::{
    Failure,
    bare::BareStore,
    in_system,
    measure::{Latencies, Scale, median},
    one_partition::OnePartition,
    samples::{self, Fill},
    table::{Line, Target},
};

/// Commands under way at a time when throughput is measured.
const CLIENTS: usize = 256;
/// Instances that take turns when latency is measured: more than are under way at a time.
const TAKING_TURNS: usize = 8192;
/// Shares of the throughput at which latency is measured.
const LOADS: [f64; 3] = [0.1, 0.5, 0.8];
const DATABASE: &str = "reports";

pub fn measure(scale: Scale) -> Result<Vec<Line>, Failure> {
    in_system(async move {
        let bare_directory = tempfile::tempdir()?;
        let bare = BareStore::open(bare_directory.path())?;
        let mut throughput = throughput(scale, None, |batches| Ok(bare.replay(batches)?)).await?;
        let line = Line::new("durable commands through one partition", "/s", throughput.ours)
            .against("the same batches in bare RocksDB, synced", throughput.bare)
            .target(Target::Share(0.5));
        let mut lines = vec![line];
        lines.append(&mut throughput.details);
        lines.extend(latencies(scale, throughput.ours, None).await?);
        Ok(lines)
    })
}

pub(super) struct Throughput {
    pub ours: f64,
    pub bare: f64,
    pub details: Vec<Line>,
}

/// Commands a second, with the store as the log or a changelog, and what `replay` makes of the same batches.
pub(super) async fn throughput(
    scale: Scale,
    changelog: Option<Arc<dyn Changelog>>,
    mut replay: impl FnMut(&[Batch]) -> Result<(), Failure>,
) -> Result<Throughput, Failure> {
    let clients = scale.of(CLIENTS, 16);
    let (directory, tenant) = (tempfile::tempdir()?, TenantId("one".into()));
    fill(directory.path(), &tenant, clients)?;
    let partition = Arc::new(OnePartition::start_on(directory.path(), &tenant, changelog).await?);
    let (mut ours, mut limits, mut inputs_per_batch, mut bytes_per_command) = (vec![], vec![], vec![], vec![]);
    // The first round fills caches on both sides and does not count.
    for round in 0..=scale.rounds() {
        let started = Instant::now();
        let commands = load(&partition, clients, scale.round()).await? as f64;
        let elapsed = started.elapsed().as_secs_f64();
        // The same load once more, for its bytes.
        partition.record();
        let recorded = load(&partition, clients, scale.round() / 2).await? as f64;
        let batches = partition.recorded();
        let started = Instant::now();
        replay(&batches)?;
        let replayed = started.elapsed().as_secs_f64();
        if round > 0 {
            ours.push(commands / elapsed);
            limits.push(recorded / replayed);
            inputs_per_batch.push(2.0 * recorded / batches.len() as f64);
            bytes_per_command.push(bytes(&batches) as f64 / recorded);
        }
    }
    let details = vec![
        Line::new("… inputs in one of its batches", "", median(&inputs_per_batch)),
        Line::new("… written for one of its commands", "bytes", median(&bytes_per_command)),
        Line::new("… state row of its instances", "bytes", state_bytes(&tenant)),
    ];
    stop(partition).await?;
    Ok(Throughput { ours: median(&ours), bare: median(&limits), details })
}

fn fill(directory: &std::path::Path, tenant: &TenantId, count: usize) -> Result<(), Failure> {
    samples::fill(&Store::open(directory)?, tenant, 0..count, Fill::Whole)?;
    Ok(())
}

/// Keeps each client's commands coming, one after the other; returns how many were done.
async fn load(partition: &Arc<OnePartition>, clients: usize, span: Duration) -> Result<usize, Failure> {
    let end = Instant::now() + span;
    let mut working = JoinSet::new();
    for number in 0..clients {
        let partition = partition.clone();
        working.spawn(async move {
            let mut done = 0;
            // Each round leaves the database dropped, as it found it.
            while Instant::now() < end || done % 2 == 1 {
                work(&partition, samples::instance_id(number), done % 2 == 0).await?;
                done += 1;
            }
            Ok::<_, Failure>(done)
        });
    }
    let mut done = 0;
    while let Some(client) = working.join_next().await {
        done += client??;
    }
    Ok(done)
}

/// One command, from its envelope to its agent's report.
async fn work(partition: &OnePartition, instance: InstanceId, make: bool) -> Result<(), Failure> {
    let (command, task) = match make {
        true => (Command::CreateDatabases { databases: vec![samples::database(DATABASE)] }, "create_databases"),
        false => (Command::DropDatabase { name: DATABASE.into() }, "drop_database"),
    };
    let envelope = samples::envelope(&partition.tenant, instance, command);
    let effect = EffectId::new(envelope.command_id, task, 1);
    partition.ask(envelope).await?;
    partition.done(instance, effect).await
}

fn bytes(batches: &[Batch]) -> usize {
    let writes = batches.iter().flat_map(|batch| &batch.writes);
    writes.map(|write| write.key.len() + write.value.as_ref().map_or(0, Vec::len)).sum()
}

fn state_bytes(tenant: &TenantId) -> f64 {
    let [state, _view] = samples::rows_of(&samples::active(tenant, 0, &samples::vault()));
    state.value.map_or(0, |value| value.len()) as f64
}

/// Latency under loads that do not wait for answers: a command counts from when it was due, also where the generator
/// or the inbox was late.
pub(super) async fn latencies(
    scale: Scale,
    capacity: f64,
    changelog: Option<Arc<dyn Changelog>>,
) -> Result<Vec<Line>, Failure> {
    let instances = scale.of(TAKING_TURNS, 512);
    let (directory, tenant) = (tempfile::tempdir()?, TenantId("one".into()));
    fill(directory.path(), &tenant, instances)?;
    let partition = Arc::new(OnePartition::start_on(directory.path(), &tenant, changelog).await?);
    let turns: Turns = Arc::new((0..instances).map(|_| Mutex::default()).collect());
    let mut arrival = 0;
    let mut lines = Vec::new();
    for share in LOADS {
        let interval = Duration::from_secs_f64(1.0 / (capacity * share));
        let count = (2.0 * scale.round().as_secs_f64() / interval.as_secs_f64()) as usize;
        let mut latencies = open_loop(&partition, &turns, arrival..arrival + count, interval).await?;
        arrival += count;
        let load = format!("command at {:.0} % of that load", share * 100.0);
        lines.push(Line::new(format!("{load}, p50"), "ms", latencies.percentile_ms(0.5)));
        lines.push(Line::new(format!("{load}, p99"), "ms", latencies.percentile_ms(0.99)));
    }
    stop(partition).await?;
    Ok(lines)
}

/// Whether each instance's database is there. A command on it waits for the one before, which may be late.
type Turns = Arc<Vec<Mutex<bool>>>;

async fn open_loop(
    partition: &Arc<OnePartition>,
    turns: &Turns,
    arrivals: std::ops::Range<usize>,
    interval: Duration,
) -> Result<Latencies, Failure> {
    let (partition, turns, handle) = (partition.clone(), turns.clone(), tokio::runtime::Handle::current());
    // A thread of its own: tokio's timers are no finer than a millisecond.
    let generator = thread::spawn(move || {
        let mut commands = JoinSet::new();
        let started = Instant::now();
        for (turn, arrival) in arrivals.enumerate() {
            let due = started + interval.mul_f64(turn as f64);
            thread::sleep(due.saturating_duration_since(Instant::now()));
            let (partition, turns) = (partition.clone(), turns.clone());
            let command = async move {
                let number = arrival % turns.len();
                let mut is_there = turns[number].lock().await;
                work(&partition, samples::instance_id(number), !*is_there).await?;
                *is_there = !*is_there;
                Ok::<_, Failure>(due.elapsed())
            };
            commands.spawn_on(command, &handle);
        }
        commands
    });
    let mut commands = tokio::task::spawn_blocking(move || generator.join()).await?.map_err(|_| "no generator")?;
    let mut latencies = Latencies::default();
    while let Some(latency) = commands.join_next().await {
        latencies.add(latency??);
    }
    Ok(latencies)
}

async fn stop(partition: Arc<OnePartition>) -> Result<(), Failure> {
    let partition = Arc::into_inner(partition).ok_or("the partition is still loaded")?;
    partition.stop().await;
    Ok(())
}

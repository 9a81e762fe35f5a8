//! Bytes for each instance: on disk, of an instance at rest, and of one whose actor is resident.

use std::{
    fs,
    path::Path,
    process::Command as Program,
    time::{Duration, Instant},
};

use coffer_domain::{
    command::Command,
    ids::{EffectId, TenantId},
    time::MINUTE,
};
use coffer_runtime::store::Store;
use serde_json::{Value, json};

use crate::{
    Failure, in_system,
    measure::Scale,
    one_partition::OnePartition,
    samples::{self, Fill},
    table::{Line, Target},
};

/// Stored instances.
const STORED: usize = 100_000;
/// Instances that are weighed in memory.
const WEIGHED: usize = 10_000;
/// Longer than an idle actor stays.
const IDLE: i64 = 12 * MINUTE;
/// The partition looks at its actors every second.
const PATIENCE: Duration = Duration::from_secs(30);
/// Longer than the partition takes for a few of them.
const LOOK: Duration = Duration::from_secs(2);

pub fn measure(scale: Scale) -> Result<Vec<Line>, Failure> {
    let stored = stored_bytes(scale.of(STORED, 200))?;
    let mut weigh = Program::new(std::env::current_exe()?.with_file_name("coffer-bench-memory"));
    if scale.smoke {
        weigh.arg("--smoke");
    }
    let output = weigh.output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
    }
    let weights: Value = serde_json::from_slice(&output.stdout)?;
    let weight = |name: &str| weights[name].as_f64().unwrap_or(f64::NAN);
    Ok(vec![
        Line::new("on disk for each stored instance", "bytes", stored),
        Line::new("in memory for each instance at rest", "bytes", weight("at_rest")).target(Target::AtMost(1024.0)),
        Line::new("in memory for each resident actor", "bytes", weight("resident")).target(Target::AtMost(16_384.0)),
        Line::new("… once it is passivated, instance included", "bytes", weight("passivated"))
            .target(Target::AtMost(1024.0)),
    ])
}

fn stored_bytes(instances: usize) -> Result<f64, Failure> {
    let (directory, tenant) = (tempfile::tempdir()?, TenantId("one".into()));
    samples::fill(&Store::open(directory.path())?, &tenant, 0..instances, Fill::Whole)?;
    // What was still in its write-ahead log becomes a table.
    drop(Store::open(directory.path())?);
    Ok(size_of(directory.path())? as f64 / instances as f64)
}

fn size_of(directory: &Path) -> Result<u64, Failure> {
    fs::read_dir(directory)?.map(|entry| Ok(entry?.metadata()?.len())).sum()
}

/// What `coffer-bench-memory` prints: bytes for each instance.
pub fn weigh(scale: Scale, allocated: fn() -> usize) -> Result<Value, Failure> {
    let count = scale.of(WEIGHED, 200);
    in_system(async move {
        let (directory, tenant) = (tempfile::tempdir()?, TenantId("one".into()));
        samples::fill(&Store::open(directory.path())?, &tenant, 0..count, Fill::Whole)?;
        let nothing = allocated();
        let partition = OnePartition::start(directory.path(), &tenant).await?;
        let each = |more: usize| more.saturating_sub(nothing) as f64 / count as f64;
        let at_rest = each(allocated());
        for number in 0..count {
            touch(&partition, number).await?;
        }
        let resident = each(allocated());
        partition.clock.forward(IDLE);
        // Actors end one after the other.
        let (started, mut before) = (Instant::now(), usize::MAX);
        while allocated() < before || each(before) > (at_rest + resident) / 2.0 {
            if started.elapsed() > PATIENCE {
                return Err("the actors were not passivated".into());
            }
            before = allocated();
            tokio::time::sleep(LOOK).await;
        }
        let passivated = each(allocated());
        partition.stop().await;
        Ok(json!({"at_rest": at_rest, "resident": resident - at_rest, "passivated": passivated}))
    })
}

/// Has a command done on an instance, which makes its actor resident.
async fn touch(partition: &OnePartition, number: usize) -> Result<(), Failure> {
    let instance = samples::instance_id(number);
    let command = Command::CreateDatabases { databases: vec![samples::database("reports")] };
    let envelope = samples::envelope(&partition.tenant, instance, command);
    let effect = EffectId::new(envelope.command_id, "create_databases", 1);
    partition.ask(envelope).await?;
    partition.done(instance, effect).await
}

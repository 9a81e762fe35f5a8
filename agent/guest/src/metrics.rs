//! What a heartbeat tells of the engine's and the agent's consumption.

use std::{io, sync::Arc, time::Duration};

use coffer_protocol::report::Metrics;
use tokio::time::Instant;

use crate::{
    host::{
        disk::{self, Space},
        proc,
    },
    supervisor::{Supervisor, settings},
    volume::Volume,
};

/// The volume's use is measured no more often than this: a directory has to be walked.
const SPACE_INTERVAL: Duration = Duration::from_secs(30);

/// Collects the metrics of one agent.
pub struct Collector {
    volume: Arc<Volume>,
    supervisor: Arc<Supervisor>,
    space: Option<(Instant, Space)>,
}

impl Collector {
    pub fn new(volume: Arc<Volume>, supervisor: Arc<Supervisor>) -> Self {
        Self { volume, supervisor, space: None }
    }

    /// The metrics of this moment; those of the engine itself are as its last health probe told.
    pub async fn collect(&mut self) -> Metrics {
        let gauges = self.supervisor.gauges();
        let space = self.space().await;
        let engine = gauges.pid.and_then(proc::usage);
        let agent = proc::usage(rustix::process::getpid());
        Metrics {
            connections: gauges.vitals.connections,
            queries_total: gauges.vitals.queries_total,
            volume_used_bytes: space.map(|space| space.used_bytes),
            volume_total_bytes: space.and_then(|space| space.total_bytes).or_else(|| self.ordered_bytes()),
            cpu_seconds_total: engine.zip(agent).map(|(engine, agent)| engine.cpu_seconds + agent.cpu_seconds),
            memory_used_bytes: engine.map(|usage| usage.resident_bytes),
            engine_restarts_total: gauges.restarts_total,
        }
    }

    /// A volume that is only a directory has the size that was ordered for it.
    fn ordered_bytes(&self) -> Option<u64> {
        let settings = settings::load(&self.volume).ok().flatten()?;
        Some(u64::from(settings.volume_gib) << 30)
    }

    async fn space(&mut self) -> Option<Space> {
        if let Some((measured_at, space)) = self.space
            && measured_at.elapsed() < SPACE_INTERVAL
        {
            return Some(space);
        }
        let volume = Arc::clone(&self.volume);
        let walk = tokio::task::spawn_blocking(move || disk::space(volume.root()));
        let measured = walk.await.map_err(io::Error::other).flatten();
        match measured {
            Ok(space) => {
                self.space = Some((Instant::now(), space));
                Some(space)
            }
            Err(error) => {
                tracing::warn!(%error, "the use of the volume cannot be measured");
                None
            }
        }
    }
}

//! Runs one engine: starts it, asks whether it is well, restarts it when it crashes, adopts it after an agent's crash.

mod log;
pub mod settings;
mod worker;

use std::{collections::BTreeMap, io, sync::Arc, time::Duration};

use coffer_protocol::report::EngineState;
use rustix::process::Pid;
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::AbortHandle,
};

use crate::{
    datastores::{Datastore, Vitals},
    failure,
    journal::Outcome,
    supervisor::{settings::Settings, worker::Worker},
    volume::Volume,
};

pub(crate) use log::last_words;

/// How long a caller waits for the engine to be up. Crash recovery may take longer: the engine is then left to it.
const READY_TIMEOUT: Duration = Duration::from_secs(300);
/// Requests that wait for the supervisor at most; commands come one at a time.
const REQUEST_QUEUE: usize = 4;

/// The times that the supervisor keeps.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Between two probes of an engine that is up.
    pub probe_interval: Duration,
    /// How long a probe may take.
    pub probe_timeout: Duration,
    /// Between two probes of an engine that is starting.
    pub start_interval: Duration,
    /// How long a starting engine may do nothing at all, neither compute nor read nor write, before it is killed and
    /// started again. However long its crash recovery takes, it works. (MariaDB 10.11.19 was seen to wait for a thread of
    /// its own for ever, once in some hundred starts on a busy host.)
    pub start_silence: Duration,
    /// How long an engine may take to stop before it is killed.
    pub stop_timeout: Duration,
    /// Before a crashed engine is started again; doubles with each crash …
    pub backoff_min: Duration,
    /// … up to this …
    pub backoff_max: Duration,
    /// … and starts anew once the engine has run that long.
    pub settled_after: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            probe_interval: Duration::from_secs(5),
            probe_timeout: Duration::from_secs(5),
            start_interval: Duration::from_millis(50),
            start_silence: Duration::from_secs(15),
            stop_timeout: Duration::from_secs(60),
            backoff_min: Duration::from_millis(200),
            backoff_max: Duration::from_secs(30),
            settled_after: Duration::from_secs(60),
        }
    }
}

impl Pace {
    /// How long to wait before the engine is started again, after so many crashes since it last ran well.
    fn backoff(&self, crashes_before: u32) -> Duration {
        self.backoff_min.saturating_mul(2_u32.saturating_pow(crashes_before)).min(self.backoff_max)
    }
}

/// What is measured of the engine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Gauges {
    pub pid: Option<Pid>,
    /// As the last probe told.
    pub vitals: Vitals,
    /// Times that a crashed engine was started again since the agent started.
    pub restarts_total: u64,
}

#[derive(Debug)]
enum Order {
    Prepare(Settings),
    Restart,
    Resize { memory_mib: u64, vcpus: u32 },
    GrowVolume { volume_gib: u32 },
    Configure { number: u64, values: BTreeMap<String, String> },
    Stop,
}

#[derive(Debug)]
struct Request {
    order: Order,
    done: oneshot::Sender<Outcome>,
}

/// The handle of the task that runs the engine. Dropped, it ends the task and leaves the engine running.
#[derive(Debug)]
pub struct Supervisor {
    requests: mpsc::Sender<Request>,
    state: watch::Receiver<EngineState>,
    gauges: watch::Receiver<Gauges>,
    task: AbortHandle,
}

impl Supervisor {
    /// Starts supervising. An engine that was prepared before is adopted or started at once.
    ///
    /// # Errors
    /// When what was prepared cannot be read.
    pub fn start(volume: Arc<Volume>, datastore: Arc<dyn Datastore>, pace: Pace) -> io::Result<Self> {
        let settings = settings::load(&volume)?;
        let initial = match &settings {
            None => EngineState::Absent,
            Some(settings) if settings.stopped => EngineState::Stopped,
            Some(_) => EngineState::Starting,
        };
        let wanted = settings.filter(|settings| !settings.stopped);
        let (requests, received) = mpsc::channel(REQUEST_QUEUE);
        let (state_sender, state) = watch::channel(initial);
        let (gauges_sender, gauges) = watch::channel(Gauges::default());
        let worker = Worker::new(volume, datastore, pace, wanted, received, state_sender, gauges_sender);
        let task = tokio::spawn(worker.run()).abort_handle();
        Ok(Self { requests, state, gauges, task })
    }

    /// The engine's state, and each change of it.
    pub fn state(&self) -> watch::Receiver<EngineState> {
        self.state.clone()
    }

    pub fn gauges(&self) -> Gauges {
        *self.gauges.borrow()
    }

    /// Initialises the engine's data if there is none, stores the settings and returns when the engine is up with
    /// them.
    pub async fn prepare(&self, settings: Settings) -> Outcome {
        self.order(Order::Prepare(settings)).await
    }

    /// Stops the engine in an orderly way, starts it again and returns when it is up.
    pub async fn restart(&self) -> Outcome {
        self.order(Order::Restart).await
    }

    /// Stops the engine in an orderly way, starts it again sized for this much and returns when it is up.
    pub async fn resize(&self, memory_mib: u64, vcpus: u32) -> Outcome {
        self.order(Order::Resize { memory_mib, vcpus }).await
    }

    /// Notes the volume's new size. What is sized from it follows at the engine's next start.
    pub async fn grow_volume(&self, volume_gib: u32) -> Outcome {
        self.order(Order::GrowVolume { volume_gib }).await
    }

    /// Has the running engine go on with these values, as [`Datastore::configure`] says.
    pub async fn configure(&self, number: u64, values: &BTreeMap<String, String>) -> Outcome {
        self.order(Order::Configure { number, values: values.clone() }).await
    }

    /// Stops the engine in an orderly way and leaves it stopped until it is prepared, restarted or resized, also when the
    /// agent is started anew.
    pub async fn stop(&self) -> Outcome {
        self.order(Order::Stop).await
    }

    async fn order(&self, order: Order) -> Outcome {
        let (done, outcome) = oneshot::channel();
        let is_gone = || failure::agent_failed("the supervisor of the engine has ended");
        self.requests.send(Request { order, done }).await.map_err(|_| is_gone())?;
        match tokio::time::timeout(READY_TIMEOUT, outcome).await {
            Ok(outcome) => outcome.map_err(|_| is_gone())?,
            Err(_) => Err(failure::engine_unavailable(format!(
                "the engine is not up after {} s; it may be recovering",
                READY_TIMEOUT.as_secs()
            ))),
        }
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_before_a_restart_doubles_up_to_its_bound() {
        let waits_ms = |crashes: std::ops::Range<u32>| {
            crashes.map(|crash| Pace::default().backoff(crash).as_millis()).collect::<Vec<_>>()
        };
        assert_eq!(waits_ms(0..9), [200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 30_000]);
        assert_eq!(waits_ms(u32::MAX - 1..u32::MAX), [30_000]);
    }
}

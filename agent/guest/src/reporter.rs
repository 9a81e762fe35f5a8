//! Enrolment and heartbeats: what the agent says without being asked.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use coffer_protocol::{
    VERSION,
    report::{EngineState, Enrol, HEARTBEAT_INTERVAL_S, Heartbeat, Inventory, Report},
};
use tokio::{
    sync::{Notify, watch},
    time::{Instant, sleep_until, timeout},
};

use crate::{
    datastores::{Datastore, MANAGERS},
    metrics::Collector,
    outbox::{Outbox, now_ms},
    supervisor::Supervisor,
};

/// Before enrolment is asked for again; doubles …
const ENROL_BACKOFF_MIN: Duration = Duration::from_secs(1);
/// … up to this, for as long as no challenge arrives.
const ENROL_BACKOFF_MAX: Duration = Duration::from_secs(10);
/// How long the inventory may keep a heartbeat waiting.
const INVENTORY_TIMEOUT: Duration = Duration::from_secs(3);

#[derive(Debug, Clone, Default)]
struct State {
    id: Option<String>,
    /// Challenges so far: each is told the inventory anew.
    challenges: u64,
    /// Times that enrolment was asked for.
    asked: u64,
    is_enrolling: bool,
}

/// The session with the control plane, and the wish to be heard.
#[derive(Debug, Default)]
pub struct Session {
    state: watch::Sender<State>,
    /// A heartbeat is due at once.
    due: Notify,
    /// Beginnings and ends of commands so far: odd while one is being executed.
    borders: AtomicU64,
}

impl Session {
    /// Asks for a session, until [`Session::open`].
    pub fn enrol(&self) {
        self.state.send_modify(|state| {
            state.asked += 1;
            state.is_enrolling = true;
        });
    }

    /// The control plane has opened this session.
    pub fn open(&self, id: String) {
        self.state.send_modify(|state| {
            state.id = Some(id);
            state.challenges += 1;
            state.is_enrolling = false;
        });
    }

    /// Sends a heartbeat soon, instead of when the next one is due.
    pub fn tell_soon(&self) {
        self.due.notify_one();
    }

    pub fn id(&self) -> Option<String> {
        self.state.borrow().id.clone()
    }

    /// Runs a command. No inventory is told that was taken meanwhile: after the outcome, half of what the command
    /// made would look like a loss.
    pub async fn execute<T>(&self, command: impl Future<Output = T>) -> T {
        self.borders.fetch_add(1, Ordering::Relaxed);
        let outcome = command.await;
        self.borders.fetch_add(1, Ordering::Relaxed);
        outcome
    }

    /// The number of borders passed, unless a command is being executed.
    fn idle_since(&self) -> Option<u64> {
        Some(self.borders.load(Ordering::Relaxed)).filter(|borders| borders % 2 == 0)
    }
}

/// Sends enrolments and heartbeats for the agent's whole life.
pub struct Reporter {
    session: Arc<Session>,
    outbox: Arc<Outbox>,
    datastore: Arc<dyn Datastore>,
    engine: watch::Receiver<EngineState>,
    collector: Collector,
    /// What was told last, and in answer to which challenge.
    told: Option<(u64, Inventory)>,
}

impl Reporter {
    pub fn new(
        session: Arc<Session>,
        outbox: Arc<Outbox>,
        datastore: Arc<dyn Datastore>,
        supervisor: &Supervisor,
        collector: Collector,
    ) -> Self {
        Self { session, outbox, datastore, engine: supervisor.state(), collector, told: None }
    }

    /// Runs until it is dropped.
    pub async fn run(mut self) {
        let shared = Arc::clone(&self.session);
        let mut session = shared.state.subscribe();
        let mut asked = 0;
        let mut enrol_backoff = ENROL_BACKOFF_MIN;
        let mut enrol_at = Instant::now();
        let mut is_beat_due = false;
        let mut beat_at = Instant::now();
        loop {
            let state = session.borrow_and_update().clone();
            if state.asked != asked {
                asked = state.asked;
                enrol_backoff = ENROL_BACKOFF_MIN;
                enrol_at = Instant::now();
            }
            if state.is_enrolling && enrol_at <= Instant::now() {
                self.send_enrol(&state).await;
                enrol_at = Instant::now() + enrol_backoff;
                enrol_backoff = (enrol_backoff * 2).min(ENROL_BACKOFF_MAX);
            }
            if is_beat_due && state.id.is_some() {
                self.send_heartbeat(&state).await;
            }
            if is_beat_due {
                beat_at = Instant::now() + Duration::from_secs(HEARTBEAT_INTERVAL_S);
                is_beat_due = false;
            }
            tokio::select! {
                changed = session.changed() => match changed {
                    Ok(()) => is_beat_due = true,
                    Err(_) => return,
                },
                changed = self.engine.changed() => match changed {
                    Ok(()) => is_beat_due = true,
                    Err(_) => return,
                },
                () = shared.due.notified() => is_beat_due = true,
                () = sleep_until(beat_at) => is_beat_due = true,
                () = sleep_until(enrol_at), if state.is_enrolling => {}
            }
        }
    }

    async fn send_enrol(&self, state: &State) {
        let enrol = Enrol {
            agent_version: env!("CARGO_PKG_VERSION").to_owned(),
            protocol_min: VERSION,
            protocol_max: VERSION,
            datastores: MANAGERS.iter().map(|manager| (*manager).to_owned()).collect(),
        };
        if let Err(error) = self.outbox.send(state.id.clone(), Report::Enrol(enrol)).await {
            tracing::warn!(%error, "the agent cannot enrol yet");
        }
    }

    async fn send_heartbeat(&mut self, state: &State) {
        let metrics = self.collector.collect().await;
        let engine = *self.engine.borrow_and_update();
        let inventory = self.inventory(engine).await.filter(|inventory| {
            !self.told.as_ref().is_some_and(|(challenge, told)| *challenge == state.challenges && told == inventory)
        });
        let restart_required = self.datastore.restart_required();
        let heartbeat = Heartbeat { at_ms: now_ms(), engine, metrics, inventory: inventory.clone(), restart_required };
        match self.outbox.send(state.id.clone(), Report::Heartbeat(heartbeat)).await {
            Ok(()) => {
                if let Some(inventory) = inventory {
                    self.told = Some((state.challenges, inventory));
                }
            }
            Err(error) => tracing::warn!(%error, "a heartbeat was not sent"),
        }
    }

    /// The inventory, unless the engine is down or a command is at work; the command's end makes a heartbeat due.
    async fn inventory(&self, engine: EngineState) -> Option<Inventory> {
        if engine != EngineState::Running {
            return None;
        }
        let idle_since = self.session.idle_since()?;
        match timeout(INVENTORY_TIMEOUT, self.datastore.inventory()).await {
            Ok(Ok(inventory)) => Some(inventory).filter(|_| self.session.idle_since() == Some(idle_since)),
            Ok(Err(failure)) => {
                tracing::warn!(code = failure.code, reason = failure.message, "the inventory cannot be taken");
                None
            }
            Err(_) => {
                tracing::warn!("the inventory took too long");
                None
            }
        }
    }
}

//! The task behind [`super::Supervisor`]: one engine, its process, its probes and its restarts.

use std::{collections::BTreeMap, io, pin::Pin, process::ExitStatus, sync::Arc};

use coffer_protocol::report::{EngineState, Failure};
use rustix::process::Signal;
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{Instant, sleep_until, timeout},
};

use super::{
    Gauges, Order, Pace, Request, log,
    settings::{self, Settings},
};
use crate::{
    datastores::{Datastore, NotReady, Vitals},
    failure,
    host::{
        proc::{self, Activity},
        process::Process,
    },
    journal::Outcome,
    volume::Volume,
};

/// Probes without an answer, in a row, after which the engine counts as unresponsive.
const PROBES_MISSED_MAX: u32 = 3;
/// Ends in a row before the engine was up, after which whoever waits for it is told that it failed.
const FAILED_STARTS_MAX: u32 = 3;

/// Why a probe brought no vitals.
enum Miss {
    /// It was refused, as it is while the engine starts.
    NotReady(NotReady),
    TimedOut,
}

/// How an engine that has not answered yet gets on.
struct Start {
    activity: Option<Activity>,
    at: Instant,
}

type Probe = Pin<Box<dyn Future<Output = Result<Vitals, Miss>> + Send>>;

pub(super) struct Worker {
    volume: Arc<Volume>,
    datastore: Arc<dyn Datastore>,
    pace: Pace,
    requests: mpsc::Receiver<Request>,
    state: watch::Sender<EngineState>,
    gauges: watch::Sender<Gauges>,
    /// Present when the engine is to run, and how.
    wanted: Option<Settings>,
    process: Option<Process>,
    started_at: Instant,
    probe: Option<Probe>,
    /// When the next probe, or the next start of an engine that has none, is due.
    due: Instant,
    probes_missed: u32,
    /// What a starting engine had done when it was last seen to do anything; absent once it is up.
    start: Option<Start>,
    /// Crashes since the engine last settled: the exponent of the backoff.
    crashes: u32,
    /// Ends in a row before the engine was up.
    failed_starts: u32,
    waiting: Option<oneshot::Sender<Outcome>>,
    /// What the engine did not start with, until it is up with what it had before.
    refused: Option<Failure>,
}

impl Worker {
    pub(super) fn new(
        volume: Arc<Volume>,
        datastore: Arc<dyn Datastore>,
        pace: Pace,
        wanted: Option<Settings>,
        requests: mpsc::Receiver<Request>,
        state: watch::Sender<EngineState>,
        gauges: watch::Sender<Gauges>,
    ) -> Self {
        let now = Instant::now();
        Self {
            volume,
            datastore,
            pace,
            requests,
            state,
            gauges,
            wanted,
            process: None,
            started_at: now,
            probe: None,
            due: now,
            probes_missed: 0,
            start: None,
            crashes: 0,
            failed_starts: 0,
            waiting: None,
            refused: None,
        }
    }

    pub(super) async fn run(mut self) {
        if *self.state.borrow() == EngineState::Stopped {
            // An agent that crashed may have noted that it is to be stopped, and not stopped it.
            self.stop_engine().await;
        }
        loop {
            tokio::select! {
                request = self.requests.recv() => match request {
                    Some(request) => self.obey(request).await,
                    None => return,
                },
                exit = exit_of(&mut self.process) => self.on_exit(exit),
                verdict = verdict_of(&mut self.probe) => self.on_verdict(verdict),
                () = sleep_until(self.due), if self.wanted.is_some() && self.probe.is_none() => {
                    if self.process.is_some() { self.begin_probe() } else { self.launch() }
                }
            }
        }
    }

    async fn obey(&mut self, request: Request) {
        self.waiting = Some(request.done);
        let obeyed = match request.order {
            Order::Prepare(settings) => self.prepare(settings).await,
            Order::Restart => self.restart().await,
            Order::Resize { memory_mib, vcpus } => self.resize(memory_mib, vcpus).await,
            Order::GrowVolume { volume_gib } => self.grow_volume(volume_gib),
            Order::Configure { number, values } => self.configure(number, &values).await,
            Order::Stop => self.stop().await,
        };
        if let Err(failed) = obeyed {
            self.answer(Err(failed));
        }
    }

    async fn prepare(&mut self, settings: Settings) -> Outcome {
        let is_up_as_asked = self.wanted.as_ref() == Some(&settings) && self.process.is_some();
        if is_up_as_asked {
            // The next probe answers.
            self.due = Instant::now();
            return Ok(());
        }
        let before = *self.state.borrow();
        self.enter(EngineState::Starting);
        self.stop_engine().await;
        let initialised = match self.datastore.initialise(&settings).await {
            Ok(()) => self.store(&settings),
            failed => failed,
        };
        if let Err(failed) = initialised {
            // An engine that was up before is started again, with the settings that it had.
            self.enter(if self.wanted.is_some() { EngineState::Starting } else { before });
            self.due = Instant::now();
            return Err(failed);
        }
        self.wanted = Some(settings);
        self.start_anew();
        Ok(())
    }

    async fn restart(&mut self) -> Outcome {
        let prepared = self.prepared()?;
        let settings = Settings { stopped: false, ..prepared.clone() };
        if settings != prepared {
            self.store(&settings)?;
        }
        self.restart_with(settings).await;
        Ok(())
    }

    /// Stored first, as in [`Worker::resize`].
    async fn stop(&mut self) -> Outcome {
        let settings = Settings { stopped: true, ..self.prepared()? };
        self.store(&settings)?;
        self.wanted = None;
        self.stop_engine().await;
        self.enter(EngineState::Stopped);
        self.answer(Ok(()));
        Ok(())
    }

    /// The settings are stored first: an agent that crashes from here on starts the engine with them, and whoever
    /// ordered this repeats it until the engine was started anew.
    async fn resize(&mut self, memory_mib: u64, vcpus: u32) -> Outcome {
        let settings = Settings { memory_mib, vcpus, stopped: false, ..self.prepared()? };
        self.store(&settings)?;
        self.restart_with(settings).await;
        Ok(())
    }

    fn grow_volume(&mut self, volume_gib: u32) -> Outcome {
        let settings = Settings { volume_gib, ..self.prepared()? };
        self.store(&settings)?;
        if self.wanted.is_some() {
            self.wanted = Some(settings);
        }
        self.answer(Ok(()));
        Ok(())
    }

    async fn configure(&mut self, number: u64, values: &BTreeMap<String, String>) -> Outcome {
        let settings = self.prepared()?;
        if *self.state.borrow() != EngineState::Running {
            return Err(failure::engine_unavailable("the engine is not up"));
        }
        self.datastore.configure(&settings, number, values).await?;
        self.answer(Ok(()));
        Ok(())
    }

    async fn restart_with(&mut self, settings: Settings) {
        self.enter(EngineState::Starting);
        self.stop_engine().await;
        self.wanted = Some(settings);
        self.start_anew();
    }

    fn prepared(&self) -> Result<Settings, Failure> {
        settings::load(&self.volume)
            .map_err(|error| failure::agent_failed(format!("the settings cannot be read: {error}")))?
            .ok_or_else(|| failure::not_found("there is no engine: none was prepared"))
    }

    fn store(&self, settings: &Settings) -> Outcome {
        settings::store(&self.volume, settings)
            .map_err(|error| failure::agent_failed(format!("the settings cannot be stored: {error}")))
    }

    fn start_anew(&mut self) {
        self.failed_starts = 0;
        self.crashes = 0;
        self.refused = None;
        self.launch();
    }

    /// Adopts the engine if it runs already, which only an earlier agent's does; starts it otherwise.
    fn launch(&mut self) {
        let Some(settings) = self.wanted.clone() else { return };
        match self.adopt_or_spawn(&settings) {
            Ok(process) => {
                self.gauges.send_modify(|gauges| gauges.pid = Some(process.pid()));
                self.process = Some(process);
                self.started_at = Instant::now();
                self.probes_missed = 0;
                self.start = Some(Start { activity: None, at: self.started_at });
                self.due = self.started_at + self.pace.start_interval;
                if *self.state.borrow() == EngineState::Crashed {
                    self.gauges.send_modify(|gauges| gauges.restarts_total += 1);
                } else {
                    self.enter(EngineState::Starting);
                }
            }
            Err(error) => {
                tracing::error!(%error, "the engine cannot be started");
                self.after_crash(&format!("the engine cannot be started: {error}"));
            }
        }
    }

    fn adopt_or_spawn(&self, settings: &Settings) -> io::Result<Process> {
        if let Some(process) = self.find_engine()? {
            tracing::info!(pid = %process.pid(), "the running engine is adopted");
            return Ok(process);
        }
        let process = Process::spawn(self.datastore.command(settings)?, &self.datastore.log_file())?;
        tracing::info!(pid = %process.pid(), "the engine is started");
        Ok(process)
    }

    fn find_engine(&self) -> io::Result<Option<Process>> {
        Process::adopt(|arguments| self.datastore.is_engine(arguments))
    }

    async fn stop_engine(&mut self) {
        self.probe = None;
        // An agent that has just started may be told to stop an engine that it has not met yet.
        let running = self.process.take().map_or_else(|| self.find_engine(), |process| Ok(Some(process)));
        let Some(mut process) = running.unwrap_or_else(|error| {
            tracing::warn!(%error, "it cannot be seen whether an engine runs");
            None
        }) else {
            return;
        };
        tracing::info!(pid = %process.pid(), "the engine is stopped");
        if let Err(error) = process.signal(Signal::TERM) {
            tracing::warn!(%error, "the engine cannot be told to stop");
        }
        if timeout(self.pace.stop_timeout, process.exited()).await.is_err() {
            tracing::warn!(pid = %process.pid(), "the engine did not stop in time: it is killed");
            if let Err(error) = process.signal(Signal::KILL) {
                tracing::warn!(%error, "the engine cannot be killed");
            }
            if let Err(error) = process.exited().await {
                tracing::warn!(%error, "the end of the engine cannot be seen");
            }
        }
        self.forget_gauges();
    }

    fn on_exit(&mut self, exit: io::Result<Option<ExitStatus>>) {
        let status = match exit {
            Ok(Some(status)) => status.to_string(),
            Ok(None) => "its status is known to its parent only".to_owned(),
            Err(error) => format!("its status cannot be read: {error}"),
        };
        let last_words = log::last_words(&self.datastore.log_file());
        let ran_s = self.started_at.elapsed().as_secs();
        tracing::error!(status, ran_s, last_words, "the engine ended without being asked to");
        self.process = None;
        self.probe = None;
        self.forget_gauges();
        if self.started_at.elapsed() >= self.pace.settled_after {
            self.crashes = 0;
        }
        self.after_crash(&format!("the engine ended ({status}): {last_words}"));
    }

    fn after_crash(&mut self, reason: &str) {
        self.due = Instant::now() + self.pace.backoff(self.crashes);
        self.crashes = self.crashes.saturating_add(1);
        self.failed_starts = self.failed_starts.saturating_add(1);
        self.enter(EngineState::Crashed);
        match self.datastore.fall_back() {
            Ok(None) => {}
            Ok(Some(refused)) => {
                tracing::error!(refused.message, "the engine is started with its earlier values");
                self.failed_starts = 0;
                self.refused = Some(refused);
            }
            Err(error) => tracing::error!(%error, "the engine's earlier values cannot be put back"),
        }
        if self.failed_starts >= FAILED_STARTS_MAX {
            self.answer(Err(failure::engine_failed(reason)));
        }
    }

    fn begin_probe(&mut self) {
        if let Err(error) = log::bound(&self.datastore.log_file()) {
            tracing::warn!(%error, "the engine's log cannot be bounded");
        }
        let datastore = Arc::clone(&self.datastore);
        let limit = self.pace.probe_timeout;
        self.probe = Some(Box::pin(async move {
            match timeout(limit, datastore.probe()).await {
                Ok(answer) => answer.map_err(Miss::NotReady),
                Err(_) => Err(Miss::TimedOut),
            }
        }));
    }

    fn on_verdict(&mut self, verdict: Result<Vitals, Miss>) {
        self.probe = None;
        if verdict.is_err() {
            self.kill_if_hung();
        }
        let is_starting = matches!(*self.state.borrow(), EngineState::Starting | EngineState::Crashed);
        match verdict {
            Ok(vitals) => {
                self.gauges.send_modify(|gauges| gauges.vitals = vitals);
                self.probes_missed = 0;
                self.failed_starts = 0;
                self.start = None;
                if is_starting && let Err(error) = self.datastore.came_up() {
                    tracing::warn!(%error, "it cannot be noted which values the engine has come up with");
                }
                self.enter(EngineState::Running);
                let refused = self.refused.take();
                self.answer(refused.map_or(Ok(()), Err));
            }
            // However long it takes to come up (crash recovery does): its process is there and says no.
            Err(Miss::NotReady(_)) if is_starting => {}
            Err(miss) => {
                self.probes_missed += 1;
                let reason = match miss {
                    Miss::NotReady(NotReady(reason)) => reason,
                    Miss::TimedOut => "no answer in time".to_owned(),
                };
                tracing::warn!(reason, in_a_row = self.probes_missed, "a health probe failed");
                if self.probes_missed >= PROBES_MISSED_MAX {
                    self.enter(EngineState::Unresponsive);
                }
            }
        }
        let is_up = matches!(*self.state.borrow(), EngineState::Running | EngineState::Unresponsive);
        self.due = Instant::now() + if is_up { self.pace.probe_interval } else { self.pace.start_interval };
    }

    /// Kills an engine that has not been up and does nothing: its end starts it anew.
    fn kill_if_hung(&mut self) {
        let (Some(process), Some(start)) = (&self.process, &mut self.start) else { return };
        let activity = proc::activity(process.pid());
        if activity.zip(start.activity).is_none_or(|(now, before)| now.is_more_than(before)) {
            *start = Start { activity, at: Instant::now() };
            return;
        }
        let silent = start.at.elapsed();
        if silent >= self.pace.start_silence {
            tracing::error!(pid = %process.pid(), silent_s = silent.as_secs(), "the starting engine hangs: it is killed");
            if let Err(error) = process.signal(Signal::KILL) {
                tracing::warn!(%error, "the engine cannot be killed");
            }
        }
    }

    fn enter(&self, next: EngineState) {
        self.state.send_if_modified(|state| {
            let is_change = *state != next;
            if is_change {
                tracing::info!(from = ?*state, to = ?next, "the engine's state changed");
                *state = next;
            }
            is_change
        });
    }

    fn answer(&mut self, outcome: Outcome) {
        if let Some(waiting) = self.waiting.take() {
            // Whoever asked may have gone: nobody is left to tell.
            let _ = waiting.send(outcome);
        }
    }

    fn forget_gauges(&self) {
        self.gauges
            .send_modify(|gauges| *gauges = Gauges { restarts_total: gauges.restarts_total, ..Gauges::default() });
    }
}

async fn exit_of(process: &mut Option<Process>) -> io::Result<Option<ExitStatus>> {
    match process {
        Some(process) => process.exited().await,
        None => std::future::pending().await,
    }
}

async fn verdict_of(probe: &mut Option<Probe>) -> Result<Vitals, Miss> {
    match probe {
        Some(probe) => probe.await,
        None => std::future::pending().await,
    }
}

//! One partition on a real store, driven by hand: its calls to the outside, its time, its deaths.

use std::{collections::VecDeque, sync::Arc};

use coffer_domain::{
    command::Envelope,
    ids::{InstanceId, TenantId},
    instance::{
        Input, Instance,
        effect::{Effect, Observation, Outcome},
        state::Waiting,
    },
    quota::Limits,
    rejection::Rejection,
    time::{Millis, Timestamp},
};
use coffer_protocol::report::EngineState;
use coffer_runtime::{
    local_log::LocalLog,
    metrics::Metrics,
    partition::{Accepted, Item, Partition, Parts, StepError, TakenOver},
    store::Store,
    telemetry::Ending,
};
use prometheus::Registry;
use tempfile::TempDir;

use super::{
    faults::{Faults, FlakyLog},
    invariants,
    outside::Outside,
    poll::until,
    samples::{START, catalogue, command_id, create, envelope, instance, tenant},
};

pub const PARTITION: u32 = 3;
/// Timers that one step takes at most.
const BATCH: usize = 256;
/// Steps after which everything must have come to rest.
const STEPS_TO_REST: usize = 2000;
/// Commands of the world's own begin here, so that they are not a test's.
const FIRST_OWN_COMMAND: u32 = 1_000_000;

pub type Answers = Vec<Result<Accepted, Rejection>>;

pub struct World {
    directory: TempDir,
    limits: Limits,
    living: Option<Living>,
    pub faults: Arc<Faults>,
    pub outside: Outside,
    pub now: Timestamp,
    /// Effects that were handed out and not answered.
    pub calls: VecDeque<Effect>,
    /// Operations that ended, and how.
    pub ended: Vec<(&'static str, Ending)>,
}

/// What a crash takes away.
struct Living {
    store: Arc<Store>,
    parts: Parts,
    partition: Partition,
}

impl World {
    pub fn new() -> Self {
        Self::with_limits(Limits::default())
    }

    pub fn with_limits(limits: Limits) -> Self {
        let mut world = Self {
            directory: tempfile::tempdir().unwrap(),
            limits,
            living: None,
            faults: Arc::default(),
            outside: Outside::default(),
            now: START,
            calls: VecDeque::new(),
            ended: Vec::new(),
        };
        let store = Store::open(world.directory.path()).unwrap();
        world.start(store);
        world
    }

    pub fn directory(&self) -> &std::path::Path {
        self.directory.path()
    }

    pub fn store(&self) -> &Store {
        &self.living.as_ref().expect("the control plane runs").store
    }

    pub fn partition(&mut self) -> &mut Partition {
        &mut self.living.as_mut().expect("the control plane runs").partition
    }

    pub fn instance(&self, id: InstanceId) -> Instance {
        self.find(id).unwrap_or_else(|| panic!("there is no instance {id}"))
    }

    pub fn find(&self, id: InstanceId) -> Option<Instance> {
        self.store().instances(PARTITION).unwrap().into_iter().find(|instance| instance.id == id)
    }

    /// Takes the partition over from what the store says.
    fn start(&mut self, store: Store) {
        let store = Arc::new(store);
        let metrics = Metrics::new(&Registry::new()).unwrap();
        let inner = LocalLog::start(store.clone(), &metrics.bounded).unwrap();
        let parts = Parts {
            log: Arc::new(FlakyLog { inner, faults: self.faults.clone() }),
            store: store.clone(),
            borders: self.faults.clone(),
            catalogue: Arc::new(catalogue()),
            limits: Arc::new(self.limits.clone()),
            metrics,
        };
        let TakenOver { partition, outstanding } = Partition::take_over(PARTITION, parts.clone(), self.now).unwrap();
        self.calls = outstanding.into();
        self.living = Some(Living { store, parts, partition });
    }

    /// Loses all memory, and everything that was under way; then starts on what the store says.
    pub async fn crash(&mut self) {
        self.living = None;
        let mut store = None;
        // The log's thread lets go of the store a little later.
        until("the store is closed", || {
            store = Store::open(self.directory.path()).ok();
            store.is_some()
        })
        .await;
        self.start(store.expect("it was just opened"));
    }

    /// Loses all memory of the partition, as after an uncertain commit; the store stays open.
    fn reload(&mut self) {
        let living = self.living.as_mut().expect("the control plane runs");
        let TakenOver { partition, outstanding } =
            Partition::take_over(PARTITION, living.parts.clone(), self.now).unwrap();
        living.partition = partition;
        self.calls = outstanding.into();
    }

    /// One step; `None` when it died on the way, and was taken over again.
    pub async fn step(&mut self, items: Vec<Item>) -> Option<Answers> {
        let now = self.now;
        let living = self.living.as_mut().expect("the control plane runs");
        let stepped = async {
            living.partition.decide_all(items, now).await?;
            let batch = living.partition.begin_commit()?;
            let committed = if batch.writes.is_empty() { Ok(()) } else { living.parts.log.commit(batch).await };
            living.partition.end_commit(committed)
        };
        let answers = match stepped.await {
            Ok(stepped) => {
                self.calls.retain(|call| stepped.withdrawn.iter().all(|(_, effect)| *effect != call.id));
                self.calls.extend(stepped.dispatch);
                self.ended.extend(stepped.operations_ended.iter().map(|ended| (ended.operation, ended.ending)));
                Some(stepped.answers)
            }
            Err(StepError::Stopped(_)) => {
                self.crash().await;
                None
            }
            Err(StepError::NotCommitted(_)) => {
                self.reload();
                None
            }
            Err(StepError::Store(error)) => panic!("{error}"),
        };
        invariants::check(self.store(), PARTITION, &tenants());
        answers
    }

    /// Asks until there is an answer, with the same command each time: what a careful client does.
    pub async fn ask(&mut self, envelope: &Envelope) -> Result<Accepted, Rejection> {
        for _ in 0..3 {
            if let Some(mut answers) = self.step(vec![Item::command(envelope.clone())]).await {
                return answers.remove(0);
            }
        }
        panic!("no answer to {:?}", envelope.command.verb());
    }

    pub async fn give(&mut self, tenant: TenantId, instance: InstanceId, input: Input) {
        self.step(vec![Item { tenant, instance, input }]).await;
    }

    /// Tells how the oldest call ended, whatever was done about it.
    pub async fn answer(&mut self, outcome: Outcome) {
        let Effect { id, tenant, instance, .. } = self.calls.pop_front().expect("a call is under way");
        self.give(tenant, instance, Input::Outcome { effect: id, outcome }).await;
    }

    /// Carries the oldest call out and tells so.
    pub async fn succeed(&mut self) {
        let produced = self.outside.carry_out(self.calls.front().expect("a call is under way"));
        self.answer(Ok(produced)).await;
    }

    /// The agent of an instance says this of its engine.
    pub async fn hear(&mut self, id: InstanceId, engine: EngineState) {
        let tenant = self.instance(id).tenant;
        self.give(tenant, id, Input::Observed(Observation::Heard { engine })).await;
    }

    /// An instance whose agent has a server and is waited for.
    pub fn awaited_agent(&self) -> Option<InstanceId> {
        let instances = self.store().instances(PARTITION).unwrap();
        let waits = |instance: &Instance| {
            instance.operation.as_ref().is_some_and(|operation| operation.waiting == Waiting::Agent)
        };
        instances.iter().find(|instance| waits(instance)).map(|instance| instance.id)
    }

    /// Lets time pass; the timers that fall due are taken in.
    pub async fn wait(&mut self, span: Millis) {
        self.now = self.now + span;
        let now = self.now;
        let due = self.partition().due(now, BATCH);
        if !due.is_empty() {
            self.step(due).await;
        }
    }

    /// Lets every call succeed and every awaited agent speak, until nothing is under way. Time passes only where
    /// something waits for it, and never so long that something fails.
    pub async fn come_to_rest(&mut self) {
        for _ in 0..STEPS_TO_REST {
            if !self.calls.is_empty() {
                self.succeed().await;
            } else if let Some(id) = self.awaited_agent() {
                self.hear(id, EngineState::Absent).await;
            } else if let Some(due) = self.partition().next_due() {
                self.wait((due - self.now).max(0)).await;
            } else {
                return;
            }
        }
        panic!("not at rest after {STEPS_TO_REST} steps");
    }

    /// Makes [`instance`] `number` and brings it up.
    pub async fn active(&mut self, number: u8) -> InstanceId {
        let id = instance(number);
        let command = command_id(FIRST_OWN_COMMAND + u32::from(number));
        let order = envelope(command, id, create(id), self.now);
        self.ask(&order).await.unwrap();
        self.come_to_rest().await;
        self.hear(id, EngineState::Running).await;
        id
    }
}

/// All tenants that any test knows.
pub fn tenants() -> Vec<TenantId> {
    (1..=3).map(tenant).collect()
}

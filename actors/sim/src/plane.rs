//! The control plane: the real runners, links and dispatcher, taken over anew after each death.

use std::sync::Arc;

use coffer_domain::time::{Millis, SECOND};
use coffer_ports::log::{Batch, Log, Space, Write};
use coffer_protocol::boot::Bootstrap;
use coffer_runtime::{
    dispatcher::{Connectors, Dispatcher, Ownership},
    link::LinkParts,
    metrics::Metrics,
    partition::{Parts, StepError},
    runner::{INBOX, Message, Runner, RunnerError, RunnerParts},
    store::{Store, keys, rows},
};
use prometheus::Registry;
use tokio::{
    sync::mpsc,
    task::{JoinHandle, spawn_local},
};

use crate::{
    broker::Way,
    connectors::{CloudPort, SimulatedBorders, SimulatedLog},
    desk::Event,
    world::{PARTITIONS, Shared, lock},
};

/// Records for agents that wait for the broker at most.
const OUTGOING: usize = 256;
/// How long a control plane stays away that has died, and one that could not start.
const AWAY: (Millis, Millis) = (100, 240 * SECOND);
const START_RETRY: Millis = 5 * SECOND;

/// One life of the control plane.
pub struct Plane {
    pub life: u64,
    pub inboxes: Vec<mpsc::Sender<Message>>,
    tasks: Vec<JoinHandle<()>>,
}

/// Takes all partitions over. What it finds undone it does again.
pub async fn start(world: &Shared) {
    let (store, log, life) = {
        let mut locked = lock(world);
        locked.lives += 1;
        let log = Arc::new(SimulatedLog { world: world.clone(), store: locked.store.clone() });
        (locked.store.clone(), log, locked.lives)
    };
    let Some(epochs) = next_epochs(&store, log.as_ref()).await else {
        lock(world).desk.after(START_RETRY, Event::PlaneStarts);
        return;
    };
    let (outgoing, mut relay) = mpsc::channel(OUTGOING);
    let Some(parts) = parts(world, log, life, outgoing) else {
        lock(world).desk.violated("the metrics of the control plane clash".into());
        return;
    };
    lock(world).desk.tell("control plane", format_args!("starts its life {life} with the epochs {epochs:?}"));

    let (mut inboxes, mut tasks) = (Vec::new(), Vec::new());
    for (partition, epoch) in (0..PARTITIONS).zip(epochs) {
        let (sender, inbox) = mpsc::channel(INBOX);
        let runner = Runner::load(Ownership { partition, epoch }, parts.clone(), inbox, sender.downgrade());
        let ending = world.clone();
        tasks.push(spawn_local(async move {
            let end = match runner {
                Ok(runner) => runner.run().await,
                Err(error) => Err(error),
            };
            let mut locked = lock(&ending);
            if let Err(RunnerError::Step { reason: StepError::Store(error), .. }) = end {
                locked.desk.violated(format!("the store cannot be read: {error}"));
            }
            locked.desk.after(0, Event::PlaneEnds { life });
        }));
        inboxes.push(sender);
    }
    let sending = world.clone();
    tasks.push(spawn_local(async move {
        while let Some(record) = relay.recv().await {
            let mut locked = lock(&sending);
            let locked = &mut *locked;
            locked.broker.send(Way::ToAgent, record, &mut locked.desk);
        }
    }));
    lock(world).plane = Some(Plane { life, inboxes, tasks });
}

/// Ends this life of the control plane, wherever it is, and has another one begin later.
pub async fn end(world: &Shared, life: u64) {
    let Some(plane) = lock(world).plane.take_if(|plane| plane.life == life) else { return };
    drop(plane.inboxes);
    for task in plane.tasks {
        task.abort();
        // Only when it is gone may the next one begin.
        let _ = task.await;
    }
    let mut locked = lock(world);
    let locked = &mut *locked;
    let away = locked.desk.dice.mostly_short(AWAY.0, AWAY.1);
    locked.desk.tell("control plane", format_args!("is dead, for {away} ms"));
    locked.cloud.caller_died(life, away, &mut locked.desk);
    locked.desk.after(away, Event::PlaneStarts);
}

fn parts(
    world: &Shared,
    log: Arc<SimulatedLog>,
    life: u64,
    outgoing: mpsc::Sender<coffer_ports::transport::Outgoing>,
) -> Option<RunnerParts> {
    let metrics = Metrics::new(&Registry::new()).ok()?;
    let port = Arc::new(CloudPort { world: world.clone(), life });
    let locked = lock(world);
    let connectors = Connectors {
        network: port.clone(),
        volumes: port.clone(),
        compute: port,
        agent_bootstrap: Bootstrap::Servers("simulated:9092".into()),
    };
    let dispatcher =
        Dispatcher::new(connectors, locked.vault.clone(), metrics.clone(), tokio::runtime::Handle::current());
    Some(RunnerParts {
        partition: Parts {
            log,
            store: locked.store.clone(),
            borders: Arc::new(SimulatedBorders { world: world.clone() }),
            catalogue: locked.catalogue.clone(),
            limits: locked.limits.clone(),
            metrics: metrics.clone(),
        },
        link: LinkParts { vault: locked.vault.clone(), outgoing, metrics },
        dispatcher,
        clock: locked.desk.clock.clone(),
    })
}

/// Each life owns its partitions under new epochs, written before anything is done in their name.
async fn next_epochs(store: &Store, log: &SimulatedLog) -> Option<Vec<u64>> {
    let mut epochs = Vec::new();
    let mut batch = Batch::default();
    for partition in 0..PARTITIONS {
        let epoch = store.epoch(partition).ok()? + 1;
        epochs.push(epoch);
        batch.writes.push(Write { space: Space::Meta, key: keys::epoch(partition), value: Some(rows::encode(&epoch)) });
    }
    log.commit(batch).await.ok().map(|()| epochs)
}

//! The control plane: the real runners, links and dispatcher, taken over anew after each death.

use std::sync::Arc;

use coffer_domain::time::{Millis, SECOND};
use coffer_ports::{log::Log, transport::Outgoing};
use coffer_protocol::boot::Bootstrap;
use coffer_runtime::{
    clock::Clock,
    dispatcher::{Connectors, Dispatcher},
    link::LinkParts,
    metrics::Metrics,
    nodes::Name,
    partition::{Parts, StepError},
    replicated_log::ReplicatedLog,
    runner::{INBOX, Message, Runner, RunnerError, RunnerParts},
};
use prometheus::Registry;
use tokio::{
    sync::mpsc,
    task::{JoinHandle, spawn_local},
};

use crate::{
    broker::Way,
    cluster::{Applier, ClusterPort},
    connectors::{CloudPort, SimulatedBorders, SimulatedLog},
    desk::Event,
    faults::Fault,
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
    let (store, is_clustered, life) = {
        let mut locked = lock(world);
        locked.lives += 1;
        let locked = &mut *locked;
        if let Some(cluster) = locked.cluster.as_mut().filter(|_| locked.desk.dice.chance(500)) {
            cluster.compact();
        }
        (locked.store.clone(), locked.cluster.is_some(), locked.lives)
    };
    let Ok(metrics) = Metrics::new(&Registry::new()) else {
        return lock(world).desk.violated("the metrics of the control plane clash".into());
    };
    let log: Arc<dyn Log> = if is_clustered {
        let (changelog, applier) = (Arc::new(ClusterPort::new(world.clone())), Arc::new(Applier(store.clone())));
        let clock: Arc<dyn Clock> = lock(world).desk.clock.clone();
        match ReplicatedLog::open(changelog, store, applier, clock, metrics.clone()).await {
            Ok(log) => Arc::new(log),
            Err(error) => return lock(world).desk.violated(format!("the cluster cannot be followed: {error}")),
        }
    } else {
        Arc::new(SimulatedLog { world: world.clone(), store })
    };
    let (outgoing, mut relay) = mpsc::channel(OUTGOING);
    let parts = parts(world, log, life, outgoing, metrics);
    let mut owned = Vec::new();
    for partition in 0..PARTITIONS {
        match Runner::own(partition, &parts).await {
            Ok(ownership) => owned.push(ownership),
            Err(_) => return lock(world).desk.after(START_RETRY, Event::PlaneStarts),
        }
    }
    let epochs: Vec<u64> = owned.iter().map(|ownership| ownership.epoch).collect();
    lock(world).desk.tell("control plane", format_args!("starts its life {life} with the epochs {epochs:?}"));

    let (mut inboxes, mut tasks) = (Vec::new(), Vec::new());
    for ownership in owned {
        let (sender, inbox) = mpsc::channel(INBOX);
        let runner = Runner::load(ownership, parts.clone(), inbox, sender.downgrade());
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
    let replaced = {
        let mut locked = lock(world);
        let position = locked.replaced.iter().position(|plane| plane.life == life);
        position.map(|position| locked.replaced.remove(position))
    };
    if let Some(plane) = replaced {
        lock(world).desk.tell("control plane", format_args!("of life {life} knows that it was replaced"));
        return die(plane).await;
    }
    let Some(plane) = lock(world).plane.take_if(|plane| plane.life == life) else { return };
    die(plane).await;
    let mut locked = lock(world);
    let locked = &mut *locked;
    if locked.cluster.is_some() && locked.desk.strikes(Fault::DiskLost) {
        locked.desk.tell("disk", format_args!("is lost"));
        locked.new_disk();
    }
    let away = locked.desk.dice.mostly_short(AWAY.0, AWAY.1);
    locked.desk.tell("control plane", format_args!("is dead, for {away} ms"));
    locked.cloud.caller_died(life, away, &mut locked.desk);
    locked.desk.after(away, Event::PlaneStarts);
}

/// Only when it is gone may the next one begin.
async fn die(plane: Plane) {
    drop(plane.inboxes);
    for task in plane.tasks {
        task.abort();
        let _ = task.await;
    }
}

fn parts(
    world: &Shared,
    log: Arc<dyn Log>,
    life: u64,
    outgoing: mpsc::Sender<Outgoing>,
    metrics: Metrics,
) -> RunnerParts {
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
    RunnerParts {
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
        name: Arc::new(Name { node: format!("life {life}"), place: "simulated".into() }),
    }
}

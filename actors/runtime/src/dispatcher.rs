//! Carries out effects through the connectors: one at a time per instance, bounded in all, each within its deadline.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use coffer_domain::{
    ids::{EffectId, InstanceId},
    instance::{
        effect::{Action, Effect, Failure, Outcome, Produced, ServerOrder},
        state::ResourceAddress,
    },
};
use coffer_ports::{
    Error, ErrorKind,
    cloud::{Address, Compute, Network, Owner, ResizeRequest, ServerRequest, VolumeRequest, Volumes},
    telemetry::Happening,
};
use coffer_protocol::boot::{Bootstrap, FirstBoot};
use tokio::{
    runtime::Handle,
    sync::{Semaphore, oneshot},
};

use crate::{fullness, link::cell_of, metrics::Metrics, telemetry::EffectEnded, vault::Vault};

/// Calls to the outside at a time, over all instances.
const CONCURRENCY: usize = 64;

/// Where effects go. Chosen one by one: a static network beside an OpenStack compute is an ordinary set.
#[derive(Clone)]
pub struct Connectors {
    pub network: Arc<dyn Network>,
    pub volumes: Arc<dyn Volumes>,
    pub compute: Arc<dyn Compute>,
    /// Where the agents find the broker.
    pub agent_bootstrap: Bootstrap,
}

/// Shared by all partitions of a process.
pub struct Dispatcher {
    connectors: Connectors,
    vault: Arc<Vault>,
    metrics: Metrics,
    slots: Semaphore,
    /// The effects of each instance that has any under way: the next one waits for the last.
    queues: Mutex<HashMap<InstanceId, Queue>>,
    handle: Handle,
}

impl Dispatcher {
    /// Effects are carried out on `handle`, a multi-thread runtime: never on a partition's thread.
    pub fn new(connectors: Connectors, vault: Arc<Vault>, metrics: Metrics, handle: Handle) -> Arc<Self> {
        let slots = Semaphore::new(CONCURRENCY);
        let bounded = metrics.bounded.clone();
        let dispatcher = Arc::new(Self { connectors, vault, metrics, slots, queues: Mutex::default(), handle });
        let weak = Arc::downgrade(&dispatcher);
        bounded.register(fullness::EFFECT_SLOTS, CONCURRENCY, move || {
            Some(CONCURRENCY - weak.upgrade()?.slots.available_permits())
        });
        dispatcher
    }

    /// Carries the effect out in the background and hands its outcome to `done`, exactly once. Effects of one instance
    /// are carried out in the order of the calls. One that is under way already, since a partition that reloads
    /// dispatches again what it finds without an outcome, is not carried out beside itself: whoever asked first is told.
    pub fn start<F>(
        self: &Arc<Self>,
        effect: Effect,
        owner: Ownership,
        done: impl FnOnce(Effect, Outcome) -> F + Send + 'static,
    ) where
        F: Future<Output = ()> + Send,
    {
        let dispatcher = self.clone();
        let (ended, end) = oneshot::channel::<()>();
        let Some(previous) = self.queue(&effect, end) else { return };
        self.handle.spawn(async move {
            if let Some(previous) = previous {
                // It ends by dropping its side, whatever came of it.
                let _ = previous.await;
            }
            let outcome = dispatcher.run(&effect, owner).await;
            dispatcher.leave(&effect);
            drop(ended);
            done(effect, outcome).await;
        });
    }

    async fn run(&self, effect: &Effect, owner: Ownership) -> Outcome {
        let Ok(_slot) = self.slots.acquire().await else {
            return Err(failure(&Error::new(ErrorKind::Unavailable, "stopping", "the control plane is stopping")));
        };
        self.metrics.effects_running.inc();
        let deadline = Duration::from_millis(u64::try_from(effect.deadline).unwrap_or(0));
        let result = tokio::time::timeout(deadline, self.call(effect, owner))
            .await
            .unwrap_or_else(|_| Err(Error::new(ErrorKind::Timeout, "deadline", "there was no answer in time")));
        self.metrics.effects_running.dec();
        EffectEnded { effect, result: &result }.emit(&self.metrics);
        result.map_err(|error| failure(&error))
    }

    async fn call(&self, effect: &Effect, ownership: Ownership) -> coffer_ports::Result<Produced> {
        let owner = Owner { tenant: effect.tenant.to_string(), instance: effect.instance.to_string() };
        let Connectors { network, volumes, compute, .. } = &self.connectors;
        match &effect.action {
            Action::EnsureAddress => {
                let address = network.ensure_address(&owner).await?;
                Ok(Produced::Address(ResourceAddress { ip: address.ip, network_id: address.network_id }))
            }
            Action::EnsureVolume { size_gib, volume_type } => {
                let request = VolumeRequest { owner, size_gib: *size_gib, volume_type: volume_type.clone() };
                Ok(Produced::Volume { id: volumes.ensure_volume(&request).await? })
            }
            Action::EnsureServer(order) => {
                let request = self.server_request(effect, owner, order, ownership)?;
                Ok(Produced::Server { id: compute.ensure_server(&request).await? })
            }
            Action::GrowVolume { size_gib } => volumes.grow_volume(&owner, *size_gib).await.map(|()| Produced::Nothing),
            Action::MeasureVolume => Ok(Produced::VolumeSize { size_gib: volumes.measure_volume(&owner).await? }),
            Action::ResizeServer { flavor } => {
                let request = ResizeRequest {
                    owner,
                    flavor_id: flavor.id.clone(),
                    vcpus: flavor.vcpus,
                    memory_mib: flavor.memory_mib,
                };
                compute.resize_server(&request).await.map(|()| Produced::Nothing)
            }
            Action::DeleteServer => compute.delete_server(&owner).await.map(|()| Produced::Nothing),
            Action::DeleteVolume => volumes.delete_volume(&owner).await.map(|()| Produced::Nothing),
            Action::ReleaseAddress => network.release_address(&owner).await.map(|()| Produced::Nothing),
            Action::Agent(_) => {
                Err(Error::new(ErrorKind::Internal, "misrouted", "an agent's order is not a cloud call"))
            }
        }
    }

    fn server_request(
        &self,
        effect: &Effect,
        owner: Owner,
        order: &ServerOrder,
        ownership: Ownership,
    ) -> coffer_ports::Result<ServerRequest> {
        let internal = |what: String| {
            Error::new(ErrorKind::Internal, "first_boot", "what it needs to boot could not be put together")
                .with_detail(what)
        };
        let key = self.vault.open_server_key(&order.server_key).map_err(|error| internal(error.to_string()))?;
        let boot = FirstBoot {
            version: coffer_protocol::VERSION,
            instance_id: effect.instance.to_string(),
            tenant: effect.tenant.to_string(),
            key_id: order.server_key.key_id.clone(),
            key,
            cell: cell_of(ownership.partition),
            epoch: ownership.epoch,
            bootstrap: self.connectors.agent_bootstrap.clone(),
            datastore: order.manager.clone(),
            listen_address: order.address.ip.clone(),
        };
        Ok(ServerRequest {
            owner,
            flavor_id: order.flavor.id.clone(),
            vcpus: order.flavor.vcpus,
            memory_mib: order.flavor.memory_mib,
            address: Address { ip: order.address.ip.clone(), network_id: order.address.network_id.clone() },
            volume_id: order.volume.clone(),
            first_boot: serde_json::to_vec(&boot).map_err(|error| internal(error.to_string()))?,
        })
    }

    /// Takes a place behind the instance's last effect and returns that one's end, if there is one; `None` when the
    /// effect has a place already.
    fn queue(&self, effect: &Effect, end: oneshot::Receiver<()>) -> Option<Option<oneshot::Receiver<()>>> {
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        let queue = queues.entry(effect.instance).or_default();
        if queue.under_way.contains(&effect.id) {
            return None;
        }
        queue.under_way.push(effect.id.clone());
        Some(queue.last_end.replace(end))
    }

    /// Gives the effect's place up.
    fn leave(&self, effect: &Effect) {
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(queue) = queues.get_mut(&effect.instance) {
            queue.under_way.retain(|id| *id != effect.id);
            if queue.under_way.is_empty() {
                queues.remove(&effect.instance);
            }
        }
    }
}

/// The effects of one instance that wait or are being carried out.
#[derive(Default)]
struct Queue {
    under_way: Vec<EffectId>,
    /// The end of the one that was asked for last.
    last_end: Option<oneshot::Receiver<()>>,
}

/// In whose name an effect is carried out.
#[derive(Debug, Clone, Copy)]
pub struct Ownership {
    pub partition: u32,
    pub epoch: u64,
}

fn failure(error: &Error) -> Failure {
    Failure {
        retryable: error.kind.is_retryable(),
        code: error.code.to_string(),
        message: error.message.clone(),
        retry_after: error.retry_after.map(|wait| i64::try_from(wait.as_millis()).unwrap_or(i64::MAX)),
    }
}

//! A provider in memory, whose calls can be held back or made to fail. Its servers run agents.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard},
};

use async_trait::async_trait;
use coffer_ports::{
    Error, Result,
    cloud::{Address, Compute, Network, Owner, ResizeRequest, ServerRequest, VolumeRequest, Volumes},
};
use coffer_protocol::boot::{Bootstrap, FirstBoot};
use coffer_runtime::dispatcher::Connectors;
use tokio::{sync::watch, task::AbortHandle};

use super::{
    broker::Broker,
    guest::{self, Guests},
    outside::Outside,
};

#[derive(Clone)]
pub struct Cloud {
    pub outside: Arc<Outside>,
    pub guests: Arc<Guests>,
    broker: Broker,
    calls: Arc<Mutex<Calls>>,
    /// Actions that are not carried out for now.
    held: watch::Sender<BTreeSet<&'static str>>,
}

/// What was called, and what is under way.
#[derive(Debug, Default)]
pub struct Calls {
    /// Action and instance, in the order in which the calls arrived.
    pub begun: Vec<(&'static str, String)>,
    under_way: BTreeMap<String, usize>,
    /// The most calls that were under way at a time: over all instances, and for one of them.
    pub most: usize,
    pub most_for_one: usize,
    failures: BTreeMap<&'static str, Vec<Error>>,
    servers: BTreeMap<String, AbortHandle>,
}

impl Calls {
    pub fn under_way(&self) -> usize {
        self.under_way.values().sum()
    }

    pub fn begun(&self, action: &str) -> usize {
        self.begun.iter().filter(|(begun, _)| *begun == action).count()
    }
}

impl Cloud {
    pub fn new(broker: Broker) -> Self {
        Self {
            outside: Arc::default(),
            guests: Arc::default(),
            broker,
            calls: Arc::default(),
            held: watch::Sender::default(),
        }
    }

    pub fn connectors(&self) -> Connectors {
        let cloud = Arc::new(self.clone());
        Connectors {
            network: cloud.clone(),
            volumes: cloud.clone(),
            compute: cloud,
            agent_bootstrap: Bootstrap::Servers("in memory".into()),
        }
    }

    pub fn calls(&self) -> MutexGuard<'_, Calls> {
        self.calls.lock().unwrap()
    }

    /// Holds all calls of an action back, until [`Cloud::release`].
    pub fn hold(&self, action: &'static str) {
        self.held.send_if_modified(|held| held.insert(action));
    }

    pub fn release(&self, action: &'static str) {
        self.held.send_if_modified(|held| held.remove(action));
    }

    /// Fails the next call of an action.
    pub fn fail(&self, action: &'static str, error: Error) {
        self.calls().failures.entry(action).or_default().push(error);
    }

    /// Notes a call; it ends when what is returned is dropped.
    async fn begin(&self, action: &'static str, owner: &Owner) -> Result<UnderWay> {
        let (under_way, failure) = {
            let mut calls = self.calls();
            calls.begun.push((action, owner.instance.clone()));
            let own = calls.under_way.entry(owner.instance.clone()).or_default();
            *own += 1;
            let own = *own;
            calls.most_for_one = calls.most_for_one.max(own);
            calls.most = calls.most.max(calls.under_way());
            let failure = calls.failures.get_mut(action).and_then(Vec::pop);
            (UnderWay { calls: self.calls.clone(), instance: owner.instance.clone() }, failure)
        };
        let mut held = self.held.subscribe();
        held.wait_for(|held| !held.contains(action)).await.expect("the sender is in self");
        failure.map_or(Ok(under_way), Err)
    }
}

struct UnderWay {
    calls: Arc<Mutex<Calls>>,
    instance: String,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        if let Some(own) = self.calls.lock().unwrap().under_way.get_mut(&self.instance) {
            *own -= 1;
        }
    }
}

#[async_trait]
impl Network for Cloud {
    async fn ensure_address(&self, owner: &Owner) -> Result<Address> {
        let _under_way = self.begin("ensure_address", owner).await?;
        Ok(Address { ip: self.outside.things().ensure_address(&owner.instance), network_id: None })
    }

    async fn release_address(&self, owner: &Owner) -> Result<()> {
        let _under_way = self.begin("release_address", owner).await?;
        self.outside.things().release_address(&owner.instance);
        Ok(())
    }
}

#[async_trait]
impl Volumes for Cloud {
    async fn ensure_volume(&self, request: &VolumeRequest) -> Result<String> {
        let _under_way = self.begin("ensure_volume", &request.owner).await?;
        Ok(self.outside.things().ensure_volume(&request.owner.instance))
    }

    async fn grow_volume(&self, owner: &Owner, _size_gib: u32) -> Result<()> {
        self.begin("grow_volume", owner).await.map(drop)
    }

    async fn measure_volume(&self, owner: &Owner) -> Result<u32> {
        self.begin("measure_volume", owner).await.map(|_under_way| 1)
    }

    async fn delete_volume(&self, owner: &Owner) -> Result<()> {
        let _under_way = self.begin("delete_volume", owner).await?;
        self.outside.things().delete_volume(&owner.instance);
        Ok(())
    }
}

#[async_trait]
impl Compute for Cloud {
    async fn ensure_server(&self, request: &ServerRequest) -> Result<String> {
        let name = &request.owner.instance;
        let _under_way = self.begin("ensure_server", &request.owner).await?;
        if self.outside.things().ensure_server(name) {
            let boot: FirstBoot = serde_json::from_slice(&request.first_boot).expect("the first-boot data is JSON");
            assert_eq!((&boot.instance_id, &boot.tenant), (name, &request.owner.tenant));
            let guest = tokio::spawn(guest::live(boot, self.broker.clone(), self.guests.clone()));
            self.calls().servers.insert(name.clone(), guest.abort_handle());
        }
        Ok(format!("server-{name}"))
    }

    async fn resize_server(&self, request: &ResizeRequest) -> Result<()> {
        self.begin("resize_server", &request.owner).await.map(drop)
    }

    async fn delete_server(&self, owner: &Owner) -> Result<()> {
        let _under_way = self.begin("delete_server", owner).await?;
        if let Some(guest) = self.calls().servers.remove(&owner.instance) {
            guest.abort();
        }
        self.outside.things().delete_server(&owner.instance);
        Ok(())
    }
}

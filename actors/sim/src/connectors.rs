//! The ports of the control plane, on the simulated world: cloud, log and crash borders.

use std::{future::pending, sync::Arc, time::Duration};

use async_trait::async_trait;
use coffer_domain::ids::InstanceId;
use coffer_ports::{
    Error, ErrorKind, Result,
    cloud::{Address, Compute, Network, Owner, ResizeRequest, ServerRequest, VolumeRequest, Volumes},
    log::{Batch, CommitError, Log},
};
use coffer_runtime::{
    borders::{Border, Borders, Moment},
    store::Store,
};
use tokio::{sync::oneshot, time::sleep};

use crate::{
    cloud::{Ask, Kind},
    faults::Fault,
    world::{CommitFate, Shared, lock},
};

/// The cloud as the control plane of one life reaches it. Nobody hears of a dead one any more.
pub struct CloudPort {
    pub world: Shared,
    pub life: u64,
}

impl CloudPort {
    async fn ask(&self, owner: &Owner, ask: Ask) -> Result<u64> {
        let invalid = || Error::new(ErrorKind::Invalid, "owner", "the owner is not an instance's id");
        let instance = owner.instance.parse().map(InstanceId).map_err(|_| invalid())?;
        let (answer, answered) = oneshot::channel();
        lock(&self.world).ask_cloud(self.life, instance, ask, answer);
        match answered.await {
            Ok(answer) => answer,
            // The caller's deadline ends this.
            Err(_) => pending().await,
        }
    }
}

#[async_trait]
impl Network for CloudPort {
    async fn ensure_address(&self, owner: &Owner) -> Result<Address> {
        let number = self.ask(owner, Ask::EnsureAddress).await?;
        Ok(Address { ip: format!("127.1.{}.{}", number / 250, number % 250 + 2), network_id: None })
    }

    async fn release_address(&self, owner: &Owner) -> Result<()> {
        self.ask(owner, Ask::Delete(Kind::Address)).await.map(drop)
    }
}

#[async_trait]
impl Volumes for CloudPort {
    async fn ensure_volume(&self, request: &VolumeRequest) -> Result<String> {
        self.ask(&request.owner, Ask::EnsureVolume(request.size_gib)).await.map(|number| format!("volume-{number}"))
    }

    async fn grow_volume(&self, owner: &Owner, size_gib: u32) -> Result<()> {
        self.ask(owner, Ask::Grow(size_gib)).await.map(drop)
    }

    async fn measure_volume(&self, owner: &Owner) -> Result<u32> {
        self.ask(owner, Ask::Measure).await.map(|size_gib| u32::try_from(size_gib).unwrap_or(u32::MAX))
    }

    async fn delete_volume(&self, owner: &Owner) -> Result<()> {
        self.ask(owner, Ask::Delete(Kind::Volume)).await.map(drop)
    }
}

#[async_trait]
impl Compute for CloudPort {
    async fn ensure_server(&self, request: &ServerRequest) -> Result<String> {
        let boot = serde_json::from_slice(&request.first_boot)
            .map_err(|error| Error::new(ErrorKind::Invalid, "first_boot", error.to_string()))?;
        let number = self.ask(&request.owner, Ask::EnsureServer(request.flavor_id.clone(), Box::new(boot))).await?;
        Ok(format!("server-{number}"))
    }

    async fn resize_server(&self, request: &ResizeRequest) -> Result<()> {
        self.ask(&request.owner, Ask::Resize(request.flavor_id.clone())).await.map(drop)
    }

    async fn delete_server(&self, owner: &Owner) -> Result<()> {
        self.ask(owner, Ask::Delete(Kind::Server)).await.map(drop)
    }
}

/// The real store, on a disk that can be slow or full or leave everybody in doubt.
pub struct SimulatedLog {
    pub world: Shared,
    pub store: Arc<Store>,
}

#[async_trait]
impl Log for SimulatedLog {
    async fn commit(&self, batch: Batch) -> Result<(), CommitError> {
        let doubt = || CommitError::Uncertain("the disk does not say".into());
        let (fate, before, after) = lock(&self.world).commit_fate();
        rest(before).await;
        match fate {
            CommitFate::Refused => return Err(CommitError::Refused("the disk is full".into())),
            CommitFate::Lost => return Err(doubt()),
            CommitFate::Good | CommitFate::Unconfirmed => {}
        }
        self.store.write(std::slice::from_ref(&batch)).map_err(|error| CommitError::Uncertain(error.to_string()))?;
        lock(&self.world).committed(&batch);
        rest(after).await;
        if fate == CommitFate::Unconfirmed { Err(doubt()) } else { Ok(()) }
    }
}

pub async fn rest(span_ms: u64) {
    if span_ms > 0 {
        sleep(Duration::from_millis(span_ms)).await;
    }
}

/// Stops the control plane at a border now and then.
pub struct SimulatedBorders {
    pub world: Shared,
}

impl Borders for SimulatedBorders {
    fn stops_at(&self, border: &Border) -> bool {
        let fault = match border.moment {
            Moment::BeforeCommit => Fault::StopBeforeCommit,
            Moment::AfterCommit => Fault::StopAfterCommit,
            Moment::AfterApply => Fault::StopAfterApply,
            Moment::AfterEffect => Fault::StopAfterEffect,
        };
        let desk = &mut lock(&self.world).desk;
        let stops = desk.strikes(fault) || desk.plan.stops_at(border);
        if stops {
            desk.tell("control plane", format_args!("stops at {border}"));
        }
        stops
    }
}

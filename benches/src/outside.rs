//! What is outside, reduced to nothing, so that only the control plane is measured: a cloud whose calls take longer than
//! any bench, and a broker that nobody is connected to.

use std::sync::Arc;

use async_trait::async_trait;
use coffer_ports::{
    Result,
    cloud::{Address, Compute, Network, Owner, ResizeRequest, ServerRequest, VolumeRequest, Volumes},
    transport::{Delivery, Outgoing, Start, Transport},
};
use coffer_protocol::boot::Bootstrap;
use coffer_runtime::dispatcher::Connectors;
use tokio::sync::mpsc;

struct SlowCloud;

#[async_trait]
impl Network for SlowCloud {
    async fn ensure_address(&self, _owner: &Owner) -> Result<Address> {
        std::future::pending().await
    }

    async fn release_address(&self, _owner: &Owner) -> Result<()> {
        std::future::pending().await
    }
}

#[async_trait]
impl Volumes for SlowCloud {
    async fn ensure_volume(&self, _request: &VolumeRequest) -> Result<String> {
        std::future::pending().await
    }

    async fn grow_volume(&self, _owner: &Owner, _size_gib: u32) -> Result<()> {
        std::future::pending().await
    }

    async fn measure_volume(&self, _owner: &Owner) -> Result<u32> {
        std::future::pending().await
    }

    async fn delete_volume(&self, _owner: &Owner) -> Result<()> {
        std::future::pending().await
    }
}

#[async_trait]
impl Compute for SlowCloud {
    async fn ensure_server(&self, _request: &ServerRequest) -> Result<String> {
        std::future::pending().await
    }

    async fn resize_server(&self, _request: &ResizeRequest) -> Result<()> {
        std::future::pending().await
    }

    async fn delete_server(&self, _owner: &Owner) -> Result<()> {
        std::future::pending().await
    }
}

pub fn connectors() -> Connectors {
    let cloud = Arc::new(SlowCloud);
    Connectors {
        network: cloud.clone(),
        volumes: cloud.clone(),
        compute: cloud,
        agent_bootstrap: Bootstrap::Servers("nobody".into()),
    }
}

/// Takes every record and delivers none.
#[derive(Default)]
pub struct DeadBroker(std::sync::Mutex<Vec<mpsc::Sender<Delivery>>>);

#[async_trait]
impl Transport for DeadBroker {
    async fn send(&self, _record: Outgoing) -> Result<()> {
        Ok(())
    }

    async fn subscribe(&self, _topics: &[String], _start: Start) -> Result<mpsc::Receiver<Delivery>> {
        let (sender, receiver) = mpsc::channel(1);
        // Kept: a subscription without its sender has ended.
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(sender);
        Ok(receiver)
    }
}

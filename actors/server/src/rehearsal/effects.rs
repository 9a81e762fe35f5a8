//! Calls to the outside that fail on purpose: a wrapper around the connectors.

use std::{
    env,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use async_trait::async_trait;
use coffer_domain::instance::{state::OperationKind, workflow::Step};
use coffer_ports::{
    Error, ErrorKind, Result,
    cloud::{Address, Compute, Network, Owner, ResizeRequest, ServerRequest, VolumeRequest, Volumes},
};
use coffer_runtime::dispatcher::Connectors;

/// `STEP:WAY`, with a step of `coffer effects`: what becomes of this call to the provider.
const FAIL_EFFECT: &str = "COFFER_FAIL_EFFECT";

/// What becomes of a call.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// The first one is not made and fails for now.
    Once,
    /// None is made, and each fails for good.
    Always,
    /// The first one is made, and reported as not answered in time.
    Timeout,
    /// Each is made twice.
    Twice,
}

/// The connectors of `coffer dev`: as they are, or with one call that fails as the environment says.
///
/// # Errors
/// A sentence for whoever set the variable.
pub fn connectors(connectors: Connectors) -> Result<Connectors, String> {
    let planted = match env::var(FAIL_EFFECT) {
        Ok(text) if !text.is_empty() => text,
        _ => return Ok(connectors),
    };
    let (step, way) = parse(&planted).ok_or_else(|| {
        format!("{FAIL_EFFECT}: {planted:?} is not STEP:WAY with a way once, always, timeout or twice, and one of the steps {:?}", calls())
    })?;
    tracing::warn!(planted, "a failing effect is rehearsed");
    let failing = Arc::new(Failing { connectors: connectors.clone(), step, way, has_struck: AtomicBool::new(false) });
    Ok(Connectors { network: failing.clone(), volumes: failing.clone(), compute: failing, ..connectors })
}

/// The steps that are calls to the provider, of every operation.
pub fn calls() -> Vec<&'static str> {
    let mut names: Vec<&str> = OperationKind::ALL.into_iter().flat_map(calls_of).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// The steps of an operation that are calls to the provider.
pub fn calls_of(operation: OperationKind) -> impl Iterator<Item = &'static str> {
    // What settling waits for is another step's call, and a server gets its old size back by the call that resizes it.
    let calls = operation.steps().iter().filter(|step| step.is_outside_call());
    let calls = calls.filter(|step| !matches!(step, Step::Settle | Step::RestoreServer));
    calls.map(|step| step.as_str())
}

fn parse(planted: &str) -> Option<(&'static str, Way)> {
    let (step, way) = planted.split_once(':')?;
    let step = calls().into_iter().find(|name| *name == step)?;
    let way = match way {
        "once" => Way::Once,
        "always" => Way::Always,
        "timeout" => Way::Timeout,
        "twice" => Way::Twice,
        _ => return None,
    };
    Some((step, way))
}

struct Failing {
    connectors: Connectors,
    step: &'static str,
    way: Way,
    has_struck: AtomicBool,
}

impl Failing {
    /// Makes a call, or fails it.
    async fn call<T, F: Future<Output = Result<T>>>(&self, step: Step, make: impl Fn() -> F) -> Result<T> {
        if step.as_str() != self.step {
            return make().await;
        }
        let is_first = !self.has_struck.swap(true, Ordering::Relaxed);
        match self.way {
            Way::Once if is_first => Err(Error::new(ErrorKind::Unavailable, "rehearsed", "the host is busy")),
            Way::Timeout if is_first => {
                make().await?;
                Err(Error::new(ErrorKind::Timeout, "rehearsed", "the host did not answer in time"))
            }
            Way::Once | Way::Timeout => make().await,
            Way::Always => Err(Error::new(ErrorKind::Exhausted, "rehearsed", "the host has no room left")),
            Way::Twice => {
                make().await?;
                make().await
            }
        }
    }
}

#[async_trait]
impl Network for Failing {
    async fn ensure_address(&self, owner: &Owner) -> Result<Address> {
        self.call(Step::EnsureAddress, || self.connectors.network.ensure_address(owner)).await
    }

    async fn release_address(&self, owner: &Owner) -> Result<()> {
        self.call(Step::ReleaseAddress, || self.connectors.network.release_address(owner)).await
    }
}

#[async_trait]
impl Volumes for Failing {
    async fn ensure_volume(&self, request: &VolumeRequest) -> Result<String> {
        self.call(Step::EnsureVolume, || self.connectors.volumes.ensure_volume(request)).await
    }

    async fn grow_volume(&self, owner: &Owner, size_gib: u32) -> Result<()> {
        self.call(Step::GrowVolume, || self.connectors.volumes.grow_volume(owner, size_gib)).await
    }

    async fn measure_volume(&self, owner: &Owner) -> Result<u32> {
        self.call(Step::MeasureVolume, || self.connectors.volumes.measure_volume(owner)).await
    }

    async fn delete_volume(&self, owner: &Owner) -> Result<()> {
        self.call(Step::DeleteVolume, || self.connectors.volumes.delete_volume(owner)).await
    }
}

#[async_trait]
impl Compute for Failing {
    async fn ensure_server(&self, request: &ServerRequest) -> Result<String> {
        self.call(Step::EnsureServer, || self.connectors.compute.ensure_server(request)).await
    }

    async fn resize_server(&self, request: &ResizeRequest) -> Result<()> {
        self.call(Step::ResizeServer, || self.connectors.compute.resize_server(request)).await
    }

    async fn delete_server(&self, owner: &Owner) -> Result<()> {
        self.call(Step::DeleteServer, || self.connectors.compute.delete_server(owner)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_calls_to_the_provider_can_be_named() {
        assert!(parse("ensure_volume:once").is_some());
        for wrong in ["ensure_volume", "ensure_volume:often", "await_agent:once", ":once", "settle:twice"] {
            assert!(parse(wrong).is_none(), "{wrong}");
        }
    }
}

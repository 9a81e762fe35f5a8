//! The `Compute` port: agents under the supervisor. This side writes down what is to run and waits; the supervisor
//! does it.

use std::time::Duration;

use async_trait::async_trait;
use coffer_ports::{
    Error, ErrorKind, Result,
    cloud::{Compute, Owner, ResizeRequest, ServerRequest},
};
use tokio::time::{Instant, sleep};

use crate::{
    error::blocking,
    files::{ensure_directory, write_atomic},
    layout::InstanceId,
    provider::{LocalProvider, Shared},
    spec::{Desired, RECORD_VERSION, ServerSpec},
};

/// How long a deletion waits for the last process to go.
const DELETE_TIMEOUT: Duration = Duration::from_secs(30);
const DELETE_POLL_INTERVAL: Duration = Duration::from_millis(20);
/// The supervisor may be killed while we wait for it.
const SUPERVISOR_CHECK_INTERVAL: Duration = Duration::from_secs(1);

#[async_trait]
impl Compute for LocalProvider {
    async fn ensure_server(&self, request: &ServerRequest) -> Result<String> {
        let (shared, instance) = (self.shared.clone(), InstanceId::parse(&request.owner.instance)?);
        let request = request.clone();
        blocking(move || order(&shared, instance, &request)).await?;
        self.shared.supervisor.poke().await?;
        Ok(instance.to_string())
    }

    /// The guest goes on: what follows from its flavor is told its agent.
    async fn resize_server(&self, request: &ResizeRequest) -> Result<()> {
        let (shared, instance) = (self.shared.clone(), InstanceId::parse(&request.owner.instance)?);
        let request = request.clone();
        blocking(move || resize(&shared, instance, &request)).await?;
        self.shared.supervisor.poke().await
    }

    async fn delete_server(&self, owner: &Owner) -> Result<()> {
        let instance = InstanceId::parse(&owner.instance)?;
        let (shared, tenant) = (self.shared.clone(), owner.tenant.clone());
        if !blocking(move || order_removal(&shared, instance, &tenant)).await? {
            return Ok(());
        }
        let directory = self.shared.layout.server(instance);
        let deadline = Instant::now() + DELETE_TIMEOUT;
        let mut next_poke = Instant::now();
        while directory.exists() {
            if Instant::now() >= deadline {
                let message = format!("server {instance} still has processes after {DELETE_TIMEOUT:?}");
                return Err(Error::new(ErrorKind::Timeout, "local.server_stays", message));
            }
            if Instant::now() >= next_poke {
                self.shared.supervisor.poke().await?;
                next_poke = Instant::now() + SUPERVISOR_CHECK_INTERVAL;
            }
            sleep(DELETE_POLL_INTERVAL).await;
        }
        Ok(())
    }
}

/// Writes down a server that is to run. One that was written down before stays as it is, with the first-boot data
/// that it was made with.
fn order(shared: &Shared, instance: InstanceId, request: &ServerRequest) -> Result<()> {
    let layout = &shared.layout;
    shared.check_owner(instance, &request.owner.tenant)?;
    let user = shared.ensure_user(instance, &request.owner.tenant)?;
    let spec = ServerSpec {
        version: RECORD_VERSION,
        tenant: request.owner.tenant.clone(),
        desired: Desired::Running,
        flavor_id: request.flavor_id.clone(),
        vcpus: request.vcpus,
        memory_mib: request.memory_mib,
        address: request.address.ip.clone(),
        volume_id: request.volume_id.clone(),
        uid: user,
    };
    if spec.volume_id != instance.to_string() || !layout.data(instance).is_dir() {
        let message = format!("server {instance} needs the volume {}, which is not there", spec.volume_id);
        return Err(Error::new(ErrorKind::NotFound, "local.no_volume", message));
    }
    let _change = shared.change()?;
    match ServerSpec::read(layout, instance)? {
        Some(existing) if existing == spec => return Ok(()),
        Some(existing) if existing.desired == Desired::Absent => {
            let message = format!("server {instance} is being deleted");
            return Err(Error::new(ErrorKind::Unavailable, "local.server_in_deletion", message));
        }
        Some(_) => {
            let message = format!("server {instance} exists with another flavor, address or volume");
            return Err(Error::new(ErrorKind::Conflict, "local.server_differs", message));
        }
        None => {}
    }
    ensure_directory(&layout.server(instance), shared.passage_mode(), None)?;
    write_atomic(&layout.first_boot(instance), &request.first_boot, 0o400, user)?;
    spec.write(layout, instance)
}

/// Writes down a server's new flavor.
fn resize(shared: &Shared, instance: InstanceId, request: &ResizeRequest) -> Result<()> {
    let layout = &shared.layout;
    shared.check_owner(instance, &request.owner.tenant)?;
    let _change = shared.change()?;
    let existing = ServerSpec::read(layout, instance)?.filter(|spec| spec.desired == Desired::Running);
    let Some(existing) = existing else {
        let message = format!("there is no server {instance}");
        return Err(Error::new(ErrorKind::NotFound, "local.no_server", message));
    };
    let spec = ServerSpec {
        flavor_id: request.flavor_id.clone(),
        vcpus: request.vcpus,
        memory_mib: request.memory_mib,
        ..existing.clone()
    };
    if spec == existing { Ok(()) } else { spec.write(layout, instance) }
}

/// Writes down that a server is to go; false when this tenant has none.
fn order_removal(shared: &Shared, instance: InstanceId, tenant: &str) -> Result<bool> {
    let layout = &shared.layout;
    let _change = shared.change()?;
    if !layout.server(instance).exists() || shared.is_foreign(instance, tenant)? {
        return Ok(false);
    }
    let mut spec = match ServerSpec::read(layout, instance)? {
        Some(spec) => spec,
        None => ServerSpec {
            version: RECORD_VERSION,
            tenant: tenant.to_owned(),
            desired: Desired::Running,
            flavor_id: String::new(),
            vcpus: 0,
            memory_mib: 0,
            address: String::new(),
            volume_id: String::new(),
            uid: shared.user(instance)?,
        },
    };
    if spec.desired == Desired::Absent {
        return Ok(true);
    }
    spec.desired = Desired::Absent;
    match spec.write(layout, instance) {
        // The supervisor was faster.
        Err(_) if !layout.server(instance).exists() => Ok(true),
        written => written.map(|()| true),
    }
}

//! Removing what belongs to no instance: by hand, one at a time, since its data goes with it.

use coffer_domain::ids::InstanceId;
use coffer_local::{
    LocalProvider,
    inventory::{Belongings, inventory},
};
use coffer_ports::cloud::{Compute, Network, Owner, Volumes};
use coffer_runtime::store::Store;

use crate::{check::states, state_dir::StateDir};

/// Something outside that no state accounts for.
pub struct Orphan {
    instance: String,
    belongings: Belongings,
}

/// Looks for what an instance has outside, unless Coffer knows the instance: then it is deleted over the API.
pub fn find(store: &Store, state: &StateDir, instance: &str) -> Result<Orphan, String> {
    let id = instance.parse().map(InstanceId).map_err(|_| format!("{instance} is no id of an instance"))?;
    // The outside first: what is made meanwhile has a state before it has anything else.
    let mut seen = inventory(&state.local()).map_err(|error| error.to_string())?;
    if states(store).map_err(|error| error.to_string())?.contains_key(&id) {
        return Err(format!("{id} is no orphan: Coffer knows it. openstack database instance delete {id}"));
    }
    let belongings = seen.instances.remove(&id.to_string());
    let belongings = belongings.ok_or_else(|| format!("{id} has nothing below {}", state.local().display()))?;
    Ok(Orphan { instance: id.to_string(), belongings })
}

/// Ends its processes and removes server, volume and address; makes sure that nothing is left.
pub async fn remove(provider: &LocalProvider, state: &StateDir, orphan: &Orphan) -> Result<(), String> {
    take_away(provider, orphan).await.map_err(|error| error.to_string())?;
    let seen = inventory(&state.local()).map_err(|error| error.to_string())?;
    match seen.instances.get(&orphan.instance) {
        None => Ok(()),
        Some(_) => Err(format!("something of {} is left: its records name several tenants", orphan.instance)),
    }
}

async fn take_away(provider: &LocalProvider, orphan: &Orphan) -> coffer_ports::Result<()> {
    let tenant = orphan.belongings.tenant.clone().unwrap_or_default();
    let owner = Owner { tenant, instance: orphan.instance.clone() };
    provider.delete_server(&owner).await?;
    provider.delete_volume(&owner).await?;
    provider.release_address(&owner).await
}

impl Orphan {
    /// What it is, for people.
    pub fn words(&self) -> String {
        let Belongings { tenant, address, has_volume, server, processes } = &self.belongings;
        let mut parts = Vec::new();
        parts.extend(address.as_ref().map(|address| format!("the address {address}")));
        parts.extend(has_volume.then(|| "a volume with all data on it".to_owned()));
        parts.extend(server.as_ref().map(|_| "a server".to_owned()));
        parts.push(format!("{} processes", processes.len()));
        let tenant = tenant.as_deref().unwrap_or("(unknown)");
        format!("{} of tenant {tenant}: {}", self.instance, parts.join(", "))
    }
}

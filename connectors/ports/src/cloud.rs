//! What a provider offers: addresses, volumes and servers, each under a name that the caller chose.
//!
//! `ensure_*` looks the name up before it creates: called twice it returns the same thing twice. `delete_*` succeeds
//! when there is nothing left to delete. What another tenant owns under the same instance is neither shared (`Conflict`)
//! nor deleted.

use async_trait::async_trait;

use crate::Result;

/// Whose thing it is, and the name it is found again under.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Owner {
    /// Tenant (OpenStack project) that the instance belongs to.
    pub tenant: String,
    /// Instance id (UUID): the deterministic name of all that is made for it.
    pub instance: String,
}

/// An address on which an instance's engine listens with its default port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// For example `127.81.4.7`.
    pub ip: String,
    /// Id of the network that it belongs to, where the provider has several.
    pub network_id: Option<String>,
}

/// A volume to be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumeRequest {
    pub owner: Owner,
    pub size_gib: u32,
    /// Volume type by name; the provider's default when absent.
    pub volume_type: Option<String>,
}

/// A flavor for a server that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResizeRequest {
    pub owner: Owner,
    /// Provider's id of the flavor.
    pub flavor_id: String,
    pub vcpus: u32,
    pub memory_mib: u64,
}

/// A server to be there and running.
#[derive(Clone, PartialEq, Eq)]
pub struct ServerRequest {
    pub owner: Owner,
    /// Provider's id of the flavor.
    pub flavor_id: String,
    pub vcpus: u32,
    pub memory_mib: u64,
    /// As [`Network::ensure_address`] returned it.
    pub address: Address,
    /// As [`Volumes::ensure_volume`] returned it.
    pub volume_id: String,
    /// Handed to the guest once, at first boot. Secret as a whole.
    pub first_boot: Vec<u8>,
}

#[async_trait]
pub trait Network: Send + Sync {
    /// The instance's address: allocated durably on the first call, the same one on each further call.
    async fn ensure_address(&self, owner: &Owner) -> Result<Address>;
    async fn release_address(&self, owner: &Owner) -> Result<()>;
}

#[async_trait]
pub trait Volumes: Send + Sync {
    /// Returns the provider's id of the volume.
    async fn ensure_volume(&self, request: &VolumeRequest) -> Result<String>;
    /// Makes the volume at least this large; what is on it stays. One that is as large already is left as it is.
    /// `NotFound` when there is none.
    async fn grow_volume(&self, owner: &Owner, size_gib: u32) -> Result<()>;
    /// How large the volume is, in GiB; `NotFound` when there is none.
    async fn measure_volume(&self, owner: &Owner) -> Result<u32>;
    /// Deletes the volume and all data on it.
    async fn delete_volume(&self, owner: &Owner) -> Result<()>;
}

#[async_trait]
pub trait Compute: Send + Sync {
    /// Returns the provider's id of the server. The server is running or about to: that its agent works is seen by
    /// its reports, not here.
    async fn ensure_server(&self, request: &ServerRequest) -> Result<String>;
    /// Gives the server this flavor; its address and its volume stay. It may restart meanwhile. One that has the flavor
    /// already is left as it is; one whose change is under way is waited for. `NotFound` when there is none.
    async fn resize_server(&self, request: &ResizeRequest) -> Result<()>;
    /// Ends the server and every process in it; returns when nothing of it runs any more.
    async fn delete_server(&self, owner: &Owner) -> Result<()>;
}

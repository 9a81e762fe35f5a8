//! The suites of `coffer_ports::cloud`: what is ensured twice is there once, what is deleted twice is gone.
//!
//! The owners that are handed in are used by nobody else, and nothing of theirs is left behind.

use coffer_ports::cloud::{Compute, Network, Owner, ServerRequest, VolumeRequest, Volumes};

/// The suite of `Network`.
pub async fn network_conforms(network: &dyn Network, owners: &[Owner; 2]) {
    let [one, other] = owners;
    let address = network.ensure_address(one).await.expect("an address");
    assert_eq!(network.ensure_address(one).await.expect("again"), address, "an instance keeps its address");
    let others = network.ensure_address(other).await.expect("an address");
    assert_ne!(others.ip, address.ip, "two instances never share an address");
    network.release_address(one).await.expect("released");
    network.release_address(one).await.expect("an address that is gone is released again without an error");
    assert_eq!(network.ensure_address(other).await.expect("again"), others, "a release leaves others alone");
    network.ensure_address(one).await.expect("an address after a release");
    for owner in owners {
        network.release_address(owner).await.expect("released");
    }
}

/// The suite of `Volumes`.
pub async fn volumes_conform(volumes: &dyn Volumes, owners: &[Owner; 2]) {
    let [one, other] = owners.clone().map(|owner| VolumeRequest { owner, size_gib: 1, volume_type: None });
    let id = volumes.ensure_volume(&one).await.expect("a volume");
    assert_eq!(volumes.ensure_volume(&one).await.expect("again"), id, "a volume is made once");
    let others = volumes.ensure_volume(&other).await.expect("a volume");
    assert_ne!(others, id, "two instances never share a volume");
    volumes.delete_volume(&one.owner).await.expect("deleted");
    volumes.delete_volume(&one.owner).await.expect("a volume that is gone is deleted again without an error");
    assert_eq!(volumes.ensure_volume(&other).await.expect("again"), others, "a deletion leaves others alone");
    volumes.delete_volume(&other.owner).await.expect("deleted");
}

/// The suite of `Compute`. The address and the volume of `request` are there; `stranger` has no server.
pub async fn compute_conforms(compute: &dyn Compute, request: &ServerRequest, stranger: &Owner) {
    compute.delete_server(stranger).await.expect("a server that never was is deleted without an error");
    for _ in 0..2 {
        let id = compute.ensure_server(request).await.expect("a server");
        assert_eq!(compute.ensure_server(request).await.expect("again"), id, "a server is made once");
        compute.delete_server(&request.owner).await.expect("deleted");
        compute.delete_server(&request.owner).await.expect("a server that is gone is deleted again without an error");
    }
}

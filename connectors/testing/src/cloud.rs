//! The suites of `coffer_ports::cloud`: what is ensured twice is there once, what is deleted twice is gone.
//!
//! The owners that are handed in are used by nobody else, and nothing of theirs is left behind.

use coffer_ports::cloud::{Compute, Network, Owner, ServerRequest, VolumeRequest, Volumes};

/// The same instance, named by a tenant who does not own it.
fn as_another_tenant(owner: &Owner) -> Owner {
    Owner { tenant: format!("not-{}", owner.tenant), ..owner.clone() }
}

/// The suite of `Network`.
pub async fn network_conforms(network: &dyn Network, owners: &[Owner; 2]) {
    let [one, other] = owners;
    let address = network.ensure_address(one).await.expect("an address");
    assert_eq!(network.ensure_address(one).await.expect("again"), address, "an instance keeps its address");
    let others = network.ensure_address(other).await.expect("an address");
    assert_ne!(others.ip, address.ip, "two instances never share an address");
    let thief = as_another_tenant(one);
    network.ensure_address(&thief).await.expect_err("another tenant's address is not shared");
    network.release_address(&thief).await.expect("there is nothing of theirs to release");
    assert_eq!(network.ensure_address(one).await.expect("again"), address, "another tenant releases nothing");
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
    let thief = VolumeRequest { owner: as_another_tenant(&one.owner), ..one.clone() };
    volumes.ensure_volume(&thief).await.expect_err("another tenant's volume is not shared");
    volumes.delete_volume(&thief.owner).await.expect("there is nothing of theirs to delete");
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
        let thief = ServerRequest { owner: as_another_tenant(&request.owner), ..request.clone() };
        compute.ensure_server(&thief).await.expect_err("another tenant's server is not shared");
        compute.delete_server(&thief.owner).await.expect("there is nothing of theirs to delete");
        assert_eq!(compute.ensure_server(request).await.expect("still there"), id, "another tenant deletes nothing");
        compute.delete_server(&request.owner).await.expect("deleted");
        compute.delete_server(&request.owner).await.expect("a server that is gone is deleted again without an error");
    }
}

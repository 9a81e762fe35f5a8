//! The suites of `coffer_ports::cloud`: what is ensured twice is there once, what is deleted twice is gone.
//!
//! The owners that are handed in are used by nobody else, and nothing of theirs is left behind.

use coffer_ports::{
    ErrorKind,
    cloud::{Compute, Network, Owner, ResizeRequest, ServerRequest, VolumeRequest, Volumes},
};

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
    for (size_gib, then) in [(3, 3), (3, 3), (2, 3)] {
        volumes.grow_volume(&one.owner, size_gib).await.expect("as large or larger");
        assert_eq!(volumes.measure_volume(&one.owner).await.expect("a size"), then, "a volume never shrinks");
    }
    volumes.grow_volume(&thief.owner, 9).await.expect_err("another tenant's volume is not grown");
    volumes.measure_volume(&thief.owner).await.expect_err("nor measured");
    assert_eq!(volumes.measure_volume(&other.owner).await.expect("a size"), 1, "a growth leaves others alone");
    volumes.delete_volume(&one.owner).await.expect("deleted");
    volumes.delete_volume(&one.owner).await.expect("a volume that is gone is deleted again without an error");
    for missing in [
        volumes.grow_volume(&one.owner, 2).await.expect_err("gone"),
        volumes.measure_volume(&one.owner).await.map(drop).expect_err("gone"),
    ] {
        assert_eq!(missing.kind, ErrorKind::NotFound, "{missing}");
    }
    assert_eq!(volumes.ensure_volume(&other).await.expect("again"), others, "a deletion leaves others alone");
    volumes.delete_volume(&other.owner).await.expect("deleted");
}

/// The suite of `Compute`. The address and the volume of `request` are there; `stranger` has no server.
pub async fn compute_conforms(compute: &dyn Compute, request: &ServerRequest, stranger: &Owner) {
    compute.delete_server(stranger).await.expect("a server that never was is deleted without an error");
    for _ in 0..2 {
        let id = compute.ensure_server(request).await.expect("a server");
        assert_eq!(compute.ensure_server(request).await.expect("again"), id, "a server is made once");
        let larger = ResizeRequest {
            owner: request.owner.clone(),
            flavor_id: "larger".to_owned(),
            vcpus: request.vcpus + 1,
            memory_mib: request.memory_mib * 2,
        };
        for _ in 0..2 {
            compute.resize_server(&larger).await.expect("resized, and once more without an error");
        }
        let resized = ServerRequest {
            flavor_id: larger.flavor_id.clone(),
            vcpus: larger.vcpus,
            memory_mib: larger.memory_mib,
            ..request.clone()
        };
        assert_eq!(compute.ensure_server(&resized).await.expect("a server"), id, "it is the same server");
        compute.ensure_server(request).await.expect_err("it has another flavor");
        let foreign = ResizeRequest { owner: as_another_tenant(&request.owner), ..larger.clone() };
        compute.resize_server(&foreign).await.expect_err("another tenant's server is not resized");
        let smaller = ResizeRequest {
            flavor_id: request.flavor_id.clone(),
            vcpus: request.vcpus,
            memory_mib: request.memory_mib,
            ..larger.clone()
        };
        compute.resize_server(&smaller).await.expect("resized back");
        assert_eq!(compute.ensure_server(request).await.expect("a server"), id, "it is as it was");
        let thief = ServerRequest { owner: as_another_tenant(&request.owner), ..request.clone() };
        compute.ensure_server(&thief).await.expect_err("another tenant's server is not shared");
        compute.delete_server(&thief.owner).await.expect("there is nothing of theirs to delete");
        assert_eq!(compute.ensure_server(request).await.expect("still there"), id, "another tenant deletes nothing");
        compute.delete_server(&request.owner).await.expect("deleted");
        compute.delete_server(&request.owner).await.expect("a server that is gone is deleted again without an error");
        let gone = compute.resize_server(&larger).await.expect_err("gone");
        assert_eq!(gone.kind, ErrorKind::NotFound, "{gone}");
    }
}

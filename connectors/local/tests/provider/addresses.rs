//! Each instance has an address of its own and keeps it.

use std::{
    collections::BTreeSet,
    fs,
    net::{Ipv4Addr, TcpListener},
};

use coffer_ports::{
    ErrorKind,
    cloud::{Network, Owner},
};

use super::common::{AGENT, Host, owner};

async fn address(host: &Host, owner: &Owner) -> Ipv4Addr {
    host.provider.ensure_address(owner).await.expect("an address").ip.parse().expect("an IPv4 address")
}

#[tokio::test]
async fn an_instance_keeps_its_address_over_a_reopening() {
    let mut host = Host::new(AGENT);
    let owners: Vec<Owner> = (0..20).map(|_| owner()).collect();
    let mut given = Vec::new();
    for owner in &owners {
        given.push(address(&host, owner).await);
    }
    assert_eq!(given.iter().collect::<BTreeSet<_>>().len(), owners.len(), "{given:?}");
    assert!(given.iter().all(|ip| ip.is_loopback() && ip.octets()[1] != 0), "{given:?}");

    host.reopen();
    for (owner, ip) in owners.iter().zip(&given) {
        assert_eq!(address(&host, owner).await, *ip);
    }
}

#[tokio::test]
async fn a_released_address_is_forgotten_and_rests() {
    let host = Host::new(AGENT);
    let (first, second) = (owner(), owner());
    let ip = address(&host, &first).await;
    host.provider.release_address(&first).await.expect("released");
    host.provider.release_address(&first).await.expect("released again");
    assert_eq!(fs::read_dir(host.root().join("addresses")).expect("a directory").count(), 0);
    assert_ne!(address(&host, &second).await, ip, "given to somebody else at once");
}

#[tokio::test]
async fn an_address_where_somebody_listens_is_passed_over() {
    let host = Host::new(AGENT);
    let mut ip = address(&host, &owner()).await;
    if ip.octets()[3] == 254 {
        ip = address(&host, &owner()).await;
    }
    let following = Ipv4Addr::from(u32::from(ip) + 1);
    let Ok(_listener) = TcpListener::bind((following, 3306)) else {
        println!("skipped: {following}:3306 is taken on this host");
        return;
    };
    assert_ne!(address(&host, &owner()).await, following);
}

#[tokio::test]
async fn two_providers_side_by_side_share_no_address() {
    // Their ranges follow from their paths; that these two meet has odds of 1 to 400,000.
    let hosts = [Host::new(AGENT), Host::new(AGENT)];
    let mut given = BTreeSet::new();
    for host in &hosts {
        for _ in 0..10 {
            given.insert(address(host, &owner()).await);
        }
    }
    assert_eq!(given.len(), 20, "{given:?}");
}

#[tokio::test]
async fn an_id_that_is_no_uuid_never_becomes_a_path() {
    let host = Host::new(AGENT);
    let owner = Owner { tenant: "tenant".to_owned(), instance: "../escape".to_owned() };
    assert_eq!(host.provider.ensure_address(&owner).await.expect_err("refused").kind, ErrorKind::Invalid);
}

//! Servers: started once, deleted to the last process.

use std::fs;

use coffer_ports::{ErrorKind, cloud::Compute};

use super::common::{AGENT, CRASHING_AGENT, Host, is_alive, mode, owner, until};

#[tokio::test]
async fn a_server_is_started_once_and_deleted_with_its_engine() {
    let host = Host::new(AGENT);
    let owner = owner();
    let request = host.create(&owner).await;
    let agent = host.agent_after(&owner, 0).await;
    let engine = host.engine(&owner).expect("an engine");
    assert_eq!(fs::read(host.data(&owner).join("boot-seen")).expect("read by the agent"), request.first_boot);
    assert_eq!(mode(&host.server(&owner).join("boot.json")), 0o400);

    let mut repeated = request.clone();
    repeated.first_boot = b"another key".to_vec();
    assert_eq!(host.provider.ensure_server(&repeated).await.expect("the same server"), owner.instance);
    assert_eq!(fs::read(host.server(&owner).join("boot.json")).expect("first-boot data"), request.first_boot);
    let mut different = request.clone();
    different.memory_mib = 1024;
    assert_eq!(host.provider.ensure_server(&different).await.expect_err("another one").kind, ErrorKind::Conflict);
    assert_eq!(host.agents(&owner), [agent]);

    host.provider.delete_server(&owner).await.expect("deleted");
    assert!(!is_alive(agent) && !is_alive(engine));
    assert_eq!(host.processes(&owner), []);
    assert!(!host.server(&owner).exists());
    host.provider.delete_server(&owner).await.expect("deleted again");
}

#[tokio::test]
async fn the_environment_of_a_guest_holds_nothing_of_ours() {
    let host = Host::new(AGENT);
    let owner = owner();
    host.create(&owner).await;
    let agent = host.agent_after(&owner, 0).await;
    let environment = fs::read(format!("/proc/{agent}/environ")).expect("readable");
    let environment = String::from_utf8_lossy(&environment);
    let names: Vec<&str> = environment.split_terminator('\0').filter_map(|pair| pair.split('=').next()).collect();
    assert_eq!(names, ["COFFER_SERVER", "PATH"]);
}

#[tokio::test]
async fn a_server_that_was_only_begun_is_deleted() {
    let host = Host::new(AGENT);
    let owner = owner();
    host.request(&owner).await;
    // As a kill between first-boot data and specification leaves it.
    fs::create_dir(host.server(&owner)).expect("a directory");
    fs::write(host.server(&owner).join("boot.json"), b"secret").expect("a file");
    host.provider.delete_server(&owner).await.expect("deleted");
    assert!(!host.server(&owner).exists());
}

#[tokio::test]
async fn a_server_whose_agent_crashes_again_and_again_is_deleted() {
    let host = Host::new(CRASHING_AGENT);
    let owner = owner();
    host.create(&owner).await;
    until("three starts", || (host.agents(&owner).len() >= 3).then_some(())).await;
    host.provider.delete_server(&owner).await.expect("deleted");
    assert_eq!(host.processes(&owner), []);
}

#[tokio::test]
async fn a_server_without_its_volume_is_refused() {
    let host = Host::new(AGENT);
    let (with_volume, without) = (owner(), owner());
    let mut request = host.request(&with_volume).await;
    request.owner = without.clone();
    request.volume_id.clone_from(&without.instance);
    assert_eq!(host.provider.ensure_server(&request).await.expect_err("no volume").kind, ErrorKind::NotFound);
}

#[tokio::test]
async fn shutting_down_ends_everything_and_keeps_what_is_written() {
    let mut host = Host::new(AGENT);
    let owners = [owner(), owner()];
    for owner in &owners {
        host.create(owner).await;
        host.agent_after(owner, 0).await;
    }
    host.provider.shutdown_all().await.expect("shut down");
    assert_eq!(host.supervisor(), None);
    for owner in &owners {
        assert_eq!(host.processes(owner), []);
    }
    host.provider.ensure_supervisor().await.expect_err("this provider is done");

    host.reopen();
    host.provider.ensure_supervisor().await.expect("a supervisor");
    for owner in &owners {
        host.agent_after(owner, 1).await;
    }
}

//! Kills: of the supervisor, of agents, of both, and of Coffer.

use std::fs;

use coffer_ports::cloud::Compute;

use super::common::{AGENT, Host, is_alive, kill, owner, until};

#[tokio::test]
async fn agents_outlive_the_supervisor_and_are_adopted_by_the_next() {
    let host = Host::new(AGENT);
    let owner = owner();
    host.create(&owner).await;
    let agent = host.agent_after(&owner, 0).await;
    let engine = host.engine(&owner).expect("an engine");
    let supervisor = host.supervisor().expect("a supervisor");

    kill(supervisor);
    // Its first thread may be gone while others still hold the lock.
    until("the supervisor's end", || host.supervisor_lock_is_free().then_some(())).await;
    assert!(is_alive(agent) && is_alive(engine));
    host.provider.ensure_supervisor().await.expect("another supervisor");
    let next = until("the next supervisor", || host.supervisor()).await;
    assert_ne!(next, supervisor);
    assert_eq!(host.agents(&owner), [agent]);
    host.only_agent(&owner, agent).await;

    // An adopted agent is watched too.
    kill(agent);
    let successor = host.agent_after(&owner, 1).await;
    host.only_agent(&owner, successor).await;
    assert_eq!(host.engine(&owner), Some(engine), "the engine goes on under the next agent");

    host.provider.delete_server(&owner).await.expect("deleted");
    assert_eq!(host.processes(&owner), []);
}

#[tokio::test]
async fn a_killed_agent_comes_back() {
    let host = Host::new(AGENT);
    let owner = owner();
    host.create(&owner).await;
    for round in 0..3 {
        let agent = host.agent_after(&owner, round).await;
        kill(agent);
    }
    let agent = host.agent_after(&owner, 3).await;
    host.only_agent(&owner, agent).await;
}

#[tokio::test]
async fn a_deletion_succeeds_although_the_supervisor_is_killed() {
    let host = Host::new(AGENT);
    for _ in 0..5 {
        let owner = owner();
        host.create(&owner).await;
        host.agent_after(&owner, 0).await;
        let supervisor = host.supervisor().expect("a supervisor");
        let (deleted, ()) = tokio::join!(host.provider.delete_server(&owner), async { kill(supervisor) });
        deleted.expect("deleted");
        assert_eq!(host.processes(&owner), []);
    }
}

#[tokio::test]
async fn a_supervisor_cleans_up_after_one_that_was_killed_in_a_removal() {
    let host = Host::new(AGENT);
    let leftover = host.root().join("servers").join(format!(".removed-{}", owner().instance));
    fs::create_dir(&leftover).expect("a directory");
    fs::write(leftover.join("boot.json"), b"secret").expect("a file");
    host.provider.ensure_supervisor().await.expect("a supervisor");
    until("the leftover's removal", || (!leftover.exists()).then_some(())).await;
}

#[tokio::test]
async fn there_is_one_supervisor_however_many_ask_for_it() {
    let mut host = Host::new(AGENT);
    let ensured: Vec<_> = (0..8)
        .map(|_| {
            let provider = host.provider.clone();
            tokio::spawn(async move { provider.ensure_supervisor().await })
        })
        .collect();
    for ensured in ensured {
        ensured.await.expect("no panic").expect("a supervisor");
    }
    let supervisor = host.supervisor().expect("a supervisor");
    // A Coffer that comes back finds the same one.
    host.reopen();
    host.provider.ensure_supervisor().await.expect("a supervisor");
    assert_eq!(host.supervisor(), Some(supervisor));
}

#[tokio::test]
async fn the_supervisor_has_left_our_session() {
    let host = Host::new(AGENT);
    host.provider.ensure_supervisor().await.expect("a supervisor");
    let supervisor = super::common::pid(host.supervisor().expect("a supervisor"));
    assert_eq!(rustix::process::getsid(Some(supervisor)).expect("it runs"), supervisor);
}

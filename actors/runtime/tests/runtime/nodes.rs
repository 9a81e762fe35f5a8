//! Several nodes: each answers everything, one decides.

use std::{sync::atomic::Ordering, time::Duration};

use coffer_domain::{
    instance::view::{OperatingStatus, Status},
    rejection::RejectionKind,
};
use coffer_runtime::runtime::partition_of;

use crate::support::{
    nodes::Nodes,
    poll::{DEADLINE, in_time, run, until},
    samples::{create, create_database, instance, tenant},
};

/// Nodes, with a healthy instance in a partition of the first one.
async fn with_an_instance(count: usize) -> Nodes {
    let mut nodes = Nodes::start(count).await;
    let order = nodes.envelope(&tenant(1), instance(1), create(instance(1)));
    nodes.nodes[0].runtime.submit(order).await.unwrap();
    becomes_healthy(&nodes, 0).await;
    nodes
}

async fn becomes_healthy(nodes: &Nodes, at: usize) {
    let runtime = &nodes.nodes[at].runtime;
    in_time("the instance is healthy", async {
        loop {
            runtime.fresh(&tenant(1)).await.unwrap();
            let view = runtime.instance(&tenant(1), instance(1)).unwrap();
            let healthy = (Status::Active, OperatingStatus::Healthy);
            if view.is_some_and(|view| (view.status, view.operating_status) == healthy) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
}

/// Has a node's client make a database, and waits until it is made.
async fn make_database(nodes: &mut Nodes, at: usize, name: &str) {
    let task = nodes.envelope(&tenant(1), instance(1), create_database(name));
    let (command, runtime) = (task.command_id, &nodes.nodes[at].runtime);
    runtime.submit(task).await.unwrap();
    let ended = runtime.settled(&tenant(1), instance(1), command, DEADLINE).await;
    assert_eq!(ended, Some(Ok(())), "the end of a task is told at every node");
}

#[test]
fn a_command_at_any_node_is_decided_by_the_owner_and_seen_by_all() {
    run(async {
        let mut nodes = Nodes::start(2).await;
        let order = nodes.envelope(&tenant(1), instance(1), create(instance(1)));
        // The second node owns nothing.
        let accepted = nodes.nodes[1].runtime.submit(order.clone()).await.unwrap();
        assert_eq!((accepted.instance, accepted.repeated), (instance(1), false));
        for node in &nodes.nodes {
            node.runtime.fresh(&tenant(1)).await.unwrap();
            assert!(node.runtime.instance(&tenant(1), instance(1)).unwrap().is_some(), "what is answered is seen");
        }
        assert!(nodes.nodes[0].runtime.submit(order).await.unwrap().repeated, "one command, whoever is asked");
        let again = nodes.envelope(&tenant(1), instance(1), create(instance(1)));
        let refused = nodes.nodes[1].runtime.submit(again).await.unwrap_err();
        assert_eq!(refused.kind, RejectionKind::Invalid, "{refused}");
        becomes_healthy(&nodes, 1).await;

        make_database(&mut nodes, 1, "stock").await;
        assert!(nodes.nodes[1].metrics.commands_forwarded.with_label_values(&["accepted"]).get() >= 2);
        nodes.stop().await;
    });
}

#[test]
fn a_partition_goes_on_at_the_node_that_it_is_given_to() {
    run(async {
        let mut nodes = with_an_instance(2).await;
        let partition = partition_of(&tenant(1));
        nodes.give(partition, 1).await;
        until("the second node owns it", || nodes.nodes[1].metrics.partitions_owned.get() == 1).await;
        assert_eq!(nodes.nodes[0].metrics.partitions_owned.get(), 15);
        // Its agent follows the new owner, whoever is asked.
        make_database(&mut nodes, 0, "stock").await;
        assert_eq!(*nodes.cloud.guests.disobeyed.lock().unwrap(), 0, "no agent is told of an older owner");
        nodes.give(partition, 0).await;
        until("the first node owns it again", || nodes.nodes[0].metrics.partitions_owned.get() == 16).await;
        nodes.stop().await;
    });
}

#[test]
fn an_order_that_waits_while_a_partition_moves_is_decided_once() {
    run(async {
        let mut nodes = with_an_instance(3).await;
        let partition = partition_of(&tenant(1));
        let mut asking = Vec::new();
        for round in 0..12 {
            let runtime = nodes.nodes[2].runtime.clone();
            let task = nodes.envelope(&tenant(1), instance(1), create_database(&format!("db{round}")));
            asking.push(tokio::spawn(async move { runtime.submit(task).await }));
            if round % 4 == 2 {
                nodes.give(partition, (round / 4 + 1) % 2).await;
            }
        }
        for asked in asking {
            assert_eq!(asked.await.unwrap().unwrap().instance, instance(1));
        }
        make_database(&mut nodes, 0, "last").await;
        until("all are made", || nodes.cloud.guests.done("create_databases") >= 13).await;
        assert_eq!(nodes.cloud.guests.done("create_databases"), 13, "and each of them once");
        nodes.stop().await;
    });
}

#[test]
fn who_was_replaced_behind_its_back_accepts_nothing_and_shows_nothing() {
    run(async {
        let mut nodes = with_an_instance(2).await;
        let partition = partition_of(&tenant(1));
        nodes.give_behind_its_back(partition, 1).await;
        until("the second node owns it", || nodes.nodes[1].metrics.partitions_owned.get() == 1).await;
        // The group has not heard of the first one for longer than it waits.
        nodes.nodes[0].member.is_current.store(false, Ordering::Relaxed);
        assert!(nodes.nodes[0].runtime.fresh(&tenant(1)).await.is_err(), "nobody is shown what may be old");
        // Its order is not lost, but the new owner's to decide.
        let task = nodes.envelope(&tenant(1), instance(1), create_database("stock"));
        let command = task.command_id;
        nodes.nodes[0].runtime.submit(task).await.unwrap();
        nodes.tell_lost(partition, 0).await;
        nodes.nodes[0].member.is_current.store(true, Ordering::Relaxed);
        nodes.nodes[0].runtime.fresh(&tenant(1)).await.unwrap();
        let ended = nodes.nodes[0].runtime.settled(&tenant(1), instance(1), command, DEADLINE).await;
        assert_eq!(ended, Some(Ok(())));
        assert!(nodes.nodes[0].failure.try_recv().is_err(), "it goes on with what it has");
        assert_eq!(nodes.nodes[0].metrics.partitions_owned.get(), 15);
        nodes.stop().await;
    });
}

#[test]
fn whom_the_group_does_not_assign_a_partition_does_not_take_it_from_its_owner() {
    run(async {
        let mut nodes = Nodes::start(2).await;
        let partition = partition_of(&tenant(1));
        // Told so once, and late: the group has changed its mind since.
        nodes.nodes[1].member.assign_in_vain(partition).await;
        until("it has tried", || nodes.nodes[1].metrics.take_overs_failed.get() > 0).await;
        let order = nodes.envelope(&tenant(1), instance(1), create(instance(1)));
        nodes.tell_lost(partition, 1).await;
        // The owner is put out by each try, for a moment.
        while let Err(busy) = nodes.nodes[0].runtime.submit(order.clone()).await {
            assert_eq!(busy.kind, RejectionKind::Busy, "{busy}");
        }
        becomes_healthy(&nodes, 0).await;
        assert_eq!(nodes.nodes[1].metrics.partitions_owned.get(), 0);
        nodes.stop().await;
    });
}

#[test]
fn a_log_that_does_not_answer_keeps_no_node_from_its_work_or_its_end() {
    run(async {
        let nodes = Nodes::start(2).await;
        nodes.nodes[1].member.reads_in_vain.store(true, Ordering::Relaxed);
        assert!(nodes.nodes[1].runtime.fresh(&tenant(1)).await.is_err(), "it is not known what the owner has changed");
        // It is given the partition while it waits, and the log answers again.
        nodes.nodes[1].member.reads_in_vain.store(false, Ordering::Relaxed);
        nodes.give(partition_of(&tenant(1)), 1).await;
        until("it owns it", || nodes.nodes[1].metrics.partitions_owned.get() == 1).await;
        nodes.nodes[1].runtime.fresh(&tenant(1)).await.unwrap();
        nodes.nodes[1].member.reads_in_vain.store(true, Ordering::Relaxed);
        assert!(nodes.nodes[1].runtime.everyone_fresh().await.is_err());
        nodes.stop().await;
    });
}

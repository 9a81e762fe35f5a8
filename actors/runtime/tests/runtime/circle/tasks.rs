//! Waiting for the end of a task.

use std::time::Duration;

use coffer_protocol::report::Failure;

use crate::support::{
    circle::Circle,
    poll::{DEADLINE, run},
    samples::{create_database, instance, tenant},
};

#[test]
fn whoever_waits_for_a_task_hears_how_it_ended() {
    run(async {
        let mut circle = Circle::start().await;
        let (owner, id) = (tenant(1), instance(1));
        circle.active(&owner, id).await;
        circle.settle(&owner, id, create_database("stock")).await.unwrap();
        assert!(circle.view(&owner, id).unwrap().databases.contains(&"stock".to_owned()));

        let failure = Failure { retryable: false, code: "engine_failed".into(), message: "the disk is full".into() };
        circle.cloud.guests.failing.lock().unwrap().insert("create_databases", failure);
        let told = circle.settle(&owner, id, create_database("more")).await.unwrap_err();
        assert!(told.contains("the disk is full"), "{told}");
        assert!(!circle.view(&owner, id).unwrap().databases.contains(&"more".to_owned()));
        circle.stop().await;
    });
}

#[test]
fn whoever_waits_late_is_told_all_the_same() {
    run(async {
        let mut circle = Circle::start().await;
        let (owner, id) = (tenant(1), instance(1));
        circle.active(&owner, id).await;
        let failure = Failure { retryable: false, code: "engine_failed".into(), message: "no".into() };
        circle.cloud.guests.failing.lock().unwrap().insert("create_databases", failure);
        let envelope = circle.envelope(&owner, id, create_database("stock"));
        let command = envelope.command_id;
        circle.runtime().submit(envelope).await.unwrap();
        for _ in 0..2 {
            assert!(circle.settled(&owner, id, command, DEADLINE).await.unwrap().is_err());
        }
        circle.stop().await;
    });
}

#[test]
fn a_task_that_takes_longer_than_its_waiter_goes_on_without_it() {
    run(async {
        let mut circle = Circle::start().await;
        let (owner, id) = (tenant(1), instance(1));
        circle.active(&owner, id).await;
        circle.cloud.guests.ignoring.lock().unwrap().insert("create_databases");
        let envelope = circle.envelope(&owner, id, create_database("stock"));
        let command = envelope.command_id;
        circle.runtime().submit(envelope).await.unwrap();
        assert_eq!(circle.settled(&owner, id, command, Duration::from_millis(20)).await, None);
        // The agent has not answered; it is asked again.
        circle.cloud.guests.ignoring.lock().unwrap().clear();
        assert_eq!(circle.settled(&owner, id, command, DEADLINE).await, Some(Ok(())));
        assert_eq!(circle.cloud.guests.done("create_databases"), 1);
        circle.stop().await;
    });
}

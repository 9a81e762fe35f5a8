//! The control plane stops, is away, and starts again; the broker is lost. What was asked for goes on.

use coffer_domain::{command::Command, instance::view::Status, rejection::RejectionKind, time::HOUR};
use coffer_protocol::{seal::Envelope, topics};
use coffer_runtime::{link::cell_of, runtime::partition_of};

use crate::support::{
    circle::Circle,
    poll::{run, until},
    samples::{create, create_database, instance, tenant},
};

#[test]
fn a_create_that_is_half_done_goes_on_after_a_stop() {
    run(async {
        for action in ["ensure_address", "ensure_volume", "ensure_server"] {
            let mut circle = Circle::start().await;
            let (owner, id) = (tenant(1), instance(1));
            circle.cloud.hold(action);
            circle.ask(&owner, id, create(id)).await.unwrap();
            until("the call is under way", || circle.cloud.calls().begun(action) == 1).await;
            circle.stop().await;

            circle.clock.shift(7 * 24 * HOUR);
            circle.start_again().await;
            assert_eq!(circle.view(&owner, id).unwrap().status, Status::Build);
            until("the call is made again", || circle.cloud.calls().begun(action) == 2).await;
            circle.cloud.release(action);
            circle.becomes_healthy(&owner, id).await;
            let things = circle.cloud.outside.things().clone();
            assert_eq!(things.made.values().sum::<usize>(), 3, "one of each: {:?}", things.made);
            assert_eq!(circle.cloud.guests.done("prepare"), 1);
            circle.stop().await;
        }
    });
}

#[test]
fn agents_are_found_again_and_hear_a_later_epoch() {
    run(async {
        let mut circle = Circle::start().await;
        let (owner, id) = (tenant(1), instance(1));
        circle.active(&owner, id).await;
        circle.stop().await;
        circle.start_again().await;
        circle.settle(&owner, id, create_database("stock")).await.unwrap();
        assert_eq!(*circle.cloud.guests.disobeyed.lock().unwrap(), 0);

        let cell = topics::agents(&cell_of(partition_of(&owner)));
        let epochs: Vec<u64> = circle
            .broker
            .records(&cell)
            .iter()
            .map(|record| serde_json::from_slice::<Envelope>(&record.value).unwrap().header.epoch)
            .collect();
        assert!(epochs.is_sorted(), "{epochs:?}");
        assert_eq!((epochs.first(), epochs.last()), (Some(&1), Some(&2)));
        circle.stop().await;
    });
}

#[test]
fn a_stopped_runtime_takes_nothing() {
    run(async {
        let mut circle = Circle::start().await;
        let runtime = circle.runtime().clone();
        let envelope = circle.envelope(&tenant(1), instance(1), create(instance(1)));
        circle.stop().await;
        assert_eq!(runtime.submit(envelope).await.unwrap_err().kind, RejectionKind::Busy);
        drop(runtime);
        circle.start_again().await;
        assert_eq!(circle.view(&tenant(1), instance(1)), None);
        circle.stop().await;
    });
}

#[test]
fn a_lost_broker_loses_no_order() {
    run(async {
        let mut circle = Circle::start().await;
        let (owner, id) = (tenant(1), instance(1));
        circle.active(&owner, id).await;
        circle.cloud.guests.ignoring.lock().unwrap().insert("restart");
        circle.ask(&owner, id, Command::Restart).await.unwrap();
        circle.broker.replace();
        circle.cloud.guests.ignoring.lock().unwrap().clear();
        circle.becomes_healthy(&owner, id).await;
        assert_eq!(circle.cloud.guests.done("restart"), 1);
        circle.settle(&owner, id, create_database("stock")).await.unwrap();
        circle.stop().await;
    });
}

/// A suspended host: for the control plane no time has passed, for its clock an hour.
#[test]
fn a_pause_of_the_whole_host_fails_nothing_that_is_under_way() {
    run(async {
        let mut circle = Circle::start().await;
        let (owner, id) = (tenant(1), instance(1));
        circle.cloud.hold("ensure_volume");
        circle.ask(&owner, id, create(id)).await.unwrap();
        until("the call is under way", || circle.cloud.calls().begun("ensure_volume") == 1).await;
        circle.clock.shift(HOUR);
        // The partition has seen the later hour once it has decided something else.
        circle.ask(&owner, instance(2), create(instance(2))).await.unwrap();
        until("the other one is under way", || circle.cloud.calls().begun("ensure_volume") == 2).await;
        circle.cloud.release("ensure_volume");
        circle.becomes_healthy(&owner, id).await;
        assert_eq!(circle.cloud.calls().begun("ensure_volume"), 2, "no attempt was given up");
        circle.stop().await;
    });
}

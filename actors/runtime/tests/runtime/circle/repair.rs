//! A reset while a call is under way, and a forced delete that leaves something and says so.

use coffer_domain::{command::Command, instance::view::Status, quota::Usage};
use coffer_ports::{Error, ErrorKind};

use crate::support::{
    circle::Circle,
    poll::{run, until},
    samples::{create, instance, tenant},
};

#[test]
fn a_reset_create_does_not_go_on_and_its_delete_waits_for_the_call_under_way() {
    run(async {
        let mut circle = Circle::start().await;
        let (owner, id) = (tenant(1), instance(1));
        circle.cloud.hold("ensure_volume");
        circle.ask(&owner, id, create(id)).await.unwrap();
        until("the volume is being made", || circle.cloud.calls().begun("ensure_volume") == 1).await;
        circle.ask(&owner, id, Command::ResetStatus { force_delete: false }).await.unwrap();
        assert_eq!(circle.view(&owner, id).unwrap().status, Status::Error);
        circle.ask(&owner, id, Command::Delete).await.unwrap();
        assert_eq!(circle.cloud.calls().begun("delete_server"), 0, "the volume may still be made");

        circle.cloud.release("ensure_volume");
        circle.becomes_gone(&owner, id).await;
        assert_eq!(circle.cloud.calls().begun("ensure_server"), 0);
        assert!(circle.cloud.outside.things().is_empty());
        assert_eq!(circle.runtime().usage(&owner).unwrap(), Usage::default());
        circle.stop().await;
    });
}

#[test]
fn a_forced_delete_ends_and_counts_what_it_leaves() {
    run(async {
        let mut circle = Circle::start().await;
        let (owner, id) = (tenant(1), instance(1));
        circle.active(&owner, id).await;
        for _ in 0..8 {
            circle.cloud.fail("delete_volume", Error::new(ErrorKind::Denied, "cloud.denied", "it is locked"));
        }
        circle.ask(&owner, id, Command::ResetStatus { force_delete: true }).await.unwrap();
        assert_eq!(circle.view(&owner, id).unwrap().status, Status::Active);
        circle.ask(&owner, id, Command::Delete).await.unwrap();
        circle.becomes_gone(&owner, id).await;

        let told = |step: &str| circle.metrics.left_behind.with_label_values(&[step]).get();
        assert_eq!((told("delete_server"), told("delete_volume"), told("release_address")), (0, 1, 0));
        let left = {
            let things = circle.cloud.outside.things();
            (things.servers.len(), things.volumes.len(), things.addresses.len())
        };
        assert_eq!(left, (0, 1, 0));
        assert_eq!(circle.runtime().usage(&owner).unwrap(), Usage::default());
        circle.stop().await;
    });
}

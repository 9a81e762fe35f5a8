//! A create, what can be read of it, and a delete.

use coffer_domain::{command::Command, instance::view::Status, quota::Usage, rejection::RejectionKind};
use coffer_ports::{Error, ErrorKind};
use coffer_runtime::{borders::Moment, partition::StepError, runner::RunnerError, runtime::partition_of};

use crate::support::{
    circle::Circle,
    faults::Stop,
    poll::{in_time, run, until},
    samples::{CLERK, SHOP, create, instance, tenant},
};

#[test]
fn a_create_becomes_active_and_a_delete_leaves_nothing() {
    run(async {
        let mut circle = Circle::start().await;
        let (owner, id) = (tenant(1), instance(1));
        let accepted = circle.ask(&owner, id, create(id)).await.unwrap();
        assert_eq!((accepted.instance, accepted.repeated), (id, false));
        assert!(circle.view(&owner, id).is_some(), "what is accepted can be read");

        circle.becomes_healthy(&owner, id).await;
        let view = circle.view(&owner, id).unwrap();
        assert_eq!(view.databases, [SHOP]);
        assert_eq!(view.users[0].name, CLERK);
        assert_eq!(view.address, circle.cloud.outside.things().addresses.get(&id.to_string()).cloned());
        assert_eq!(circle.runtime().usage(&owner).unwrap(), Usage { instances: 1, volume_gib: 2, memory_mib: 512 });
        assert_eq!(circle.cloud.guests.done("prepare"), 1);

        circle.ask(&owner, id, Command::Delete).await.unwrap();
        circle.becomes_gone(&owner, id).await;
        assert_eq!(circle.runtime().usage(&owner).unwrap(), Usage::default());
        assert!(circle.cloud.outside.things().is_empty());
        circle.stop().await;
    });
}

#[test]
fn tenants_see_their_own_instances_in_order() {
    run(async {
        let mut circle = Circle::start().await;
        let (one, other) = (tenant(1), tenant(2));
        assert_ne!(partition_of(&one), partition_of(&other), "they live apart");
        for number in [3, 1, 2] {
            circle.ask(&one, instance(number), create(instance(number))).await.unwrap();
        }
        circle.ask(&other, instance(4), create(instance(4))).await.unwrap();
        let ids = |tenant, marker, limit| -> Vec<_> {
            circle.runtime().shown_after(tenant, marker, limit).unwrap().into_iter().map(|(id, _)| id).collect()
        };
        assert_eq!(ids(&one, None, 10), [instance(1), instance(2), instance(3)]);
        assert_eq!(ids(&one, None, 2), [instance(1), instance(2)]);
        assert_eq!(ids(&one, Some(instance(2)), 2), [instance(3)]);
        assert_eq!(ids(&other, None, 10), [instance(4)]);
        assert_eq!(circle.view(&other, instance(1)), None);

        let foreign = circle.ask(&other, instance(1), Command::Delete).await.unwrap_err();
        assert_eq!(foreign.kind, RejectionKind::NotFound);
        circle.stop().await;
    });
}

#[test]
fn operators_see_the_instances_of_all_tenants_each_once() {
    run(async {
        let mut circle = Circle::start().await;
        let owners = [(tenant(1), 1), (tenant(2), 2), (tenant(1), 3), (tenant(3), 4)];
        for (owner, number) in &owners {
            circle.ask(owner, instance(*number), create(instance(*number))).await.unwrap();
        }
        let mut seen = Vec::new();
        let mut marker = None;
        loop {
            let page = circle.runtime().everyones_after(marker.as_ref(), 3).unwrap();
            let Some(last) = page.last() else { break };
            marker = Some((last.tenant.clone(), last.id));
            seen.extend(page.into_iter().map(|view| (view.tenant, view.id)));
        }
        let mut expected: Vec<_> = owners.iter().map(|(owner, number)| (owner.clone(), instance(*number))).collect();
        expected.sort();
        seen.sort();
        assert_eq!(seen, expected);
        for (owner, id) in expected {
            assert_eq!(circle.runtime().owner(id).unwrap(), Some(owner));
        }
        assert_eq!(circle.runtime().owner(instance(9)).unwrap(), None);
        circle.stop().await;
    });
}

#[test]
fn a_create_that_fails_for_good_is_taken_back() {
    run(async {
        let mut circle = Circle::start().await;
        let (owner, id) = (tenant(1), instance(1));
        circle.cloud.fail("ensure_server", Error::new(ErrorKind::Exhausted, "cloud.full", "there is no host left"));
        circle.ask(&owner, id, create(id)).await.unwrap();
        until("the create has failed", || {
            circle.view(&owner, id).is_some_and(|view| view.status == Status::Error)
                && circle.cloud.outside.things().is_empty()
                && circle.cloud.calls().begun("release_address") == 1
        })
        .await;
        let fault = circle.view(&owner, id).unwrap().fault.unwrap();
        assert!(fault.message.contains("there is no host left"), "{fault:?}");
        circle.ask(&owner, id, Command::Delete).await.unwrap();
        circle.becomes_gone(&owner, id).await;
        circle.stop().await;
    });
}

#[test]
fn whoever_watches_over_the_runtime_hears_of_a_partition_that_stops() {
    run(async {
        let mut circle = Circle::start().await;
        circle.faults.stop(Stop::When(Moment::BeforeCommit));
        let lost = circle.ask(&tenant(1), instance(1), create(instance(1))).await.unwrap_err();
        assert_eq!(lost.kind, RejectionKind::Busy);
        match in_time("the failure", circle.failure.recv()).await {
            Some(RunnerError::Step { partition, reason: StepError::Stopped(border) }) => {
                assert_eq!(partition, partition_of(&tenant(1)));
                assert_eq!(border.to_string(), "create/ensure_address/before_commit");
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(circle.view(&tenant(1), instance(1)), None);
        circle.stop().await;
    });
}

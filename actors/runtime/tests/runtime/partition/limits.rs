//! What was set for a tenant alone: it counts from the next decision on, also in one batch, and after a restart.

use coffer_domain::{
    command::{Command, Envelope},
    ids::{InstanceId, TenantId},
    quota::{Limit, OwnLimits},
    rejection::RejectionKind,
};
use coffer_runtime::{check, partition::Item};
use uuid::Uuid;

use crate::support::{
    poll::run,
    samples::{command_id, create, envelope, envelope_of, instance, tenant},
    world::{PARTITION, World},
};

fn instances(limit: Limit) -> OwnLimits {
    OwnLimits { instances: Some(limit), ..OwnLimits::default() }
}

fn set(world: &World, number: u32, tenant: TenantId, limits: OwnLimits) -> Envelope {
    let nobody = InstanceId(Uuid::nil());
    envelope_of(tenant, command_id(100 + number), nobody, Command::SetQuota { limits }, world.now)
}

fn order(world: &World, number: u8) -> Envelope {
    envelope(command_id(number.into()), instance(number), create(instance(number)), world.now)
}

#[test]
fn a_limit_counts_from_the_next_decision_on_and_after_a_restart() {
    run(async {
        let mut world = World::new();
        let batch = [
            order(&world, 1),
            set(&world, 1, tenant(1), instances(Limit::AtMost(1))),
            order(&world, 2),
            set(&world, 2, tenant(1), instances(Limit::AtMost(2))),
            order(&world, 3),
            order(&world, 4),
        ];
        let answers = world.step(batch.map(Item::command).into()).await.unwrap();
        let refused: Vec<bool> = answers.iter().map(Result::is_err).collect();
        assert_eq!(refused, [false, false, true, false, false, true]);
        assert_eq!(answers[2].as_ref().unwrap_err().message, "Quota exceeded for resources: ['instances'].");

        world.crash().await;
        let late = order(&world, 5);
        assert_eq!(world.ask(&late).await.unwrap_err().kind, RejectionKind::OverLimit);
        let none = set(&world, 3, tenant(1), instances(Limit::Unlimited));
        world.ask(&none).await.unwrap();
        for number in 5..=20 {
            let order = order(&world, number);
            let answer = world.ask(&order).await;
            // Everybody's limit of volumes still counts: 40 GiB, 2 each.
            assert!(answer.is_ok() || answer.unwrap_err().message.contains("'volumes'"));
        }
        let row = world.store().limits(PARTITION, &tenant(1)).unwrap().expect("it is stored");
        assert_eq!((row.limits, row.set_by.as_str(), row.set_at), (instances(Limit::Unlimited), "alice", world.now));
        assert_eq!(world.store().limits(PARTITION, &tenant(2)).unwrap(), None);
        assert_eq!(check::check_rows(&world.store().snapshot(), PARTITION, None).unwrap().findings, []);
    });
}

#[test]
fn a_limit_below_what_there_is_takes_nothing_and_gives_nothing() {
    run(async {
        let mut world = World::new();
        let (first, second) = (world.active(1).await, world.active(2).await);
        let fewer = set(&world, 1, tenant(1), instances(Limit::AtMost(1)));
        world.ask(&fewer).await.unwrap();
        assert!(world.find(first).is_some() && world.find(second).is_some());
        world.ask(&envelope(command_id(50), first, Command::Restart, world.now)).await.expect("it is in use as before");
        let next = order(&world, 3);
        for (number, id) in [(51, first), (52, second)] {
            assert!(world.ask(&next).await.is_err());
            let delete = envelope(command_id(number), id, Command::Delete, world.now);
            world.ask(&delete).await.unwrap();
            world.come_to_rest().await;
        }
        world.ask(&next).await.expect("now there is less than the limit");
    });
}

#[test]
fn another_tenants_limit_is_its_own() {
    run(async {
        let mut world = World::new();
        let none = set(&world, 1, tenant(2), instances(Limit::AtMost(0)));
        world.ask(&none).await.unwrap();
        let order = order(&world, 1);
        world.ask(&order).await.expect("it is not this one's");
    });
}

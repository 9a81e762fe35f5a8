//! Quota within one batch.

use coffer_domain::{
    command::Command,
    quota::{Limits, Usage},
    rejection::RejectionKind,
};
use coffer_runtime::partition::Item;

use crate::support::{
    poll::run,
    samples::{command_id, create, envelope, envelope_of, instance, tenant},
    world::{PARTITION, World},
};

const LIMIT: u64 = 10;

fn limits() -> Limits {
    Limits { instances: Some(LIMIT), volume_gib: None, ..Limits::default() }
}

fn creates(world: &World, numbers: std::ops::Range<u8>) -> Vec<Item> {
    let item = |number| {
        let id = instance(number);
        Item::command(envelope(command_id(number.into()), id, create(id), world.now))
    };
    numbers.map(item).collect()
}

#[test]
fn twenty_creates_in_one_batch_meet_a_limit_of_ten() {
    run(async {
        let mut world = World::with_limits(limits());
        let batch = creates(&world, 0..20);
        let answers = world.step(batch).await.unwrap();
        let accepted: Vec<usize> = (0..20).filter(|position| answers[*position].is_ok()).collect();
        assert_eq!(accepted, (0..10).collect::<Vec<_>>(), "first come, first served");
        let refused = answers[10].as_ref().unwrap_err();
        assert_eq!(refused.kind, RejectionKind::OverLimit);
        assert_eq!(refused.message, "Quota exceeded for resources: ['instances'].");
        let usage = world.store().usage(PARTITION, &tenant(1)).unwrap();
        assert_eq!(usage, Usage { instances: LIMIT, volume_gib: 2 * LIMIT, memory_mib: 512 * LIMIT });
        assert_eq!(world.calls.len(), 10, "nothing is done for those refused");

        let late = creates(&world, 20..21);
        assert!(world.step(late).await.unwrap()[0].is_err(), "the charge outlives the batch");
        world.crash().await;
        let later = creates(&world, 20..21);
        assert!(world.step(later).await.unwrap()[0].is_err(), "and the control plane");
    });
}

#[test]
fn what_a_delete_gives_back_can_be_had_once_it_is_gone() {
    run(async {
        let mut world = World::with_limits(Limits { instances: Some(1), ..limits() });
        let id = world.active(1).await;
        let next = |world: &World, number| creates(world, number..number + 1);
        let refused = next(&world, 2);
        assert!(world.step(refused).await.unwrap()[0].is_err());
        let delete = envelope(command_id(100), id, Command::Delete, world.now);
        world.ask(&delete).await.unwrap();
        let refused = next(&world, 3);
        assert!(world.step(refused).await.unwrap()[0].is_err(), "while it is being deleted it counts");
        world.come_to_rest().await;
        assert_eq!(world.store().usage(PARTITION, &tenant(1)).unwrap(), Usage::default());
        let accepted = next(&world, 4);
        assert!(world.step(accepted).await.unwrap()[0].is_ok());
    });
}

#[test]
fn tenants_do_not_share_their_quota() {
    run(async {
        let mut world = World::with_limits(Limits { instances: Some(1), ..limits() });
        let item = |number: u8, owner: u8| {
            let id = instance(number);
            Item::command(envelope_of(tenant(owner), command_id(number.into()), id, create(id), world.now))
        };
        let batch = vec![item(1, 1), item(2, 2), item(3, 1), item(4, 2), item(5, 3)];
        let answers = world.step(batch).await.unwrap();
        let accepted: Vec<bool> = answers.iter().map(Result::is_ok).collect();
        assert_eq!(accepted, [true, true, false, false, true]);
    });
}

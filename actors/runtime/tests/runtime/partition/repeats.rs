//! The same command again: the first answer, and nothing done twice. Old answers are forgotten, old commands refused.

use coffer_domain::{
    command::Command,
    instance::policy::DEDUP_WINDOW,
    rejection::RejectionKind,
    time::{HOUR, SECOND},
};
use coffer_runtime::{partition::Item, store::keys};

use crate::support::{
    poll::run,
    samples::{command_id, create, create_database, envelope, envelope_of, instance, tenant},
    world::{PARTITION, World},
};

#[test]
fn a_command_twice_in_one_batch_is_done_once() {
    run(async {
        let mut world = World::new();
        let order = envelope(command_id(1), instance(1), create(instance(1)), world.now);
        let answers = world.step(vec![Item::command(order.clone()), Item::command(order)]).await.unwrap();
        let [first, second] = &answers[..] else { panic!("{answers:?}") };
        let (first, second) = (first.as_ref().unwrap(), second.as_ref().unwrap());
        assert_eq!((first.repeated, second.repeated), (false, true));
        assert_eq!(first.instance, second.instance);
        assert_eq!(world.calls.len(), 1);
    });
}

#[test]
fn a_repeat_gets_the_first_answer_also_after_a_restart() {
    run(async {
        let mut world = World::new();
        let order = envelope(command_id(1), instance(1), create(instance(1)), world.now);
        world.ask(&order).await.unwrap();
        // Whoever repeats a command may have named another instance this time: the first one counts.
        let repeat = envelope(command_id(1), instance(2), create(instance(2)), world.now);
        for _ in 0..2 {
            let accepted = world.ask(&repeat).await.unwrap();
            assert!(accepted.repeated);
            assert_eq!(accepted.instance, instance(1));
            assert_eq!(world.find(instance(2)), None);
            world.crash().await;
        }
    });
}

#[test]
fn a_repeated_create_does_not_bring_a_deleted_instance_back() {
    run(async {
        let mut world = World::new();
        let order = envelope(command_id(1), instance(1), create(instance(1)), world.now);
        world.ask(&order).await.unwrap();
        world.come_to_rest().await;
        let delete = envelope(command_id(2), instance(1), Command::Delete, world.now);
        world.ask(&delete).await.unwrap();
        world.come_to_rest().await;
        for repeat in [order, delete] {
            let accepted = world.ask(&repeat).await.unwrap();
            assert_eq!((accepted.repeated, world.find(instance(1))), (true, None));
        }
        assert!(world.outside.things().is_empty() && world.calls.is_empty());
    });
}

#[test]
fn a_task_is_done_once_however_often_it_is_asked_for() {
    run(async {
        let mut world = World::new();
        let id = world.active(1).await;
        let order = envelope(command_id(1), id, create_database("stock"), world.now);
        for _ in 0..3 {
            world.ask(&order).await.unwrap();
        }
        world.come_to_rest().await;
        world.ask(&order).await.unwrap();
        assert!(world.calls.is_empty());
        assert_eq!(world.outside.things().done("create_databases"), 1);
    });
}

#[test]
fn tenants_may_use_the_same_command_id() {
    run(async {
        let mut world = World::new();
        for owner in [1, 2] {
            let id = instance(owner);
            let order = envelope_of(tenant(owner), command_id(1), id, create(id), world.now);
            assert!(!world.ask(&order).await.unwrap().repeated);
        }
    });
}

#[test]
fn a_command_older_than_the_window_is_refused() {
    run(async {
        let mut world = World::new();
        let issued_at = world.now;
        world.now = world.now + DEDUP_WINDOW;
        let old = envelope(command_id(1), instance(1), create(instance(1)), issued_at);
        let refused = world.ask(&old).await.unwrap_err();
        assert_eq!(refused.kind, RejectionKind::Invalid);
        assert!(refused.message.contains("issued_at"), "{refused}");
        assert_eq!(world.find(instance(1)), None);

        let last = envelope(command_id(2), instance(1), create(instance(1)), issued_at + 1);
        world.ask(&last).await.expect("within the window by a millisecond");
    });
}

#[test]
fn a_refusal_is_not_remembered() {
    run(async {
        let mut world = World::new();
        let id = instance(1);
        let early = envelope(command_id(2), id, create_database("stock"), world.now);
        assert_eq!(world.ask(&early).await.unwrap_err().kind, RejectionKind::NotFound);
        world.active(1).await;
        assert!(!world.ask(&early).await.expect("now it can be done").repeated);
    });
}

#[test]
fn answers_are_forgotten_when_nobody_may_ask_for_them_any_more() {
    run(async {
        let mut world = World::new();
        let id = world.active(1).await;
        let mut orders = Vec::new();
        for number in 1..=5 {
            let order = envelope(command_id(number), id, create_database(&format!("d{number}")), world.now);
            world.ask(&order).await.unwrap();
            world.come_to_rest().await;
            orders.push(order);
            world.now = world.now + HOUR;
        }
        let forget = async |world: &mut World, limit| {
            let now = world.now;
            world.partition().forget_old_answers(now, limit).await.unwrap()
        };
        assert_eq!(forget(&mut world, 100).await, 0, "all are young");

        // The create and the first three are older than the window now.
        world.now = orders[3].issued_at + DEDUP_WINDOW;
        assert_eq!(forget(&mut world, 1).await, 1, "at most as many as allowed");
        assert_eq!(forget(&mut world, 100).await, 3);
        assert_eq!(forget(&mut world, 100).await, 0);
        world.crash().await;
        for (position, order) in orders.iter().enumerate() {
            let key = keys::dedup(PARTITION, &tenant(1), order.command_id);
            assert_eq!(world.store().accepted(&key).unwrap().is_some(), position >= 3, "{position}");
            let answer = world.ask(order).await;
            assert_eq!(answer.is_ok(), position >= 3, "what is forgotten is refused, not done again: {answer:?}");
        }
    });
}

/// A client's clock may be ahead: its command can be repeated for as long as it counts as young.
#[test]
fn a_command_from_the_future_is_remembered_for_as_long_as_it_is_taken() {
    run(async {
        let mut world = World::new();
        let order = envelope(command_id(1), instance(1), create(instance(1)), world.now + HOUR);
        world.ask(&order).await.unwrap();
        world.come_to_rest().await;
        let delete = envelope(command_id(2), instance(1), Command::Delete, world.now);
        world.ask(&delete).await.unwrap();
        world.come_to_rest().await;

        world.now = world.now + DEDUP_WINDOW + SECOND;
        let now = world.now;
        world.partition().forget_old_answers(now, 100).await.unwrap();
        if let Ok(accepted) = world.ask(&order).await {
            assert!(accepted.repeated, "the instance is made a second time");
        }
    });
}

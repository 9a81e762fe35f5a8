//! Answers that are kept with their commands: in the same batch, for as long as the command is known, within a bound.

use coffer_domain::{
    command::{Command, Envelope},
    ids::InstanceId,
    instance::{effect::Failure, policy::DEDUP_WINDOW},
    rejection::RejectionKind,
    sealed::Sealed,
    time::SECOND,
};
use coffer_ports::log::{Batch, Space, Write};
use coffer_runtime::{
    borders::{Border, Moment},
    partition::{Item, MAX_KEPT},
    store::{
        keys,
        rows::{self, AcceptedRow, Kept, Made},
    },
};

use crate::support::{
    faults::Stop,
    poll::run,
    samples::{command_id, create, create_database, envelope, envelope_of, instance, tenant},
    world::{PARTITION, World},
};

fn sealed(text: &str) -> Sealed {
    Sealed { key_id: "k".into(), context: "c".into(), bytes: text.into() }
}

fn keyed(world: &World, number: u32, id: InstanceId, command: Command) -> Envelope {
    Envelope { answer: Some(sealed("first")), ..envelope(command_id(number), id, command, world.now) }
}

fn kept(world: &World, order: &Envelope) -> Option<Kept> {
    let key = keys::kept(PARTITION, &order.tenant, order.command_id);
    world.store().accepted(&key).unwrap().and_then(|row| row.kept).map(|kept| *kept)
}

#[test]
fn a_create_keeps_what_it_has_made_as_it_was_then() {
    run(async {
        let mut world = World::new();
        let order = keyed(&world, 1, instance(1), create(instance(1)));
        // Another answer under the same id: the first one counts, in the same batch too.
        let repeat = Envelope { answer: Some(sealed("second")), ..order.clone() };
        let answers = world.step(vec![Item::command(order.clone()), Item::command(repeat.clone())]).await.unwrap();
        assert_eq!(answers.iter().map(|answer| answer.as_ref().unwrap().repeated).collect::<Vec<_>>(), [false, true]);
        world.come_to_rest().await;
        world.ask(&envelope(command_id(2), instance(1), Command::Delete, world.now)).await.unwrap();
        world.come_to_rest().await;
        world.crash().await;

        let Kept { answer, made, failure } = kept(&world, &order).expect("it is kept");
        assert_eq!((answer, failure), (sealed("first"), None));
        let Some(Made::Instance(made)) = made else { panic!("nothing was made") };
        assert_eq!((made.id, made.tenant.clone()), (instance(1), tenant(1)));
        assert!(made.operation.is_some(), "it was being built");
        assert_eq!(made.operation.unwrap().first_contents, Default::default(), "no password is kept with it");
        assert!(world.ask(&repeat).await.unwrap().repeated);
        assert_eq!(world.find(instance(1)), None, "it stays deleted");
    });
}

#[test]
fn what_is_refused_keeps_nothing() {
    run(async {
        let mut world = World::new();
        let order = keyed(&world, 1, instance(1), Command::Restart);
        assert_eq!(world.ask(&order).await.unwrap_err().kind, RejectionKind::NotFound);
        assert_eq!(kept(&world, &order), None);
    });
}

#[test]
fn key_and_command_are_in_the_store_together_or_not_at_all() {
    run(async {
        for (moment, is_there) in
            [(Moment::BeforeCommit, false), (Moment::AfterCommit, true), (Moment::AfterApply, true)]
        {
            let mut world = World::new();
            let order = keyed(&world, 1, instance(1), create(instance(1)));
            world.faults.stop(Stop::At(Border { operation: "create", step: "ensure_address", moment }));
            assert!(world.step(vec![Item::command(order.clone())]).await.is_none(), "it dies");
            assert_eq!((kept(&world, &order).is_some(), world.find(instance(1)).is_some()), (is_there, is_there));
            assert_eq!(world.ask(&order).await.unwrap().repeated, is_there);
            world.come_to_rest().await;
            assert_eq!(world.store().usage(PARTITION, &tenant(1)).unwrap().instances, 1, "{moment:?}");
        }
    });
}

#[test]
fn a_failure_in_the_guest_is_noted_with_the_answer() {
    run(async {
        let mut world = World::new();
        let id = world.active(1).await;
        let order = keyed(&world, 1, id, create_database("stock"));
        world.ask(&order).await.unwrap();
        let unkeyed = envelope(command_id(2), id, create_database("other"), world.now);
        world.ask(&unkeyed).await.unwrap();
        for _ in 0..2 {
            let message = "the engine said no".into();
            world.answer(Err(Failure { retryable: false, code: "engine".into(), message, retry_after: None })).await;
        }
        let failure = kept(&world, &order).unwrap().failure.expect("it failed");
        assert!(failure.contains("the engine said no"), "{failure}");
        assert_eq!(kept(&world, &unkeyed), None);
    });
}

#[test]
fn a_tenants_answers_are_bounded_and_old_ones_make_room() {
    run(async {
        let mut world = World::new();
        let id = world.active(1).await;
        let rows = (0..MAX_KEPT as u128 - 1).map(|number| {
            let command = coffer_domain::ids::CommandId(uuid::Uuid::from_u128(number));
            let kept = Some(Box::new(Kept { answer: sealed("x"), made: None, failure: None }));
            let row = AcceptedRow { at: world.now, instance: id, kept };
            let key = keys::kept(PARTITION, &tenant(1), command);
            Write { space: Space::Dedup, key, value: Some(rows::encode(&row)) }
        });
        world.store().write(&[Batch { writes: rows.collect(), ..Batch::default() }]).unwrap();
        let rename = |name: &str| Command::Rename { name: name.into() };

        let last = keyed(&world, 1, id, rename("a"));
        world.ask(&last).await.expect("there is room for one");
        let full = keyed(&world, 2, id, rename("b"));
        let refused = world.ask(&full).await.unwrap_err();
        assert_eq!(refused.kind, RejectionKind::OverLimit);
        assert!(refused.message.contains("Idempotency-Key"), "{refused}");
        assert!(world.ask(&last).await.unwrap().repeated, "what is kept is known");
        world.ask(&Envelope { answer: None, ..full.clone() }).await.expect("without a key there is nothing to keep");
        let other = Envelope {
            answer: full.answer.clone(),
            ..envelope_of(tenant(2), command_id(3), instance(2), create(instance(2)), world.now)
        };
        world.ask(&other).await.expect("another tenant has its own bound");

        world.now = world.now + DEDUP_WINDOW + SECOND;
        let now = world.now;
        world.partition().forget_old_answers(now, 2 * MAX_KEPT).await.unwrap();
        let anew = keyed(&world, 4, id, rename("c"));
        world.ask(&anew).await.expect("there is room again");
        assert_eq!(kept(&world, &last), None);
    });
}

//! A crash at each border of a create and of a delete: the operation ends as asked, once.

use coffer_domain::{
    command::{Command, Envelope},
    instance::{
        state::OperationKind,
        view::{OperatingStatus, Status},
    },
    quota::Usage,
};
use coffer_protocol::report::EngineState;
use coffer_runtime::{
    borders::{self, Border, Moment},
    partition::Item,
};

use crate::support::{
    faults::Stop,
    invariants,
    poll::run,
    samples::{command_id, create, envelope, instance, resize_flavor},
    world::{PARTITION, World, tenants},
};

/// The command that is asked for when the control plane dies.
const COMMAND: u32 = 7;

/// Whether the client's request meets the border, and gets no answer.
fn hits_the_client(border: &Border, first_step: &str) -> bool {
    border.step == first_step && border.moment != Moment::AfterEffect
}

/// Asks once and notes whether there was an answer; a client without one asks again.
async fn ask_through_a_crash(world: &mut World, envelope: &Envelope, border: &Border, first_step: &str) {
    let answers = world.step(vec![Item::command(envelope.clone())]).await;
    assert_eq!(answers.is_none(), hits_the_client(border, first_step), "{border}");
    if answers.is_none() {
        let accepted = world.ask(envelope).await.unwrap();
        assert_eq!(accepted.repeated, border.moment != Moment::BeforeCommit, "{border}: it was done, or it was not");
    }
}

#[test]
fn a_create_ends_active_whichever_border_it_dies_at() {
    run(async {
        let borders = borders::of(OperationKind::Create);
        for border in &borders {
            let mut world = World::new();
            world.faults.stop(Stop::At(border.clone()));
            let id = instance(1);
            let order = envelope(command_id(COMMAND), id, create(id), world.now);
            ask_through_a_crash(&mut world, &order, border, "ensure_address").await;
            world.come_to_rest().await;

            assert!(!world.faults.clear(), "{border} was never reached");
            world.hear(id, EngineState::Running).await;
            let rows = world.store().shown_after(PARTITION, &tenants()[0], None, 10).unwrap();
            assert_eq!(rows.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [id], "{border}");
            let view = world.store().view(PARTITION, &tenants()[0], id).unwrap().unwrap();
            assert_eq!((view.status, view.operating_status), (Status::Active, OperatingStatus::Healthy));
            let things = world.outside.things();
            assert_eq!(things.of(&id.to_string()), [true; 3], "{border}");
            assert_eq!(things.made.values().sum::<usize>(), 3, "{border}: {:?}", things.made);
            assert_eq!(things.done("prepare"), 1, "{border}");
        }
        println!("{} borders of a create", borders.len());
    });
}

#[test]
fn a_delete_leaves_nothing_whichever_border_it_dies_at() {
    run(async {
        let borders = borders::of(OperationKind::Delete);
        for border in &borders {
            let mut world = World::new();
            let id = world.active(1).await;
            world.faults.stop(Stop::At(border.clone()));
            let order = envelope(command_id(COMMAND), id, Command::Delete, world.now);
            ask_through_a_crash(&mut world, &order, border, "delete_server").await;
            world.come_to_rest().await;

            assert!(!world.faults.clear(), "{border} was never reached");
            invariants::check_empty(world.store(), PARTITION, &tenants());
            assert!(world.outside.things().is_empty(), "{border}: {:?}", world.outside.things());
        }
        println!("{} borders of a delete", borders.len());
    });
}

#[test]
fn a_restart_is_done_once_whichever_border_it_dies_at() {
    run(async {
        for border in borders::of(OperationKind::Restart) {
            let mut world = World::new();
            let id = world.active(1).await;
            world.faults.stop(Stop::At(border.clone()));
            let order = envelope(command_id(COMMAND), id, Command::Restart, world.now);
            ask_through_a_crash(&mut world, &order, &border, "restart_engine").await;
            world.come_to_rest().await;

            assert!(!world.faults.clear(), "{border} was never reached");
            assert_eq!(world.instance(id).operation, None);
            assert_eq!(world.outside.things().done("restart"), 1, "{border}");
        }
    });
}

#[test]
fn a_resize_is_done_once_whichever_border_it_dies_at() {
    run(async {
        let volume =
            (OperationKind::ResizeVolume, Command::ResizeVolume { volume_gib: 3 }, "grow_volume", "grow_volume");
        let flavor = (OperationKind::ResizeFlavor, resize_flavor(), "resize_server", "resize");
        for (kind, command, first_step, verb) in [volume, flavor] {
            for border in borders::of(kind) {
                let mut world = World::new();
                let id = world.active(1).await;
                world.faults.stop(Stop::At(border.clone()));
                let order = envelope(command_id(COMMAND), id, command.clone(), world.now);
                ask_through_a_crash(&mut world, &order, &border, first_step).await;
                world.come_to_rest().await;

                assert!(!world.faults.clear(), "{border} was never reached");
                let instance = world.instance(id);
                assert_eq!((&instance.operation, &instance.fault), (&None, &None), "{border}");
                let sizes = (instance.volume_gib, instance.flavor.id.as_str());
                assert_eq!(sizes, if verb == "resize" { (2, "2") } else { (3, "1") }, "{border}");
                let usage = world.store().usage(PARTITION, &tenants()[0]).unwrap();
                assert_eq!(usage, Usage::default().charged(instance.charge()), "{border}");
                assert_eq!(world.outside.things().done(verb), 1, "{border}");
            }
        }
    });
}

/// The deletes of instances that are still being made, each with a crash at each border that it may meet.
#[test]
fn a_create_that_is_deleted_on_the_way_leaves_nothing() {
    run(async {
        for calls in 0..4 {
            for moment in [Moment::BeforeCommit, Moment::AfterCommit, Moment::AfterApply] {
                let mut world = World::new();
                let id = instance(1);
                let order = envelope(command_id(COMMAND), id, create(id), world.now);
                world.ask(&order).await.unwrap();
                for _ in 0..calls {
                    world.succeed().await;
                    if let Some(id) = world.awaited_agent() {
                        world.hear(id, EngineState::Absent).await;
                    }
                }
                world.faults.stop(Stop::When(moment));
                let delete = envelope(command_id(COMMAND + 1), id, Command::Delete, world.now);
                world.ask(&delete).await.unwrap();
                world.come_to_rest().await;
                assert!(!world.faults.clear());
                invariants::check_empty(world.store(), PARTITION, &tenants());
                assert!(world.outside.things().is_empty(), "{calls} calls, {moment:?}");
            }
        }
    });
}

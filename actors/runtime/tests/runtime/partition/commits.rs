//! Commits that fail: known not to be written, or nobody knows. The partition reloads and what was asked is done.

use coffer_domain::{
    command::Command,
    instance::view::{Status, status},
};
use coffer_protocol::report::EngineState;
use coffer_runtime::partition::Item;

use crate::support::{
    faults::{COMMIT_FAULTS, CommitFault},
    invariants,
    poll::run,
    samples::{command_id, create, envelope, instance},
    world::{PARTITION, World, tenants},
};

/// Creates an instance and takes it away again, as [`Command::Delete`] asks; returns how many commits that took.
async fn create_and_delete(world: &mut World) -> usize {
    let id = instance(1);
    let order = envelope(command_id(1), id, create(id), world.now);
    world.ask(&order).await.unwrap();
    world.come_to_rest().await;
    world.hear(id, EngineState::Running).await;
    assert_eq!(status(&world.instance(id)), Status::Active);
    assert_eq!(world.outside.things().done("prepare"), 1);
    let delete = envelope(command_id(2), id, Command::Delete, world.now);
    world.ask(&delete).await.unwrap();
    world.come_to_rest().await;
    invariants::check_empty(world.store(), PARTITION, &tenants());
    let things = world.outside.things();
    assert!(things.is_empty());
    assert_eq!(things.made.values().sum::<usize>(), 3, "nothing was made twice: {:?}", things.made);
    world.faults.commits()
}

#[test]
fn any_one_commit_may_fail_in_any_way() {
    run(async {
        let commits = create_and_delete(&mut World::new()).await;
        for good in 0..commits {
            for fault in COMMIT_FAULTS {
                let mut world = World::new();
                world.faults.fail_commit(good, fault);
                create_and_delete(&mut world).await;
                assert!(!world.faults.clear(), "commit {good} never came");
            }
        }
        println!("{commits} commits, each failed in {} ways", COMMIT_FAULTS.len());
    });
}

#[test]
fn a_repeat_tells_whether_the_uncertain_commit_was_written() {
    run(async {
        for (fault, written) in
            [(CommitFault::Refused, false), (CommitFault::Lost, false), (CommitFault::Written, true)]
        {
            let mut world = World::new();
            let order = envelope(command_id(1), instance(1), create(instance(1)), world.now);
            world.faults.fail_commit(0, fault);
            assert_eq!(world.step(vec![Item::command(order.clone())]).await, None, "nobody is answered");
            assert_eq!(world.find(instance(1)).is_some(), written);
            assert_eq!(world.calls.len(), usize::from(written), "only what is written is done");
            assert_eq!(world.ask(&order).await.unwrap().repeated, written, "{fault:?}");
        }
    });
}

/// The actors' memory is not ahead of the log: what a lost batch decided is decided anew.
#[test]
fn a_batch_that_was_lost_leaves_no_trace_in_memory() {
    run(async {
        let mut world = World::new();
        let id = world.active(1).await;
        world.faults.fail_commit(0, CommitFault::Lost);
        let delete = envelope(command_id(2), id, Command::Delete, world.now);
        let other = envelope(command_id(3), instance(2), create(instance(2)), world.now);
        let lost = world.step(vec![Item::command(delete), Item::command(other)]).await;
        assert_eq!(lost, None);
        assert!(world.calls.is_empty());

        let restart = envelope(command_id(4), id, Command::Restart, world.now);
        world.ask(&restart).await.expect("the delete never was");
        let order = envelope(command_id(5), instance(2), create(instance(2)), world.now);
        assert!(!world.ask(&order).await.expect("neither was the create").repeated);
    });
}

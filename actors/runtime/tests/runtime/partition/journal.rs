//! Journals: written with what they tell, bounded, and kept for a while after the instance is gone.

use coffer_domain::{
    command::Command,
    ids::InstanceId,
    instance::{
        Input,
        effect::Observation,
        journal::{KEPT_AFTER_REMOVAL, MAX_ENTRIES, MAX_REMOVED},
    },
    time::{MINUTE, SECOND},
};
use coffer_protocol::report::EngineState;
use coffer_runtime::{
    borders::Moment,
    partition::Item,
    store::{Journal, Removed, Store},
};

use crate::support::{
    faults::Stop,
    poll::run,
    samples::{command_id, create, envelope, instance, tenant},
    world::{PARTITION, World, tenants},
};

fn journal(world: &World, id: InstanceId) -> Option<Journal> {
    world.store().journal(PARTITION, &tenants()[0], id, None, usize::MAX).unwrap()
}

fn story(world: &World, id: InstanceId) -> Vec<String> {
    let entries = journal(world, id).map(|journal| journal.entries).unwrap_or_default();
    entries.iter().map(|(_, entry)| entry.to_string()).collect()
}

async fn delete(world: &mut World, id: InstanceId, command: u32) {
    world.ask(&envelope(command_id(command), id, Command::Delete, world.now)).await.unwrap();
    world.come_to_rest().await;
}

#[test]
fn what_was_not_committed_is_not_told_and_what_was_is_told_once() {
    run(async {
        for moment in [Moment::BeforeCommit, Moment::AfterCommit, Moment::AfterApply] {
            let mut world = World::new();
            let id = world.active(1).await;
            let before = story(&world, id);
            world.faults.stop(Stop::When(moment));
            world.ask(&envelope(command_id(7), id, Command::Restart, world.now)).await.unwrap();
            world.come_to_rest().await;
            let told = story(&world, id);
            assert_eq!(told[..before.len()], before);
            let times = |start| told.iter().filter(|line| line.starts_with(start)).count();
            assert_eq!((times("accepted: restart"), times("done: restart_engine")), (1, 1), "{moment:?}: {told:?}");
        }
    });
}

#[test]
fn a_journal_is_bounded_and_says_how_much_it_lost() {
    run(async {
        let mut world = World::new();
        let id = world.active(1).await;
        let created = journal(&world, id).unwrap().entries.len() as u64;
        // Each change is two entries: the agent's word and the status.
        for _ in 0..MAX_ENTRIES / 4 {
            world.hear(id, EngineState::Crashed).await;
            world.hear(id, EngineState::Running).await;
        }
        let Journal { dropped, entries } = journal(&world, id).unwrap();
        assert_eq!((dropped, entries.len() as u64), (created, MAX_ENTRIES));
        let numbers: Vec<u64> = entries.iter().map(|(number, _)| *number).collect();
        assert_eq!(numbers, (created..created + MAX_ENTRIES).collect::<Vec<_>>());

        let page = |after, limit| world.store().journal(PARTITION, &tenants()[0], id, Some(after), limit).unwrap();
        assert_eq!(page(created + 4, 2).unwrap().entries, entries[5..7]);
        assert_eq!(page(0, 1).unwrap().entries, entries[..1], "what is gone is passed over");
        assert_eq!(page(u64::MAX, 1).unwrap().entries, []);
    });
}

#[test]
fn many_entries_in_one_step_are_bounded_too() {
    run(async {
        let mut world = World::new();
        let id = world.active(1).await;
        let seen = (0..MAX_ENTRIES).map(|number| {
            let engine = if number % 2 == 0 { EngineState::Crashed } else { EngineState::Running };
            let input = Input::Observed(Observation::Heard { engine });
            Item { tenant: tenants()[0].clone(), instance: id, input }
        });
        world.step(seen.collect()).await.unwrap();
        assert_eq!(journal(&world, id).unwrap().entries.len() as u64, MAX_ENTRIES);
    });
}

#[test]
fn a_removed_instance_is_remembered_for_a_while() {
    run(async {
        let mut world = World::new();
        let id = world.active(1).await;
        let stays = world.active(2).await;
        delete(&mut world, id, 7).await;
        assert_eq!(story(&world, id).last().unwrap(), "removed: nothing is left outside");
        assert_eq!(world.store().journal_owner(PARTITION, id).unwrap(), Some(tenant(1)));

        let removed_at = world.now;
        let removed = world.store().removed_after(PARTITION, None, 10).unwrap();
        let [Removed { at, last }] = &removed[..] else { panic!("{removed:?}") };
        assert_eq!((*at, last.id, last.is_being_deleted), (removed_at, id, true));
        assert_eq!(world.store().removed(PARTITION, id).unwrap(), Some(removed[0].clone()));
        assert_eq!(world.store().removed_after(PARTITION, Some((*at, id)), 10).unwrap(), []);
        assert_eq!(world.store().removed(PARTITION, stays).unwrap(), None);
        world.partition().forget_journals(removed_at + (KEPT_AFTER_REMOVAL - SECOND)).await.unwrap();
        assert!(journal(&world, id).is_some());
        world.partition().forget_journals(removed_at + (KEPT_AFTER_REMOVAL + MINUTE)).await.unwrap();
        assert_eq!(journal(&world, id), None);
        assert_eq!(world.store().removed(PARTITION, id).unwrap(), None);
        assert_eq!(world.store().journal_owner(PARTITION, id).unwrap(), None);
        assert_eq!(world.store().forgettable_journals(PARTITION, removed_at, 0, 10).unwrap(), []);
        assert!(journal(&world, stays).is_some(), "an instance that is there keeps its journal");
    });
}

#[test]
fn of_too_many_removed_instances_the_oldest_are_forgotten() {
    run(async {
        let mut world = World::new();
        for number in 1..=3 {
            let id = world.active(number).await;
            delete(&mut world, id, number.into()).await;
            world.wait(SECOND).await;
        }
        let due = |keep| world.store().forgettable_journals(PARTITION, world.now + -KEPT_AFTER_REMOVAL, keep, 10);
        let ids: Vec<_> = due(1).unwrap().into_iter().map(|removed| removed.instance).collect();
        assert_eq!(ids, [instance(1), instance(2)]);
        assert_eq!(due(MAX_REMOVED).unwrap(), []);
    });
}

#[test]
fn a_journal_can_be_read_beside_the_one_who_writes_it() {
    run(async {
        let mut world = World::new();
        let id = instance(1);
        world.ask(&envelope(command_id(1), id, create(id), world.now)).await.unwrap();
        let scratch = tempfile::tempdir().unwrap();
        let beside = Store::open_beside(world.directory(), scratch.path()).unwrap();
        let read = beside.journal(PARTITION, &tenants()[0], id, None, usize::MAX).unwrap();
        assert_eq!(read, journal(&world, id));
        assert!(read.unwrap().entries.len() > 3);
        world.come_to_rest().await;
    });
}

//! What a check finds in a store that was tampered with, and what a repair makes of it.

use coffer_domain::instance::{effect::Effect, shown};
use coffer_ports::log::{Batch, Space, Write};
use coffer_protocol::seal::Key;
use coffer_runtime::{
    check::{Parts, Problem, Seen, awaited_timers, check_rows, outside},
    partition::Item,
    store::{Store, keys, rows},
    vault::Vault,
};

use crate::support::{
    poll::run,
    samples::{command_id, create, envelope, instance, tenant, vault},
    world::{PARTITION, World},
};

/// A store with one instance that is being created.
async fn world() -> World {
    let mut world = World::new();
    let command = envelope(command_id(1), instance(1), create(instance(1)), world.now);
    assert!(world.step(vec![Item::command(command)]).await.unwrap()[0].is_ok());
    world
}

fn write(store: &Store, space: Space, key: Vec<u8>, value: Option<Vec<u8>>) {
    let writes = vec![Write { space, key, value }];
    store.write(&[Batch { partition: PARTITION, writes, ..Batch::default() }]).unwrap();
}

fn problems(store: &Store) -> Vec<&'static str> {
    let found = check_rows(&store.snapshot(), PARTITION, Some(&vault())).unwrap();
    found.findings.iter().map(|finding| finding.problem.code()).collect()
}

/// Writes what the findings say; returns what is found then.
fn repaired(store: &Store) -> Vec<&'static str> {
    let found = check_rows(&store.snapshot(), PARTITION, None).unwrap().findings;
    let writes = found.into_iter().filter_map(|finding| finding.mend).collect();
    store.write(&[Batch { partition: PARTITION, writes, ..Batch::default() }]).unwrap();
    problems(store)
}

#[test]
fn a_sound_store_has_no_findings_and_all_its_secrets_open() {
    run(async {
        let world = world().await;
        assert_eq!(problems(world.store()), [] as [&str; 0]);
        let other = Vault::new("deployment.2", Key::from_bytes([4; 32]));
        let found = check_rows(&world.store().snapshot(), PARTITION, Some(&other)).unwrap().findings;
        assert!(found.iter().any(|finding| finding.problem.code() == "store.sealed"), "{found:?}");
    });
}

#[test]
fn what_follows_from_the_states_is_rewritten() {
    run(async {
        let world = world().await;
        let store = world.store();
        let view = keys::instance(PARTITION, &tenant(1), instance(1));
        let mut other = store.view(PARTITION, &tenant(1), instance(1)).unwrap().unwrap();
        other.name = "another".into();
        write(store, Space::View, view.clone(), Some(shown::row(&other)));
        assert_eq!(problems(store), ["store.view"]);
        assert_eq!(repaired(store), [] as [&str; 0]);

        write(store, Space::View, view, None);
        let stray = keys::instance(PARTITION, &tenant(1), instance(2));
        write(store, Space::View, stray, Some(shown::row(&other)));
        write(store, Space::State, keys::usage(PARTITION, &tenant(1)), None);
        write(store, Space::State, keys::usage(PARTITION, &tenant(2)), Some(rows::encode(&shown_usage())));
        assert_eq!(problems(store), ["store.view", "store.stray_view", "store.quota", "store.quota"]);
        assert_eq!(repaired(store), [] as [&str; 0]);
    });
}

fn shown_usage() -> coffer_domain::quota::Usage {
    coffer_domain::quota::Usage { instances: 7, volume_gib: 7, memory_mib: 7 }
}

#[test]
fn what_waits_and_is_waited_for_is_told_and_left() {
    run(async {
        let world = world().await;
        let store = world.store();
        let state = store.instance(PARTITION, &tenant(1), instance(1)).unwrap().unwrap();
        let [effect]: [Effect; 1] = store.outbox(PARTITION).unwrap().try_into().unwrap();
        let timer = awaited_timers(&state).next().unwrap();
        write(store, Space::Outbox, keys::effect(PARTITION, &effect.id), None);
        write(store, Space::Timer, keys::timer(PARTITION, instance(1), &timer), None);
        assert_eq!(repaired(store), ["store.lost_effect", "store.lost_timer"]);

        let unknown = coffer_domain::ids::EffectId("nobody/asked/1".into());
        write(store, Space::Outbox, keys::effect(PARTITION, &effect.id), Some(rows::encode(&effect)));
        let stray = Effect { id: unknown.clone(), ..effect };
        write(store, Space::Outbox, keys::effect(PARTITION, &unknown), Some(rows::encode(&stray)));
        assert_eq!(repaired(store), ["store.stray_effect", "store.lost_timer"]);
    });
}

#[test]
fn a_state_that_cannot_be_read_takes_nothing_else_with_it() {
    run(async {
        let world = world().await;
        let store = world.store();
        let key = keys::instance(PARTITION, &tenant(1), instance(1));
        write(store, Space::State, key, Some(br#"{"v":99,"row":{}}"#.to_vec()));
        let found = repaired(store);
        assert_eq!(&found[..3], ["store.unreadable", "store.stray_view", "store.quota"], "{found:?}");
        assert!(store.shown(PARTITION, &tenant(1), instance(1)).unwrap().is_some(), "what can be seen stays");
    });
}

#[test]
fn outside_everything_is_somebodys_and_everybody_has_everything() {
    run(async {
        let world = world().await;
        let mut state = world.store().instance(PARTITION, &tenant(1), instance(1)).unwrap().unwrap();
        let whole = Parts { addresses: 1, volumes: 1, servers: 1 };
        let seen = |parts: &[(u8, Parts)]| parts.iter().map(|(id, parts)| (instance(*id), *parts)).collect::<Seen>();
        let orphan = Problem::Orphan { instance: instance(2), parts: whole };
        // While it is being made, nothing needs to be there.
        assert_eq!(outside([&state].into_iter(), &seen(&[(2, whole)])), [orphan]);
        state.operation = None;
        assert_eq!(outside([&state].into_iter(), &seen(&[(1, whole)])), []);
        let doubled = Parts { volumes: 2, ..whole };
        let found = outside([&state].into_iter(), &seen(&[(1, doubled)]));
        assert_eq!(found, [Problem::Doubled { instance: instance(1), parts: doubled }]);
        let found = outside([&state].into_iter(), &Seen::new());
        assert_eq!(found, [Problem::Missing { instance: instance(1), parts: Parts::default() }]);
    });
}

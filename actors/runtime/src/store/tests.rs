use coffer_ports::log::Write;
use uuid::Uuid;

use super::*;

fn put(space: Space, key: Vec<u8>, value: Vec<u8>) -> Batch {
    Batch { writes: vec![Write { space, key, value: Some(value) }], ..Batch::default() }
}

fn tenant(name: &str) -> TenantId {
    TenantId(name.into())
}

#[test]
fn what_is_written_is_there_after_reopening() {
    let directory = tempfile::tempdir().unwrap();
    let usage = Usage { instances: 2, volume_gib: 3, memory_mib: 4 };
    {
        let store = Store::open(directory.path()).unwrap();
        store.write(&[put(Space::State, keys::usage(1, &tenant("a")), rows::encode(&usage))]).unwrap();
    }
    let store = Store::open(directory.path()).unwrap();
    assert_eq!(store.usage(1, &tenant("a")).unwrap(), usage);
    assert_eq!(store.usage(2, &tenant("a")).unwrap(), Usage::default());
    assert_eq!(store.usage(1, &tenant("ab")).unwrap(), Usage::default());
}

#[test]
fn a_scan_stays_within_its_partition_and_tenant() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path()).unwrap();
    for (partition, name, id) in [(1, "a", 1), (1, "a", 2), (1, "ab", 3), (1, "b", 4), (2, "a", 5)] {
        let key = keys::instance(partition, &tenant(name), InstanceId(Uuid::from_u128(id)));
        store.write(&[put(Space::View, key, rows::encode(&id))]).unwrap();
    }
    let scan = |prefix: Vec<u8>, start: Vec<u8>| -> Vec<u128> {
        store.scan::<u128>(Space::View, &prefix, &start).map(|row| row.unwrap().1).collect()
    };
    let all = keys::instances_of(1, &tenant("a"));
    assert_eq!(scan(all.clone(), all.clone()), [1, 2]);
    let marker = keys::after(keys::instance(1, &tenant("a"), InstanceId(Uuid::from_u128(1))));
    assert_eq!(scan(all, marker), [2]);
    let partition = keys::instances(1);
    assert_eq!(scan(partition.clone(), partition), [1, 2, 3, 4]);
}

#[test]
fn what_another_build_shows_is_made_anew_from_the_state() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path()).unwrap();
    let samples = include_str!("../../../domain/tests/golden/instances.json");
    let samples: std::collections::BTreeMap<String, Instance> = serde_json::from_str(samples).unwrap();
    let instance = &samples["full"];
    let key = keys::instance(1, &instance.tenant, instance.id);
    store.write(&[put(Space::View, key.clone(), br#"{"v":1,"row":{}}"#.to_vec())]).unwrap();
    assert!(store.shown(1, &instance.tenant, instance.id).is_err(), "there is no state");
    store.write(&[put(Space::State, key, rows::encode(instance))]).unwrap();
    let expected = shown::row(&view::view(instance));
    assert_eq!(store.shown(1, &instance.tenant, instance.id), Ok(Some(expected.clone())));
    assert_eq!(store.shown_after(1, &instance.tenant, None, 10), Ok(vec![(instance.id, expected)]));
    assert_eq!(store.shown_after(1, &instance.tenant, Some(instance.id), 10), Ok(vec![]));
    assert_eq!(store.shown_after(1, &tenant("another"), None, 10), Ok(vec![]));
}

#[test]
fn a_row_of_a_later_version_is_refused_by_name() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path()).unwrap();
    let key = keys::usage(1, &tenant("a"));
    store.write(&[put(Space::State, key, br#"{"v":99,"row":{}}"#.to_vec())]).unwrap();
    let error = store.usage(1, &tenant("a")).unwrap_err().to_string();
    assert!(error.contains("version 99"), "{error}");
}

#[test]
fn a_snapshot_and_a_checkpoint_hold_what_was_there_when_they_were_taken() {
    let directory = tempfile::tempdir().unwrap();
    let (place, copy) = (directory.path().join("store"), directory.path().join("copy"));
    let store = Store::open(&place).unwrap();
    let usage = |instances| Usage { instances, ..Usage::default() };
    let write = |instances| {
        let row = rows::encode(&usage(instances));
        store.write(&[put(Space::State, keys::usage(1, &tenant("a")), row)]).unwrap();
    };
    write(1);
    let snapshot = store.snapshot();
    store.checkpoint(&copy).unwrap();
    write(2);
    let (_, seen) = snapshot.rows(Space::State, &keys::usages(1)).next().unwrap().unwrap();
    assert_eq!(rows::decode::<Usage>(&seen).unwrap(), usage(1));
    let copied = Store::open_read_only(&copy).unwrap();
    assert_eq!(copied.usage(1, &tenant("a")).unwrap(), usage(1));
    // What is opened read-only is nobody's to change.
    assert!(copied.write(&[put(Space::State, keys::usage(1, &tenant("a")), Vec::new())]).is_err());
}

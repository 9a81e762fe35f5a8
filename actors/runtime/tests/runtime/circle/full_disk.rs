//! A store whose file system is full: refused clearly, read all the same, and taken up again without a restart.

use coffer_domain::{
    command::Command,
    ids::{InstanceId, TenantId},
    instance::view::{OperatingStatus, Status},
    quota::Usage,
    rejection::RejectionKind,
};
use coffer_ports::log::{Batch, Space, Write};
use coffer_runtime::store::{Store, StoreError};

use crate::support::{
    circle::Circle,
    poll::{run, until},
    samples::{create, create_database, instance, tenant},
    small_disk::SmallDisk,
};

const DISK_MIB: u64 = 192;

/// Nothing of a refused create is there.
fn left_nothing(circle: &Circle, owner: &TenantId, id: InstanceId, usage: Usage) {
    assert_eq!(circle.view(owner, id), None);
    assert_eq!(circle.runtime().usage(owner).unwrap(), usage);
}

#[test]
fn almost_full_new_orders_are_refused_while_work_goes_on_and_deletes_are_taken() {
    let Some(disk) = SmallDisk::of_mib(DISK_MIB) else { return };
    run(async {
        let mut circle = Circle::start_in(tempfile::tempdir_in(disk.path()).unwrap(), false).await;
        let owner = tenant(1);
        circle.active(&owner, instance(1)).await;
        circle.cloud.hold("ensure_server");
        circle.ask(&owner, instance(2), create(instance(2))).await.unwrap();
        disk.leave_mib(32);
        until("it is noticed", || circle.runtime().refusal().is_some()).await;

        let usage = circle.runtime().usage(&owner).unwrap();
        for (id, command) in [(instance(3), create(instance(3))), (instance(1), create_database("more"))] {
            let refused = circle.ask(&owner, id, command).await.unwrap_err();
            assert_eq!(refused.kind, RejectionKind::NoRoom);
            assert!(refused.message.contains("almost full") && refused.message.contains("deletes"), "{refused}");
        }
        left_nothing(&circle, &owner, instance(3), usage);
        circle.cloud.release("ensure_server");
        circle.becomes_healthy(&owner, instance(2)).await;
        circle.ask(&owner, instance(2), Command::Delete).await.unwrap();
        circle.becomes_gone(&owner, instance(2)).await;

        disk.make_room();
        until("room is noticed", || circle.runtime().refusal().is_none()).await;
        circle.active(&owner, instance(3)).await;
        assert_eq!((changes(&circle, "low"), changes(&circle, "open"), changes(&circle, "stopped")), (1, 1, 0));
        circle.stop().await;
    });
}

#[test]
fn full_to_the_last_byte_it_reads_on_and_goes_on_by_itself_once_there_is_room() {
    let Some(disk) = SmallDisk::of_mib(DISK_MIB) else { return };
    run(async {
        let mut circle = Circle::start_in(tempfile::tempdir_in(disk.path()).unwrap(), false).await;
        let owner = tenant(1);
        circle.active(&owner, instance(1)).await;
        let usage = circle.runtime().usage(&owner).unwrap();
        disk.fill();
        until("it is noticed", || circle.runtime().refusal().is_some()).await;
        // RocksDB has allocated its log ahead: commits find place for a while.
        let mut commits = 0_u32;
        while circle.store().write(&[junk(commits)]).is_ok() {
            commits += 1;
            assert!(commits < 10_000, "the disk is never full");
        }
        for command in [Command::Delete, Command::Restart] {
            let refused = circle.ask(&owner, instance(1), command).await.unwrap_err();
            assert_eq!(refused.kind, RejectionKind::NoRoom);
            assert!(refused.message.contains("full or failing"), "{refused}");
        }
        left_nothing(&circle, &owner, instance(2), usage);
        let view = circle.view(&owner, instance(1)).expect("reads go on");
        assert_eq!((view.status, view.operating_status), (Status::Active, OperatingStatus::Healthy));

        disk.make_room();
        until("it has taken itself up", || circle.runtime().refusal().is_none()).await;
        circle.active(&owner, instance(2)).await;
        assert_eq!(circle.settle(&owner, instance(1), create_database("later")).await, Ok(()));
        assert_eq!((changes(&circle, "stopped"), changes(&circle, "open")), (1, 1), "told once each");
        circle.stop().await;
    });
}

#[test]
fn a_store_that_cannot_be_opened_for_want_of_room_says_so_and_opens_with_it() {
    let Some(disk) = SmallDisk::of_mib(DISK_MIB) else { return };
    run(async {
        let mut circle = Circle::start_in(tempfile::tempdir_in(disk.path()).unwrap(), false).await;
        circle.active(&tenant(1), instance(1)).await;
        circle.stop().await;
        disk.fill();
        let directory = circle.path().to_owned();
        let error = match Store::open(&directory) {
            Err(error) => error,
            Ok(_) => panic!("a store is opened on a full disk"),
        };
        assert!(matches!(error, StoreError::NoRoom { .. }), "{error}");
        let text = error.to_string();
        assert!(text.contains("full (0 MiB free)") && text.contains("make room"), "{text}");
        disk.make_room();
        circle.start_again().await;
        circle.becomes_healthy(&tenant(1), instance(1)).await;
        circle.stop().await;
    });
}

/// A row that only takes place.
fn junk(number: u32) -> Batch {
    let key = format!("junk {number}").into_bytes();
    let value = Some(vec![b'x'; 64 << 10]);
    Batch { writes: vec![Write { space: Space::Meta, key, value }], ..Batch::default() }
}

fn changes(circle: &Circle, to: &str) -> u64 {
    circle.metrics.store_changes.with_label_values(&[to]).get()
}

//! Volumes are there once, and gone entirely.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use coffer_ports::cloud::{VolumeRequest, Volumes};

use super::common::{AGENT, Host, mode, owner};

#[tokio::test]
async fn a_volume_is_made_once_and_deleted_with_all_that_is_in_it() {
    let host = Host::new(AGENT);
    let owner = owner();
    let request = VolumeRequest { owner: owner.clone(), size_gib: 7, volume_type: None };
    let id = host.provider.ensure_volume(&request).await.expect("a volume");
    let data = host.data(&owner);
    assert_eq!(mode(&data), 0o700);
    fs::create_dir_all(data.join("closed/deep")).expect("directories");
    fs::write(data.join("closed/deep/table"), b"rows").expect("a file");
    fs::set_permissions(data.join("closed"), fs::Permissions::from_mode(0o555)).expect("closed");

    assert_eq!(host.provider.ensure_volume(&request).await.expect("the same volume"), id);
    assert!(data.join("closed/deep/table").exists(), "ensuring a volume must not touch its data");
    let record = fs::read_to_string(host.root().join("volumes").join(&id).join("volume.json")).expect("a record");
    assert!(record.contains("\"size_gib\": 7"), "{record}");

    host.provider.delete_volume(&owner).await.expect("deleted");
    assert_eq!(fs::read_dir(host.root().join("volumes")).expect("a directory").count(), 0);
    host.provider.delete_volume(&owner).await.expect("deleted again");
}

#[tokio::test]
async fn files_that_appear_during_the_deletion_do_not_stop_it() {
    let host = Host::new(AGENT);
    let owner = owner();
    let request = VolumeRequest { owner: owner.clone(), size_gib: 1, volume_type: None };
    host.provider.ensure_volume(&request).await.expect("a volume");
    let (data, done) = (host.data(&owner), Arc::new(AtomicBool::new(false)));
    let writer = std::thread::spawn({
        let done = Arc::clone(&done);
        move || {
            let mut written = 0;
            while !done.load(Ordering::Relaxed) && written < 20_000 {
                written += u32::from(fs::write(data.join(format!("file-{written}")), b"").is_ok());
            }
        }
    });
    let deleted = host.provider.delete_volume(&owner).await;
    done.store(true, Ordering::Relaxed);
    writer.join().expect("no panic");
    deleted.expect("deleted");
    assert!(!host.root().join("volumes").join(&owner.instance).exists());
}

//! Started by root, each guest is a user of its own.

use std::{fs, os::unix::fs::MetadataExt, os::unix::fs::PermissionsExt};

use coffer_local::{LocalConfig, LocalProvider};
use rustix::process::geteuid;

use super::common::{AGENT, Host, mode, owner};

fn is_root() -> bool {
    let is_root = geteuid().is_root();
    if !is_root {
        println!("skipped: users of their own are for a Coffer that root has started");
    }
    is_root
}

#[tokio::test]
async fn guests_are_users_of_their_own_and_cannot_enter_each_other() {
    if !is_root() {
        return;
    }
    let host = Host::new(AGENT);
    let owners = [owner(), owner()];
    let mut uids = Vec::new();
    for owner in &owners {
        host.create(owner).await;
        let agent = host.agent_after(owner, 0).await;
        let uid = fs::metadata(format!("/proc/{agent}")).expect("it runs").uid();
        let status = fs::read_to_string(format!("/proc/{agent}/status")).expect("it runs");
        assert!(status.contains("NoNewPrivs:\t1"), "{status}");
        let groups = status.lines().find_map(|line| line.strip_prefix("Groups:")).expect("a line");
        assert_eq!(groups.trim(), "", "supplementary groups");
        for path in [host.data(owner), host.server(owner).join("boot.json")] {
            let metadata = fs::metadata(&path).expect("it exists");
            assert_eq!((metadata.uid(), metadata.gid()), (uid, uid), "{}", path.display());
            assert_eq!(metadata.mode() & 0o077, 0, "{}", path.display());
        }
        uids.push(uid);
    }
    assert!(uids.iter().all(|uid| *uid > 700_000), "{uids:?}");
    assert_ne!(uids[0], uids[1]);
    assert_eq!(mode(&host.root()), 0o711);
}

#[test]
fn a_root_that_guests_cannot_reach_is_refused_by_name() {
    if !is_root() {
        return;
    }
    let closed = tempfile::tempdir().expect("a directory");
    fs::set_permissions(closed.path(), fs::Permissions::from_mode(0o700)).expect("closed");
    let config = LocalConfig {
        root: closed.path().join("deep/root"),
        agent_program: "/bin/true".into(),
        supervisor_command: vec!["/bin/true".into()],
    };
    let error = LocalProvider::open(config).err().expect("refused");
    assert_eq!(error.code, "local.root_unreachable");
    assert!(error.message.contains(&*closed.path().to_string_lossy()), "{error}");
}

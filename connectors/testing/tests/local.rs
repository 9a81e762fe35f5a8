//! `coffer-local`, with a shell script in place of the agent.

use std::{ffi::OsString, fs, os::unix::fs::PermissionsExt};

use coffer_local::{
    LocalConfig, LocalProvider,
    identity::{StaticIdentity, add_user},
};
use coffer_ports::cloud::{Network, Owner, ServerRequest, VolumeRequest, Volumes};
use coffer_testing::{
    cloud::{compute_conforms, network_conforms, volumes_conform},
    identity::{KnownUser, conforms},
};

const ROOT_VARIABLE: &str = "COFFER_TESTING_ROOT";
const AGENT: &str = "#!/bin/sh\nexec 9>>\"$5/agent.lock\"\nflock -n 9 || exit 3\nexec sleep 100000\n";

/// Not a test: what the supervisor's command line starts.
#[test]
#[ignore = "the entry point of the supervisor process that the tests start"]
fn supervisor_entry() {
    if let Some(root) = std::env::var_os(ROOT_VARIABLE) {
        coffer_local::supervisor::run(root.as_ref()).expect("a supervisor");
    }
}

/// A provider in a directory that goes with the second value.
fn provider() -> (LocalProvider, tempfile::TempDir) {
    // Guests of root's Coffer have to get through.
    let directory = tempfile::Builder::new().permissions(fs::Permissions::from_mode(0o755)).tempdir();
    let directory = directory.expect("a directory");
    let (root, agent_program) = (directory.path().join("root"), directory.path().join("agent"));
    fs::write(&agent_program, AGENT).expect("an agent program");
    let mut variable = OsString::from(format!("{ROOT_VARIABLE}="));
    variable.push(&root);
    let program = std::env::current_exe().expect("the test program");
    let entry = ["supervisor_entry", "--exact", "--ignored", "--nocapture"].map(OsString::from);
    let supervisor_command = ["/usr/bin/env".into(), variable, program.into()].into_iter().chain(entry).collect();
    let provider = LocalProvider::open(LocalConfig { root, agent_program, supervisor_command });
    (provider.expect("a provider"), directory)
}

fn owner(number: u8) -> Owner {
    let instance = format!("7c1d5f0e-62f4-4e0c-9b7e-0000000000{number:02x}");
    Owner { tenant: "tenant".to_owned(), instance }
}

#[tokio::test]
async fn the_network_conforms_to_its_port() {
    let (provider, _directory) = provider();
    network_conforms(&provider, &[owner(1), owner(2)]).await;
}

#[tokio::test]
async fn the_volumes_conform_to_their_port() {
    let (provider, _directory) = provider();
    volumes_conform(&provider, &[owner(3), owner(4)]).await;
}

#[tokio::test]
async fn the_compute_conforms_to_its_port() {
    let (provider, _directory) = provider();
    let owned = owner(5);
    let volume = VolumeRequest { owner: owned.clone(), size_gib: 1, volume_type: None };
    let request = ServerRequest {
        flavor_id: "1".to_owned(),
        vcpus: 1,
        memory_mib: 512,
        address: provider.ensure_address(&owned).await.expect("an address"),
        volume_id: provider.ensure_volume(&volume).await.expect("a volume"),
        first_boot: b"first-boot data".to_vec(),
        owner: owned,
    };
    compute_conforms(&provider, &request, &owner(6)).await;
    provider.shutdown_all().await.expect("shut down");
}

#[tokio::test]
async fn the_identity_service_conforms_to_its_port() {
    let directory = tempfile::tempdir().expect("a directory");
    let users = directory.path().join("users.json");
    let add = |name, project| add_user(&users, name, project, &["member".to_owned()]).expect("a user");
    add("bob", "bank");
    let user = KnownUser {
        name: "alice".to_owned(),
        password: add("alice", "shop").expose().to_owned(),
        project_name: "shop".to_owned(),
        foreign_project_name: "bank".to_owned(),
    };
    conforms(&StaticIdentity::open(&users, [7; 32]).expect("an identity service"), &user).await;
}

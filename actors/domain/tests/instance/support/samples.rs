//! Values to work with: one tenant, a catalogue, and orders that pass every rule.

use std::collections::BTreeSet;

use coffer_domain::{
    catalogue::{Catalogue, Datastore, DatastoreVersion, Flavor},
    command::{Access, Command, Create, NewDatabase, NewPassword, NewUser, UserChange},
    configuration::{Group, Value, Values},
    ids::{CommandId, GroupId, InstanceId, TenantId},
    instance::{
        effect::{Action, AgentVerb, Failure, Outcome, Produced},
        state::{InstanceDatastore, ResourceAddress, UserKey},
    },
    sealed::{Sealed, ServerKey},
    time::Timestamp,
};
use uuid::Uuid;

/// 2026-01-02 03:04:05.678 UTC.
pub const START: Timestamp = Timestamp(1_767_323_045_678);
pub const MYSQL_10_11: Uuid = Uuid::from_u128(0x8f11_ee71_6b1c_4c5d_9c5b_0000_0000_1011);
pub const WITHDRAWN_VERSION: Uuid = Uuid::from_u128(0x8f11_ee71_6b1c_4c5d_9c5b_0000_0000_1005);
/// The database and the user that [`order`] asks for.
pub const SHOP: &str = "shop";
pub const CLERK: &str = "clerk";

pub fn tenant() -> TenantId {
    TenantId("9f0c1ad6b2d84a5c8d4cc45f6c1d7a55".into())
}

/// Instances are told apart by a small number.
pub fn instance(number: u8) -> InstanceId {
    InstanceId(Uuid::from_u128(0x44b2_77eb_39be_4921_be31_0000_0000_0000 | u128::from(number)))
}

pub fn command_id(number: u32) -> CommandId {
    CommandId(Uuid::from_u128(0x5c2a_6f0e_9d3b_4d4e_8a51_0000_0000_0000 | u128::from(number)))
}

pub fn small_flavor() -> Flavor {
    Flavor { id: "1".into(), name: "db.small".into(), memory_mib: 512, vcpus: 1, disk_gib: 0, ephemeral_gib: 0 }
}

pub fn large_flavor() -> Flavor {
    Flavor { id: "2".into(), name: "db.large".into(), memory_mib: 2048, vcpus: 2, disk_gib: 0, ephemeral_gib: 0 }
}

pub fn catalogue() -> Catalogue {
    let datastore = Uuid::from_u128(0x8f11_ee71_6b1c_4c5d_9c5b_0000_0000_0001);
    let version = |id, name: &str, active| DatastoreVersion {
        id,
        name: name.into(),
        number: name.into(),
        manager: "mysql".into(),
        active,
    };
    Catalogue {
        datastores: vec![Datastore {
            id: datastore,
            name: "mysql".into(),
            versions: vec![version(MYSQL_10_11, "10.11", true), version(WITHDRAWN_VERSION, "10.5", false)],
            default_version: Some(MYSQL_10_11),
        }],
        flavors: vec![small_flavor(), large_flavor()],
        default_datastore: Some(datastore),
        volume_types: Vec::new(),
    }
}

pub fn password() -> Sealed {
    Sealed { key_id: "deployment.1".into(), context: "password".into(), bytes: b"ciphertext".to_vec() }
}

pub fn server_key() -> ServerKey {
    let wrapped = Sealed { key_id: "deployment.1".into(), context: "server-key".into(), bytes: b"wrapped".to_vec() };
    ServerKey { key_id: "44b277eb-39be-4921-be31-000000000001.1".into(), wrapped }
}

pub fn new_database(name: &str) -> NewDatabase {
    NewDatabase { name: name.into(), character_set: None, collate: None }
}

pub fn new_user(name: &str, databases: &[&str]) -> NewUser {
    let databases: BTreeSet<String> = databases.iter().map(|name| (*name).to_owned()).collect();
    NewUser { name: name.into(), host: "%".into(), password: password(), databases }
}

pub fn user_key(name: &str) -> UserKey {
    UserKey { name: name.into(), host: "%".into() }
}

/// An instance with 2 GiB, the database `shop` and the user `clerk`.
pub fn order() -> Create {
    Create {
        name: "orders-db".into(),
        flavor: "1".into(),
        volume_gib: 2,
        volume_type: None,
        datastore_version: None,
        databases: vec![new_database(SHOP)],
        users: vec![new_user(CLERK, &[SHOP])],
        access: Access::default(),
        region: None,
        configuration: None,
        server_key: Some(server_key()),
    }
}

/// Configuration groups are told apart by a small number.
pub fn group_id(number: u8) -> GroupId {
    GroupId(Uuid::from_u128(0x7d3a_10c4_52ef_4b0a_8c21_0000_0000_0000 | u128::from(number)))
}

pub fn values(connections: u32) -> Values {
    Values::from([
        ("max_connections".to_owned(), Value::Number(connections.into())),
        ("slow_query_log".to_owned(), Value::Boolean(true)),
        ("collation_server".to_owned(), Value::Text("latin1_swedish_ci".into())),
    ])
}

pub fn mysql() -> InstanceDatastore {
    InstanceDatastore {
        name: "mysql".into(),
        version_id: MYSQL_10_11,
        version_name: "10.11".into(),
        version_number: "10.11".into(),
        manager: "mysql".into(),
    }
}

/// Number 1.
pub fn group() -> Group {
    Group {
        id: group_id(1),
        tenant: tenant(),
        name: "latin".into(),
        description: None,
        created_at: START,
        updated_at: START,
        datastore: mysql(),
        values: values(200),
        instances: BTreeSet::new(),
    }
}

pub fn attach() -> Command {
    Command::AttachConfiguration { group: group_id(1) }
}

pub fn create() -> Command {
    Command::Create(Box::new(order()))
}

pub fn resize_volume(volume_gib: u32) -> Command {
    Command::ResizeVolume { volume_gib }
}

pub fn resize_flavor(flavor: &str) -> Command {
    Command::ResizeFlavor { flavor: flavor.into() }
}

pub fn create_databases(name: &str) -> Command {
    Command::CreateDatabases { databases: vec![new_database(name)] }
}

pub fn drop_database(name: &str) -> Command {
    Command::DropDatabase { name: name.into() }
}

pub fn create_users(name: &str) -> Command {
    Command::CreateUsers { users: vec![new_user(name, &[SHOP])] }
}

pub fn drop_user(name: &str) -> Command {
    Command::DropUser { name: name.into(), host: "%".into() }
}

pub fn enable_root() -> Command {
    Command::EnableRoot { password: password() }
}

pub fn disable_root() -> Command {
    Command::DisableRoot
}

pub fn grant(name: &str, database: &str) -> Command {
    Command::Grant { name: name.into(), host: "%".into(), databases: [database.to_owned()].into() }
}

pub fn revoke(name: &str, database: &str) -> Command {
    Command::Revoke { name: name.into(), host: "%".into(), database: database.into() }
}

/// Gives a user another name, another host and another password.
pub fn change_user(name: &str, new_name: &str) -> Command {
    let change = UserChange { name: Some(new_name.into()), host: Some("10.0.%".into()), password: Some(password()) };
    Command::ChangeUser { name: name.into(), host: "%".into(), change }
}

pub fn change_passwords(names: &[&str]) -> Command {
    let new = |name: &&str| NewPassword { name: (*name).into(), host: "%".into(), password: password() };
    Command::ChangePasswords { users: names.iter().map(new).collect() }
}

pub fn rename() -> Command {
    Command::Rename { name: "sales-db".into() }
}

pub fn reset_status(force_delete: bool) -> Command {
    Command::ResetStatus { force_delete }
}

pub fn address() -> ResourceAddress {
    ResourceAddress { ip: "127.81.4.7".into(), network_id: None }
}

/// What carrying out `action` has to tell when it went well.
pub fn produced(action: &Action) -> Produced {
    match action {
        Action::EnsureAddress => Produced::Address(address()),
        Action::EnsureVolume { .. } => Produced::Volume { id: "volume-1".into() },
        Action::EnsureServer(_) => Produced::Server { id: "server-1".into() },
        // Nothing has grown, unless a model of the outside knows better.
        Action::MeasureVolume => Produced::VolumeSize { size_gib: 0 },
        Action::Agent(order) if matches!(order.verb, AgentVerb::Configure { .. }) => {
            Produced::Configured { restart_required: false }
        }
        Action::GrowVolume { .. }
        | Action::ResizeServer { .. }
        | Action::DeleteServer
        | Action::DeleteVolume
        | Action::ReleaseAddress
        | Action::Agent(_) => Produced::Nothing,
    }
}

pub fn failure(retryable: bool) -> Failure {
    let (code, message) = match retryable {
        true => ("local.unavailable", "the host does not answer"),
        false => ("local.exhausted", "the host has no room left"),
    };
    Failure { retryable, code: code.into(), message: message.into(), retry_after: None }
}

/// A failure that goes away by itself.
pub fn hiccup() -> Outcome {
    Err(failure(true))
}

/// A failure for good.
pub fn refusal() -> Outcome {
    Err(failure(false))
}

//! Values to work with: tenants, a catalogue, and commands that pass every rule.

use coffer_domain::{
    catalogue::{Catalogue, Datastore, DatastoreVersion, Flavor},
    command::{Access, Command, Create, ENVELOPE_VERSION, Envelope, NewDatabase, NewUser},
    ids::{CommandId, InstanceId, TenantId},
    time::Timestamp,
};
use coffer_protocol::{seal::Key, secret::Secret};
use coffer_runtime::vault::Vault;
use uuid::Uuid;

/// 2026-01-02 03:04:05.678 UTC.
pub const START: Timestamp = Timestamp(1_767_323_045_678);
/// The database and the user that [`create`] asks for, and the user's password.
pub const SHOP: &str = "shop";
pub const CLERK: &str = "clerk";
pub const PASSWORD: &str = "correct horse battery staple";

/// Tenants are told apart by a small number.
pub fn tenant(number: u8) -> TenantId {
    TenantId(format!("9f0c1ad6b2d84a5c8d4cc45f6c1d7a{number:02x}"))
}

pub fn instance(number: u8) -> InstanceId {
    InstanceId(Uuid::from_u128(0x44b2_77eb_39be_4921_be31_0000_0000_0000 | u128::from(number)))
}

pub fn command_id(number: u32) -> CommandId {
    CommandId(Uuid::from_u128(0x5c2a_6f0e_9d3b_4d4e_8a51_0000_0000_0000 | u128::from(number)))
}

pub fn vault() -> Vault {
    Vault::new("deployment.1", Key::from_bytes([3; 32]))
}

pub fn catalogue() -> Catalogue {
    let (datastore, version) = (Uuid::from_u128(1), Uuid::from_u128(1011));
    Catalogue {
        datastores: vec![Datastore {
            id: datastore,
            name: "mysql".into(),
            versions: vec![DatastoreVersion {
                id: version,
                name: "10.11".into(),
                number: "10.11".into(),
                manager: "mysql".into(),
                active: true,
            }],
            default_version: Some(version),
        }],
        flavors: vec![flavor("1", 512), flavor("2", 1024)],
        default_datastore: Some(datastore),
        volume_types: Vec::new(),
    }
}

fn flavor(id: &str, memory_mib: u64) -> Flavor {
    Flavor { id: id.into(), name: format!("db.{id}"), memory_mib, vcpus: 1, disk_gib: 0, ephemeral_gib: 0 }
}

/// To the other flavor.
pub fn resize_flavor() -> Command {
    Command::ResizeFlavor { flavor: "2".into() }
}

/// An instance with 2 GiB, the database [`SHOP`] and the user [`CLERK`].
pub fn create(instance: InstanceId) -> Command {
    Command::Create(Box::new(Create {
        name: "orders-db".into(),
        flavor: "1".into(),
        volume_gib: 2,
        volume_type: None,
        datastore_version: None,
        databases: vec![new_database(SHOP)],
        users: vec![new_user(instance, CLERK)],
        access: Access::default(),
        region: None,
        configuration: None,
        server_key: Some(vault().new_server_key(instance, 1)),
    }))
}

pub fn new_database(name: &str) -> NewDatabase {
    NewDatabase { name: name.into(), character_set: None, collate: None }
}

/// A user of [`SHOP`] with [`PASSWORD`].
pub fn new_user(instance: InstanceId, name: &str) -> NewUser {
    let password = vault().seal_password(&instance.to_string(), &Secret::new(PASSWORD));
    NewUser { name: name.into(), host: "%".into(), password, databases: [SHOP.to_owned()].into() }
}

pub fn create_database(name: &str) -> Command {
    Command::CreateDatabases { databases: vec![new_database(name)] }
}

/// The command of [`tenant`] 1.
pub fn envelope(id: CommandId, instance: InstanceId, command: Command, issued_at: Timestamp) -> Envelope {
    envelope_of(tenant(1), id, instance, command, issued_at)
}

pub fn envelope_of(
    tenant: TenantId,
    command_id: CommandId,
    instance: InstanceId,
    command: Command,
    issued_at: Timestamp,
) -> Envelope {
    Envelope {
        version: ENVELOPE_VERSION,
        command_id,
        tenant,
        principal: "alice".into(),
        request_id: "req-1".into(),
        issued_at,
        instance,
        command,
        answer: None,
    }
}

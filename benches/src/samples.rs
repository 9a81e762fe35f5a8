//! Instances as they are in a store: about 1 KiB each.

use coffer_domain::{
    catalogue::{Catalogue, Datastore, DatastoreVersion, Flavor},
    command::{Command, ENVELOPE_VERSION, Envelope, NewDatabase},
    ids::{CommandId, InstanceId, TenantId},
    instance::{Instance, shown, view},
    time::Timestamp,
};
use coffer_ports::log::{Batch, Space, Write};
use coffer_protocol::seal::Key;
use coffer_runtime::{
    clock::{Clock, SystemClock},
    runtime::partition_of,
    store::{Store, StoreError, keys, rows},
    vault::Vault,
};
use serde_json::json;
use uuid::Uuid;

/// Rows that one write of [`fill`] carries.
const FILL_AT_ONCE: usize = 1000;

pub fn vault() -> Vault {
    Vault::new("bench", Key::from_bytes([7; 32]))
}

pub fn now() -> Timestamp {
    SystemClock::default().now()
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
        flavors: vec![flavor()],
        default_datastore: Some(datastore),
        ..Catalogue::default()
    }
}

fn flavor() -> Flavor {
    Flavor { id: "1".into(), name: "db.tiny".into(), memory_mib: 256, vcpus: 1, disk_gib: 0, ephemeral_gib: 0 }
}

/// The instance of a number; ids are spread like random ones.
pub fn instance_id(number: usize) -> InstanceId {
    let spread = (number as u128 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
    InstanceId(uuid::Builder::from_random_bytes(spread.to_be_bytes()).into_uuid())
}

pub fn command_id() -> CommandId {
    let bytes = coffer_runtime::vault::random::<16>();
    CommandId(uuid::Builder::from_random_bytes(bytes).into_uuid())
}

/// An instance that is ACTIVE and HEALTHY, with two databases and two users. It is read as an older build's row would be:
/// what instances have learnt since has its default.
///
/// # Panics
/// When this build does not read such a row any more.
pub fn active(tenant: &TenantId, number: usize, vault: &Vault) -> Instance {
    let (id, at) = (instance_id(number), now());
    let row = json!({
        "id": id,
        "tenant": tenant,
        "name": format!("orders-{number}"),
        "created_at": at,
        "updated_at": at,
        "datastore": {
            "name": "mysql",
            "version_id": Uuid::from_u128(1011),
            "version_name": "10.11",
            "version_number": "10.11",
            "manager": "mysql",
        },
        "flavor": flavor(),
        "volume_gib": 1,
        "volume_type": null,
        "region": null,
        "access": {},
        "server_key": vault.new_server_key(id, 1),
        "resources": {
            "address": {"ip": format!("127.81.{}.{}", number / 250 % 250, number % 250), "network_id": null},
            "volume": id,
            "server": id,
        },
        "operation": null,
        "tasks": {},
        "health": {
            "contact": "heard",
            "engine": "running",
            "changed_at": at,
            "gauges_at": at,
            "volume_used_bytes": 129 << 20,
        },
        "fault": null,
        "broken": false,
        "databases": {"orders": "present", "invoices": "present"},
        "users": [
            {"name": "clerk", "host": "%", "presence": "present", "databases": ["orders"]},
            {"name": "auditor", "host": "%", "presence": "present", "databases": ["orders", "invoices"]},
        ],
        "root_enabled_at": null,
    });
    serde_json::from_value(row).expect("a row of an older build is read")
}

/// The two rows of an instance.
pub fn rows_of(instance: &Instance) -> [Write; 2] {
    let key = keys::instance(partition_of(&instance.tenant), &instance.tenant, instance.id);
    let state = Write { space: Space::State, key: key.clone(), value: Some(rows::encode(instance)) };
    let view = Write { space: Space::View, key, value: Some(shown::row(&view::view(instance))) };
    [state, view]
}

/// Which of an instance's rows [`fill`] writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fill {
    Whole,
    /// What a GET reads, and nothing that a partition would look after.
    ViewsOnly,
}

/// Gives a tenant instances with these numbers.
pub fn fill(store: &Store, tenant: &TenantId, numbers: std::ops::Range<usize>, fill: Fill) -> Result<(), StoreError> {
    let vault = vault();
    let numbers: Vec<usize> = numbers.collect();
    for some in numbers.chunks(FILL_AT_ONCE) {
        let rows = some.iter().flat_map(|number| rows_of(&active(tenant, *number, &vault)));
        let writes = rows.filter(|row| fill == Fill::Whole || row.space == Space::View).collect();
        store.write(&[Batch { partition: partition_of(tenant), writes, ..Batch::default() }])?;
    }
    Ok(())
}

pub fn envelope(tenant: &TenantId, instance: InstanceId, command: Command) -> Envelope {
    Envelope {
        version: ENVELOPE_VERSION,
        command_id: command_id(),
        tenant: tenant.clone(),
        principal: "9d2f4a7e1c5b4f0f8a3e6b7c8d9e0f1a".into(),
        request_id: format!("req-{}", Uuid::from_u128(0x6f8f_9d6c_3f0e_4b0c_9d52_7f8d_2f9f_3a11)),
        issued_at: now(),
        instance,
        command,
        answer: None,
    }
}

/// An order for an instance with two databases.
///
/// # Panics
/// When this build does not read such an order any more.
pub fn create(instance: InstanceId, vault: &Vault) -> Command {
    let order = json!({
        "verb": "create",
        "name": "orders",
        "flavor": "1",
        "volume_gib": 1,
        "databases": [database("orders"), database("invoices")],
        "server_key": vault.new_server_key(instance, 1),
    });
    serde_json::from_value(order).expect("an order of an older client is read")
}

pub fn database(name: &str) -> NewDatabase {
    NewDatabase { name: name.into(), character_set: None, collate: None }
}

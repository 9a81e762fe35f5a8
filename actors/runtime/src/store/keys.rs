//! Keys of rows. Everything of a partition stands together, and everything of a tenant within it; a tenant's
//! instances are ordered by id.
//!
//! `<partition, 4 bytes big endian> <kind> <tenant> 0x00 <instance, 16 bytes>`. Tenant ids hold no NUL.

use coffer_domain::{
    ids::{CommandId, EffectId, InstanceId, TenantId},
    instance::effect::TimerId,
};
use uuid::Uuid;

const INSTANCE: u8 = b'i';
const USAGE: u8 = b'q';

/// Prefix of all rows of a partition.
pub fn partition(partition: u32) -> Vec<u8> {
    partition.to_be_bytes().to_vec()
}

/// Prefix of all instances of a partition.
pub fn instances(partition: u32) -> Vec<u8> {
    let mut key = self::partition(partition);
    key.push(INSTANCE);
    key
}

/// Prefix of all instances of a tenant.
pub fn instances_of(partition: u32, tenant: &TenantId) -> Vec<u8> {
    let mut key = instances(partition);
    key.extend_from_slice(tenant.0.as_bytes());
    key.push(0);
    key
}

/// An instance's state and its view.
pub fn instance(partition: u32, tenant: &TenantId, id: InstanceId) -> Vec<u8> {
    let mut key = instances_of(partition, tenant);
    key.extend_from_slice(id.0.as_bytes());
    key
}

/// The least key greater than `key`.
pub fn after(mut key: Vec<u8>) -> Vec<u8> {
    key.push(0);
    key
}

/// Prefix of all quota rows of a partition.
pub fn usages(partition: u32) -> Vec<u8> {
    let mut key = self::partition(partition);
    key.push(USAGE);
    key
}

/// A tenant's quota in use.
pub fn usage(partition: u32, tenant: &TenantId) -> Vec<u8> {
    let mut key = usages(partition);
    key.extend_from_slice(tenant.0.as_bytes());
    key
}

/// An effect that waits for its outcome.
pub fn effect(partition: u32, id: &EffectId) -> Vec<u8> {
    let mut key = self::partition(partition);
    key.extend_from_slice(id.0.as_bytes());
    key
}

/// A timer of an instance.
pub fn timer(partition: u32, instance: InstanceId, id: &TimerId) -> Vec<u8> {
    let (kind, name) = match id {
        TimerId::Deadline { effect } => (b'd', effect.to_string()),
        TimerId::Retry { command } => (b'r', command.to_string()),
        TimerId::Agent { command } => (b'a', command.to_string()),
    };
    let mut key = self::partition(partition);
    key.extend_from_slice(instance.0.as_bytes());
    key.push(kind);
    key.extend_from_slice(name.as_bytes());
    key
}

/// The answer to a command.
pub fn dedup(partition: u32, tenant: &TenantId, command: CommandId) -> Vec<u8> {
    let mut key = self::partition(partition);
    key.extend_from_slice(tenant.0.as_bytes());
    key.push(0);
    key.extend_from_slice(command.0.as_bytes());
    key
}

/// The epoch of a partition.
pub fn epoch(partition: u32) -> Vec<u8> {
    let mut key = b"epoch/".to_vec();
    key.extend_from_slice(&partition.to_be_bytes());
    key
}

/// What is written to see whether anything can be.
pub fn trial() -> Vec<u8> {
    b"trial".to_vec()
}

/// The instance of a state's or view's row; `None` for a quota row, or a key that is none of ours.
pub fn instance_of(key: &[u8]) -> Option<InstanceId> {
    const KIND: usize = 4;
    const ID_BYTES: usize = 16;
    if key.get(KIND) != Some(&INSTANCE) {
        return None;
    }
    let id = key.get(key.len().checked_sub(ID_BYTES)?..)?;
    Uuid::from_slice(id).ok().map(InstanceId)
}

//! Keys of rows. Everything of a partition stands together, and everything of a tenant within it; a tenant's
//! instances are ordered by id.
//!
//! `<partition, 4 bytes big endian> <kind> <tenant> 0x00 <instance, 16 bytes>`. Tenant ids hold no NUL.

use coffer_domain::{
    ids::{CommandId, EffectId, GroupId, InstanceId, TenantId},
    instance::effect::TimerId,
    time::Timestamp,
};
use uuid::Uuid;

const INSTANCE: u8 = b'i';
const USAGE: u8 = b'q';
const GROUP: u8 = b'c';
const LIMITS: u8 = b'l';
const JOURNAL: u8 = b'j';
const JOURNAL_ENTRY: u8 = b'e';
const REMOVED: u8 = b'x';

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

/// Prefix of all limits that tenants of a partition have for themselves.
pub fn all_limits(partition: u32) -> Vec<u8> {
    let mut key = self::partition(partition);
    key.push(LIMITS);
    key
}

/// What was set for a tenant alone.
pub fn limits(partition: u32, tenant: &TenantId) -> Vec<u8> {
    let mut key = all_limits(partition);
    key.extend_from_slice(tenant.0.as_bytes());
    key
}

/// Prefix of all configuration groups of a partition.
pub fn groups(partition: u32) -> Vec<u8> {
    let mut key = self::partition(partition);
    key.push(GROUP);
    key
}

/// Prefix of all configuration groups of a tenant, which are ordered by id.
pub fn groups_of(partition: u32, tenant: &TenantId) -> Vec<u8> {
    let mut key = groups(partition);
    key.extend_from_slice(tenant.0.as_bytes());
    key.push(0);
    key
}

/// A configuration group.
pub fn group(partition: u32, tenant: &TenantId, id: GroupId) -> Vec<u8> {
    let mut key = groups_of(partition, tenant);
    key.extend_from_slice(id.0.as_bytes());
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

/// Prefix of the answers that are kept of a tenant. They stand apart from those of [`dedup`], since no tenant's id begins
/// with NUL.
pub fn kept_of(partition: u32, tenant: &TenantId) -> Vec<u8> {
    let mut key = self::partition(partition);
    key.push(0);
    key.extend_from_slice(tenant.0.as_bytes());
    key.push(0);
    key
}

/// The answer to a command whose request may be sent again.
pub fn kept(partition: u32, tenant: &TenantId, command: CommandId) -> Vec<u8> {
    let mut key = kept_of(partition, tenant);
    key.extend_from_slice(command.0.as_bytes());
    key
}

/// Prefix of the heads of all journals of a partition.
pub fn journals(partition: u32) -> Vec<u8> {
    let mut key = self::partition(partition);
    key.push(JOURNAL);
    key
}

/// The head of an instance's journal.
pub fn journal(partition: u32, tenant: &TenantId, id: InstanceId) -> Vec<u8> {
    of_instance(partition, JOURNAL, tenant, id)
}

/// Prefix of the entries of an instance's journal.
pub fn journal_entries(partition: u32, tenant: &TenantId, id: InstanceId) -> Vec<u8> {
    of_instance(partition, JOURNAL_ENTRY, tenant, id)
}

/// An entry of an instance's journal.
pub fn journal_entry(partition: u32, tenant: &TenantId, id: InstanceId, number: u64) -> Vec<u8> {
    let mut key = journal_entries(partition, tenant, id);
    key.extend_from_slice(&number.to_be_bytes());
    key
}

/// The number of an entry, from its key.
pub fn number_of(entry: &[u8]) -> u64 {
    entry.last_chunk().map_or(0, |number| u64::from_be_bytes(*number))
}

/// Prefix of all removed instances that still have a journal, the one removed first coming first.
pub fn removed(partition: u32) -> Vec<u8> {
    let mut key = self::partition(partition);
    key.push(REMOVED);
    key
}

/// A removed instance that still has a journal.
pub fn removed_at(partition: u32, at: Timestamp, id: InstanceId) -> Vec<u8> {
    let mut key = removed(partition);
    // Times before 1970 do not occur; they would only be forgotten late.
    key.extend_from_slice(&at.0.to_be_bytes());
    key.extend_from_slice(id.0.as_bytes());
    key
}

fn of_instance(partition: u32, kind: u8, tenant: &TenantId, id: InstanceId) -> Vec<u8> {
    let mut key = self::partition(partition);
    key.push(kind);
    key.extend_from_slice(tenant.0.as_bytes());
    key.push(0);
    key.extend_from_slice(id.0.as_bytes());
    key
}

/// The epoch of a partition.
pub fn epoch(partition: u32) -> Vec<u8> {
    let mut key = b"epoch/".to_vec();
    key.extend_from_slice(&partition.to_be_bytes());
    key
}

/// Who owns a partition.
pub fn owner(partition: u32) -> Vec<u8> {
    let mut key = b"owner/".to_vec();
    key.extend_from_slice(&partition.to_be_bytes());
    key
}

/// How far the store has followed a partition's changelog.
pub fn position(partition: u32) -> Vec<u8> {
    let mut key = b"position/".to_vec();
    key.extend_from_slice(&partition.to_be_bytes());
    key
}

/// When the partition's owner last wrote that it lives.
pub fn owned(partition: u32) -> Vec<u8> {
    let mut key = b"owned/".to_vec();
    key.extend_from_slice(&partition.to_be_bytes());
    key
}

/// Which changelog the store follows.
pub fn changelog() -> Vec<u8> {
    b"changelog".to_vec()
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

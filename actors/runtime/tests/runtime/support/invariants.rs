//! What holds after every committed step: rows agree with each other.

use coffer_domain::ids::TenantId;
use coffer_runtime::{check::check_rows, store::Store};

/// Checks the rows of a partition; nobody but `tenants` has any.
pub fn check(store: &Store, partition: u32, tenants: &[TenantId]) {
    let found = check_rows(&store.snapshot(), partition, None).unwrap();
    assert_eq!(found.findings, [], "the rows agree with each other");
    assert!(found.instances.iter().all(|instance| tenants.contains(&instance.tenant)), "nobody else has anything");
}

/// Nothing is left of anybody.
pub fn check_empty(store: &Store, partition: u32, tenants: &[TenantId]) {
    check(store, partition, tenants);
    assert_eq!(store.instances(partition).unwrap(), [], "no instance is left");
}

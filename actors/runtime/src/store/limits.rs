//! Limits that tenants have for themselves, as they are stored.

use coffer_domain::{ids::TenantId, quota::TenantLimits};
use coffer_ports::log::Space;

use super::{Store, StoreError, keys};

impl Store {
    /// What was set for a tenant alone; nothing for one that has the limits of everybody.
    pub fn limits(&self, partition: u32, tenant: &TenantId) -> Result<Option<TenantLimits>, StoreError> {
        self.row(Space::State, &keys::limits(partition, tenant))
    }
}

//! Configuration groups, as they are stored.

use coffer_domain::{
    configuration::Group,
    ids::{GroupId, TenantId},
};
use coffer_ports::log::Space;

use super::{Store, StoreError, keys};

impl Store {
    pub fn group(&self, partition: u32, tenant: &TenantId, id: GroupId) -> Result<Option<Group>, StoreError> {
        self.row(Space::State, &keys::group(partition, tenant, id))
    }

    /// At most `limit` groups of a tenant in the order of their ids, after `marker`.
    pub fn groups_after(
        &self,
        partition: u32,
        tenant: &TenantId,
        marker: Option<GroupId>,
        limit: usize,
    ) -> Result<Vec<Group>, StoreError> {
        let prefix = keys::groups_of(partition, tenant);
        let start = marker.map_or_else(|| prefix.clone(), |id| keys::after(keys::group(partition, tenant, id)));
        self.scan(Space::State, &prefix, &start).take(limit).map(|row| Ok(row?.1)).collect()
    }
}

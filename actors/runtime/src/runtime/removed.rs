//! Instances that are gone, over all partitions.

use coffer_domain::{
    ids::{InstanceId, TenantId},
    time::Timestamp,
};

use super::{PARTITIONS, Runtime, partition_of};
use crate::store::{Removed, StoreError};

impl Runtime {
    /// At most `limit` removed instances of all tenants, ordered by partition and end, after `marker`.
    pub fn removed_after(
        &self,
        marker: Option<&(TenantId, Timestamp, InstanceId)>,
        limit: usize,
    ) -> Result<Vec<Removed>, StoreError> {
        let first = marker.map_or(0, |(tenant, ..)| partition_of(tenant));
        let mut found = Vec::new();
        for partition in first..PARTITIONS {
            let marker = marker.filter(|_| partition == first).map(|(_, at, id)| (*at, *id));
            found.extend(self.told(self.store.removed_after(partition, marker, limit - found.len()))?);
        }
        Ok(found)
    }

    /// A removed instance, looked for in every partition.
    pub fn removed(&self, id: InstanceId) -> Result<Option<Removed>, StoreError> {
        for partition in 0..PARTITIONS {
            if let Some(removed) = self.told(self.store.removed(partition, id))? {
                return Ok(Some(removed));
            }
        }
        Ok(None)
    }
}

//! Reads over the tenants of a partition, for operators.

use coffer_domain::{
    ids::{InstanceId, TenantId},
    instance::{Instance, InstanceView, view},
};
use coffer_ports::log::Space;
use rocksdb::{PrefixRange, ReadOptions};

use super::{Store, StoreError, keys};

impl Store {
    /// At most `limit` instances of a partition, ordered by tenant and id, after `marker`, which need not exist.
    pub fn views_after(
        &self,
        partition: u32,
        marker: Option<&(TenantId, InstanceId)>,
        limit: usize,
    ) -> Result<Vec<InstanceView>, StoreError> {
        let prefix = keys::instances(partition);
        let start = match marker {
            Some((tenant, id)) => keys::after(keys::instance(partition, tenant, *id)),
            None => prefix.clone(),
        };
        let rows = self.scan::<Instance>(Space::State, &prefix, &start);
        rows.take(limit).map(|row| Ok(view::view(&row?.1))).collect()
    }

    /// Whose instance this is, looked for among all of a partition.
    pub fn owner(&self, partition: u32, id: InstanceId) -> Result<Option<TenantId>, StoreError> {
        let prefix = keys::instances(partition);
        let mut options = ReadOptions::default();
        options.set_iterate_range(PrefixRange(prefix.clone()));
        let mut rows = self.db.raw_iterator_cf_opt(self.family(Space::View), options);
        rows.seek_to_first();
        while let Some(key) = rows.key() {
            let tenant = key.strip_prefix(&prefix[..]).and_then(|key| key.strip_suffix(id.0.as_bytes()));
            if let Some([tenant @ .., 0]) = tenant {
                return Ok(Some(TenantId(String::from_utf8_lossy(tenant).into_owned())));
            }
            rows.next();
        }
        rows.status()?;
        Ok(None)
    }
}

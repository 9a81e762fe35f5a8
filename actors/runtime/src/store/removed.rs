//! Instances that are gone, as they were last, for operators: for as long as their journals are kept.

use coffer_domain::{
    ids::InstanceId,
    instance::{InstanceView, view},
    time::Timestamp,
};
use coffer_ports::log::Space;

use super::{Store, StoreError, keys, rows::LastRow};

/// An instance that is gone.
#[derive(Debug, Clone, PartialEq)]
pub struct Removed {
    pub at: Timestamp,
    pub last: InstanceView,
}

impl Store {
    /// At most `limit` removed instances of a partition in the order of their ends, after `marker`.
    pub fn removed_after(
        &self,
        partition: u32,
        marker: Option<(Timestamp, InstanceId)>,
        limit: usize,
    ) -> Result<Vec<Removed>, StoreError> {
        let prefix = keys::removed(partition);
        let start = marker.map_or_else(|| prefix.clone(), |(at, id)| keys::after(keys::removed_at(partition, at, id)));
        let rows = self.scan::<LastRow>(Space::Journal, &prefix, &start);
        rows.filter_map(|row| row.map(|(_, row)| removed(row)).transpose()).take(limit).collect()
    }

    /// A removed instance, looked for among all of a partition.
    pub fn removed(&self, partition: u32, id: InstanceId) -> Result<Option<Removed>, StoreError> {
        let prefix = keys::removed(partition);
        for row in self.scan::<LastRow>(Space::Journal, &prefix, &prefix) {
            let row = row?.1;
            if row.instance == id {
                return Ok(removed(row));
            }
        }
        Ok(None)
    }
}

fn removed(row: LastRow) -> Option<Removed> {
    Some(Removed { at: row.at, last: view::view(row.last.as_deref()?) })
}

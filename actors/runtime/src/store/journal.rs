//! Journals: reading them, and finding those to forget.

use coffer_domain::{
    ids::{InstanceId, TenantId},
    instance::journal::Entry,
    time::Timestamp,
};
use coffer_ports::log::Space;

use super::{Store, StoreError, keys, rows};

/// A part of an instance's journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Journal {
    /// Entries that were dropped since the journal had grown too long.
    pub dropped: u64,
    /// With their numbers, in order.
    pub entries: Vec<(u64, Entry)>,
}

impl Store {
    pub fn journal_row(
        &self,
        partition: u32,
        tenant: &TenantId,
        id: InstanceId,
    ) -> Result<Option<rows::JournalRow>, StoreError> {
        self.row(Space::Journal, &keys::journal(partition, tenant, id))
    }

    /// At most `limit` entries after number `after`; `None` for an instance without a journal. It may be there longer
    /// than its instance.
    pub fn journal(
        &self,
        partition: u32,
        tenant: &TenantId,
        id: InstanceId,
        after: Option<u64>,
        limit: usize,
    ) -> Result<Option<Journal>, StoreError> {
        let Some(row) = self.journal_row(partition, tenant, id)? else { return Ok(None) };
        let first = after.map_or(0, |after| after.saturating_add(1)).max(row.first);
        let prefix = keys::journal_entries(partition, tenant, id);
        let start = keys::journal_entry(partition, tenant, id, first);
        let entries = self
            .scan::<Entry>(Space::Journal, &prefix, &start)
            .take(limit)
            .map(|read| read.map(|(key, entry)| (keys::number_of(&key), entry)))
            .collect::<Result<_, StoreError>>()?;
        Ok(Some(Journal { dropped: row.first, entries }))
    }

    /// Whose journal this is, looked for among all of a partition: for operators, who know an instance by its id alone.
    pub fn journal_owner(&self, partition: u32, id: InstanceId) -> Result<Option<TenantId>, StoreError> {
        let prefix = keys::journals(partition);
        for read in self.scan::<rows::JournalRow>(Space::Journal, &prefix, &prefix) {
            let (key, _) = read?;
            let tenant = key.strip_prefix(&prefix[..]).and_then(|key| key.strip_suffix(id.0.as_bytes()));
            if let Some([tenant @ .., 0]) = tenant {
                return Ok(Some(TenantId(String::from_utf8_lossy(tenant).into_owned())));
            }
        }
        Ok(None)
    }

    /// Removed instances whose journals may go: those removed before `before`, and the oldest of more than `keep`; at
    /// most `limit`.
    pub fn forgettable_journals(
        &self,
        partition: u32,
        before: Timestamp,
        keep: usize,
        limit: usize,
    ) -> Result<Vec<rows::RemovedRow>, StoreError> {
        let prefix = keys::removed(partition);
        let removed = self.scan::<rows::RemovedRow>(Space::Journal, &prefix, &prefix).map(|read| Ok(read?.1));
        let removed = removed.collect::<Result<Vec<_>, StoreError>>()?;
        let too_many = removed.len().saturating_sub(keep);
        let is_due = |(index, row): &(usize, rows::RemovedRow)| *index < too_many || row.at < before;
        Ok(removed.into_iter().enumerate().filter(is_due).take(limit).map(|(_, row)| row).collect())
    }
}

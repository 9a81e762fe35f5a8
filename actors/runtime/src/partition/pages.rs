//! What a step adds to journals.

use std::{collections::BTreeMap, sync::Arc};

use coffer_domain::{
    ids::{InstanceId, TenantId},
    instance::{
        Instance,
        journal::{Entry, MAX_ENTRIES},
        state::FirstContents,
    },
    time::Timestamp,
};
use coffer_ports::log::{Space, Write};

use crate::store::{keys, rows};

/// The journals that a step writes in.
#[derive(Default)]
pub struct Pages(BTreeMap<InstanceId, Page>);

struct Page {
    tenant: TenantId,
    stored: rows::JournalRow,
    row: rows::JournalRow,
    /// The instance as it was before it was removed.
    last: Option<Arc<Instance>>,
    /// Those from `row.first` on, before `row.next`, that are not stored.
    entries: Vec<Entry>,
}

impl Pages {
    /// The journal's row as it is to be.
    pub fn row(&self, instance: InstanceId) -> Option<&rows::JournalRow> {
        self.0.get(&instance).map(|page| &page.row)
    }

    /// Adds to a journal; `stored` is its row as it was before, and looked at the first time only. `removed` is given when
    /// the instance does not exist any more: since when, and how it was last.
    pub fn add(
        &mut self,
        tenant: &TenantId,
        instance: InstanceId,
        stored: Option<rows::JournalRow>,
        entries: Vec<Entry>,
        removed: Option<(Timestamp, Option<Arc<Instance>>)>,
    ) {
        let page = self.0.entry(instance).or_insert_with(|| {
            let stored = stored.unwrap_or_default();
            Page { tenant: tenant.clone(), row: stored.clone(), stored, last: None, entries: Vec::new() }
        });
        page.row.next += entries.len() as u64;
        page.row.first = page.row.first.max(page.row.next.saturating_sub(MAX_ENTRIES));
        let (removed_at, last) = removed.unzip();
        page.row.removed_at = removed_at;
        page.last = last.flatten();
        page.entries.extend(entries);
    }

    /// Entries that these pages push out.
    pub fn dropped(&self) -> u64 {
        self.0.values().map(|page| page.row.first - page.stored.first).sum()
    }

    pub fn writes(&self, partition: u32) -> Vec<Write> {
        let mut writes = Vec::new();
        for (id, page) in &self.0 {
            page.write(partition, *id, &mut writes);
        }
        writes
    }
}

impl Page {
    fn write(&self, partition: u32, id: InstanceId, writes: &mut Vec<Write>) {
        let Self { tenant, stored, row, last, entries } = self;
        let mut write = |key, value| writes.push(Write { space: Space::Journal, key, value });
        for number in stored.first..row.first.min(stored.next) {
            write(keys::journal_entry(partition, tenant, id, number), None);
        }
        for (number, entry) in (stored.next..).zip(entries).filter(|(number, _)| *number >= row.first) {
            write(keys::journal_entry(partition, tenant, id, number), Some(rows::encode(entry)));
        }
        write(keys::journal(partition, tenant, id), Some(rows::encode(row)));
        if row.removed_at != stored.removed_at {
            if let Some(at) = stored.removed_at {
                write(keys::removed_at(partition, at, id), None);
            }
            if let Some(at) = row.removed_at {
                let last = last.as_deref().map(without_secrets).map(Box::new);
                let removed = rows::LastRow { tenant: tenant.clone(), instance: id, at, last };
                write(keys::removed_at(partition, at, id), Some(rows::encode(&removed)));
            }
        }
    }
}

/// What nobody is shown of an instance and opens something: passwords that were under way to the engine.
pub(super) fn without_secrets(instance: &Instance) -> Instance {
    let mut instance = instance.clone();
    instance.tasks.clear();
    if let Some(operation) = &mut instance.operation {
        operation.first_contents = FirstContents::default();
    }
    instance
}

/// The keys of everything that is kept of a removed instance.
pub fn all_keys(partition: u32, removed: &rows::RemovedRow, row: &rows::JournalRow) -> Vec<Vec<u8>> {
    let rows::RemovedRow { tenant, instance, at } = removed;
    let mut keys: Vec<Vec<u8>> =
        (row.first..row.next).map(|number| keys::journal_entry(partition, tenant, *instance, number)).collect();
    keys.push(keys::journal(partition, tenant, *instance));
    keys.push(keys::removed_at(partition, *at, *instance));
    keys
}

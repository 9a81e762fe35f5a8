//! The rows as they were written, commit by commit: cheaper to look at after each one than the store is.

use std::collections::{BTreeMap, BTreeSet};

use coffer_domain::{
    ids::InstanceId,
    instance::{Instance, shown, view},
    quota::Usage,
};
use coffer_ports::log::{Batch, Space, Write};
use coffer_runtime::{
    check::{awaited_effects, awaited_timers, charged},
    store::{
        keys::{self, instance_of},
        rows,
    },
};

use crate::{
    invariants::{States, check_quota},
    short,
};

#[derive(Default)]
pub struct Written {
    shown: BTreeMap<InstanceId, Vec<u8>>,
    /// By key.
    usage: BTreeMap<Vec<u8>, Usage>,
    /// Keys.
    outbox: BTreeSet<Vec<u8>>,
    timers: BTreeSet<Vec<u8>>,
}

impl Written {
    /// Takes a batch in and checks that its partition's rows agree with `states`, which hold it already.
    pub fn apply(&mut self, batch: &Batch, states: &States) -> Result<(), String> {
        for write in &batch.writes {
            self.take(write)?;
        }
        let own = states.values().filter(|(partition, _)| *partition == batch.partition).map(|(_, state)| state);
        for write in batch.writes.iter().filter(|write| matches!(write.space, Space::State | Space::View)) {
            let Some(id) = instance_of(&write.key) else { continue };
            let expected = states.get(&id).map(|(_, state)| shown::row(&view::view(state)));
            if self.shown.get(&id) != expected.as_ref() {
                return Err(format!("what a GET shows of {} is not what its state says", short(id)));
            }
        }
        self.check_usage(batch.partition, own.clone())?;
        let prefix = keys::partition(batch.partition);
        let of_partition = |rows: &BTreeSet<Vec<u8>>| -> BTreeSet<Vec<u8>> {
            rows.iter().filter(|key| key.starts_with(&prefix)).cloned().collect()
        };
        let effects = own.clone().flat_map(awaited_effects).map(|id| keys::effect(batch.partition, &id));
        if of_partition(&self.outbox) != effects.collect() {
            return Err("the outbox is not what the states wait for".into());
        }
        let timers = own.flat_map(|instance| {
            awaited_timers(instance).map(|timer| keys::timer(batch.partition, instance.id, &timer))
        });
        if of_partition(&self.timers) != timers.collect() {
            return Err("the timers are not what the states wait for".into());
        }
        Ok(())
    }

    fn take(&mut self, write: &Write) -> Result<(), String> {
        let key = &write.key;
        let change = |rows: &mut BTreeSet<Vec<u8>>| match write.value {
            Some(_) => rows.insert(key.clone()),
            None => rows.remove(key),
        };
        match write.space {
            Space::Outbox => drop(change(&mut self.outbox)),
            Space::Timer => drop(change(&mut self.timers)),
            Space::View => {
                let Some(id) = instance_of(key) else { return Err("a view has no instance".into()) };
                match &write.value {
                    Some(value) => self.shown.insert(id, value.clone()),
                    None => self.shown.remove(&id),
                };
            }
            Space::State if instance_of(key).is_none() => {
                match &write.value {
                    Some(value) => self.usage.insert(key.clone(), rows::decode(value)?),
                    None => self.usage.remove(key),
                };
            }
            Space::State | Space::Dedup | Space::Journal | Space::Meta => {}
        }
        Ok(())
    }

    fn check_usage<'a>(&self, partition: u32, own: impl Iterator<Item = &'a Instance>) -> Result<(), String> {
        let sums: BTreeMap<Vec<u8>, Usage> =
            charged(own).into_iter().map(|(tenant, sum)| (keys::usage(partition, &tenant), sum)).collect();
        let prefix = keys::partition(partition);
        let used = self.usage.iter().filter(|(key, _)| key.starts_with(&prefix));
        if !used.eq(sums.iter()) {
            return Err(format!("the tenants are charged {:?} and have {sums:?}", self.usage));
        }
        sums.values().try_for_each(check_quota)
    }
}

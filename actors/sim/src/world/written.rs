//! The rows as they were written, commit by commit: cheaper to look at after each one than the store is.

use std::collections::{BTreeMap, BTreeSet};

use coffer_domain::{
    ids::InstanceId,
    instance::{Instance, shown, view},
    quota::{Limit, TenantLimits, Usage},
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
    /// Of instances, by tenant, where one was set.
    limits: BTreeMap<Vec<u8>, Option<Limit>>,
    /// Keys.
    outbox: BTreeSet<Vec<u8>>,
    timers: BTreeSet<Vec<u8>>,
}

impl Written {
    /// Takes a batch in and checks that its partition's rows agree with `states`, which hold it already.
    pub fn apply(&mut self, batch: &Batch, states: &States) -> Result<(), String> {
        let before = self.usage.clone();
        for write in &batch.writes {
            self.take(write, batch.partition)?;
        }
        self.check_growth(batch, &before)?;
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

    fn take(&mut self, write: &Write, partition: u32) -> Result<(), String> {
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
            Space::State if key.starts_with(&keys::all_limits(partition)) => {
                let own: TenantLimits = rows::decode(write.value.as_deref().ok_or("limits are never taken away")?)?;
                self.limits.insert(key[keys::all_limits(partition).len()..].to_vec(), own.limits.instances);
            }
            Space::State if key.starts_with(&keys::usages(partition)) => {
                match &write.value {
                    Some(value) => self.usage.insert(key.clone(), rows::decode(value)?),
                    None => self.usage.remove(key),
                };
            }
            Space::State | Space::Dedup | Space::Journal | Space::Meta => {}
        }
        Ok(())
    }

    /// Nobody gets another instance beyond what was set, but in a batch that sets it: which of the two came first is not
    /// seen there.
    fn check_growth(&self, batch: &Batch, before: &BTreeMap<Vec<u8>, Usage>) -> Result<(), String> {
        let prefix = keys::usages(batch.partition);
        let sets = |tenant: &[u8]| {
            let key = [&keys::all_limits(batch.partition), tenant].concat();
            batch.writes.iter().any(|write| write.space == Space::State && write.key == key)
        };
        for (key, usage) in self.usage.iter().filter(|(key, _)| key.starts_with(&prefix)) {
            let tenant = &key[prefix.len()..];
            let used = before.get(key).map_or(0, |usage| usage.instances);
            if let Some(Some(Limit::AtMost(limit))) = self.limits.get(tenant)
                && usage.instances > used
                && usage.instances > *limit
                && !sets(tenant)
            {
                return Err(format!("a tenant that may have {limit} instances got number {}", usage.instances));
            }
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

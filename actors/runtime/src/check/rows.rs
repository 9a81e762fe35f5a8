//! The rows of a partition, read in one snapshot and compared with what the states say.

use std::collections::{BTreeMap, BTreeSet};

use coffer_domain::{
    configuration::Group,
    ids::{EffectId, GroupId, InstanceId, TenantId},
    instance::{Instance, effect::Effect, shown, view},
    quota::{TenantLimits, Usage},
    sealed::Sealed,
};
use coffer_ports::log::{Space, Write};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Finding, Problem, awaited_effects, awaited_timers, charged, differences};
use crate::{
    store::{
        StoreError, family_name, keys,
        rows::{self, AcceptedRow},
        snapshot::Snapshot,
    },
    timers::OwnedTimer,
    vault::Vault,
};

/// A partition as it was found.
#[derive(Debug, Default)]
pub struct Partition {
    pub instances: Vec<Instance>,
    pub findings: Vec<Finding>,
}

/// Checks all rows of a partition; with `vault`, also whether it opens their secrets.
///
/// # Errors
/// When the store cannot be read at all; a single row that cannot is a finding.
pub fn check_rows(snapshot: &Snapshot<'_>, partition: u32, vault: Option<&Vault>) -> Result<Partition, StoreError> {
    let mut check = Check { snapshot, partition, vault, found: Partition::default() };
    let charges = check.states()?;
    check.views()?;
    check.quota(charges);
    check.groups()?;
    check.read::<TenantLimits>(Space::State, &keys::all_limits(partition))?;
    check.outbox()?;
    check.timers()?;
    check.read::<AcceptedRow>(Space::Dedup, &keys::partition(partition))?;
    Ok(check.found)
}

struct Check<'a> {
    snapshot: &'a Snapshot<'a>,
    partition: u32,
    vault: Option<&'a Vault>,
    found: Partition,
}

impl Check<'_> {
    /// Takes the instances in; returns what the tenants are charged.
    fn states(&mut self) -> Result<Vec<(TenantId, Usage)>, StoreError> {
        for (key, instance) in self.read::<Instance>(Space::State, &keys::instances(self.partition))? {
            if keys::instance(self.partition, &instance.tenant, instance.id) == key {
                self.found.instances.push(instance);
            } else {
                self.misplaced(Space::State, &key);
            }
        }
        let prefix = keys::usages(self.partition);
        let rows = self.read::<Usage>(Space::State, &prefix)?;
        let tenant = |key: &[u8]| TenantId(String::from_utf8_lossy(&key[prefix.len()..]).into_owned());
        Ok(rows.into_iter().map(|(key, usage)| (tenant(&key), usage)).collect())
    }

    fn views(&mut self) -> Result<(), StoreError> {
        let prefix = keys::instances(self.partition);
        let rows =
            self.snapshot.rows(Space::View, &prefix).map(|row| row.map(|(key, row)| (key.into_vec(), row.into_vec())));
        let mut found = rows.collect::<Result<BTreeMap<_, _>, _>>()?;
        let mut findings = Vec::new();
        for state in &self.found.instances {
            let key = keys::instance(self.partition, &state.tenant, state.id);
            let expected = shown::row(&view::view(state));
            if found.remove(&key).as_ref() != Some(&expected) {
                let mend = Write { space: Space::View, key, value: Some(expected) };
                findings.push(Finding { problem: Problem::View { instance: state.id }, mend: Some(mend) });
            }
        }
        for key in found.into_keys() {
            // Its state may be there and unreadable: then the view is all that is left to see.
            let has_state = self.snapshot.rows(Space::State, &key).next().is_some();
            let Some(instance) = keys::instance_of(&key) else {
                self.misplaced(Space::View, &key);
                continue;
            };
            let mend = (!has_state).then_some(Write { space: Space::View, key, value: None });
            findings.push(Finding { problem: Problem::StrayView { instance }, mend });
        }
        self.found.findings.extend(findings);
        Ok(())
    }

    fn quota(&mut self, charges: Vec<(TenantId, Usage)>) {
        let is_certain = self.is_certain();
        let mut owned = charged(self.found.instances.iter());
        let mut found: std::collections::BTreeMap<TenantId, Usage> = charges.into_iter().collect();
        for tenant in found.keys() {
            owned.entry(tenant.clone()).or_default();
        }
        for (tenant, owned) in owned {
            let charged = found.remove(&tenant).unwrap_or_default();
            if charged == owned {
                continue;
            }
            let value = (owned != Usage::default()).then(|| rows::encode(&owned));
            let key = keys::usage(self.partition, &tenant);
            let mend = is_certain.then_some(Write { space: Space::State, key, value });
            self.found.findings.push(Finding { problem: Problem::Quota { tenant, charged, owned }, mend });
        }
    }

    fn groups(&mut self) -> Result<(), StoreError> {
        let is_certain = self.is_certain();
        let mut attached: BTreeMap<(TenantId, GroupId), BTreeSet<InstanceId>> = BTreeMap::new();
        for instance in &self.found.instances {
            if let Some(group) = &instance.configuration.group {
                attached.entry((instance.tenant.clone(), group.id)).or_default().insert(instance.id);
            }
        }
        for (key, group) in self.read::<Group>(Space::State, &keys::groups(self.partition))? {
            if keys::group(self.partition, &group.tenant, group.id) != key {
                self.misplaced(Space::State, &key);
                continue;
            }
            let instances = attached.remove(&(group.tenant.clone(), group.id)).unwrap_or_default();
            if instances != group.instances {
                let problem = Problem::Members { group: group.id };
                let value = Some(rows::encode(&Group { instances, ..group }));
                let mend = is_certain.then_some(Write { space: Space::State, key, value });
                self.found.findings.push(Finding { problem, mend });
            }
        }
        attached.into_keys().for_each(|(_, group)| self.problem(Problem::Members { group }));
        Ok(())
    }

    /// Where a state cannot be read, nobody knows what its tenant has.
    fn is_certain(&self) -> bool {
        !self.found.findings.iter().any(|finding| finding.problem.code() == "store.unreadable")
    }

    fn outbox(&mut self) -> Result<(), StoreError> {
        let mut found: BTreeSet<EffectId> = BTreeSet::new();
        for (key, effect) in self.read::<Effect>(Space::Outbox, &keys::partition(self.partition))? {
            if keys::effect(self.partition, &effect.id) == key {
                found.insert(effect.id);
            } else {
                self.misplaced(Space::Outbox, &key);
            }
        }
        let expected = self.found.instances.iter().flat_map(awaited_effects).collect();
        let (lost, stray) = differences(&expected, &found);
        lost.into_iter().for_each(|effect| self.problem(Problem::LostEffect { effect: effect.0 }));
        stray.into_iter().for_each(|effect| self.problem(Problem::StrayEffect { effect: effect.0 }));
        Ok(())
    }

    fn timers(&mut self) -> Result<(), StoreError> {
        let mut found = BTreeSet::new();
        for (key, owned) in self.read::<OwnedTimer>(Space::Timer, &keys::partition(self.partition))? {
            if keys::timer(self.partition, owned.instance, &owned.timer.id) == key {
                found.insert((owned.instance, owned.timer.id));
            } else {
                self.misplaced(Space::Timer, &key);
            }
        }
        let states = self.found.instances.iter();
        let expected =
            states.flat_map(|state| awaited_timers(state).map(|timer| (state.id, timer))).collect::<BTreeSet<_>>();
        let (lost, stray) = differences(&expected, &found);
        let named = |(instance, timer)| format!("{timer:?} of {instance}");
        lost.into_iter().for_each(|timer| self.problem(Problem::LostTimer { timer: named(timer) }));
        stray.into_iter().for_each(|timer| self.problem(Problem::StrayTimer { timer: named(timer) }));
        Ok(())
    }

    /// The rows that can be read; the others are findings.
    fn read<T: DeserializeOwned>(&mut self, space: Space, prefix: &[u8]) -> Result<Vec<(Vec<u8>, T)>, StoreError> {
        let mut read = Vec::new();
        for row in self.snapshot.rows(space, prefix) {
            let (key, value) = row?;
            let (space_name, shown) = (family_name(space), key.escape_ascii().to_string());
            match rows::decode::<T>(&value) {
                Ok(row) => read.push((key.into_vec(), row)),
                Err(reason) => self.problem(Problem::Unreadable { space: space_name, key: shown.clone(), reason }),
            }
            self.open_secrets(&shown, &value);
        }
        Ok(read)
    }

    /// Opens whatever has the form of a secret, in whatever kind of row it stands.
    fn open_secrets(&mut self, row: &str, value: &[u8]) {
        let Some(vault) = self.vault else { return };
        let Ok(value) = serde_json::from_slice::<Value>(value) else { return };
        for sealed in secrets_in(&value) {
            if let Err(error) = vault.check(&sealed) {
                self.problem(Problem::Sealed { row: row.to_owned(), reason: error.to_string() });
            }
        }
    }

    fn misplaced(&mut self, space: Space, key: &[u8]) {
        self.problem(Problem::Misplaced { space: family_name(space), key: key.escape_ascii().to_string() });
    }

    fn problem(&mut self, problem: Problem) {
        self.found.findings.push(Finding { problem, mend: None });
    }
}

fn secrets_in(value: &Value) -> Vec<Sealed> {
    match value {
        Value::Object(fields) => match serde_json::from_value::<Sealed>(value.clone()) {
            Ok(sealed) => vec![sealed],
            Err(_) => fields.values().flat_map(secrets_in).collect(),
        },
        Value::Array(items) => items.iter().flat_map(secrets_in).collect(),
        _ => Vec::new(),
    }
}

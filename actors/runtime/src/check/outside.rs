//! The states beside what exists outside.

use std::{collections::BTreeMap, fmt};

use coffer_domain::{ids::InstanceId, instance::Instance};

use super::Problem;

/// How many of each there are under an instance's name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Parts {
    pub addresses: usize,
    pub volumes: usize,
    pub servers: usize,
}

/// What was seen outside, by owner.
pub type Seen = BTreeMap<InstanceId, Parts>;

impl Parts {
    fn counts(self) -> [usize; 3] {
        [self.addresses, self.volumes, self.servers]
    }
}

impl fmt::Display for Parts {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = self.counts().into_iter().zip(["address", "volume", "server"]);
        let there: Vec<String> =
            named.filter(|(count, _)| *count > 0).map(|(count, name)| format!("{count} {name}")).collect();
        out.write_str(if there.is_empty() { "nothing" } else { "" })?;
        out.write_str(&there.join(", "))
    }
}

/// Compares all instances with all that was seen.
pub fn outside<'a>(instances: impl Iterator<Item = &'a Instance>, seen: &Seen) -> Vec<Problem> {
    let instances: BTreeMap<InstanceId, &Instance> = instances.map(|instance| (instance.id, instance)).collect();
    let mut problems = Vec::new();
    for (&instance, &parts) in seen {
        if !instances.contains_key(&instance) {
            problems.push(Problem::Orphan { instance, parts });
        } else if parts.counts().iter().any(|count| *count > 1) {
            problems.push(Problem::Doubled { instance, parts });
        }
    }
    for (&id, state) in &instances {
        let parts = seen.get(&id).copied().unwrap_or_default();
        let is_in_use = state.operation.is_none() && !state.broken;
        if is_in_use && parts.counts().contains(&0) {
            problems.push(Problem::Missing { instance: id, parts });
        }
        if is_undone(state) && parts != Parts::default() {
            problems.push(Problem::NotUndone { instance: id, parts });
        }
    }
    problems
}

/// Whether a failed create has been taken back as a whole.
fn is_undone(instance: &Instance) -> bool {
    const UNDONE: &str = "The instance could not be created";
    let has_failed = instance.broken && instance.operation.is_none();
    has_failed && instance.fault.as_ref().is_some_and(|fault| fault.message.starts_with(UNDONE))
}

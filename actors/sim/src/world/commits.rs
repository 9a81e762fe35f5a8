//! What happens to a commit, and what is checked after it.

use coffer_domain::{ids::InstanceId, instance::Instance};
use coffer_ports::log::{Batch, Space};
use coffer_runtime::store::{keys::instance_of, rows};

use super::{PARTITIONS, World};
use crate::{cloud::Kind, faults::Fault, invariants, short};

/// How long a slow disk takes at most, in ms.
const SLOW_MS: i64 = 5000;
/// The rows that a commit writes are looked at each time, the store as a whole every so many commits.
const STORE_CHECKED_EVERY: u64 = 25;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommitFate {
    Good,
    /// Not written, and known not to be.
    Refused,
    /// Not written, and nobody knows.
    Lost,
    /// Written, and nobody knows.
    Unconfirmed,
}

impl World {
    /// What becomes of a commit, and how long it takes before and after it is written, in ms.
    pub fn commit_fate(&mut self) -> (CommitFate, u64, u64) {
        let desk = &mut self.desk;
        let mut spans = [0, 0];
        if desk.strikes(Fault::DiskSlow) {
            spans = [0; 2].map(|_: i64| u64::try_from(desk.dice.mostly_short(1, SLOW_MS)).unwrap_or(0));
        }
        let fate = if self.disk_is_full {
            CommitFate::Refused
        } else if desk.strikes(Fault::CommitLost) {
            CommitFate::Lost
        } else if desk.strikes(Fault::CommitUnconfirmed) {
            CommitFate::Unconfirmed
        } else {
            CommitFate::Good
        };
        if fate != CommitFate::Good {
            desk.tell("disk", format_args!("a commit is {fate:?}"));
        }
        (fate, spans[0], spans[1])
    }

    /// A batch stands in the store from now on.
    pub fn committed(&mut self, batch: &Batch) {
        self.commits += 1;
        for write in batch.writes.iter().filter(|write| write.space == Space::State) {
            let Some(id) = instance_of(&write.key) else { continue };
            let after = match write.value.as_deref().map(rows::decode::<Instance>).transpose() {
                Ok(after) => after,
                Err(error) => return self.desk.violated(format!("the state of {} cannot be read: {error}", short(id))),
            };
            self.state_committed(id, batch.partition, after);
        }
        let written = self.written.apply(batch, &self.states);
        // A store that follows a cluster is behind it at this moment.
        let is_sampled = self.cluster.is_none() && self.commits.is_multiple_of(STORE_CHECKED_EVERY);
        let stored = if is_sampled { self.check_store() } else { Ok(()) };
        if let Err(violation) = written.and(stored) {
            self.desk.violated(violation);
        }
        self.check_outside();
    }

    /// The store holds what was committed, no more and no less, and its rows agree with each other.
    pub(super) fn check_store(&self) -> Result<(), String> {
        for partition in 0..PARTITIONS {
            let stored = self.store.instances(partition).map_err(|error| error.to_string())?;
            let known = self.states.values().filter(|(home, _)| *home == partition).map(|(_, state)| state);
            if stored.len() != known.clone().count() || !known.clone().all(|state| stored.contains(state)) {
                return Err(format!("the store of partition {partition} is not what was committed"));
            }
            invariants::check_rows(&self.store, partition)?;
        }
        Ok(())
    }

    fn state_committed(&mut self, id: InstanceId, partition: u32, after: Option<Instance>) {
        let before = self.states.remove(&id).map(|(_, state)| state);
        let disk = self.cloud.guest_of(id).map(|(_, disk)| disk);
        if let Err(violation) = self.ledger.committed(before.as_ref(), after.as_ref(), disk) {
            self.desk.violated(violation);
        }
        let stage = |state: Option<&Instance>| state.map_or("gone".to_owned(), stage);
        let is_left = |kind: &Kind| self.cloud.of(*kind, id).count() > 0;
        if after.is_none() && self.ledger.left_behind(id).iter().any(is_left) {
            self.desk.tally.count(Fault::LeftBehind);
        }
        let (old, new) = (stage(before.as_ref()), stage(after.as_ref()));
        if old != new {
            self.desk.tell("control plane", format_args!("{} is {new}", short(id)));
        }
        let operation = after.as_ref().and_then(|state| state.operation.as_ref());
        self.desk.plan.note(id, operation.map(|operation| operation.kind));
        if let Some(state) = after {
            self.states.insert(id, (partition, state));
        }
    }
}

/// Where an instance stands, in a few words.
fn stage(instance: &Instance) -> String {
    let operation = instance
        .operation
        .as_ref()
        .map(|operation| format!("{} {} #{} ", operation.kind.as_str(), operation.step.as_str(), operation.attempt));
    let tasks: Vec<&str> = instance.tasks.values().map(|task| task.kind.as_str()).collect();
    let (contact, engine) = (instance.health.contact, instance.health.engine);
    let status = coffer_domain::instance::view::status(instance);
    format!("{status:?} {}{contact:?}/{engine:?} {tasks:?}", operation.unwrap_or_default())
}

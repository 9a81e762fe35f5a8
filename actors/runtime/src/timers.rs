//! Durable timers in memory: due order, replacement, cancellation, and grace after a take-over.

use std::collections::{BTreeSet, HashMap};

use coffer_domain::{
    ids::{InstanceId, TenantId},
    instance::effect::{Timer, TimerChange, TimerId},
    time::{Millis, Timestamp},
};
use serde::{Deserialize, Serialize};

/// A timer with the instance that it belongs to; also the stored row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnedTimer {
    pub tenant: TenantId,
    pub instance: InstanceId,
    pub timer: Timer,
}

type Key = (InstanceId, TimerId);

#[derive(Debug)]
struct Set {
    due: Timestamp,
    grace: Millis,
    tenant: TenantId,
}

/// The timers of one partition.
#[derive(Debug, Default)]
pub struct Timers {
    by_key: HashMap<Key, Set>,
    by_due: BTreeSet<(Timestamp, InstanceId, TimerId)>,
}

impl Timers {
    /// Takes over a stored timer: it fires no sooner than its grace after `taken_over_at`.
    pub fn take_over(&mut self, stored: OwnedTimer, taken_over_at: Timestamp) {
        let due = stored.timer.due.max(taken_over_at + stored.timer.grace);
        self.set(OwnedTimer { timer: Timer { due, ..stored.timer }, ..stored });
    }

    pub fn set(&mut self, owned: OwnedTimer) {
        let OwnedTimer { tenant, instance, timer: Timer { id, due, grace } } = owned;
        self.cancel(instance, &id);
        self.by_due.insert((due, instance, id.clone()));
        self.by_key.insert((instance, id), Set { due, grace, tenant });
    }

    /// Sets and cancels as a decision on an instance says.
    pub fn change(&mut self, tenant: &TenantId, instance: InstanceId, changes: &[TimerChange]) {
        for change in changes {
            match change {
                TimerChange::Set(timer) => {
                    self.set(OwnedTimer { tenant: tenant.clone(), instance, timer: timer.clone() })
                }
                TimerChange::Cancel(id) => self.cancel(instance, id),
            }
        }
    }

    /// Nothing was taken in for a while up to `now`: no timer fires sooner than its grace after that.
    pub fn was_away(&mut self, now: Timestamp) {
        for ((instance, id), set) in &mut self.by_key {
            let due = set.due.max(now + set.grace);
            if due != set.due {
                self.by_due.remove(&(set.due, *instance, id.clone()));
                self.by_due.insert((due, *instance, id.clone()));
                set.due = due;
            }
        }
    }

    pub fn cancel(&mut self, instance: InstanceId, id: &TimerId) {
        let key = (instance, id.clone());
        if let Some(set) = self.by_key.remove(&key) {
            self.by_due.remove(&(set.due, key.0, key.1));
        }
    }

    /// When the next timer is due.
    pub fn next_due(&self) -> Option<Timestamp> {
        self.by_due.first().map(|(due, _, _)| *due)
    }

    /// The timers due at `now`, at most `limit`, in due order. They stay until they are cancelled by
    /// whoever takes them into account.
    pub fn due(&self, now: Timestamp, limit: usize) -> Vec<(TenantId, InstanceId, TimerId)> {
        self.by_due
            .iter()
            .take_while(|(due, _, _)| *due <= now)
            .take(limit)
            .filter_map(|(_, instance, id)| {
                let set = self.by_key.get(&(*instance, id.clone()))?;
                Some((set.tenant.clone(), *instance, id.clone()))
            })
            .collect()
    }

    pub fn len(&self) -> usize {
        self.by_due.len()
    }

    pub fn is_empty(&self) -> bool {
        self.by_due.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use coffer_domain::ids::EffectId;
    use uuid::Uuid;

    use super::*;

    fn timer(effect: &str, due: i64, grace: i64) -> OwnedTimer {
        let id = TimerId::Deadline { effect: EffectId(effect.into()) };
        OwnedTimer {
            tenant: TenantId("t".into()),
            instance: InstanceId(Uuid::from_u128(1)),
            timer: Timer { id, due: Timestamp(due), grace },
        }
    }

    #[test]
    fn timers_come_in_due_order_and_only_when_due() {
        let mut timers = Timers::default();
        timers.set(timer("b", 20, 0));
        timers.set(timer("a", 10, 0));
        timers.set(timer("c", 30, 0));
        let due = timers.due(Timestamp(20), 10);
        let ids: Vec<_> = due.iter().map(|(_, _, id)| id.clone()).collect();
        assert_eq!(ids, [timer("a", 0, 0).timer.id, timer("b", 0, 0).timer.id]);
        assert_eq!(timers.next_due(), Some(Timestamp(10)));
    }

    #[test]
    fn setting_again_replaces_and_cancelling_removes() {
        let mut timers = Timers::default();
        timers.set(timer("a", 10, 0));
        timers.set(timer("a", 50, 0));
        assert_eq!((timers.len(), timers.next_due()), (1, Some(Timestamp(50))));
        timers.cancel(InstanceId(Uuid::from_u128(1)), &timer("a", 0, 0).timer.id);
        assert!(timers.is_empty());
    }

    #[test]
    fn an_absence_longer_than_the_timer_leaves_it_its_grace() {
        let mut timers = Timers::default();
        timers.take_over(timer("deadline", 10, 300), Timestamp(1_000_000));
        timers.take_over(timer("retry", 10, 0), Timestamp(1_000_000));
        assert_eq!(timers.due(Timestamp(1_000_000), 10).len(), 1);
        assert_eq!(timers.due(Timestamp(1_000_300), 10).len(), 2);
    }

    #[test]
    fn a_pause_leaves_them_their_grace_too() {
        let mut timers = Timers::default();
        timers.set(timer("deadline", 10, 300));
        timers.set(timer("retry", 10, 0));
        timers.was_away(Timestamp(1_000));
        assert_eq!(timers.due(Timestamp(1_000), 10).len(), 1);
        assert_eq!(timers.due(Timestamp(1_300), 10).len(), 2);
    }
}

//! Quota of a tenant: charged and refunded in the same batch as the instance that it is for.

mod own;

use serde::{Deserialize, Serialize};

use crate::rejection::{Rejection, RejectionKind};
pub use own::{Limit, OwnLimits, TenantLimits};

/// What one instance takes of its tenant's quota.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Charge {
    pub instances: u64,
    pub volume_gib: u64,
    pub memory_mib: u64,
}

impl Charge {
    /// What of this is not in `other`.
    #[must_use]
    pub fn beyond(self, other: Self) -> Self {
        Self {
            instances: self.instances.saturating_sub(other.instances),
            volume_gib: self.volume_gib.saturating_sub(other.volume_gib),
            memory_mib: self.memory_mib.saturating_sub(other.memory_mib),
        }
    }
}

/// What a tenant may have. Absent means unlimited (Trove's -1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    pub instances: Option<u64>,
    /// Sum of the volumes' sizes, GiB (Trove's `volumes`).
    pub volume_gib: Option<u64>,
    pub memory_mib: Option<u64>,
    pub backups: Option<u64>,
    /// Size of one volume at most, GiB.
    pub max_volume_gib: u32,
}

impl Default for Limits {
    /// Trove 26's defaults (`trove/common/cfg.py`: max_instances_per_tenant and its neighbours).
    fn default() -> Self {
        Self { instances: Some(10), volume_gib: Some(40), memory_mib: None, backups: Some(50), max_volume_gib: 10 }
    }
}

/// What a tenant has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    pub instances: u64,
    pub volume_gib: u64,
    pub memory_mib: u64,
}

impl Usage {
    /// Checks that `charge` fits under `limits`; names each resource that does not, in Trove's words.
    pub fn admit(&self, charge: Charge, limits: &Limits) -> Result<(), Rejection> {
        let over: Vec<String> = [
            ("instances", self.instances, charge.instances, limits.instances),
            ("ram", self.memory_mib, charge.memory_mib, limits.memory_mib),
            ("volumes", self.volume_gib, charge.volume_gib, limits.volume_gib),
        ]
        .into_iter()
        // Whoever takes nothing more of a resource is not refused for it, though its limit was lowered meanwhile.
        .filter(|(_, used, more, limit)| *more > 0 && limit.is_some_and(|limit| used.saturating_add(*more) > limit))
        .map(|(resource, ..)| format!("'{resource}'"))
        .collect();
        if over.is_empty() {
            return Ok(());
        }
        Err(Rejection::new(RejectionKind::OverLimit, format!("Quota exceeded for resources: [{}].", over.join(", "))))
    }

    #[must_use]
    pub fn charged(self, charge: Charge) -> Self {
        Self {
            instances: self.instances.saturating_add(charge.instances),
            volume_gib: self.volume_gib.saturating_add(charge.volume_gib),
            memory_mib: self.memory_mib.saturating_add(charge.memory_mib),
        }
    }

    /// # Panics
    /// In debug builds when more is given back than was taken, which the property tests exclude; a release build
    /// stays at zero.
    #[must_use]
    pub fn refunded(self, charge: Charge) -> Self {
        debug_assert!(
            self.instances >= charge.instances
                && self.volume_gib >= charge.volume_gib
                && self.memory_mib >= charge.memory_mib,
            "refund of {charge:?} from {self:?}"
        );
        Self {
            instances: self.instances.saturating_sub(charge.instances),
            volume_gib: self.volume_gib.saturating_sub(charge.volume_gib),
            memory_mib: self.memory_mib.saturating_sub(charge.memory_mib),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Charge = Charge { instances: 1, volume_gib: 5, memory_mib: 512 };

    #[test]
    fn a_charge_that_fits_is_admitted_and_comes_back_whole() {
        let usage = Usage::default();
        usage.admit(ONE, &Limits::default()).unwrap();
        assert_eq!(usage.charged(ONE).refunded(ONE), usage);
    }

    #[test]
    fn every_exceeded_resource_is_named_in_troves_words() {
        let limits = Limits { instances: Some(0), volume_gib: Some(4), memory_mib: Some(511), ..Limits::default() };
        let rejection = Usage::default().admit(ONE, &limits).unwrap_err();
        assert_eq!(rejection.kind, RejectionKind::OverLimit);
        assert_eq!(rejection.message, "Quota exceeded for resources: ['instances', 'ram', 'volumes'].");
    }

    #[test]
    fn a_limit_that_was_lowered_stands_in_the_way_of_nothing_else() {
        let limits = Limits { instances: Some(0), memory_mib: Some(1), ..Limits::default() };
        let usage = Usage::default().charged(ONE);
        usage.admit(Charge { volume_gib: 1, ..Charge::default() }, &limits).unwrap();
    }

    #[test]
    fn what_is_beyond_another_charge_is_the_rest_of_it() {
        let larger = Charge { memory_mib: 2048, ..ONE };
        assert_eq!(larger.beyond(ONE), Charge { instances: 0, volume_gib: 0, memory_mib: 1536 });
        assert_eq!(ONE.beyond(larger), Charge::default());
    }

    #[test]
    fn absent_limits_are_no_limits() {
        let limits = Limits { instances: None, volume_gib: None, memory_mib: None, ..Limits::default() };
        let usage = Usage { instances: 1_000_000, volume_gib: 1_000_000, memory_mib: 1_000_000 };
        usage.admit(ONE, &limits).unwrap();
    }
}

//! Limits that one tenant has for itself, where it is not to have those of everybody.

use serde::{Deserialize, Serialize};

use super::Limits;
use crate::{command::Envelope, time::Timestamp};

/// One limit; written as Trove writes it, with -1 for none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "i64", into = "i64")]
pub enum Limit {
    AtMost(u64),
    Unlimited,
}

impl From<i64> for Limit {
    fn from(number: i64) -> Self {
        u64::try_from(number).map_or(Self::Unlimited, Self::AtMost)
    }
}

impl From<Limit> for i64 {
    fn from(limit: Limit) -> Self {
        match limit {
            Limit::AtMost(limit) => Self::try_from(limit).unwrap_or(Self::MAX),
            Limit::Unlimited => -1,
        }
    }
}

/// Limits by resource. Absent means: as for everybody, or, in a change, as it was.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnLimits {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instances: Option<Limit>,
    /// Sum of the volumes' sizes, GiB (Trove's `volumes`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volume_gib: Option<Limit>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_mib: Option<Limit>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backups: Option<Limit>,
}

/// A tenant's own limits, and who set them last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TenantLimits {
    pub limits: OwnLimits,
    /// The principal of the last change.
    pub set_by: String,
    /// `X-Openstack-Request-Id` of the last change.
    pub request_id: String,
    pub set_at: Timestamp,
}

impl OwnLimits {
    #[must_use]
    pub fn changed(self, change: Self) -> Self {
        Self {
            instances: change.instances.or(self.instances),
            volume_gib: change.volume_gib.or(self.volume_gib),
            memory_mib: change.memory_mib.or(self.memory_mib),
            backups: change.backups.or(self.backups),
        }
    }

    /// What the tenant may have, where everybody may have `common`.
    pub fn over(self, common: &Limits) -> Limits {
        let limit = |own: Option<Limit>, common| match own {
            Some(Limit::AtMost(limit)) => Some(limit),
            Some(Limit::Unlimited) => None,
            None => common,
        };
        Limits {
            instances: limit(self.instances, common.instances),
            volume_gib: limit(self.volume_gib, common.volume_gib),
            memory_mib: limit(self.memory_mib, common.memory_mib),
            backups: limit(self.backups, common.backups),
            max_volume_gib: common.max_volume_gib,
        }
    }
}

impl TenantLimits {
    /// What a command makes of the limits that there are. What the tenant has already does not matter: it keeps it, and gets
    /// nothing more until it has less.
    pub fn set(before: Option<&Self>, change: OwnLimits, envelope: &Envelope, now: Timestamp) -> Self {
        Self {
            limits: before.map_or(OwnLimits::default(), |before| before.limits).changed(change),
            set_by: envelope.principal.clone(),
            request_id: envelope.request_id.clone(),
            set_at: now,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_set_is_as_it_was_and_else_as_for_everybody() {
        let common = Limits { memory_mib: Some(512), ..Limits::default() };
        assert_eq!(OwnLimits::default().over(&common), common);
        let own =
            OwnLimits { instances: Some(Limit::AtMost(0)), memory_mib: Some(Limit::Unlimited), ..OwnLimits::default() };
        let own = own.changed(OwnLimits { volume_gib: Some(Limit::AtMost(7)), ..OwnLimits::default() });
        let expected = Limits { instances: Some(0), volume_gib: Some(7), memory_mib: None, ..common.clone() };
        assert_eq!(own.over(&common), expected);
        let own = own.changed(OwnLimits { instances: Some(Limit::Unlimited), ..OwnLimits::default() });
        assert_eq!(own.over(&common), Limits { instances: None, ..expected });
    }

    #[test]
    fn the_stored_form_is_plain() {
        let own =
            OwnLimits { instances: Some(Limit::AtMost(5)), backups: Some(Limit::Unlimited), ..OwnLimits::default() };
        let text = r#"{"instances":5,"backups":-1}"#;
        assert_eq!(serde_json::to_string(&own).unwrap(), text);
        assert_eq!(serde_json::from_str::<OwnLimits>(text).unwrap(), own);
    }
}

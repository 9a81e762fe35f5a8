//! The clock, behind a trait: tests and rehearsals move it.

use std::time::{SystemTime, UNIX_EPOCH};

use coffer_domain::time::{Millis, Timestamp};

pub trait Clock: Send + Sync {
    fn now(&self) -> Timestamp;
}

/// The host's clock, shifted by a fixed span.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock {
    /// Added to the host's time; 0 but in rehearsals.
    pub offset: Millis,
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX)) + self.offset
    }
}

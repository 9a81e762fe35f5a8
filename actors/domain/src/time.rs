//! Instants and durations in milliseconds. The clock is read by the caller.

use std::ops::{Add, Sub};

use serde::{Deserialize, Serialize};

/// An instant: Unix time in milliseconds, UTC.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

/// A span in milliseconds.
pub type Millis = i64;

/// Milliseconds in a second.
pub const SECOND: Millis = 1000;
/// Milliseconds in a minute.
pub const MINUTE: Millis = 60 * SECOND;
/// Milliseconds in an hour.
pub const HOUR: Millis = 60 * MINUTE;
/// Milliseconds in a day.
pub const DAY: Millis = 24 * HOUR;

impl Timestamp {
    /// `2026-11-22T15:04:05`: UTC, no `Z`, no fraction. Go clients of Trove cannot read anything else. Milliseconds beyond the
    /// calendar (year 9999) show as the epoch.
    pub fn iso(self) -> String {
        let at = jiff::Timestamp::from_millisecond(self.0).unwrap_or_default();
        at.strftime("%Y-%m-%dT%H:%M:%S").to_string()
    }
}

impl Add<Millis> for Timestamp {
    type Output = Timestamp;

    fn add(self, span: Millis) -> Timestamp {
        Timestamp(self.0.saturating_add(span))
    }
}

impl Sub for Timestamp {
    type Output = Millis;

    fn sub(self, earlier: Timestamp) -> Millis {
        self.0.saturating_sub(earlier.0)
    }
}

//! Times as they stand in answers.

use coffer_domain::time::Timestamp;

/// `2026-11-22T15:04:05`: UTC, no `Z`, no fraction. Go clients of Trove cannot read anything else.
pub(crate) fn trove(at: Timestamp) -> String {
    at.iso()
}

/// With a `Z`: only in the limits' `nextAvailable`.
pub(crate) fn zulu(at: Timestamp) -> String {
    format(at.0, "%Y-%m-%dT%H:%M:%SZ")
}

/// Keystone's: microseconds and a `Z`.
pub(crate) fn keystone(at_ms: i64) -> String {
    format(at_ms, "%Y-%m-%dT%H:%M:%S.%6fZ")
}

/// Milliseconds beyond the calendar (year 9999) show as the epoch.
fn format(at_ms: i64, pattern: &str) -> String {
    jiff::Timestamp::from_millisecond(at_ms).unwrap_or_default().strftime(pattern).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats() {
        let at = Timestamp(1_795_359_845_678);
        assert_eq!(trove(at), "2026-11-22T15:04:05");
        assert_eq!(zulu(at), "2026-11-22T15:04:05Z");
        assert_eq!(keystone(at.0), "2026-11-22T15:04:05.678000Z");
        assert_eq!(trove(Timestamp(i64::MAX)), "1970-01-01T00:00:00");
    }
}

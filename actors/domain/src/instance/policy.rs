//! Bounds of the lifecycle: how long, how often, how many.

use super::workflow::Step;
use crate::{
    ids::EffectId,
    time::{HOUR, MINUTE, Millis, SECOND},
};

/// How one step is carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// After this long without an outcome the effect counts as failed.
    pub deadline: Millis,
    /// Attempts in all, the first one included.
    pub attempts: u32,
}

/// An agent is called silent when nothing was heard for three heartbeats of 10 s.
pub const SILENCE: Millis = 30 * SECOND;
/// Gauges reach an instance's row at most this often, unless its health changes.
pub const GAUGES_INTERVAL: Millis = MINUTE;
/// By how much the timer of an effect outlives the effect's own deadline.
pub const TIMER_MARGIN: Millis = 10 * SECOND;
/// Tasks of one instance side by side at most.
pub const MAX_TASKS: usize = 16;
/// Databases, and users, of one instance at most: both stand in its row.
pub const MAX_CONTENTS: usize = coffer_protocol::report::MAX_INVENTORY;
/// Times that root was enabled that an instance remembers: the latest ones.
pub const MAX_ROOT_HISTORY: usize = 16;
/// Attempts of a forced delete at each step, before it leaves a thing behind.
pub const FORCED_ATTEMPTS: u32 = 3;
/// The answer to a command is kept this long for whoever repeats it.
pub const DEDUP_WINDOW: Millis = 24 * HOUR;
/// A task of the agent: generous, since an engine may be starting.
pub const TASK: Policy = Policy { deadline: 2 * MINUTE, attempts: 3 };

const FIRST_BACKOFF: Millis = SECOND;
const LONGEST_BACKOFF: Millis = MINUTE;
/// Share of a backoff that is spread at random, in per cent.
const JITTER_PERCENT: i64 = 25;

/// The policy of a step.
pub fn of(step: Step) -> Policy {
    match step {
        // Nothing is called; the deadline is the interrupted effect's own.
        Step::Settle => Policy { deadline: 3 * MINUTE, attempts: 1 },
        Step::EnsureAddress => Policy { deadline: 30 * SECOND, attempts: 5 },
        Step::EnsureVolume => Policy { deadline: 2 * MINUTE, attempts: 5 },
        Step::EnsureServer => Policy { deadline: 3 * MINUTE, attempts: 5 },
        // A VM under plain emulation needs the better part of this to boot.
        Step::AwaitAgent => Policy { deadline: 5 * MINUTE, attempts: 1 },
        Step::PrepareDatabase => Policy { deadline: 5 * MINUTE, attempts: 3 },
        // Replaying a large redo log is slow and must not be cut short.
        Step::RestartEngine => Policy { deadline: 5 * MINUTE, attempts: 2 },
        // The agent kills an engine that does not stop within a minute.
        Step::StopEngine => Policy { deadline: 2 * MINUTE, attempts: 3 },
        Step::GrowVolume => Policy { deadline: 2 * MINUTE, attempts: 5 },
        Step::MeasureVolume => Policy { deadline: 30 * SECOND, attempts: 8 },
        Step::GrowFilesystem => Policy { deadline: 2 * MINUTE, attempts: 3 },
        // A server that moves to another host while it is resized takes longer: the next attempt finds it under way.
        Step::ResizeServer => Policy { deadline: 5 * MINUTE, attempts: 5 },
        Step::ResizeEngine => Policy { deadline: 5 * MINUTE, attempts: 2 },
        Step::RestoreServer | Step::RestoreEngine => Policy { deadline: 5 * MINUTE, attempts: 8 },
        Step::DeleteServer | Step::DeleteVolume => Policy { deadline: 2 * MINUTE, attempts: 8 },
        Step::ReleaseAddress => Policy { deadline: 30 * SECOND, attempts: 8 },
    }
}

/// How long to wait after the failed attempt `attempt` (from 1), at least `retry_after`. The jitter follows from the
/// effect's id: instances that failed together come back apart, and a replay computes the same.
pub fn backoff(effect: &EffectId, attempt: u32, retry_after: Option<Millis>) -> Millis {
    let doublings = attempt.saturating_sub(1).min(16);
    let plain = FIRST_BACKOFF.saturating_mul(1 << doublings).min(LONGEST_BACKOFF);
    let jitter = plain * JITTER_PERCENT / 100;
    let spread = i64::from(fnv1a(effect.0.as_bytes()) % 1000);
    let jittered = plain - jitter / 2 + jitter * spread / 1000;
    jittered.max(retry_after.unwrap_or(0).min(HOUR))
}

/// FNV-1a, 32 bits: spreads ids, protects nothing.
fn fnv1a(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> EffectId {
        EffectId(text.into())
    }

    #[test]
    fn backoff_doubles_within_its_bounds() {
        for attempt in 1..40 {
            let wait = backoff(&id("a"), attempt, None);
            assert!(wait >= FIRST_BACKOFF * 7 / 8, "{attempt}: {wait}");
            assert!(wait <= LONGEST_BACKOFF * 9 / 8, "{attempt}: {wait}");
        }
        assert!(backoff(&id("a"), 4, None) > backoff(&id("a"), 1, None));
    }

    #[test]
    fn the_outsides_own_word_is_the_least() {
        assert_eq!(backoff(&id("a"), 1, Some(20 * SECOND)), 20 * SECOND);
    }

    #[test]
    fn those_that_failed_together_come_back_apart() {
        let waits: std::collections::BTreeSet<_> = (0..50).map(|n| backoff(&id(&n.to_string()), 5, None)).collect();
        assert!(waits.len() > 25, "{waits:?}");
    }
}

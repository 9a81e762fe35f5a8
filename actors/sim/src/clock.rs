//! Virtual time. It passes while everybody sleeps, in no time at all.
//!
//! Sleeps follow tokio's paused clock, which moves on to the next one when nothing is left to do. The control plane
//! reads the wall clock on top of it, and that one can be set forward.

use std::sync::atomic::{AtomicI64, Ordering};

use coffer_domain::time::{Millis, Timestamp};
use coffer_runtime::clock::Clock;
use tokio::time::Instant;

/// 2026-01-02 03:04:05.678 UTC: when every history begins.
pub const START: Timestamp = Timestamp(1_767_323_045_678);

#[derive(Debug)]
pub struct VirtualClock {
    started: Instant,
    /// By how much the control plane's wall clock was set forward so far, in ms.
    set_forward: AtomicI64,
}

impl VirtualClock {
    /// Starts now. Must be called on a tokio runtime whose clock is paused.
    pub fn start() -> Self {
        Self { started: Instant::now(), set_forward: AtomicI64::new(0) }
    }

    /// Time since the start, as the world outside the control plane has it.
    pub fn elapsed(&self) -> Millis {
        i64::try_from(self.started.elapsed().as_millis()).unwrap_or(i64::MAX)
    }

    /// When `elapsed` will be that.
    pub fn instant(&self, elapsed: Millis) -> Instant {
        self.started + std::time::Duration::from_millis(u64::try_from(elapsed).unwrap_or(0))
    }

    /// Sets the control plane's wall clock forward.
    pub fn set_forward(&self, span: Millis) {
        self.set_forward.fetch_add(span, Ordering::Relaxed);
    }
}

impl Clock for VirtualClock {
    fn now(&self) -> Timestamp {
        START + self.elapsed() + self.set_forward.load(Ordering::Relaxed)
    }
}

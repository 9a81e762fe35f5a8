//! Crashes, clock shifts and failing effects on purpose. `coffer dev` alone obeys these variables; they are for tests and drills.

pub mod effects;

use std::{env, sync::Arc};

use coffer_runtime::{
    borders::{Border, Borders, NoRehearsal},
    clock::SystemClock,
};
use rustix::process::{Signal, getpid, kill_process};

/// Names a border (`coffer borders create`): the process kills itself when it first gets there.
const CRASH_AT: &str = "COFFER_CRASH_AT";
/// Milliseconds by which the control plane's clock is ahead of the host's.
const CLOCK_OFFSET: &str = "COFFER_CLOCK_OFFSET_MS";

/// Kills this process at one border, as `kill -9` would.
struct CrashAt(String);

impl Borders for CrashAt {
    fn stops_at(&self, border: &Border) -> bool {
        if border.to_string() != self.0 {
            return false;
        }
        // SIGKILL leaves no time for a second thought; should it fail, the step stops all the same.
        let _ = kill_process(getpid(), Signal::KILL);
        true
    }
}

/// The borders of `coffer dev`.
pub fn borders() -> Arc<dyn Borders> {
    match env::var(CRASH_AT) {
        Ok(border) if !border.is_empty() => {
            tracing::warn!(border, "a crash is rehearsed");
            Arc::new(CrashAt(border))
        }
        _ => Arc::new(NoRehearsal),
    }
}

/// The clock of `coffer dev`.
pub fn clock() -> Result<SystemClock, String> {
    match env::var(CLOCK_OFFSET) {
        Ok(text) => {
            let offset = text.parse().map_err(|_| format!("{CLOCK_OFFSET}: {text:?} is no whole number of ms"))?;
            Ok(SystemClock { offset })
        }
        Err(_) => Ok(SystemClock::default()),
    }
}

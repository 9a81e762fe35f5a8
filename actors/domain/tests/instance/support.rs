//! What the tests share.
//!
//! * [`samples`] – a catalogue, orders and other values to work with;
//! * [`partition`] – the runtime's part, in memory and on a virtual clock;
//! * [`invariants`] – what must hold after every step, whatever happened;
//! * [`outside`] – a small model of cloud and agent, and the world of both;
//! * [`golden`] – files that hold what crosses a border.

pub mod golden;
pub mod invariants;
pub mod outside;
pub mod partition;
pub mod samples;

use proptest::test_runner::{Config, FileFailurePersistence};

/// So many cases, unless `PROPTEST_CASES` asks for another number. The seeds of failures are kept beside the tests.
pub fn proptest_config(cases: u32) -> Config {
    let mut config = Config::default();
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = cases;
    }
    let seeds = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/proptest-regressions.txt");
    config.failure_persistence = Some(Box::new(FileFailurePersistence::Direct(seeds)));
    config
}

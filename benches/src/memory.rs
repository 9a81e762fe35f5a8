//! `coffer-bench-memory`: bytes that the control plane allocates for each instance, as JSON. Counting every allocation
//! slows a program down, so that this is one of its own; the bench `memory` runs it.

use std::{alloc::System, process::ExitCode};

use coffer_bench::{figures::memory, measure::Scale};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Bytes that are allocated now; RocksDB's own are not among them.
fn allocated() -> usize {
    let stats = ALLOCATOR.stats();
    stats.bytes_allocated - stats.bytes_deallocated
}

fn main() -> ExitCode {
    let smoke = std::env::args().any(|argument| argument == "--smoke");
    match memory::weigh(Scale { smoke }, allocated) {
        Ok(weights) => {
            println!("{weights}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("coffer-bench-memory: {error}");
            ExitCode::FAILURE
        }
    }
}

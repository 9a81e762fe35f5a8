//! The benches, by name.

mod boot;
mod changes;
mod commands;
mod creates;
mod heartbeats;
mod kafka;
pub mod memory;
mod reads;
mod recovery;

use crate::{Failure, measure::Scale, table::Line};

/// Measures and returns its lines of the closing table.
pub type Bench = fn(Scale) -> Result<Vec<Line>, Failure>;

/// In the order in which they run.
pub const BENCHES: &[(&str, Bench)] = &[
    ("commands", commands::measure),
    ("kafka", kafka::measure),
    ("reads", reads::measure),
    ("creates", creates::measure),
    ("changes", changes::measure),
    ("heartbeats", heartbeats::measure),
    ("memory", memory::measure),
    ("recovery", recovery::measure),
    ("boot", boot::measure),
];

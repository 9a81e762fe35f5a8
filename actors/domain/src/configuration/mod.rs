//! Configuration groups: values for parameters of an engine, kept under a name and attached to instances.
//!
//! * [`parameters`] – which parameters a version has, and what they may be, as the engine itself says;
//! * [`values`] – values of parameters, checked and put into the engine's words;
//! * [`group`] – one group: its state, and how events change it;
//! * [`mod@decide`] – from a command to events.
//!
//! A group stands in its tenant's partition. Which instances are attached to it stands in its row too, and changes in the
//! batch that attaches or detaches one. What an instance makes of a group is in [`crate::instance`].

use std::collections::BTreeMap;

use coffer_protocol::defaults;

pub mod decide;
pub mod group;
pub mod parameters;
pub mod values;

pub use decide::{Context, decide};
pub use group::{Event, Group, evolve};
pub use parameters::Parameter;
pub use values::{Value, Values};

/// What the engine of an instance has where no group says anything, by the names of its options.
pub fn defaults(manager: &str, memory_mib: u64, volume_gib: u32) -> BTreeMap<&'static str, String> {
    match manager {
        "mysql" => defaults::mysql(memory_mib, volume_gib).into_iter().collect(),
        _ => BTreeMap::new(),
    }
}

/// Groups of one tenant at most.
pub const MAX_GROUPS: usize = 100;
/// Instances of one group at most: a change of the group reaches all of them in one batch.
pub const MAX_ATTACHED: usize = 100;

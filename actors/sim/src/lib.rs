//! The whole circle in one thread on a virtual clock, from one seed.
//!
//! Real: the runners with their partitions, instance actors, overlay, timers and store, the links with sealing and
//! sessions, the dispatcher, the vault. Simulated, behind the same ports and the same wire protocol:
//!
//! * [`client`] – what tenants ask for; [`ledger`] – what they were promised, and what became of it;
//! * [`broker`] – records both ways: lost, doubled, delayed, out of order, all gone;
//! * [`cloud`] – addresses, volumes and servers: slow, failing, done and reported as failed, never answering;
//! * [`agent`] – guests that keep the real agent's contract, and die, and are impersonated;
//! * [`connectors`] – the ports between the two; a disk that is slow or full, stops at the borders of a commit;
//! * [`plane`] – the control plane's lives;
//! * [`faults`] – what goes wrong, how often; [`invariants`] – what must hold all the same;
//! * [`plan`] – the one thing that goes wrong on purpose, in a small history of its own ([`case`]);
//! * [`world`] – puts them together; [`desk`], [`clock`], [`dice`], [`trace`] – what they share.
//!
//! [`run`] lives one seed through. The same seed goes the same way, told by the hash of its trace.

pub mod agent;
pub mod broker;
pub mod case;
pub mod client;
pub mod clock;
pub mod cloud;
mod cluster;
pub mod connectors;
pub mod desk;
pub mod dice;
pub mod faults;
pub mod invariants;
pub mod ledger;
mod panics;
pub mod plan;
pub mod plane;
mod run;
pub mod trace;
pub mod world;

use coffer_domain::ids::InstanceId;

pub use run::{Run, run, run_all, run_case};

/// Enough of an instance's id to tell it from others in a story.
pub fn short(instance: InstanceId) -> String {
    let mut text = instance.to_string();
    text.truncate(6);
    text
}

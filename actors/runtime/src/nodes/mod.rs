//! Several nodes that share the partitions: each is one node's own, which decides for it, and is kept warm by the others.
//!
//! * [`seat`] – a partition at this node: owned, or following its owner;
//! * [`members`] – carries out what the group says;
//! * [`forward`] – commands and questions for a partition that is another node's;
//! * [`desk`] – the owner's side of that.
//!
//! With the log of a single host there is one node, which owns everything for as long as it lives.

pub mod desk;
pub mod forward;
pub mod members;
pub mod seat;

use std::sync::Arc;

use coffer_ports::{changelog::Changelog, membership::Membership};

/// What a node shares with others.
#[derive(Clone)]
pub struct Cluster {
    /// What the stores of all nodes follow.
    pub changelog: Arc<dyn Changelog>,
    pub membership: Arc<dyn Membership>,
    /// What this node is called, for people. Need not be unique.
    pub node: String,
}

//! Several nodes that share the partitions: each is one node's own, which decides for it, and is kept warm by the others.
//!
//! * [`seat`] – a partition at this node: owned, or following its owner;
//! * [`members`] – carries out what the group says;
//! * [`forward`] – commands and questions for a partition that is another node's;
//! * [`desk`] – the owner's side of that;
//! * [`status`] – what operators are told of all this.
//!
//! With the log of a single host there is one node, which owns everything for as long as it lives.

pub mod desk;
pub mod forward;
pub mod members;
pub mod seat;
pub mod status;

use std::sync::Arc;

use coffer_ports::{changelog::Changelog, membership::Membership};

/// What a node shares with others.
#[derive(Clone)]
pub struct Cluster {
    /// What the stores of all nodes follow.
    pub changelog: Arc<dyn Changelog>,
    pub membership: Arc<dyn Membership>,
    pub name: Name,
}

/// As whom a node owns partitions.
#[derive(Debug, Clone)]
pub struct Name {
    /// What the node is called, for people. Need not be unique.
    pub node: String,
    /// Where the node keeps what it makes outside: nodes of different places cannot share partitions, since one does not
    /// find what the other has made.
    pub place: String,
}

//! Ports: what Coffer wants from the outside, as traits and plain types. Adapters live in the sibling crates.
//!
//! * [`cloud`] – networks, volumes and servers of a provider;
//! * [`identity`] – who is calling;
//! * [`transport`] – records to and from a Kafka-protocol broker;
//! * [`log`] – committing a partition's batch;
//! * [`changelog`] – what was committed, kept by a cluster;
//! * [`membership`] – which partitions are a node's own;
//! * [`telemetry`] – what every component tells of itself: happenings, metrics, fullness;
//! * [`error`] – the one error type of all adapters.
//!
//! Every call of a port may be repeated: adapters are idempotent by the names that they are handed. They hold no
//! lifecycle knowledge, retry nothing on their own and never log a secret.

pub mod changelog;
pub mod cloud;
pub mod error;
pub mod identity;
pub mod log;
pub mod membership;
pub mod telemetry;
pub mod transport;

pub use error::{Error, ErrorKind, Result};

//! The words that the control plane and its guest agents exchange, and nothing else.
//!
//! * [`boot`] – what a guest is handed once, at first boot;
//! * [`command`] – what the control plane asks of an agent;
//! * [`defaults`] – what an engine is given when nobody says otherwise;
//! * [`question`] – what an agent can be asked that changes nothing;
//! * [`report`] – what an agent tells the control plane;
//! * [`seal`] – how each message is sealed, so that a guest can neither read nor forge another's;
//! * [`topics`] – topic names, keys and the partitioner that both sides must agree on;
//! * [`secret`] – values that must never be printed.
//!
//! No I/O, no clock, no randomness: nonces are handed in. Every type that crosses the wire carries a version and
//! has a golden file under `tests/golden`; a change that breaks one of these files breaks deployed agents.

pub mod boot;
pub mod command;
pub mod defaults;
pub mod question;
pub mod report;
pub mod seal;
pub mod secret;
pub mod topics;

/// The protocol version that this build speaks. An agent announces the range it understands when it enrols.
pub const VERSION: u16 = 1;

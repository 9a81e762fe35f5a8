//! What every adapter of a port has to do, as suites, and (under `tests/`) every adapter put through them.
//!
//! A suite is one async function that panics, naming the rule, when the adapter breaks one. It assumes nothing about
//! the adapter but the port's documentation; what is particular to an adapter is tested beside it.
//!
//! * [`cloud`] – `Network`, `Volumes`, `Compute`;
//! * [`identity`] – `Identity`;
//! * [`transport`] – `Transport`.

pub mod cloud;
pub mod identity;
pub mod transport;

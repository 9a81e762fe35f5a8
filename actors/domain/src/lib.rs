//! The rules of Coffer, pure: no I/O, no clock, no randomness, no framework.
//!
//! The partition of a tenant hands an input and the state to `decide`, commits what comes back, and applies the
//! events with `evolve`; a reader sees the state through `view`. What must be random or read from a clock (ids, keys,
//! now) is handed in.
//!
//! * [`ids`], [`time`], [`sealed`] – the words;
//! * [`catalogue`] – datastores, versions and flavors on offer;
//! * [`quota`] – what a tenant may have, charged and refunded in the same batch as the instance;
//! * [`command`] – what can be asked, and the envelope that it comes in;
//! * [`rejection`] – why something asked is not done;
//! * [`names`] – the rules for names of instances, databases, users and hosts;
//! * [`configuration`] – groups of values for the parameters of engines;
//! * [`instance`] – the lifecycle of one database instance.

pub mod catalogue;
pub mod command;
pub mod configuration;
pub mod ids;
pub mod instance;
pub mod names;
pub mod quota;
pub mod rejection;
pub mod sealed;
pub mod time;

//! What arbitrary bytes may not do: one function per border that bytes of others cross. Each panics when it is broken.
//!
//! * [`wire`] – what stands on a topic: envelopes, commands to agents, their reports, sealed bytes;
//! * [`rows`] – what stands in the store, and the decisions that are made on it;
//! * [`rest`] – what clients send to the API;
//! * [`config`] – what operators write;
//! * [`mutate`] – how inputs are changed, so that more of them get past the parser.
//!
//! Called by the fuzz targets, and by `tests/corpus.rs` for all that was ever found.

pub mod config;
pub mod mutate;
pub mod rest;
pub mod rows;
pub mod wire;

use std::fmt::Debug;

use serde::{Serialize, de::DeserializeOwned};

/// A target's name and what it calls.
pub type Target = (&'static str, fn(&[u8]));

pub const TARGETS: [Target; 4] =
    [("config", config::check), ("rest", rest::check), ("rows", rows::check), ("wire", wire::check)];

/// What reads is written to something that reads the same.
fn round_trip<T: DeserializeOwned + Serialize + PartialEq + Debug>(data: &[u8]) -> Option<T> {
    let value: T = serde_json::from_slice(data).ok()?;
    let written = serde_json::to_vec(&value).expect("what reads can be written");
    let again: T = serde_json::from_slice(&written).expect("what is written reads");
    assert_eq!(again, value, "it reads otherwise after {}", String::from_utf8_lossy(&written));
    Some(value)
}

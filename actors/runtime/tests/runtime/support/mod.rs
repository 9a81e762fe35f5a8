//! What the tests stand on.

pub mod agent;
pub mod broker;
pub mod changelog;
pub mod circle;
pub mod cloud;
pub mod dice;
pub mod faults;
pub mod guest;
pub mod invariants;
pub mod lines;
pub mod nodes;
pub mod outside;
pub mod poll;
pub mod samples;
pub mod small_disk;
pub mod solo;
pub mod world;

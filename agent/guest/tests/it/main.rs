//! The agent on the real engine: the conformance suite, the circle with a control plane, and crashes at every point.

mod broker;
mod circle;
mod conformance;
mod control;
mod crashes;
mod full_volume;
mod guest;
mod mysql;
mod program;
mod secrets;
mod unprivileged;

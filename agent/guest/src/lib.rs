//! The guest agent: runs beside one database engine, does what the control plane asks and tells how the engine is.
//!
//! * [`agent`] – puts the parts together and runs them;
//! * [`inbox`], [`outbox`], [`reporter`] – sealed messages in and out, sessions and heartbeats;
//! * [`journal`], [`executor`] – each command once, also across crashes;
//! * [`supervisor`] – one engine per data directory: started, watched, restarted, adopted;
//! * [`datastores`] – what differs from engine to engine;
//! * [`volume`], [`identity`], [`host`] – the data volume, the agent's key, and Linux.
//!
//! The agent needs no root and no entry in the password file. It holds one secret of the control plane, its own key,
//! and no cloud credentials. An engine outlives its agent: the next agent adopts it.

pub mod agent;
pub mod datastores;
pub mod executor;
pub mod failure;
pub mod host;
pub mod identity;
pub mod inbox;
pub mod journal;
pub mod metrics;
pub mod outbox;
pub mod questions;
pub mod reporter;
pub mod supervisor;
pub mod volume;

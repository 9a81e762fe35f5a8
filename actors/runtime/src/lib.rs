//! The engine of the control plane: partitions that decide, a log that commits, a store that is read.
//!
//! * [`store`] – RocksDB and the form of its rows;
//! * [`local_log`] – the log of a single host: one synced write per batch;
//! * [`replicated_log`] – the log of several hosts: a changelog that a cluster keeps;
//! * [`move_log`] – from one of them to the other;
//! * [`nodes`] – several nodes that share the partitions;
//! * [`partition`] – one writer for its tenants: decide, commit, apply, answer, dispatch – in this order;
//! * [`instances`] – one actor per instance, asked within that order;
//! * [`runner`] – the loop that feeds a partition;
//! * [`link`] – sealed conversation with the agents of a partition;
//! * [`dispatcher`] – carries out effects through the connectors;
//! * [`timers`] – durable timers, with grace after a take-over;
//! * [`vault`] – secrets at rest;
//! * [`check`] – whether the rows agree with each other, and with what is outside;
//! * [`borders`] – the named places at which a crash is rehearsed;
//! * [`post`] – records between the broker and the partitions;
//! * [`room_watch`] – looks how full the store's file system is;
//! * [`metrics`], [`telemetry`], [`fullness`], [`instance_metrics`] – what is counted and logged of all this;
//! * [`runtime`] – starts it all and is the handle that the server wires up.
//!
//! Absent on purpose: no HTTP, no Kafka, no cloud – those are behind ports. Nothing outside is awaited while a
//! partition decides.

pub mod borders;
pub mod check;
pub mod clock;
pub mod dispatcher;
pub mod fullness;
pub mod instance_metrics;
pub mod instances;
pub mod link;
pub mod local_log;
pub mod metrics;
pub mod move_log;
pub mod nodes;
pub mod partition;
pub mod post;
pub mod replicated_log;
pub mod room_watch;
pub mod runner;
pub mod runtime;
pub mod store;
pub mod telemetry;
pub mod timers;
pub mod vault;

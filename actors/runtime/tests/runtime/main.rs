//! The runtime on a real store, through its public interface.
//!
//! * `partition` – one partition driven by hand: every border, failing commits, repeats, quota, timers, chaos;
//! * `check` – what is found in a store that was tampered with;
//! * `link` – the sealed conversation, with an agent that is driven by hand;
//! * `dispatcher` – order, deadline and bound of the calls to the outside;
//! * `runner` – one partition at work: what it does around a commit, and when one fails;
//! * `replicated_log` – a store that follows a changelog;
//! * `nodes` – several nodes that share the partitions;
//! * `post` – the ways between broker and partitions;
//! * `telemetry` – what is counted and logged of all this;
//! * `circle` – everything together, with a broker, a provider and agents that live in memory.

mod check;
mod circle;
mod dispatcher;
mod link;
mod nodes;
mod partition;
mod post;
mod replicated_log;
mod runner;
mod support;
mod telemetry;

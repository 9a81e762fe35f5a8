//! The lifecycle of an instance, from outside the crate: examples that read like documentation, the transition table
//! and the stored and sent forms as golden files, and random histories against a model of the outside.
//!
//! `COFFER_BLESS=1 cargo test -p coffer-domain` writes the golden files anew; read the difference before committing.

mod accounts;
mod chaos;
mod configuration;
mod contents;
mod create;
mod delete;
mod every_step;
mod health;
mod histories;
mod journal;
mod repair;
mod resize;
mod restart;
mod stop;
mod stored;
mod support;
mod timers;
mod transitions;

//! The API over real sockets, with a control plane and an identity service that live in memory.

mod accounts;
mod auth;
mod bodies;
mod configurations;
mod contents;
mod control;
mod create;
mod document;
mod errors;
mod golden;
mod idempotency;
mod journal;
mod logs;
mod mgmt;
mod paging;
mod parity;
mod people;
mod policy;
mod quotas;
mod rates;
mod repair;
mod server;
mod unbuilt;

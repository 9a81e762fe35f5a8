//! The `local` provider: instances on a plain Linux host.
//!
//! * [`LocalProvider`] – addresses (each instance its own 127.x.y.z), volumes (directories) and servers (agent
//!   processes), behind the ports of `coffer_ports::cloud`;
//! * [`supervisor`] – the process that keeps the agents running, whatever happens to Coffer;
//! * [`identity`] – users from a file, behind the port of `coffer_ports::identity`;
//! * [`inventory`] – all that there is under a root, for whoever checks it;
//! * [`processes`] – which processes belong to an instance;
//! * [`sizes`] – that sizes are not enforced, in words for operators.
//!
//! Everything is under one root directory:
//!
//! ```text
//! bin/coffer-agent                 what guests execute: a copy, so that a rebuild does not disturb them
//! addresses/INSTANCE.json          the instance's address (and, as root, with it its user id)
//! volumes/INSTANCE/volume.json     what was ordered
//! volumes/INSTANCE/data/           what the guest owns
//! servers/INSTANCE/server.json     what is to run; written last, so that it is the commit point
//! servers/INSTANCE/boot.json       first-boot data, secret, readable by the guest only
//! servers/INSTANCE/agent.log       output of agent and engine
//! changes.lock                     held by whoever changes any of this
//! supervisor.{lock,fifo,log}       one supervisor per root, how to wake it, what it says
//! ```
//!
//! Started by root, each instance runs as an unprivileged user of its own; otherwise all run as the user of Coffer
//! and nothing separates them.

mod address;
mod compute;
mod error;
mod files;
pub mod identity;
pub mod inventory;
mod layout;
mod lock;
mod network;
pub mod processes;
mod provider;
mod shutdown;
pub mod sizes;
mod spec;
pub mod supervisor;
mod volumes;

pub use provider::{LocalConfig, LocalProvider};

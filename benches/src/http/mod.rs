//! The API over HTTP on loopback: the servers as processes of their own, and a client. All of them share the host's
//! cores; what the client takes, it takes from ours and from the limit alike.
//!
//! * [`client`] – keeps connections busy;
//! * [`home`] – directories that servers work in;
//! * [`child`] – a server as a process that ends with its parent;
//! * [`plane`] – the control plane with its whole API;
//! * [`bare`] – actix-web alone.

pub mod bare;
pub mod child;
pub mod client;
pub mod home;
pub mod plane;

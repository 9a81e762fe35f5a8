//! Secrets that the domain carries and cannot read.

use serde::{Deserialize, Serialize};

/// A secret sealed with a deployment key: opaque here, opened only where it is used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealed {
    /// The deployment key that it was sealed with.
    pub key_id: String,
    /// What it is bound to: opening it elsewhere fails.
    pub context: String,
    #[serde(with = "coffer_protocol::seal::base64_bytes")]
    pub bytes: Vec<u8>,
}

/// The key that an instance's server incarnation and the control plane share, wrapped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerKey {
    /// Id of the key on the wire.
    pub key_id: String,
    pub wrapped: Sealed,
}

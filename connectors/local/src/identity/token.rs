//! Tokens: sealed JSON as URL-safe text.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use coffer_ports::{Error, ErrorKind, Result};
use coffer_protocol::seal::{Key, NONCE_BYTES, Subkey};
use serde::{Deserialize, Serialize};

use super::verify::random;

/// Picks the subkey that tokens are sealed with.
const PURPOSE: &str = "identity-token";
/// A longer text is no token of ours.
const MAX_TOKEN_BYTES: usize = 2048;

/// What a token says.
#[derive(Serialize, Deserialize)]
pub(super) struct Claims {
    pub user_id: String,
    pub project_id: String,
    /// Of the password hash as it was.
    pub fingerprint: String,
    pub issued_at_ms: i64,
    pub expires_at_ms: i64,
}

pub(super) struct Sealer(Subkey);

impl Sealer {
    pub(super) fn new(key: [u8; 32]) -> Self {
        Self(Key::from_bytes(key).subkey(PURPOSE))
    }

    pub(super) fn seal(&self, claims: &Claims) -> Result<String> {
        let content = serde_json::to_vec(claims)
            .map_err(|error| Error::new(ErrorKind::Internal, "local.encode", format!("a token: {error}")))?;
        Ok(BASE64.encode(self.0.seal_bytes("", &content, random::<NONCE_BYTES>()?)))
    }

    /// `None` for whatever was not sealed with our key.
    pub(super) fn open(&self, token: &str) -> Option<Claims> {
        if token.len() > MAX_TOKEN_BYTES {
            return None;
        }
        let content = self.0.open_bytes("", &BASE64.decode(token).ok()?).ok()?;
        serde_json::from_slice(&content).ok()
    }
}

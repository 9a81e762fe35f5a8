//! Tokens: sealed JSON as URL-safe text.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use coffer_ports::{Error, ErrorKind, Result, telemetry::Bounded};
use coffer_protocol::seal::{Key, NONCE_BYTES, Subkey};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{TOKENS_REMEMBERED, verify::random};

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

/// Tokens that are remembered at most; with one more all are forgotten, and opened again as they come.
const REMEMBERED: usize = 4096;

/// What was in the tokens that were opened: clients send the same one with each request. Whether it is still valid is
/// asked each time. A token itself is a secret, and only its hash is kept.
#[derive(Default)]
pub(super) struct Opened(Arc<Mutex<HashMap<[u8; 32], Arc<Claims>>>>);

impl Opened {
    /// Has its fullness known.
    pub(super) fn watch(&self, bounded: &Bounded) {
        let weak = Arc::downgrade(&self.0);
        let used = move || Some(weak.upgrade()?.lock().unwrap_or_else(PoisonError::into_inner).len());
        bounded.register(TOKENS_REMEMBERED, REMEMBERED, used);
    }

    pub(super) fn get_or_open(&self, token: &str, sealer: &Sealer) -> Option<Arc<Claims>> {
        let hash: [u8; 32] = Sha256::digest(token).into();
        let remembered = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(claims) = remembered().get(&hash) {
            return Some(claims.clone());
        }
        let claims = Arc::new(sealer.open(token)?);
        let mut remembered = remembered();
        if remembered.len() >= REMEMBERED {
            remembered.clear();
        }
        remembered.insert(hash, claims.clone());
        Some(claims)
    }
}

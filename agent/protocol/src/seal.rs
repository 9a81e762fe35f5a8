//! Sealing: XChaCha20-Poly1305 with a subkey per purpose and a random 192-bit nonce.
//!
//! A [`Envelope`] is what travels: a clear header that routes it and a ciphertext that the header is bound to as
//! associated data. [`Key::seal_bytes`] is the same construction without a header, for secrets at rest.

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use chacha20poly1305::{
    XChaCha20Poly1305, XNonce,
    aead::{Aead, KeyInit, Payload},
};
use hkdf::Hkdf;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::Sha256;
use zeroize::Zeroize;

/// Length of a nonce in bytes. Nonces are random; 192 bits make a repeat negligible.
pub const NONCE_BYTES: usize = 24;
/// A random nonce, made by the caller: this crate has no randomness of its own.
pub type Nonce = [u8; NONCE_BYTES];

/// Who speaks to whom. Each direction has its own subkey: an agent cannot be told its own words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    ToAgent,
    FromAgent,
}

impl Direction {
    fn purpose(self) -> &'static str {
        match self {
            Direction::ToAgent => "to-agent",
            Direction::FromAgent => "from-agent",
        }
    }
}

/// The clear part of a sealed message, authenticated with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// Protocol version of the sealed content.
    pub version: u16,
    /// Id of the key: one per server incarnation.
    pub key_id: String,
    /// The cell that the agent belongs to.
    pub cell: String,
    pub direction: Direction,
    /// Epoch of the partition's owner, as the sender knows it.
    pub epoch: u64,
    /// Grows by at least one with each message of this direction within one sender's life.
    pub sequence: u64,
}

impl Header {
    /// The associated data: every field, each of fixed or prefixed length, so that no two headers read alike.
    fn associated_data(&self) -> Vec<u8> {
        let mut data = Vec::with_capacity(64 + self.key_id.len() + self.cell.len());
        data.extend_from_slice(b"coffer-envelope");
        data.extend_from_slice(&self.version.to_be_bytes());
        data.push(match self.direction {
            Direction::ToAgent => 1,
            Direction::FromAgent => 2,
        });
        data.extend_from_slice(&self.epoch.to_be_bytes());
        data.extend_from_slice(&self.sequence.to_be_bytes());
        for text in [&self.key_id, &self.cell] {
            data.extend_from_slice(&(text.len() as u64).to_be_bytes());
            data.extend_from_slice(text.as_bytes());
        }
        data
    }
}

/// A sealed message as it stands on a topic (JSON).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Flat")]
pub struct Envelope {
    #[serde(flatten)]
    pub header: Header,
    #[serde(with = "base64_bytes")]
    pub nonce: Vec<u8>,
    #[serde(with = "base64_bytes")]
    pub ciphertext: Vec<u8>,
}

/// An envelope as it is read: a flattened header would be collected field by field before it is taken apart.
#[derive(Deserialize)]
struct Flat {
    version: u16,
    key_id: String,
    cell: String,
    direction: Direction,
    epoch: u64,
    sequence: u64,
    #[serde(with = "base64_bytes")]
    nonce: Vec<u8>,
    #[serde(with = "base64_bytes")]
    ciphertext: Vec<u8>,
}

impl From<Flat> for Envelope {
    fn from(flat: Flat) -> Self {
        let Flat { version, key_id, cell, direction, epoch, sequence, nonce, ciphertext } = flat;
        Self { header: Header { version, key_id, cell, direction, epoch, sequence }, nonce, ciphertext }
    }
}

/// Why a sealed thing could not be opened. It says nothing of the content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    #[error("the message speaks to the other direction")]
    Direction,
    #[error("the nonce is not {NONCE_BYTES} bytes long")]
    Nonce,
    #[error("the seal is broken: wrong key, changed header or changed content")]
    Forged,
}

/// A 256-bit key. `Debug` shows no content and the memory is wiped on drop.
#[derive(Clone, PartialEq, Eq)]
pub struct Key([u8; 32]);

impl Key {
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The raw key, for wrapping it or handing it to a guest.
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    /// Seals `plaintext` under `header`.
    pub fn seal(&self, header: Header, plaintext: &[u8], nonce: Nonce) -> Envelope {
        self.channel(header.direction).seal(header, plaintext, nonce)
    }

    /// Opens a message that must have been sealed in `direction`; the caller checks sequence and epoch.
    pub fn open(&self, envelope: &Envelope, direction: Direction) -> Result<Vec<u8>, OpenError> {
        self.channel(direction).open(envelope)
    }

    /// What one direction is sealed and opened with. Whoever does so often keeps it, as with [`Key::subkey`].
    pub fn channel(&self, direction: Direction) -> Channel {
        Channel { direction, subkey: self.subkey(direction.purpose()) }
    }

    /// Seals `plaintext` for storage: nonce followed by ciphertext. `purpose` picks a subkey, `context` is bound to
    /// the content (for example the id of the row that it belongs to).
    pub fn seal_bytes(&self, purpose: &str, context: &str, plaintext: &[u8], nonce: Nonce) -> Vec<u8> {
        self.subkey(purpose).seal_bytes(context, plaintext, nonce)
    }

    /// Opens what [`Key::seal_bytes`] made with the same purpose and context.
    pub fn open_bytes(&self, purpose: &str, context: &str, sealed: &[u8]) -> Result<Vec<u8>, OpenError> {
        self.subkey(purpose).open_bytes(context, sealed)
    }

    /// The subkey of a purpose. Whoever seals or opens much keeps it: to derive it costs about as much as to open a
    /// short message.
    pub fn subkey(&self, purpose: &str) -> Subkey {
        let mut subkey = [0_u8; 32];
        Hkdf::<Sha256>::new(Some(b"coffer-v1"), &self.0)
            .expand(purpose.as_bytes(), &mut subkey)
            .expect("32 bytes are within HKDF-SHA256's limit of 8,160");
        let cipher = XChaCha20Poly1305::new(&subkey.into());
        subkey.zeroize();
        Subkey(cipher)
    }
}

/// A [`Key`] for messages of one direction. The memory is wiped on drop.
pub struct Channel {
    direction: Direction,
    subkey: Subkey,
}

impl Channel {
    /// As [`Key::seal`]; the header names this direction.
    pub fn seal(&self, header: Header, plaintext: &[u8], nonce: Nonce) -> Envelope {
        let header = Header { direction: self.direction, ..header };
        let ciphertext = self.subkey.encrypt(&header.associated_data(), plaintext, nonce);
        Envelope { header, nonce: nonce.to_vec(), ciphertext }
    }

    /// As [`Key::open`].
    pub fn open(&self, envelope: &Envelope) -> Result<Vec<u8>, OpenError> {
        if envelope.header.direction != self.direction {
            return Err(OpenError::Direction);
        }
        self.subkey.decrypt(&envelope.header.associated_data(), &envelope.nonce, &envelope.ciphertext)
    }
}

/// A [`Key`] for one purpose. The memory is wiped on drop.
pub struct Subkey(XChaCha20Poly1305);

impl Subkey {
    /// As [`Key::seal_bytes`].
    pub fn seal_bytes(&self, context: &str, plaintext: &[u8], nonce: Nonce) -> Vec<u8> {
        let mut sealed = nonce.to_vec();
        sealed.extend(self.encrypt(context.as_bytes(), plaintext, nonce));
        sealed
    }

    /// As [`Key::open_bytes`].
    pub fn open_bytes(&self, context: &str, sealed: &[u8]) -> Result<Vec<u8>, OpenError> {
        let (nonce, ciphertext) = sealed.split_at_checked(NONCE_BYTES).ok_or(OpenError::Nonce)?;
        self.decrypt(context.as_bytes(), nonce, ciphertext)
    }

    fn encrypt(&self, associated_data: &[u8], plaintext: &[u8], nonce: Nonce) -> Vec<u8> {
        self.0
            .encrypt(&XNonce::from(nonce), Payload { msg: plaintext, aad: associated_data })
            .expect("messages are far below the cipher's limit of 256 GiB")
    }

    fn decrypt(&self, associated_data: &[u8], nonce: &[u8], ciphertext: &[u8]) -> Result<Vec<u8>, OpenError> {
        let nonce: Nonce = nonce.try_into().map_err(|_| OpenError::Nonce)?;
        self.0
            .decrypt(&XNonce::from(nonce), Payload { msg: ciphertext, aad: associated_data })
            .map_err(|_| OpenError::Forged)
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Key(…)")
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// Base64, for a first-boot file or a `rotate` command, both of which are secret as a whole.
impl Serialize for Key {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        base64_bytes::serialize(self.0.as_slice(), serializer)
    }
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = base64_bytes::deserialize(deserializer)?;
        <[u8; 32]>::try_from(bytes).map(Self).map_err(|_| serde::de::Error::custom("a key is 32 bytes, base64"))
    }
}

/// Bytes as standard base64 text in JSON.
pub mod base64_bytes {
    use super::*;

    pub fn serialize<S: Serializer>(bytes: impl AsRef<[u8]>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&BASE64.encode(bytes))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(deserializer)?;
        BASE64.decode(text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests;

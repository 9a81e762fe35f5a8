//! Opens what arrives for this agent and refuses what it must not obey.

use std::{collections::BTreeMap, fmt, sync::Arc};

use coffer_ports::transport::Incoming;
use coffer_protocol::{
    VERSION,
    command::ToAgent,
    seal::{Direction, Envelope, OpenError},
    topics::KEY_ID_HEADER,
};
use serde::Deserialize;

use crate::identity::Identity;

/// How many refusals of one kind are each logged; above that only each doubling is, so that a noisy neighbour cannot
/// fill the log.
const REFUSALS_LOGGED_EACH: u64 = 100;

/// A message that was sealed for this agent by its control plane, once.
#[derive(Debug, PartialEq, Eq)]
pub enum Opened {
    Message(ToAgent),
    /// A command of a kind that this build does not know.
    Unknown {
        command_id: String,
    },
}

/// Why a message is not obeyed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Refusal {
    /// Not an envelope.
    Malformed,
    /// Sealed in a protocol version that this build does not speak.
    Version,
    /// The record names our key and the envelope another one.
    KeyId,
    Cell,
    Direction,
    /// The seal is broken.
    Forged,
    /// Of an owner that has been replaced.
    Epoch,
    /// Seen before, or older than one seen before.
    Sequence,
    /// Properly sealed, and yet no message.
    Unreadable,
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Malformed => "it is not an envelope",
            Self::Version => "it is of another protocol version",
            Self::KeyId => "its envelope names another key than its record",
            Self::Cell => "it is for another cell",
            Self::Direction => "it speaks to the other direction",
            Self::Forged => "its seal is broken",
            Self::Epoch => "its epoch is older than one seen before",
            Self::Sequence => "its sequence is not above the last one",
            Self::Unreadable => "its content is not a message",
        })
    }
}

/// The receiving end of the agent's topic.
#[derive(Debug)]
pub struct Inbox {
    cell: String,
    identity: Arc<Identity>,
    /// Epoch and sequence of the last message obeyed in this agent's life. What an earlier life obeyed is known by
    /// the journal.
    last: Option<(u64, u64)>,
    refused: BTreeMap<Refusal, u64>,
}

impl Inbox {
    pub fn new(cell: String, identity: Arc<Identity>) -> Self {
        Self { cell, identity, last: None, refused: BTreeMap::new() }
    }

    /// The message in a record; `None` for a neighbour's, and for one that is refused, which is counted and logged.
    pub fn receive(&mut self, record: &Incoming) -> Option<Opened> {
        let key_id = self.identity.current().key_id;
        let is_ours = record.headers.iter().any(|(name, value)| name == KEY_ID_HEADER && *value == key_id);
        if !is_ours {
            return None;
        }
        match self.open(&record.value) {
            Ok(opened) => Some(opened),
            Err(refusal) => {
                let count = self.refused.entry(refusal).or_default();
                *count += 1;
                if *count <= REFUSALS_LOGGED_EACH || count.is_power_of_two() {
                    let (reason, total, offset) = (refusal.to_string(), *count, record.offset);
                    tracing::warn!(refusal = ?refusal, reason, total, offset, "a message was refused");
                }
                None
            }
        }
    }

    /// How many messages were refused for this reason since the agent started.
    pub fn refused(&self, refusal: Refusal) -> u64 {
        self.refused.get(&refusal).copied().unwrap_or_default()
    }

    fn open(&mut self, value: &[u8]) -> Result<Opened, Refusal> {
        let current = self.identity.current();
        let envelope: Envelope = serde_json::from_slice(value).map_err(|_| Refusal::Malformed)?;
        let header = &envelope.header;
        if header.version != VERSION {
            return Err(Refusal::Version);
        }
        if header.key_id != current.key_id {
            return Err(Refusal::KeyId);
        }
        if header.cell != self.cell {
            return Err(Refusal::Cell);
        }
        let plaintext = current.key.open(&envelope, Direction::ToAgent).map_err(|error| match error {
            OpenError::Direction => Refusal::Direction,
            OpenError::Nonce | OpenError::Forged => Refusal::Forged,
        })?;

        // From here on the header is authentic.
        if header.epoch < current.epoch {
            return Err(Refusal::Epoch);
        }
        if self.last.is_some_and(|last| (header.epoch, header.sequence) <= last) {
            return Err(Refusal::Sequence);
        }
        self.last = Some((header.epoch, header.sequence));
        if header.epoch > current.epoch
            && let Err(error) = self.identity.raise_epoch(header.epoch)
        {
            tracing::error!(%error, epoch = header.epoch, "the epoch cannot be stored: it holds until the agent ends");
        }
        read(&plaintext)
    }
}

/// A message, or as much of it as says whom to answer.
fn read(plaintext: &[u8]) -> Result<Opened, Refusal> {
    #[derive(Deserialize)]
    struct OnlyId {
        command_id: String,
    }
    if let Ok(message) = serde_json::from_slice(plaintext) {
        return Ok(Opened::Message(message));
    }
    let OnlyId { command_id } = serde_json::from_slice(plaintext).map_err(|_| Refusal::Unreadable)?;
    Ok(Opened::Unknown { command_id })
}

#[cfg(test)]
mod tests;

//! An agent that keeps to the protocol, and leaves what it says to the test.

use coffer_ports::transport::{Incoming, Outgoing};
use coffer_protocol::{
    VERSION,
    boot::FirstBoot,
    command::ToAgent,
    report::{EngineState, Enrol, FromAgent, Heartbeat, Metrics, Report},
    seal::{Direction, Envelope, Header, Key},
    topics,
};
use coffer_runtime::vault::random_nonce;

/// One life of an agent.
pub struct Agent {
    pub tenant: String,
    pub key_id: String,
    pub key: Key,
    pub cell: String,
    /// Epoch and sequence of the last message obeyed.
    pub last: (u64, u64),
    pub sequence: u64,
    pub session: Option<String>,
}

/// A message that an agent does not obey, though it is addressed to it.
#[derive(Debug)]
pub struct Disobeyed;

impl Agent {
    pub fn new(boot: &FirstBoot) -> Self {
        Self {
            tenant: boot.tenant.clone(),
            key_id: boot.key_id.clone(),
            key: boot.key.clone(),
            cell: boot.cell.clone(),
            last: (boot.epoch, 0),
            sequence: 0,
            session: None,
        }
    }

    /// Opens what is for this agent; a challenge opens its session. `None` for what is a neighbour's.
    pub fn hear(&mut self, headers: &[(String, String)], value: &[u8]) -> Result<Option<ToAgent>, Disobeyed> {
        let is_ours = headers.iter().any(|(name, value)| name == topics::KEY_ID_HEADER && *value == self.key_id);
        if !is_ours {
            return Ok(None);
        }
        let envelope: Envelope = serde_json::from_slice(value).map_err(|_| Disobeyed)?;
        let plaintext = self.key.open(&envelope, Direction::ToAgent).map_err(|_| Disobeyed)?;
        let Header { cell, epoch, sequence, version, .. } = envelope.header;
        if (version, &cell) != (VERSION, &self.cell) || (epoch, sequence) <= self.last {
            return Err(Disobeyed);
        }
        self.last = (epoch, sequence);
        let message: ToAgent = serde_json::from_slice(&plaintext).map_err(|_| Disobeyed)?;
        if let ToAgent::Challenge { session } = &message {
            self.session = Some(session.clone());
        }
        Ok(Some(message))
    }

    /// Seals a report under the session, if there is one.
    pub fn say(&mut self, report: Report) -> Outgoing {
        self.sequence += 1;
        let header = self.header();
        let message = FromAgent { session: self.session.clone(), report };
        self.seal(header, &serde_json::to_vec(&message).unwrap())
    }

    /// The header of a message with the current sequence.
    pub fn header(&self) -> Header {
        Header {
            version: VERSION,
            key_id: self.key_id.clone(),
            cell: self.cell.clone(),
            direction: Direction::FromAgent,
            epoch: self.last.0,
            sequence: self.sequence,
        }
    }

    pub fn seal(&self, header: Header, plaintext: &[u8]) -> Outgoing {
        self.record(&self.key.seal(header, plaintext, random_nonce()))
    }

    pub fn record(&self, envelope: &Envelope) -> Outgoing {
        Outgoing {
            topic: topics::TELEMETRY.to_owned(),
            key: Some(self.tenant.clone()),
            headers: vec![(topics::KEY_ID_HEADER.to_owned(), self.key_id.clone())],
            value: serde_json::to_vec(envelope).unwrap(),
        }
    }
}

pub fn enrol() -> Report {
    Report::Enrol(Enrol {
        agent_version: "0.1.0".into(),
        protocol_min: VERSION,
        protocol_max: VERSION,
        datastores: vec!["mysql".into()],
    })
}

pub fn heartbeat(engine: EngineState) -> Report {
    Report::Heartbeat(Heartbeat {
        at_ms: 0,
        engine,
        metrics: Metrics::default(),
        inventory: None,
        restart_required: false,
    })
}

/// A heartbeat of a running engine with a volume that is filled so far.
pub fn heartbeat_with_volume(used_bytes: u64) -> Report {
    let metrics = Metrics { volume_used_bytes: Some(used_bytes), ..Metrics::default() };
    Report::Heartbeat(Heartbeat {
        at_ms: 0,
        engine: EngineState::Running,
        metrics,
        inventory: None,
        restart_required: false,
    })
}

/// The record as a reader of its topic gets it.
pub fn arrived(record: Outgoing) -> Incoming {
    let Outgoing { topic, key, headers, value } = record;
    Incoming { topic, partition: 0, offset: 0, key, headers, value }
}

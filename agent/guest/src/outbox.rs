//! Seals what the agent says and sends it.

use std::{
    io,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use coffer_ports::{
    Error, ErrorKind, Result,
    transport::{Outgoing, Transport},
};
use coffer_protocol::{
    VERSION,
    boot::FirstBoot,
    report::{FromAgent, Report},
    seal::{Direction, Header, Nonce},
    topics,
};
use tokio::sync::Mutex;

use crate::{host::random, identity::Identity};

/// The sending end of the telemetry topic. Messages arrive in the order of their sequence: one is sent at a time.
pub struct Outbox {
    transport: Arc<dyn Transport>,
    identity: Arc<Identity>,
    tenant: String,
    cell: String,
    /// Sequence of the message sent last. The first one is the clock's microseconds, so that the sequence grows also
    /// from one agent process to the next.
    sequence: Mutex<u64>,
}

impl Outbox {
    pub fn new(transport: Arc<dyn Transport>, identity: Arc<Identity>, boot: &FirstBoot) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            transport,
            identity,
            tenant: boot.tenant.clone(),
            cell: boot.cell.clone(),
            sequence: Mutex::new(u64::try_from(now.as_micros()).unwrap_or_default()),
        }
    }

    /// Sends a report; returns when the broker has it.
    pub async fn send(&self, session: Option<String>, report: Report) -> Result<()> {
        let plaintext = serde_json::to_vec(&FromAgent { session, report }).map_err(|error| internal(&error))?;
        let nonce: Nonce = random::bytes().map_err(|error| internal(&error))?;

        let mut sequence = self.sequence.lock().await;
        *sequence += 1;
        let current = self.identity.current();
        let header = Header {
            version: VERSION,
            key_id: current.key_id.clone(),
            cell: self.cell.clone(),
            direction: Direction::FromAgent,
            epoch: current.epoch,
            sequence: *sequence,
        };
        let envelope = current.key.seal(header, &plaintext, nonce);
        let value = serde_json::to_vec(&envelope).map_err(|error| internal(&error))?;
        let record = Outgoing {
            topic: topics::TELEMETRY.to_owned(),
            key: Some(self.tenant.clone()),
            headers: vec![(topics::KEY_ID_HEADER.to_owned(), current.key_id)],
            value,
        };
        self.transport.send(record).await
    }
}

fn internal(error: &(impl std::error::Error + ?Sized)) -> Error {
    Error::new(ErrorKind::Internal, "agent.report_unsendable", format!("a report cannot be sealed: {error}"))
}

/// Unix time in milliseconds, by the guest's clock.
pub fn now_ms() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_err(io::Error::other);
    now.map_or(0, |elapsed| i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX))
}

//! The wire: nothing that arrives panics, nothing that was not sealed opens, what reads is written back the same.

use coffer_protocol::{
    boot::FirstBoot,
    command::ToAgent,
    report::{FromAgent, Report},
    seal::{Direction, Envelope, Key, OpenError},
    topics,
};

use crate::round_trip;

const NONCE: [u8; 24] = [9; 24];

pub fn check(data: &[u8]) {
    round_trip::<ToAgent>(data);
    round_trip::<FirstBoot>(data);
    from_agent(data);
    sealed(data);
    if let Some(envelope) = round_trip::<Envelope>(data) {
        enveloped(&envelope, data);
    }
    let text = String::from_utf8_lossy(data);
    assert!(topics::partition_of(&text, 16) < 16);
}

/// As [`round_trip`], but for one gauge: the reader of floating-point numbers may be off by the last digit.
fn from_agent(data: &[u8]) {
    let Ok(mut message) = serde_json::from_slice::<FromAgent>(data) else { return };
    if let Report::Heartbeat(heartbeat) = &mut message.report {
        heartbeat.metrics.cpu_seconds_total = None;
    }
    let written = serde_json::to_vec(&message).expect("what reads can be written");
    assert_eq!(round_trip::<FromAgent>(&written), Some(message));
}

/// Secrets at rest.
fn sealed(data: &[u8]) {
    let key = Key::from_bytes([0x5a; 32]);
    assert!(key.open_bytes("password", "row", data).is_err(), "these bytes were never sealed");
    let bytes = key.seal_bytes("password", "row", data, NONCE);
    assert_eq!(key.open_bytes("password", "row", &bytes).as_deref(), Ok(data));
    assert_eq!(key.open_bytes("password", "another row", &bytes), Err(OpenError::Forged));
    assert_eq!(key.open_bytes("server-key", "row", &bytes), Err(OpenError::Forged));
}

fn enveloped(envelope: &Envelope, data: &[u8]) {
    let key = Key::from_bytes([0x5a; 32]);
    let (own, other) = match envelope.header.direction {
        Direction::ToAgent => (Direction::ToAgent, Direction::FromAgent),
        Direction::FromAgent => (Direction::FromAgent, Direction::ToAgent),
    };
    assert_eq!(key.open(envelope, own).ok(), None, "this was never sealed with our key");

    let good = key.seal(envelope.header.clone(), data, NONCE);
    assert_eq!(key.open(&good, own).as_deref(), Ok(data));
    assert_eq!(key.open(&good, other), Err(OpenError::Direction));
    let changes: [fn(&mut Envelope); 7] = [
        |envelope| envelope.header.version = envelope.header.version.wrapping_add(1),
        |envelope| envelope.header.key_id.push('x'),
        |envelope| envelope.header.cell.insert(0, 'x'),
        |envelope| envelope.header.epoch = envelope.header.epoch.wrapping_add(1),
        |envelope| envelope.header.sequence = envelope.header.sequence.wrapping_sub(1),
        |envelope| envelope.nonce[0] ^= 1,
        |envelope| envelope.ciphertext[0] ^= 1,
    ];
    for change in changes {
        let mut changed = good.clone();
        change(&mut changed);
        assert_eq!(key.open(&changed, own), Err(OpenError::Forged), "{changed:?}");
    }
}

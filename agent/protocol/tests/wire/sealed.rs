//! Sealed messages with a fixed key and nonce: the header, the associated data, the subkeys and the cipher must all
//! stay as they are for the ciphertext in the file to come out.

use coffer_protocol::{
    VERSION,
    command::{AgentCommand, ToAgent},
    report::{EngineState, FromAgent, Report},
    seal::{Direction, Envelope, Header, Key, NONCE_BYTES, Nonce, OpenError},
};

use crate::{
    golden::Samples,
    messages::{command, heartbeat},
};

const NONCE: Nonce = [9; NONCE_BYTES];

fn key() -> Key {
    Key::from_bytes([7; 32])
}

fn header(direction: Direction) -> Header {
    Header {
        version: VERSION,
        key_id: "44b277eb-39be-4921-be31-3d61b43651d7.1".into(),
        cell: "p3-0".into(),
        direction,
        epoch: 12,
        sequence: 345,
    }
}

fn to_agent() -> (ToAgent, Envelope) {
    let message = command(AgentCommand::Restart);
    let envelope = key().seal(header(Direction::ToAgent), &serde_json::to_vec(&message).unwrap(), NONCE);
    (message, envelope)
}

fn from_agent() -> (FromAgent, Envelope) {
    let report = Report::Heartbeat(heartbeat(EngineState::Running));
    let message = FromAgent { session: Some("d1f3".into()), report };
    let envelope = key().seal(header(Direction::FromAgent), &serde_json::to_vec(&message).unwrap(), NONCE);
    (message, envelope)
}

#[test]
fn a_sealed_message_stands_on_the_topic() {
    Samples(vec![("to_agent", to_agent().1), ("from_agent", from_agent().1)]).check("envelope.json", &[]);
}

#[test]
fn what_was_sealed_is_read_again() {
    let (message, envelope) = to_agent();
    let opened = key().open(&envelope, Direction::ToAgent).unwrap();
    assert_eq!(serde_json::from_slice::<ToAgent>(&opened).unwrap(), message);

    let (message, envelope) = from_agent();
    let opened = key().open(&envelope, Direction::FromAgent).unwrap();
    assert_eq!(serde_json::from_slice::<FromAgent>(&opened).unwrap(), message);
}

#[test]
fn every_changed_bit_breaks_the_seal() {
    let (_, envelope) = to_agent();
    for bit in 0..envelope.ciphertext.len() * 8 {
        let mut forged = envelope.clone();
        forged.ciphertext[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(key().open(&forged, Direction::ToAgent), Err(OpenError::Forged), "bit {bit}");
    }
    for length in 0..envelope.ciphertext.len() {
        let mut cut = envelope.clone();
        cut.ciphertext.truncate(length);
        assert_eq!(key().open(&cut, Direction::ToAgent), Err(OpenError::Forged), "{length} bytes");
    }
}

#[test]
fn a_nonce_of_another_length_is_refused() {
    for length in [0, NONCE_BYTES - 1, NONCE_BYTES + 1] {
        let (_, mut envelope) = to_agent();
        envelope.nonce.resize(length, 9);
        assert_eq!(key().open(&envelope, Direction::ToAgent), Err(OpenError::Nonce), "{length} bytes");
    }
}

#[test]
fn secrets_at_rest_keep_their_form() {
    use coffer_protocol::seal::base64_bytes;

    #[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
    struct AtRest {
        #[serde(with = "base64_bytes")]
        bytes: Vec<u8>,
    }

    let sealed = key().seal_bytes("password", "row-1", b"not a real password", NONCE);
    assert_eq!(key().open_bytes("password", "row-1", &sealed).unwrap(), b"not a real password");
    Samples(vec![("password", AtRest { bytes: sealed })]).check("sealed_bytes.json", &[]);
}

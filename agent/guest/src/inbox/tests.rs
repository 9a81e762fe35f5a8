//! The refusal table: what a forged, replayed, foreign or outdated message comes to.

use coffer_protocol::{
    boot::{Bootstrap, FirstBoot},
    seal::{Header, Key},
};

use super::*;
use crate::volume::Volume;

const KEY: [u8; 32] = [7; 32];

struct Fixture {
    _directory: tempfile::TempDir,
    volume: Volume,
    inbox: Inbox,
}

fn boot() -> FirstBoot {
    FirstBoot {
        version: VERSION,
        instance_id: "i".into(),
        tenant: "t".into(),
        key_id: "k1".into(),
        key: Key::from_bytes(KEY),
        cell: "3".into(),
        epoch: 5,
        bootstrap: Bootstrap::Servers("127.0.0.1:1".into()),
        datastore: "mysql".into(),
        listen_address: "127.0.0.1".into(),
    }
}

impl Fixture {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let volume = Volume::open(directory.path()).unwrap();
        let identity = Arc::new(Identity::open(&volume, &boot()).unwrap());
        Self { _directory: directory, volume, inbox: Inbox::new("3".into(), identity) }
    }

    /// Receives and says why it was refused, if it was.
    fn receive(&mut self, record: &Incoming) -> Result<Option<Opened>, Refusal> {
        let before = self.inbox.refused.clone();
        let opened = self.inbox.receive(record);
        match self.inbox.refused.iter().find(|(refusal, count)| before.get(refusal) != Some(count)) {
            Some((refusal, _)) => {
                assert_eq!(opened, None);
                Err(*refusal)
            }
            None => Ok(opened),
        }
    }
}

fn header(epoch: u64, sequence: u64) -> Header {
    Header { version: VERSION, key_id: "k1".into(), cell: "3".into(), direction: Direction::ToAgent, epoch, sequence }
}

fn record(key_id: &str, value: Vec<u8>) -> Incoming {
    Incoming {
        topic: "coffer.agents.3".into(),
        partition: 0,
        offset: 0,
        key: None,
        headers: vec![(KEY_ID_HEADER.into(), key_id.into())],
        value,
    }
}

fn sealed_with(key: [u8; 32], header: Header, plaintext: &str) -> Incoming {
    let envelope = Key::from_bytes(key).seal(header, plaintext.as_bytes(), [9; 24]);
    record("k1", serde_json::to_vec(&envelope).unwrap())
}

fn challenge(header: Header) -> Incoming {
    sealed_with(KEY, header, r#"{"type":"challenge","session":"s"}"#)
}

fn is_obeyed() -> Result<Option<Opened>, Refusal> {
    Ok(Some(Opened::Message(ToAgent::Challenge { session: "s".into() })))
}

#[test]
fn what_is_properly_sealed_is_obeyed_once() {
    let mut fixture = Fixture::new();
    assert_eq!(fixture.receive(&challenge(header(5, 1))), is_obeyed());
    assert_eq!(fixture.receive(&challenge(header(5, 1))), Err(Refusal::Sequence), "a replay");
    assert_eq!(fixture.receive(&challenge(header(5, 4))), is_obeyed());
    assert_eq!(fixture.receive(&challenge(header(5, 3))), Err(Refusal::Sequence), "a late one");
    assert_eq!(fixture.inbox.refused(Refusal::Sequence), 2);
}

#[test]
fn a_new_owner_starts_its_own_sequence_and_silences_the_old_one() {
    let mut fixture = Fixture::new();
    assert_eq!(fixture.receive(&challenge(header(4, 1))), Err(Refusal::Epoch), "older than the first-boot data");
    assert_eq!(fixture.receive(&challenge(header(5, 90))), is_obeyed());
    assert_eq!(fixture.receive(&challenge(header(6, 1))), is_obeyed());
    assert_eq!(fixture.receive(&challenge(header(5, 91))), Err(Refusal::Epoch));

    // Also after the agent was started anew.
    let identity = Arc::new(Identity::open(&fixture.volume, &boot()).unwrap());
    fixture.inbox = Inbox::new("3".into(), identity);
    assert_eq!(fixture.receive(&challenge(header(5, 92))), Err(Refusal::Epoch));
    assert_eq!(fixture.receive(&challenge(header(6, 2))), is_obeyed());
}

#[test]
fn what_is_wrong_is_refused_for_its_reason_and_leaves_no_trace() {
    let content = r#"{"type":"challenge","session":"s"}"#;
    let with = |change: fn(&mut Header)| {
        let mut header = header(9, 9);
        change(&mut header);
        sealed_with(KEY, header, content)
    };
    let tampered = {
        let mut envelope = Key::from_bytes(KEY).seal(header(5, 1), content.as_bytes(), [9; 24]);
        envelope.header.epoch = 9;
        record("k1", serde_json::to_vec(&envelope).unwrap())
    };
    for (message, refusal, case) in [
        (record("k1", b"{]".to_vec()), Refusal::Malformed, "no JSON"),
        (record("k1", b"{\"version\":1}".to_vec()), Refusal::Malformed, "no envelope"),
        (with(|header| header.version = 2), Refusal::Version, "a later version"),
        (with(|header| header.key_id = "k2".into()), Refusal::KeyId, "another agent's under our record header"),
        (with(|header| header.cell = "4".into()), Refusal::Cell, "another cell's"),
        (with(|header| header.direction = Direction::FromAgent), Refusal::Direction, "our own words"),
        (sealed_with([8; 32], header(9, 9), content), Refusal::Forged, "another key"),
        (tampered, Refusal::Forged, "a changed epoch"),
        (sealed_with(KEY, header(5, 1), "[]"), Refusal::Unreadable, "sealed nonsense"),
    ] {
        let mut fixture = Fixture::new();
        assert_eq!(fixture.receive(&message), Err(refusal), "{case}");
        assert_eq!(fixture.receive(&challenge(header(5, 2))), is_obeyed(), "after {case}");
    }
}

#[test]
fn a_neighbours_message_is_skipped_without_a_count() {
    let mut fixture = Fixture::new();
    assert_eq!(fixture.receive(&record("k2", b"anything".to_vec())), Ok(None));
    let unmarked = Incoming { headers: Vec::new(), ..challenge(header(5, 1)) };
    assert_eq!(fixture.receive(&unmarked), Ok(None));
}

#[test]
fn a_command_of_a_later_build_is_told_apart_from_nonsense() {
    let mut fixture = Fixture::new();
    let later = r#"{"type":"command","command_id":"c1","issued_at_ms":1,"command":{"verb":"levitate"}}"#;
    let opened = fixture.receive(&sealed_with(KEY, header(5, 1), later));
    assert_eq!(opened, Ok(Some(Opened::Unknown { command_id: "c1".into() })));
}

#[test]
fn a_rotated_key_opens_and_the_old_one_no_longer_does() {
    let mut fixture = Fixture::new();
    assert_eq!(fixture.receive(&challenge(header(5, 1))), is_obeyed());
    fixture.inbox.identity.rotate("k2", &Key::from_bytes([2; 32])).unwrap();
    assert_eq!(fixture.receive(&challenge(header(5, 2))), Ok(None));
    let next = Header { key_id: "k2".into(), ..header(5, 3) };
    let envelope = Key::from_bytes([2; 32]).seal(next, br#"{"type":"challenge","session":"s"}"#, [9; 24]);
    assert_eq!(fixture.receive(&record("k2", serde_json::to_vec(&envelope).unwrap())), is_obeyed());
}

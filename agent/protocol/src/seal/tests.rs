use super::*;

fn header(direction: Direction) -> Header {
    Header { version: 1, key_id: "i-1.1".into(), cell: "p0-0".into(), direction, epoch: 3, sequence: 7 }
}

#[test]
fn what_is_sealed_opens_with_the_same_key_and_direction_only() {
    let key = Key::from_bytes([7; 32]);
    let envelope = key.seal(header(Direction::ToAgent), b"restart", [1; NONCE_BYTES]);

    assert_eq!(key.open(&envelope, Direction::ToAgent).unwrap(), b"restart");
    assert_eq!(key.open(&envelope, Direction::FromAgent), Err(OpenError::Direction));
    assert_eq!(Key::from_bytes([8; 32]).open(&envelope, Direction::ToAgent), Err(OpenError::Forged));
}

#[test]
fn turning_a_message_round_does_not_open_it() {
    let key = Key::from_bytes([7; 32]);
    let mut envelope = key.seal(header(Direction::ToAgent), b"restart", [1; NONCE_BYTES]);
    envelope.header.direction = Direction::FromAgent;
    assert_eq!(key.open(&envelope, Direction::FromAgent), Err(OpenError::Forged));
}

#[test]
fn every_header_field_is_authenticated() {
    let key = Key::from_bytes([7; 32]);
    let sealed = key.seal(header(Direction::ToAgent), b"restart", [1; NONCE_BYTES]);
    let changes: [fn(&mut Header); 5] = [
        |header| header.version += 1,
        |header| header.key_id.push('x'),
        |header| header.cell.push('x'),
        |header| header.epoch += 1,
        |header| header.sequence += 1,
    ];
    for change in changes {
        let mut forged = sealed.clone();
        change(&mut forged.header);
        assert_eq!(key.open(&forged, Direction::ToAgent), Err(OpenError::Forged), "{:?}", forged.header);
    }
}

#[test]
fn stored_secrets_are_bound_to_purpose_and_context() {
    let key = Key::from_bytes([7; 32]);
    let sealed = key.seal_bytes("password", "row-1", b"hunter2", [2; NONCE_BYTES]);

    assert_eq!(key.open_bytes("password", "row-1", &sealed).unwrap(), b"hunter2");
    assert_eq!(key.open_bytes("password", "row-2", &sealed), Err(OpenError::Forged));
    assert_eq!(key.open_bytes("agent-key", "row-1", &sealed), Err(OpenError::Forged));
    assert_eq!(key.open_bytes("password", "row-1", &sealed[..10]), Err(OpenError::Nonce));
}

#[test]
fn keys_and_secrets_do_not_print_themselves() {
    assert_eq!(format!("{:?}", Key::from_bytes([7; 32])), "Key(…)");
    assert_eq!(format!("{:?}", crate::secret::Secret::new("hunter2")), "Secret(…)");
}

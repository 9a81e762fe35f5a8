//! The suite of `coffer_ports::transport::Transport`.

use std::{collections::BTreeSet, time::Duration};

use coffer_ports::{
    ErrorKind,
    transport::{Delivery, Incoming, Outgoing, Start, Transport},
};
use coffer_protocol::topics::partition_of;
use tokio::{sync::mpsc, time::timeout};

/// Partitions that the topic of [`conforms`] has to have.
pub const PARTITIONS: u32 = 16;

/// Far more than anything here takes; only a failing suite waits for it.
const DEADLINE: Duration = Duration::from_secs(30);

/// `topic` exists, with [`PARTITIONS`] partitions, and nobody else uses it. It may hold records.
pub async fn conforms(transport: &dyn Transport, topic: &str) {
    a_record_arrives_whole(transport, topic).await;
    the_partition_follows_from_the_key(transport, topic).await;
    latest_is_exact(transport, topic).await;
    earliest_sees_everything_in_order(transport, topic).await;
    a_slow_reader_loses_nothing(transport, topic).await;
    an_impossible_record_is_invalid(transport, topic).await;
}

async fn a_record_arrives_whole(transport: &dyn Transport, topic: &str) {
    let mut deliveries = subscribe(transport, topic, Start::Latest).await;
    let mut sent = record(topic, Some("tenant"), "content");
    sent.headers = vec![("first".to_owned(), "1".to_owned()), ("empty".to_owned(), String::new())];
    send(transport, &sent).await;
    let received = next(&mut deliveries).await;
    assert_eq!(
        (received.topic, received.key, received.headers, received.value),
        (sent.topic, sent.key, sent.headers, sent.value),
        "a record arrives with its key, headers and content"
    );
}

async fn the_partition_follows_from_the_key(transport: &dyn Transport, topic: &str) {
    let mut deliveries = subscribe(transport, topic, Start::Latest).await;
    let keys: Vec<String> = (0..64).map(|number| format!("{number:032x}")).collect();
    for key in &keys {
        send(transport, &record(topic, Some(key), "")).await;
    }
    send(transport, &record(topic, None, "keyless")).await;
    let mut used = BTreeSet::new();
    for _ in 0..=keys.len() {
        let received = next(&mut deliveries).await;
        let expected = received.key.as_deref().map_or(0, |key| partition_of(key, PARTITIONS));
        let key = received.key;
        assert_eq!(u32::try_from(received.partition), Ok(expected), "the partition follows from the key {key:?}");
        used.insert(received.partition);
    }
    assert!(used.len() > 8, "64 keys spread over the partitions, not over {used:?} alone");
}

async fn latest_is_exact(transport: &dyn Transport, topic: &str) {
    for round in 0..10 {
        send(transport, &record(topic, Some("a"), &format!("before {round}"))).await;
        let mut deliveries = subscribe(transport, topic, Start::Latest).await;
        send(transport, &record(topic, Some("a"), &format!("after {round}"))).await;
        let received = String::from_utf8_lossy(&next(&mut deliveries).await.value).into_owned();
        assert_eq!(received, format!("after {round}"), "Latest begins where the subscription was made");
    }
}

async fn earliest_sees_everything_in_order(transport: &dyn Transport, topic: &str) {
    let last = record(topic, Some("a"), "the last one");
    send(transport, &last).await;
    let mut deliveries = subscribe(transport, topic, Start::Earliest).await;
    let mut next_offset = None;
    loop {
        let received = next(&mut deliveries).await;
        if received.key == last.key {
            let expected = next_offset.unwrap_or(received.offset);
            assert_eq!(received.offset, expected, "offsets of a partition come without a gap");
            next_offset = Some(received.offset + 1);
            if received.value == last.value {
                return;
            }
        }
    }
}

async fn a_slow_reader_loses_nothing(transport: &dyn Transport, topic: &str) {
    const RECORDS: usize = 3_000;
    let mut deliveries = subscribe(transport, topic, Start::Latest).await;
    for number in 0..RECORDS {
        send(transport, &record(topic, Some("a"), &number.to_string())).await;
    }
    for number in 0..RECORDS {
        let received = next(&mut deliveries).await.value;
        assert_eq!(received, number.to_string().into_bytes(), "a slow reader loses nothing, and order holds");
    }
}

async fn an_impossible_record_is_invalid(transport: &dyn Transport, topic: &str) {
    let mut large = record(topic, None, "");
    large.value = vec![0; 64 * 1024 * 1024];
    let refused = transport.send(large).await.expect_err("a record of 64 MiB is refused");
    assert_eq!(refused.kind, ErrorKind::Invalid, "a record that will never be taken is Invalid: {refused}");
}

fn record(topic: &str, key: Option<&str>, value: &str) -> Outgoing {
    Outgoing { topic: topic.to_owned(), key: key.map(str::to_owned), headers: Vec::new(), value: value.into() }
}

async fn send(transport: &dyn Transport, record: &Outgoing) {
    transport.send(record.clone()).await.expect("a record is acknowledged");
}

async fn subscribe(transport: &dyn Transport, topic: &str, start: Start) -> mpsc::Receiver<Delivery> {
    transport.subscribe(&[topic.to_owned()], start).await.expect("a subscription")
}

async fn next(deliveries: &mut mpsc::Receiver<Delivery>) -> Incoming {
    match timeout(DEADLINE, deliveries.recv()).await.expect("a delivery in time").expect("an open subscription") {
        Delivery::Record(record) => record,
        other => panic!("a record, and not {other:?}: nobody has taken the broker away"),
    }
}

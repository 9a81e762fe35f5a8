//! The broker goes and another one comes, empty, somewhere else.

mod common;

use std::{
    path::Path,
    sync::{Arc, Mutex},
};

use coffer_kafka::{Bootstrap, KafkaTransport, write_bootstrap_file};
use coffer_ports::{
    ErrorKind,
    transport::{Delivery, Start, Transport},
};
use common::{DEADLINE, broker, next, next_record, record, send_until_taken, transport, until_reconnected};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    time::timeout,
};

fn by_file(path: &Path) -> KafkaTransport {
    KafkaTransport::connect(Bootstrap::File(path.to_owned()), "test").expect("a transport")
}

#[tokio::test]
async fn both_sides_find_the_new_broker_through_the_file() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("bootstrap");
    let first = broker(&[("things", 1)]);
    write_bootstrap_file(&file, first.bootstrap_servers()).expect("written");
    let (reader, writer) = (by_file(&file), by_file(&file));
    let mut deliveries = reader.subscribe(&["things".to_owned()], Start::Earliest).await.expect("subscribed");
    for number in 0..3 {
        writer.send(record("things", Some("a"), &format!("first {number}"))).await.expect("sent");
        assert_eq!(next_record(&mut deliveries).await.offset, number);
    }

    drop(first);
    let second = broker(&[("things", 1)]);
    // More than the reader had seen: its next offset exists here too, and must not be taken for the same place.
    let outsider = transport(second.bootstrap_servers());
    for number in 0..5 {
        outsider.send(record("things", Some("a"), &format!("second {number}"))).await.expect("sent");
    }
    write_bootstrap_file(&file, second.bootstrap_servers()).expect("written");

    assert_eq!(next(&mut deliveries).await, Delivery::Reconnected);
    for number in 0..5 {
        assert_eq!(next_record(&mut deliveries).await.value, format!("second {number}").into_bytes());
    }
    writer.send(record("things", Some("a"), "by the old writer")).await.expect("sent");
    assert_eq!(next_record(&mut deliveries).await.value, b"by the old writer");
}

#[tokio::test]
async fn everybody_waits_for_a_file_that_is_missing() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("bootstrap");
    let client = Arc::new(by_file(&file));
    let sending = tokio::spawn({
        let client = Arc::clone(&client);
        async move { client.send(record("things", Some("a"), "early")).await }
    });
    let subscribing = tokio::spawn({
        let client = Arc::clone(&client);
        async move { client.subscribe(&["things".to_owned()], Start::Earliest).await }
    });

    let broker = broker(&[("things", 1)]);
    write_bootstrap_file(&file, broker.bootstrap_servers()).expect("written");

    sending.await.expect("no panic").expect("sent");
    let mut deliveries = subscribing.await.expect("no panic").expect("subscribed");
    assert_eq!(next_record(&mut deliveries).await.value, b"early");
}

#[tokio::test]
async fn a_pending_send_goes_to_the_new_broker() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("bootstrap");
    let first = broker(&[("things", 1)]);
    write_bootstrap_file(&file, first.bootstrap_servers()).expect("written");
    let client = Arc::new(by_file(&file));
    client.send(record("things", Some("a"), "to the first")).await.expect("sent");
    drop(first);
    let pending = tokio::spawn({
        let client = Arc::clone(&client);
        async move { client.send(record("things", Some("a"), "pending")).await }
    });
    // On this runtime's one thread the task now runs up to its first wait: the record is in the old producer's queue.
    tokio::task::yield_now().await;

    let second = broker(&[("things", 1)]);
    write_bootstrap_file(&file, second.bootstrap_servers()).expect("written");

    pending.await.expect("no panic").expect("sent");
    let mut deliveries = client.subscribe(&["things".to_owned()], Start::Earliest).await.expect("subscribed");
    assert_eq!(next_record(&mut deliveries).await.value, b"pending");
}

#[tokio::test]
async fn a_send_without_a_broker_fails_within_its_bound() {
    let first = broker(&[("things", 1)]);
    let client = transport(first.bootstrap_servers());
    client.send(record("things", Some("a"), "")).await.expect("sent");
    drop(first);
    let failed = timeout(DEADLINE, client.send(record("things", Some("a"), ""))).await.expect("bounded");
    let failed = failed.expect_err("nobody there");
    assert!(matches!(failed.kind, ErrorKind::Timeout | ErrorKind::Unavailable), "{failed}");
}

/// A fixed address in front of brokers that come and go, as with `Bootstrap::Servers` in the field.
async fn stable_address(target: Arc<Mutex<String>>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let target = target.lock().expect("no panic").clone();
            tokio::spawn(async move {
                if let Ok(mut broker) = TcpStream::connect(target).await {
                    let _ = copy_bidirectional(&mut client, &mut broker).await;
                }
            });
        }
    });
    address
}

/// The second broker gets `records` before the client, which stood at offset 3, finds it.
async fn another_broker_under_the_same_name(records: usize) {
    let first = broker(&[("things", 1)]);
    let target = Arc::new(Mutex::new(first.bootstrap_servers().to_owned()));
    let client = transport(&stable_address(Arc::clone(&target)).await);
    let mut deliveries = client.subscribe(&["things".to_owned()], Start::Earliest).await.expect("subscribed");
    for _ in 0..3 {
        client.send(record("things", Some("a"), "first")).await.expect("sent");
        next_record(&mut deliveries).await;
    }

    let second = broker(&[("things", 1)]);
    let outsider = transport(second.bootstrap_servers());
    for _ in 0..records {
        outsider.send(record("things", Some("a"), "second")).await.expect("sent");
    }
    second.bootstrap_servers().clone_into(&mut target.lock().expect("no panic"));
    drop(first);

    until_reconnected(&mut deliveries).await;
    for _ in 0..records {
        assert_eq!(next_record(&mut deliveries).await.value, b"second");
    }
    send_until_taken(&client, record("things", Some("a"), "by the old client")).await;
    assert_eq!(next_record(&mut deliveries).await.value, b"by the old client");
}

#[tokio::test]
async fn an_empty_broker_under_the_same_name_is_noticed() {
    another_broker_under_the_same_name(0).await;
}

#[tokio::test]
async fn a_filled_broker_under_the_same_name_is_noticed() {
    another_broker_under_the_same_name(10).await;
}

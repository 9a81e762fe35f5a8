//! What the tests of this crate share.
#![allow(dead_code, reason = "each test program uses its part")]

use std::time::Duration;

use coffer_kafka::{Bootstrap, EmbeddedBroker, KafkaTransport};
use coffer_ports::transport::{Delivery, Incoming, Outgoing, Transport};
use tokio::{
    sync::mpsc,
    time::{Instant, timeout, timeout_at},
};

/// Far more than anything here takes; only a failing test waits for it.
pub const DEADLINE: Duration = Duration::from_secs(30);

pub fn broker(topics: &[(&str, i32)]) -> EmbeddedBroker {
    let topics: Vec<(String, i32)> =
        topics.iter().map(|(name, partitions)| ((*name).to_owned(), *partitions)).collect();
    EmbeddedBroker::start(&topics).expect("a broker")
}

pub fn transport(servers: &str) -> KafkaTransport {
    KafkaTransport::connect(Bootstrap::Servers(servers.to_owned()), "test").expect("a transport")
}

pub fn record(topic: &str, key: Option<&str>, value: &str) -> Outgoing {
    Outgoing { topic: topic.to_owned(), key: key.map(str::to_owned), headers: Vec::new(), value: value.into() }
}

pub async fn next(deliveries: &mut mpsc::Receiver<Delivery>) -> Delivery {
    timeout(DEADLINE, deliveries.recv()).await.expect("a delivery in time").expect("an open subscription")
}

pub async fn next_record(deliveries: &mut mpsc::Receiver<Delivery>) -> Incoming {
    match next(deliveries).await {
        Delivery::Record(record) => record,
        other => panic!("a record, and not {other:?}: the broker was not lost"),
    }
}

/// Sends `record` until it is acknowledged.
pub async fn send_until_taken(transport: &dyn Transport, record: Outgoing) {
    let deadline = Instant::now() + DEADLINE;
    while let Err(error) = transport.send(record.clone()).await {
        assert!(error.kind.is_retryable(), "{error}");
        assert!(Instant::now() < deadline, "never taken: {error}");
    }
}

/// Skips deliveries until `Reconnected`.
pub async fn until_reconnected(deliveries: &mut mpsc::Receiver<Delivery>) {
    let deadline = Instant::now() + DEADLINE;
    loop {
        let delivery = timeout_at(deadline, deliveries.recv()).await.expect("Reconnected in time");
        if delivery.expect("an open subscription") == Delivery::Reconnected {
            return;
        }
    }
}

//! The transport against the embedded broker.

mod common;

use std::{net::Ipv4Addr, time::Instant};

use coffer_ports::{
    ErrorKind,
    telemetry::Bounded,
    transport::{Start, Transport},
};
use coffer_protocol::topics::PARTITIONER;
use common::{broker, next_record, record, transport};

#[test]
fn the_partitioner_is_the_one_of_the_protocol() {
    // It stands in the producer's configuration; that both mean the same is shown by the port's suite.
    assert_eq!(PARTITIONER, "murmur2_random");
}

#[tokio::test]
async fn a_missing_topic_is_refused_by_both_sides_and_not_created() {
    let broker = broker(&[("there", 1)]);
    let transport = transport(broker.bootstrap_servers());
    let refused = transport.send(record("not-there", Some("a"), "")).await.expect_err("no topic");
    assert_eq!((refused.kind, &*refused.code), (ErrorKind::Unavailable, "kafka.unknown_topic"), "{refused}");
    let refused = transport.subscribe(&["not-there".to_owned()], Start::Earliest).await.expect_err("no topic");
    assert_eq!((refused.kind, &*refused.code), (ErrorKind::NotFound, "kafka.unknown_topic"), "{refused}");

    broker.create_topic("not-there", 1).expect("created");
    broker.create_topic("not-there", 1).expect("created again");
    common::send_until_taken(&transport, record("not-there", Some("a"), "")).await;
}

#[tokio::test]
async fn the_embedded_broker_listens_on_loopback_only() {
    let broker = broker(&[]);
    let (host, port) = broker.bootstrap_servers().rsplit_once(':').expect("host and port");
    assert_eq!(host, "127.0.0.1");
    let wanted = format!(":{:04X}", port.parse::<u16>().expect("a port"));
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(|path| std::fs::read_to_string(path).unwrap_or_default());
    let listening: Vec<&str> = tables
        .iter()
        .flat_map(|table| table.lines().skip(1))
        .filter_map(|line| {
            let mut columns = line.split_whitespace().skip(1);
            let (local, state) = (columns.next()?, columns.nth(1)?);
            // 0A: listening.
            (state == "0A").then_some(local).filter(|local| local.ends_with(&wanted))
        })
        .collect();
    let loopback = format!("{:08X}{wanted}", u32::from(Ipv4Addr::LOCALHOST).swap_bytes());
    assert_eq!(listening, [loopback.as_str()]);
}

#[tokio::test]
async fn what_waits_on_either_side_is_told_with_its_bound() {
    let (broker, bounded) = (broker(&[("full", 1)]), Bounded::default());
    let transport = transport(broker.bootstrap_servers()).watched_by(bounded.clone());
    let mut deliveries = transport.subscribe(&["full".to_owned()], Start::Earliest).await.expect("subscribed");
    let fullness = |thing: &str| bounded.fullness()[thing];
    assert_eq!(bounded.fullness().into_keys().collect::<Vec<_>>(), {
        let mut things = coffer_kafka::THINGS.to_vec();
        things.sort_unstable();
        things
    });
    let limit = fullness("kafka_received").limit;
    for number in 0..limit + 10 {
        transport.send(record("full", Some("a"), &number.to_string())).await.expect("sent");
    }
    let deadline = Instant::now() + common::DEADLINE;
    // librdkafka tells of an acknowledgement before it stops counting the record.
    while fullness("kafka_unacknowledged").used > 0 {
        assert!(Instant::now() < deadline, "each was acknowledged: {:?}", fullness("kafka_unacknowledged"));
        tokio::task::yield_now().await;
    }
    while fullness("kafka_received").used < limit {
        assert!(Instant::now() < deadline, "never full: {:?}", fullness("kafka_received"));
        tokio::task::yield_now().await;
    }
    next_record(&mut deliveries).await;
    drop((deliveries, transport));
    while !bounded.fullness().is_empty() {
        assert!(Instant::now() < deadline, "still there: {:?}", bounded.fullness());
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn latency_is_printed() {
    const ROUNDS: usize = 200;
    let broker = broker(&[("ping", 1)]);
    let transport = transport(broker.bootstrap_servers());
    let mut deliveries = transport.subscribe(&["ping".to_owned()], Start::Latest).await.expect("subscribed");
    let (mut acknowledged_us, mut received_us) = (Vec::new(), Vec::new());
    for number in 0..ROUNDS {
        let begun = Instant::now();
        transport.send(record("ping", Some("a"), &number.to_string())).await.expect("sent");
        acknowledged_us.push(begun.elapsed().as_micros());
        next_record(&mut deliveries).await;
        received_us.push(begun.elapsed().as_micros());
    }
    for (what, mut samples) in [("acknowledged", acknowledged_us), ("received", received_us)] {
        samples.sort_unstable();
        println!("{what}: p50 {} µs, p99 {} µs", samples[ROUNDS / 2], samples[ROUNDS * 99 / 100]);
    }
}

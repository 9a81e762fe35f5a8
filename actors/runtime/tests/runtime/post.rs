//! The ways between broker and partitions: one that is slow keeps no other waiting.

use std::sync::Arc;

use async_trait::async_trait;
use coffer_ports::{
    Error, ErrorKind, Result,
    transport::{Delivery, Incoming, Outgoing, Start, Transport},
};
use coffer_runtime::{
    metrics::Metrics,
    post::{self, Reports, TELEMETRY_QUEUE},
    runner::Message,
};
use prometheus::Registry;
use tokio::sync::{Semaphore, mpsc};

use crate::support::{
    poll::{in_time, run, until},
    samples::tenant,
};

/// A broker that keeps one topic waiting, refuses another and takes the rest.
struct Uneven {
    taken: mpsc::Sender<String>,
    gate: Semaphore,
}

#[async_trait]
impl Transport for Uneven {
    async fn send(&self, record: Outgoing) -> Result<()> {
        match record.topic.as_str() {
            "slow" => drop(self.gate.acquire().await),
            "refused" => return Err(Error::new(ErrorKind::Unavailable, "broker", "it says no")),
            _ => {}
        }
        self.taken.send(record.topic).await.map_err(|_| Error::new(ErrorKind::Internal, "test", "nobody listens"))
    }

    async fn subscribe(&self, _: &[String], _: Start) -> Result<mpsc::Receiver<Delivery>> {
        Err(Error::new(ErrorKind::Internal, "test", "nothing is to be read"))
    }
}

fn to(topic: &str) -> Outgoing {
    Outgoing { topic: topic.into(), key: None, headers: Vec::new(), value: Vec::new() }
}

fn report(offset: i64) -> Incoming {
    let (topic, key) = ("coffer.telemetry".to_owned(), Some(tenant(1).to_string()));
    Incoming { topic, partition: 0, offset, key, headers: Vec::new(), value: b"{}".to_vec() }
}

fn metrics() -> Metrics {
    Metrics::new(&Registry::new()).unwrap()
}

#[test]
fn a_topic_that_the_broker_does_not_take_keeps_no_other_partition_waiting() {
    run(async {
        let (taken, mut arrived) = mpsc::channel(16);
        let broker = Arc::new(Uneven { taken, gate: Semaphore::new(0) });
        let metrics = metrics();
        let way = || post::outgoing(broker.clone(), metrics.clone());
        let (slow, refused, other) = (way(), way(), way());
        slow.send(to("slow")).await.unwrap();
        refused.send(to("refused")).await.unwrap();
        until("the refusal is counted", || metrics.agent_sends_failed.get() == 1).await;
        other.send(to("other")).await.unwrap();
        assert_eq!(in_time("the other's message", arrived.recv()).await.as_deref(), Some("other"));
        broker.gate.add_permits(1);
        assert_eq!(in_time("the slow one's message", arrived.recv()).await.as_deref(), Some("slow"));
    });
}

#[test]
fn a_partition_that_does_not_keep_up_loses_reports_and_has_its_agents_asked_anew() {
    run(async {
        let metrics = metrics();
        let (inbox, mut read) = mpsc::channel(1);
        let reports = Reports::new(3, inbox, metrics.clone());
        let flood = i64::try_from(TELEMETRY_QUEUE).unwrap() + 100;
        (0..flood).for_each(|offset| reports.take(report(offset)));
        let dropped = metrics.agent_messages_dropped.get();
        assert!((90..=100).contains(&dropped), "{dropped} of {flood} were dropped");

        let kept = u64::try_from(flood).unwrap() - dropped;
        let (mut records, mut asked_anew) = (0, 0);
        while records < kept {
            match in_time("what was kept", read.recv()).await.expect("the way is open") {
                Message::Telemetry(_) => records += 1,
                Message::Reconnected => asked_anew += 1,
                _ => panic!("this was not sent"),
            }
        }
        assert_eq!(asked_anew, 1);
        reports.reconnected();
        assert!(matches!(in_time("a lost broker", read.recv()).await, Some(Message::Reconnected)));
    });
}

/// Sends to a topic that the broker refuses.
pub async fn send_in_vain() -> Metrics {
    let (taken, _arrived) = mpsc::channel(1);
    let metrics = metrics();
    let way = post::outgoing(Arc::new(Uneven { taken, gate: Semaphore::new(0) }), metrics.clone());
    way.send(to("refused")).await.unwrap();
    until("the refusal is counted", || metrics.agent_sends_failed.get() == 1).await;
    metrics
}

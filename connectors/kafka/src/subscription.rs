//! One subscription: a task that pumps records from a consumer into the subscriber's channel and, when the broker was
//! lost, goes on at the one that is there instead.

use std::sync::Arc;

use coffer_ports::{
    Result,
    telemetry::Bounded,
    transport::{Delivery, Start},
};
use rdkafka::{consumer::Consumer as _, error::KafkaError, types::RDKafkaErrorCode};
use tokio::{
    sync::mpsc,
    time::{Duration, Instant, sleep, timeout_at},
};

use crate::{
    address::AddressReceiver,
    client::Consumer,
    consumer::{open, to_incoming},
    error::no_address,
    transport::KAFKA_RECEIVED,
};

/// Records between the pump and the subscriber; behind it librdkafka holds its own bounded queue.
pub(crate) const CHANNEL_RECORDS: usize = 256;
/// How long `subscribe` waits for the broker and its topics.
const SUBSCRIBE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long one try to get back to a broker lasts before it is logged and begun anew.
const RECONNECT_ATTEMPT: Duration = Duration::from_secs(10);
/// Between two such tries that failed at once.
const RECONNECT_INTERVAL: Duration = Duration::from_millis(200);

pub(crate) struct Subscription {
    client_id: String,
    topics: Vec<String>,
    address: AddressReceiver,
    deliveries: mpsc::Sender<Delivery>,
}

/// Why the pump has stopped.
enum Stopped {
    /// The subscriber has dropped its receiver.
    Unsubscribed,
    /// Another broker, or an empty one, has taken the place of the one we knew.
    BrokerLost(&'static str),
}

/// Opens a subscription; its positions are fixed when this returns.
pub(crate) async fn subscribe(
    mut address: AddressReceiver,
    client_id: &str,
    topics: &[String],
    start: Start,
    bounded: &Bounded,
) -> Result<mpsc::Receiver<Delivery>> {
    let deadline = Instant::now() + SUBSCRIBE_TIMEOUT;
    let consumer = loop {
        let current = match timeout_at(deadline, address.wait_for(Option::is_some)).await {
            Ok(Ok(current)) => current.clone().ok_or_else(|| no_address("subscribe"))?,
            Ok(Err(_)) | Err(_) => return Err(no_address("subscribe")),
        };
        address.mark_unchanged();
        tokio::select! {
            opened = open(&current, client_id, topics, start, deadline) => break opened?,
            _ = address.changed() => {}
        }
    };
    let (deliveries, receiver) = deliveries(bounded);
    let subscription = Subscription { client_id: client_id.to_owned(), topics: topics.to_vec(), address, deliveries };
    tokio::spawn(subscription.run(consumer));
    Ok(receiver)
}

/// The way to a subscriber.
pub(crate) fn deliveries(bounded: &Bounded) -> (mpsc::Sender<Delivery>, mpsc::Receiver<Delivery>) {
    let (deliveries, receiver) = mpsc::channel(CHANNEL_RECORDS);
    let weak = deliveries.downgrade();
    bounded.register(KAFKA_RECEIVED, CHANNEL_RECORDS, move || {
        weak.upgrade().map(|deliveries| CHANNEL_RECORDS - deliveries.capacity())
    });
    (deliveries, receiver)
}

impl Subscription {
    async fn run(mut self, mut consumer: Consumer) {
        loop {
            match self.pump(&consumer).await {
                Stopped::Unsubscribed => return,
                Stopped::BrokerLost(reason) => tracing::info!(topics = ?self.topics, reason, "broker lost"),
            }
            drop(consumer);
            let Some(reopened) = self.reopen().await else { return };
            consumer = reopened;
            if self.deliveries.send(Delivery::Reconnected).await.is_err() {
                return;
            }
        }
    }

    async fn pump(&mut self, consumer: &Consumer) -> Stopped {
        let other_cluster = Arc::clone(&consumer.client().context().other_cluster);
        loop {
            tokio::select! {
                () = self.deliveries.closed() => return Stopped::Unsubscribed,
                _ = self.address.changed() => return Stopped::BrokerLost("its address has changed"),
                () = other_cluster.notified() => return Stopped::BrokerLost("another cluster answers"),
                // Not polled while the subscriber is slow: that is what slows the fetching.
                received = consumer.recv() => match received {
                    Ok(message) => {
                        let delivery = Delivery::Record(to_incoming(&message));
                        drop(message);
                        if self.deliveries.send(delivery).await.is_err() {
                            return Stopped::Unsubscribed;
                        }
                    }
                    Err(error) if is_position_lost(&error) => {
                        return Stopped::BrokerLost("it does not have the offset that comes next");
                    }
                    // librdkafka goes on by itself: it reconnects and fetches from where it stood.
                    Err(error) => tracing::debug!(%error, topics = ?self.topics, "consumer"),
                }
            }
        }
    }

    /// A consumer at the start of whatever broker is there now; `None` when nobody listens any more.
    async fn reopen(&mut self) -> Option<Consumer> {
        loop {
            let current = self.address.borrow_and_update().clone();
            let attempt = async {
                let address = current.as_ref().ok_or_else(|| no_address("subscribe"))?;
                let deadline = Instant::now() + RECONNECT_ATTEMPT;
                open(address, &self.client_id, &self.topics, Start::Earliest, deadline).await
            };
            tokio::select! {
                () = self.deliveries.closed() => return None,
                _ = self.address.changed() => {}
                opened = attempt => match opened {
                    Ok(consumer) => return Some(consumer),
                    Err(error) => {
                        tracing::warn!(%error, topics = ?self.topics, "no broker yet, trying on");
                        sleep(RECONNECT_INTERVAL).await;
                    }
                }
            }
        }
    }
}

/// The broker has nothing at the offset that we would read next: it has forgotten, or we were too slow for its
/// retention. Either way records are missing.
pub(crate) fn is_position_lost(error: &KafkaError) -> bool {
    matches!(
        error,
        KafkaError::MessageConsumption(RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange)
    )
}

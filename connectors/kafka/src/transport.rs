//! [`KafkaTransport`]: the port's face.

use std::sync::Arc;

use async_trait::async_trait;
use coffer_ports::{
    Error, ErrorKind, Result,
    telemetry::Bounded,
    transport::{Delivery, Outgoing, Positions, Start, Transport},
};
use tokio::sync::{mpsc, watch};

use crate::{
    address::{AddressReceiver, Bootstrap, follow},
    chosen::subscribe_to,
    client::PRODUCER_QUEUE_RECORDS,
    sender::Sender,
    subscription::subscribe,
};

/// Records sent that wait for their acknowledgement.
const KAFKA_UNACKNOWLEDGED: &str = "kafka_unacknowledged";
/// Records received that wait for the subscriber.
pub(crate) const KAFKA_RECEIVED: &str = "kafka_received";
/// The things with a bound of this component, as they are registered.
pub const THINGS: [&str; 2] = [KAFKA_UNACKNOWLEDGED, KAFKA_RECEIVED];

/// A client of one broker (or cluster) that follows it when it moves.
///
/// Each subscription has a consumer of its own and goes on when the transport is dropped. Clients of librdkafka are
/// made when they are first needed: a transport that only sends costs no consumer.
pub struct KafkaTransport {
    client_id: String,
    address: AddressReceiver,
    sender: Arc<Sender>,
    bounded: Bounded,
}

impl KafkaTransport {
    /// Does not wait for the broker: that is left to `send` (10 s) and `subscribe` (10 s). `client_id` is what the
    /// broker's logs and quotas call us.
    ///
    /// Errors: `Invalid` for an empty server list or client id.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn connect(bootstrap: Bootstrap, client_id: &str) -> Result<Self> {
        if client_id.is_empty() || matches!(&bootstrap, Bootstrap::Servers(servers) if servers.trim().is_empty()) {
            let message = "a transport needs a client id and the address of a broker";
            return Err(Error::new(ErrorKind::Invalid, "kafka.bad_config", message));
        }
        let address = follow(bootstrap);
        let sender = Arc::new(Sender::new(address.clone(), client_id.to_owned()));
        Ok(Self { client_id: client_id.to_owned(), address, sender, bounded: Bounded::default() })
    }

    /// Has its fullness, and that of all subscriptions made from now on, known there.
    #[must_use]
    pub fn watched_by(mut self, bounded: Bounded) -> Self {
        let sender = Arc::downgrade(&self.sender);
        bounded.register(KAFKA_UNACKNOWLEDGED, PRODUCER_QUEUE_RECORDS, move || Some(sender.upgrade()?.in_flight()));
        self.bounded = bounded;
        self
    }
}

#[async_trait]
impl Transport for KafkaTransport {
    async fn send(&self, record: Outgoing) -> Result<()> {
        self.sender.send(&record).await
    }

    async fn subscribe(&self, topics: &[String], start: Start) -> Result<mpsc::Receiver<Delivery>> {
        subscribe(self.address.clone(), &self.client_id, topics, start, &self.bounded).await
    }

    async fn subscribe_to(&self, topic: &str, wanted: watch::Receiver<Positions>) -> Result<mpsc::Receiver<Delivery>> {
        Ok(subscribe_to(self.address.clone(), &self.client_id, topic, wanted, &self.bounded))
    }
}

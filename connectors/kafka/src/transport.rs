//! [`KafkaTransport`]: the port's face.

use async_trait::async_trait;
use coffer_ports::{
    Error, ErrorKind, Result,
    transport::{Delivery, Outgoing, Start, Transport},
};
use tokio::sync::mpsc;

use crate::{
    address::{AddressReceiver, Bootstrap, follow},
    sender::Sender,
    subscription::subscribe,
};

/// A client of one broker (or cluster) that follows it when it moves.
///
/// Each subscription has a consumer of its own and goes on when the transport is dropped. Clients of librdkafka are
/// made when they are first needed: a transport that only sends costs no consumer.
pub struct KafkaTransport {
    client_id: String,
    address: AddressReceiver,
    sender: Sender,
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
        let sender = Sender::new(address.clone(), client_id.to_owned());
        Ok(Self { client_id: client_id.to_owned(), address, sender })
    }
}

#[async_trait]
impl Transport for KafkaTransport {
    async fn send(&self, record: Outgoing) -> Result<()> {
        self.sender.send(&record).await
    }

    async fn subscribe(&self, topics: &[String], start: Start) -> Result<mpsc::Receiver<Delivery>> {
        subscribe(self.address.clone(), &self.client_id, topics, start).await
    }
}

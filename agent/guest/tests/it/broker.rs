//! A transport in memory. It can be emptied and found again, as an embedded broker is.

use std::sync::{
    Mutex,
    atomic::{AtomicI64, Ordering},
};

use async_trait::async_trait;
use coffer_ports::{
    Result,
    transport::{Delivery, Incoming, Outgoing, Start, Transport},
};
use tokio::sync::mpsc;

#[derive(Default)]
pub struct Broker {
    subscriptions: Mutex<Vec<(Vec<String>, mpsc::Sender<Delivery>)>>,
    next_offset: AtomicI64,
}

impl Broker {
    /// Tells every reader that the broker was lost and another one found.
    pub async fn replace(&self) {
        self.deliver(|_| true, Delivery::Reconnected).await;
    }

    async fn deliver(&self, wants: impl Fn(&[String]) -> bool, delivery: Delivery) {
        let readers: Vec<_> = {
            let mut subscriptions = self.subscriptions.lock().unwrap();
            subscriptions.retain(|(_, reader)| !reader.is_closed());
            subscriptions.iter().filter(|(topics, _)| wants(topics)).map(|(_, reader)| reader.clone()).collect()
        };
        for reader in readers {
            // A reader may have gone since.
            let _ = reader.send(delivery.clone()).await;
        }
    }
}

#[async_trait]
impl Transport for Broker {
    async fn send(&self, record: Outgoing) -> Result<()> {
        let Outgoing { topic, key, headers, value } = record;
        let offset = self.next_offset.fetch_add(1, Ordering::Relaxed);
        let incoming = Incoming { topic: topic.clone(), partition: 0, offset, key, headers, value };
        self.deliver(|topics| topics.contains(&topic), Delivery::Record(incoming)).await;
        Ok(())
    }

    async fn subscribe(&self, topics: &[String], _start: Start) -> Result<mpsc::Receiver<Delivery>> {
        let (sender, receiver) = mpsc::channel(1024);
        self.subscriptions.lock().unwrap().push((topics.to_vec(), sender));
        Ok(receiver)
    }
}

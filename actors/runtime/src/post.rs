//! Records between the broker and the partitions, with a queue for each partition in either direction: one that is slow,
//! or whose topic the broker does not take, keeps no other waiting.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use coffer_ports::{
    telemetry::{Bounded, Happening},
    transport::{Incoming, Outgoing, Transport},
};
use tokio::sync::mpsc;

use crate::{
    fullness,
    metrics::Metrics,
    runner::Message,
    telemetry::{AgentMessageDropped, AgentSendFailed},
};

/// Records for the agents of one partition that wait for the broker at most.
pub const OUTGOING: usize = 1024;
/// Records of agents that wait for a place in their partition's inbox at most.
pub const TELEMETRY_QUEUE: usize = 1024;

/// The way out of one partition. What the broker does not take is sent again by whoever still wants it sent.
pub fn outgoing(transport: Arc<dyn Transport>, metrics: Metrics) -> mpsc::Sender<Outgoing> {
    let (sender, mut records) = mpsc::channel::<Outgoing>(OUTGOING);
    watch(&metrics.bounded, fullness::OUTGOING, &sender);
    tokio::spawn(async move {
        while let Some(record) = records.recv().await {
            let topic = record.topic.clone();
            if let Err(error) = transport.send(record).await {
                AgentSendFailed { topic: &topic, error: &error }.emit(&metrics);
            }
        }
    });
    sender
}

/// The way of agents' reports into one partition.
pub struct Reports {
    partition: u32,
    queue: mpsc::Sender<Message>,
    /// Something found no place.
    is_lossy: Arc<AtomicBool>,
    metrics: Metrics,
}

impl Reports {
    pub fn new(partition: u32, inbox: mpsc::Sender<Message>, metrics: Metrics) -> Self {
        let (queue, mut waiting) = mpsc::channel(TELEMETRY_QUEUE);
        watch(&metrics.bounded, fullness::TELEMETRY_QUEUE, &queue);
        let is_lossy = Arc::new(AtomicBool::new(false));
        let lossy = is_lossy.clone();
        tokio::spawn(async move {
            while let Some(message) = waiting.recv().await {
                if inbox.send(message).await.is_err() {
                    return;
                }
                // What was lost was meant for once: an inventory, a first word. Every agent says it again.
                if lossy.swap(false, Ordering::Relaxed) && inbox.send(Message::Reconnected).await.is_err() {
                    return;
                }
            }
        });
        Self { partition, queue, is_lossy, metrics }
    }

    /// Takes a record in, or drops it when the partition does not keep up; never waits.
    pub fn take(&self, record: Incoming) {
        self.put(Message::Telemetry(record));
    }

    /// The broker was lost and found.
    pub fn reconnected(&self) {
        self.put(Message::Reconnected);
    }

    fn put(&self, message: Message) {
        if let Err(mpsc::error::TrySendError::Full(_)) = self.queue.try_send(message) {
            self.is_lossy.store(true, Ordering::Relaxed);
            AgentMessageDropped { partition: self.partition }.emit(&self.metrics);
        }
    }
}

/// Has the fullness of a queue known, for as long as it has senders.
pub fn watch<T: Send + 'static>(bounded: &Bounded, name: &'static str, queue: &mpsc::Sender<T>) {
    let weak = queue.downgrade();
    bounded.register(name, queue.max_capacity(), move || {
        weak.upgrade().map(|queue| queue.max_capacity() - queue.capacity())
    });
}

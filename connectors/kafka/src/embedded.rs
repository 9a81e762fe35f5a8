//! The broker of embedded mode: librdkafka's in-process cluster, on loopback, in memory.
//!
//! It speaks the real protocol to real clients and forgets everything when it ends, which is all that embedded mode
//! asks of its transport: the truth is in the local log, and whoever waits for an answer asks again. It keeps up to
//! 5 MiB or 100,000 records per partition, then drops the oldest.

use std::{sync::mpsc, thread};

use coffer_ports::{Error, ErrorKind, Result};
use rdkafka::{error::KafkaError, mocking::MockCluster, types::RDKafkaErrorCode};

/// Requests that wait for the broker's thread.
const REQUEST_QUEUE: usize = 16;

/// A broker that lives until it is dropped. Its clients may be in any process of this host.
pub struct EmbeddedBroker {
    bootstrap_servers: String,
    /// `None` only while dropping: its end tells the thread to end.
    requests: Option<mpsc::SyncSender<CreateTopic>>,
    thread: Option<thread::JoinHandle<()>>,
}

struct CreateTopic {
    name: String,
    partitions: i32,
    done: mpsc::SyncSender<Result<()>>,
}

impl EmbeddedBroker {
    /// Starts a broker on a free port of 127.0.0.1 with these topics (name, number of partitions).
    pub fn start(topics: &[(String, i32)]) -> Result<Self> {
        let (requests, inbox) = mpsc::sync_channel(REQUEST_QUEUE);
        let (started, servers) = mpsc::sync_channel(1);
        // librdkafka's handle may not change threads, so it gets one.
        let thread = thread::Builder::new()
            .name("embedded-broker".to_owned())
            .spawn(move || serve(&inbox, &started))
            .map_err(|error| failed(&format!("no thread: {error}")))?;
        let bootstrap_servers = servers.recv().map_err(|_| failed("its thread has ended"))??;
        let broker = Self { bootstrap_servers, requests: Some(requests), thread: Some(thread) };
        for (name, partitions) in topics {
            broker.create_topic(name, *partitions)?;
        }
        Ok(broker)
    }

    /// Kafka's `bootstrap.servers`: 127.0.0.1 and a port.
    pub fn bootstrap_servers(&self) -> &str {
        &self.bootstrap_servers
    }

    /// Creates a topic; one that exists stays as it is. Blocks for microseconds.
    pub fn create_topic(&self, name: &str, partitions: i32) -> Result<()> {
        let (done, outcome) = mpsc::sync_channel(1);
        let request = CreateTopic { name: name.to_owned(), partitions, done };
        let gone = || failed("its thread has ended");
        self.requests.as_ref().ok_or_else(gone)?.send(request).map_err(|_| gone())?;
        outcome.recv().map_err(|_| gone())?
    }
}

impl Drop for EmbeddedBroker {
    fn drop(&mut self) {
        self.requests = None;
        if let Some(thread) = self.thread.take() {
            // A panic of the broker's thread has been reported by its own message.
            let _ = thread.join();
        }
    }
}

fn serve(inbox: &mpsc::Receiver<CreateTopic>, started: &mpsc::SyncSender<Result<String>>) {
    let cluster = match MockCluster::new(1) {
        Ok(cluster) => cluster,
        Err(error) => {
            let _ = started.send(Err(failed(&error.to_string())));
            return;
        }
    };
    if started.send(Ok(cluster.bootstrap_servers())).is_err() {
        return;
    }
    for request in inbox {
        let created = match cluster.create_topic(&request.name, request.partitions, 1) {
            Ok(()) | Err(KafkaError::MockCluster(RDKafkaErrorCode::TopicAlreadyExists)) => Ok(()),
            Err(error) => {
                Err(failed(&format!("topic {} with {} partitions: {error}", request.name, request.partitions)))
            }
        };
        // Who asked may have gone.
        let _ = request.done.send(created);
    }
}

fn failed(reason: &str) -> Error {
    Error::new(ErrorKind::Internal, "kafka.embedded_broker", format!("the embedded broker does not work: {reason}"))
}

//! How librdkafka is configured, and what it is listened to for.
//!
//! One set of numbers for the control plane and for agents: it has to suit an agent that shares a small guest with
//! its engine.

use std::{ops::Deref, sync::Arc, thread, time::Duration};

use coffer_ports::Result;
use rdkafka::{
    ClientContext,
    admin::AdminClient,
    client::DefaultClientContext,
    config::{ClientConfig, RDKafkaLogLevel},
    consumer::{BaseConsumer, ConsumerContext, StreamConsumer},
    error::KafkaError,
    producer::BaseProducer,
};
use tokio::sync::Notify;

use crate::{
    address::Address,
    changelog::writer::{Delivered, RECORD_TIMEOUT, TRANSACTION_TIMEOUT},
    error::from_kafka,
    producer::PolledProducer,
    sender::SEND_TIMEOUT,
};

/// Kafka's `murmur2_random`: the partition follows from the key as in the Java client.
const PARTITIONER: &str = "murmur2_random";
/// How long a broker may sit on a fetch that finds nothing. Real Kafka answers as soon as there is a record and would
/// bear a longer wait; the embedded broker always takes the whole of it, so that this is its latency. Measured there
/// (2 cores): 10 ms give 10.6 ms from send to receipt (p50); an idle agent then costs 0.7 % of a core and 7.5 MB
/// resident (1.7 MB of its own), the broker 1.1 % for one subscription and 2.4 % for ten. 5 ms cost about a third
/// more, 25 ms a third less.
const FETCH_WAIT_MAX_MS: u32 = 10;
/// Records fetched ahead of a slow reader, per subscription.
const CONSUMER_QUEUE_KIB: u32 = 1024;
/// Largest answer to one fetch, and per partition in it (one larger record is delivered all the same).
const FETCH_MAX_BYTES: u32 = 1024 * 1024;
/// Records that wait for their acknowledgement, per client.
pub(crate) const PRODUCER_QUEUE_RECORDS: usize = 10_000;
const PRODUCER_QUEUE_KIB: u32 = 8 * 1024;
/// A broker that has gone is tried again after this, doubling up to the second number.
const RECONNECT_BACKOFF_MS: u32 = 50;
const RECONNECT_BACKOFF_MAX_MS: u32 = 1000;
/// A request without an answer ends its connection.
const SOCKET_TIMEOUT_MS: u32 = 10_000;
/// A topic that the broker does not know is waited for this long before a send fails.
const UNKNOWN_TOPIC_WAIT_MS: u32 = 1000;

pub(crate) type Producer = Detached<PolledProducer>;
pub(crate) type Consumer = Detached<StreamConsumer<Events>>;

/// What librdkafka says on its own account.
#[derive(Default)]
pub(crate) struct Events {
    /// Told when another cluster answers under the address of the one that we knew.
    pub other_cluster: Arc<Notify>,
}

impl ClientContext for Events {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        // librdkafka compares the cluster id in the metadata that it fetches with each new connection, and only logs.
        if facility == "CLUSTERID" {
            self.other_cluster.notify_one();
        }
        match level {
            RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical => {
                tracing::error!(facility, "librdkafka: {message}");
            }
            // A broker that is away is logged once per attempt; callers see it by their own errors.
            _ => tracing::debug!(facility, "librdkafka: {message}"),
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, "librdkafka: {reason}");
    }
}

impl ConsumerContext for Events {}

fn config(address: &Address, client_id: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", &*address.servers)
        .set("client.id", client_id)
        // Topics are made on purpose, with the right number of partitions.
        .set("allow.auto.create.topics", "false")
        .set("log.connection.close", "false")
        .set("reconnect.backoff.ms", RECONNECT_BACKOFF_MS.to_string())
        .set("reconnect.backoff.max.ms", RECONNECT_BACKOFF_MAX_MS.to_string())
        .set("socket.timeout.ms", SOCKET_TIMEOUT_MS.to_string())
        .set("socket.nagle.disable", "true")
        .set_log_level(RDKafkaLogLevel::Warning);
    config
}

pub(crate) fn new_producer(address: &Address, client_id: &str) -> Result<Producer> {
    let mut config = config(address, client_id);
    config
        .set("acks", "all")
        .set("enable.idempotence", "true")
        .set("partitioner", PARTITIONER)
        .set("linger.ms", "0")
        .set("queue.buffering.max.messages", PRODUCER_QUEUE_RECORDS.to_string())
        .set("queue.buffering.max.kbytes", PRODUCER_QUEUE_KIB.to_string())
        .set("message.timeout.ms", SEND_TIMEOUT.as_millis().to_string())
        .set("topic.metadata.propagation.max.ms", UNKNOWN_TOPIC_WAIT_MS.to_string());
    PolledProducer::create(&config).map(Detached::new)
}

pub(crate) fn new_consumer(address: &Address, client_id: &str) -> Result<Consumer> {
    let mut config = config(address, client_id);
    config
        // librdkafka wants a group id before it assigns anything; nothing is ever committed under it.
        .set("group.id", client_id)
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        // An offset that the broker does not have means another broker: see `subscription`.
        .set("auto.offset.reset", "error")
        .set("isolation.level", "read_committed")
        .set("fetch.wait.max.ms", FETCH_WAIT_MAX_MS.to_string())
        .set("fetch.error.backoff.ms", "100")
        .set("fetch.queue.backoff.ms", "50")
        .set("fetch.max.bytes", FETCH_MAX_BYTES.to_string())
        .set("max.partition.fetch.bytes", FETCH_MAX_BYTES.to_string())
        .set("queued.max.messages.kbytes", CONSUMER_QUEUE_KIB.to_string());
    let consumer = config.create_with_context(Events::default());
    consumer.map(Detached::new).map_err(|error| from_kafka("create a consumer", &error))
}

/// A transaction may not begin before the cluster has put the end of the one before it into every partition: the client
/// is told to come again, and waits this long instead of librdkafka's 100 ms.
const TRANSACTION_RETRY_MS: u32 = 2;
/// Fetched ahead when a changelog is read, in KiB, and by one fetch.
const CHANGELOG_QUEUE_KIB: u32 = 16 * 1024;
const CHANGELOG_FETCH_BYTES: u32 = 8 * 1024 * 1024;
/// The end of a changelog is known when a fetch finds nothing: somebody waits for it.
const END_WAIT_MAX_MS: u32 = 1;

/// Heartbeats of a member of a group in the time that the cluster waits for one: several may be late or lost.
const HEARTBEATS: u32 = 6;

/// A producer of transactions under this id.
pub(crate) fn changelog_producer(
    address: &Address,
    client_id: &str,
    transactional_id: &str,
    context: Delivered,
) -> Result<BaseProducer<Delivered>> {
    let mut config = config(address, client_id);
    config
        .set("acks", "all")
        .set("enable.idempotence", "true")
        .set("transactional.id", transactional_id)
        .set("transaction.timeout.ms", TRANSACTION_TIMEOUT.as_millis().to_string())
        .set("message.timeout.ms", RECORD_TIMEOUT.as_millis().to_string())
        .set("retry.backoff.ms", TRANSACTION_RETRY_MS.to_string())
        // A batch is complete when it is handed over: nothing more is worth waiting for.
        .set("linger.ms", "0")
        .set("compression.type", "lz4")
        .set("queue.buffering.max.messages", PRODUCER_QUEUE_RECORDS.to_string())
        .set("queue.buffering.max.kbytes", PRODUCER_QUEUE_KIB.to_string());
    config.create_with_context(context).map_err(|error| from_kafka("create a producer", &error))
}

/// A member of a group that shares out partitions. It reads no records.
pub(crate) fn group_member<C: ConsumerContext>(
    address: &Address,
    client_id: &str,
    group: &str,
    session: Duration,
    context: C,
) -> Result<BaseConsumer<C>> {
    let mut config = config(address, client_id);
    config
        .set("group.id", group)
        .set("partition.assignment.strategy", "cooperative-sticky")
        .set("session.timeout.ms", session.as_millis().to_string())
        .set("heartbeat.interval.ms", (session / HEARTBEATS).as_millis().to_string())
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("queued.max.messages.kbytes", "1");
    config.create_with_context(context).map_err(|error| from_kafka("create a consumer", &error))
}

/// A reader of what is committed in a changelog, which is told where it ends.
pub(crate) fn changelog_reader(address: &Address, client_id: &str) -> Result<BaseConsumer> {
    let mut config = config(address, client_id);
    config
        // librdkafka wants a group id before it assigns anything; nothing is ever committed under it.
        .set("group.id", client_id)
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "error")
        .set("isolation.level", "read_committed")
        .set("enable.partition.eof", "true")
        .set("fetch.wait.max.ms", END_WAIT_MAX_MS.to_string())
        .set("fetch.error.backoff.ms", "100")
        .set("fetch.max.bytes", CHANGELOG_FETCH_BYTES.to_string())
        .set("max.partition.fetch.bytes", CHANGELOG_FETCH_BYTES.to_string())
        .set("queued.max.messages.kbytes", CHANGELOG_QUEUE_KIB.to_string());
    config.create().map_err(|error| from_kafka("create a consumer", &error))
}

pub(crate) fn new_admin(servers: &str, client_id: &str) -> Result<AdminClient<DefaultClientContext>> {
    let address = Address { generation: 0, servers: servers.into() };
    config(&address, client_id).create().map_err(|error| from_kafka("create a client", &error))
}

/// Ends a client on a thread of its own: librdkafka waits for its threads there, up to seconds when the broker has
/// gone, which no runtime's worker should.
pub(crate) struct Detached<T: Send + 'static>(Option<T>);

impl<T: Send + 'static> Detached<T> {
    fn new(client: T) -> Self {
        Self(Some(client))
    }
}

impl<T: Send + 'static> Deref for Detached<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.as_ref().expect("it is only taken by drop")
    }
}

impl<T: Send + 'static> Drop for Detached<T> {
    fn drop(&mut self) {
        let client = self.0.take();
        // Without a thread to be had the closure, and with it the client, is dropped right here.
        let _ = thread::Builder::new().name("kafka-close".to_owned()).spawn(move || drop(client));
    }
}

//! The [`Transport`](coffer_ports::transport::Transport) port on librdkafka, and the broker of embedded mode.
//!
//! * [`KafkaTransport`] – one client of one broker or cluster: sends, subscriptions;
//! * [`Bootstrap`] – where the broker is: fixed, or in a file that is read again when it changes;
//! * [`prepare_topics`] – the topics of an external broker, made and checked;
//! * [`KafkaChangelog`] – what partitions have committed, in a compacted topic;
//! * [`KafkaGroup`] – which partitions are this node's;
//! * [`EmbeddedBroker`] – a Kafka-protocol broker inside this process that may forget everything.
//!
//! Connections are clear text without authentication: loopback, or a network that is trusted. What is secret is
//! sealed before it gets here.

mod address;
mod changelog;
mod chosen;
mod client;
mod consumer;
mod embedded;
mod error;
mod group;
mod producer;
mod sender;
mod subscription;
mod topics;
mod transport;

pub use address::{Bootstrap, write_bootstrap_file};
pub use changelog::KafkaChangelog;
pub use embedded::EmbeddedBroker;
pub use group::{KafkaGroup, SESSION_TIMEOUT};
pub use topics::prepare_topics;
pub use transport::{KafkaTransport, THINGS};

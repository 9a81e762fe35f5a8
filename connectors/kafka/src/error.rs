//! librdkafka's errors in the words of the port.

use coffer_ports::{Error, ErrorKind};
use rdkafka::{error::KafkaError, types::RDKafkaErrorCode};

/// An error of the client or the broker while doing `what` (a phrase such as `send to coffer.commands`).
pub(crate) fn from_kafka(what: &str, error: &KafkaError) -> Error {
    use RDKafkaErrorCode as Code;
    let (kind, code) = match error.rdkafka_error_code() {
        Some(Code::MessageTimedOut | Code::RequestTimedOut | Code::OperationTimedOut) => {
            (ErrorKind::Timeout, "kafka.timeout")
        }
        Some(Code::MessageSizeTooLarge | Code::InvalidTopic | Code::InvalidRecord | Code::InvalidMessage) => {
            (ErrorKind::Invalid, "kafka.record_refused")
        }
        Some(Code::UnknownTopic | Code::UnknownTopicOrPartition | Code::UnknownPartition) => {
            (ErrorKind::Unavailable, "kafka.unknown_topic")
        }
        Some(Code::QueueFull) => (ErrorKind::Unavailable, "kafka.queue_full"),
        _ => (ErrorKind::Unavailable, "kafka.unavailable"),
    };
    Error::new(kind, code, format!("{what}: {error}"))
}

/// Nobody has said yet where the broker is.
pub(crate) fn no_address(what: &str) -> Error {
    Error::new(ErrorKind::Unavailable, "kafka.no_address", format!("{what}: the bootstrap file is not there yet"))
}

//! The [`Changelog`] on a compacted topic: a batch is a transaction, a row a record, a row that is gone a tombstone.
//!
//! Each partition has a writer of its own with a transactional id of its own: calls that end a transaction block, and a
//! new owner ends what the one before it left open, by that id. A record's key is a byte for the space and the row's key.

mod reader;
pub(crate) mod writer;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use coffer_ports::{
    Error, ErrorKind, Result,
    changelog::{Changelog, Chunk, Extent},
    log::{Batch, CommitError, Space, Write},
};
use tokio::sync::mpsc;

use crate::{address::Address, client::new_admin, error::from_kafka, group::KafkaGroup};
use reader::Readers;
use writer::{Writer, WriterParts};

/// How long the cluster may take for one question.
const QUESTION_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(10);

/// The changelogs of all partitions, in one topic of one cluster.
pub struct KafkaChangelog {
    address: Address,
    client_id: String,
    topic: String,
    group: Option<Arc<KafkaGroup>>,
    readers: Arc<Readers>,
    writers: Mutex<HashMap<u32, Writer>>,
}

impl KafkaChangelog {
    /// A client of the cluster at `servers`; nothing is asked of it yet. The topic must be there, compacted, with a
    /// partition for each of ours.
    pub fn new(servers: &str, client_id: &str, topic: &str) -> Self {
        let address = Address { generation: 0, servers: servers.into() };
        let (client_id, topic) = (client_id.to_owned(), topic.to_owned());
        let readers = Arc::new(Readers::new(address.clone(), &client_id, &topic));
        Self { address, client_id, topic, group: None, readers, writers: Mutex::default() }
    }

    /// Has the first batch after each fence taken from the partition's assignee in this group alone: who was assigned it
    /// once, and slept since, puts the new owner out for a moment, and no more.
    #[must_use]
    pub fn in_group(mut self, group: Arc<KafkaGroup>) -> Self {
        self.group = Some(group);
        self
    }

    fn writer(&self, partition: u32) -> std::io::Result<Writer> {
        let mut writers = self.writers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(writer) = writers.get(&partition) {
            return Ok(writer.clone());
        }
        let parts = WriterParts {
            address: self.address.clone(),
            client_id: self.client_id.clone(),
            topic: self.topic.clone(),
            partition,
            group: self.group.clone(),
            readers: self.readers.clone(),
        };
        let writer = Writer::start(parts)?;
        writers.insert(partition, writer.clone());
        Ok(writer)
    }
}

#[async_trait]
impl Changelog for KafkaChangelog {
    async fn identity(&self) -> Result<String> {
        let (servers, client_id, topic) = (self.address.servers.clone(), self.client_id.clone(), self.topic.clone());
        blocking(move || {
            let admin = new_admin(&servers, &client_id)?;
            // The id is known once the cluster has answered anything.
            admin.inner().fetch_metadata(Some(&topic), QUESTION_TIMEOUT).map_err(|error| from_kafka("look", &error))?;
            let unknown =
                || Error::new(ErrorKind::Unavailable, "kafka.no_cluster_id", "the cluster does not tell its id");
            let cluster = admin.inner().fetch_cluster_id(QUESTION_TIMEOUT).ok_or_else(unknown)?;
            Ok(format!("{cluster}/{topic}"))
        })
        .await
    }

    async fn fence(&self, partition: u32) -> Result<()> {
        let writer = self.writer(partition).map_err(|error| no_thread(&error))?;
        writer.fence().await
    }

    async fn extent(&self, partition: u32) -> Result<Extent> {
        let readers = self.readers.clone();
        blocking(move || readers.extent(partition)).await
    }

    async fn append(&self, batch: &Batch) -> Result<i64, CommitError> {
        let writer = self.writer(batch.partition).map_err(|error| CommitError::Refused(error.to_string()))?;
        writer.append(batch).await
    }

    async fn read(&self, partition: u32, from: i64) -> Result<mpsc::Receiver<Result<Chunk>>> {
        let consumer = self.readers.open(partition, from)?;
        self.readers.start(consumer, from).map_err(|error| no_thread(&error))
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let failed = |error| Error::new(ErrorKind::Internal, "kafka.task_failed", format!("asking the cluster: {error}"));
    tokio::task::spawn_blocking(work).await.map_err(failed)?
}

fn no_thread(error: &std::io::Error) -> Error {
    Error::new(ErrorKind::Internal, "kafka.no_thread", format!("no thread for the changelog: {error}"))
}

/// The byte of a space: never used for another one.
const SPACES: [(u8, Space); 7] = [
    (b's', Space::State),
    (b'v', Space::View),
    (b'o', Space::Outbox),
    (b't', Space::Timer),
    (b'd', Space::Dedup),
    (b'j', Space::Journal),
    (b'm', Space::Meta),
];

fn record_key(write: &Write) -> Vec<u8> {
    let byte = SPACES.iter().find(|(_, space)| *space == write.space).map_or(0, |(byte, _)| *byte);
    let mut key = Vec::with_capacity(1 + write.key.len());
    key.push(byte);
    key.extend_from_slice(&write.key);
    key
}

/// The change that a record stands for.
fn write_of(key: Option<&[u8]>, value: Option<&[u8]>) -> Result<Write> {
    let known = key.and_then(<[u8]>::split_first).and_then(|(byte, key)| {
        let (_, space) = SPACES.iter().find(|(known, _)| known == byte)?;
        Some(Write { space: *space, key: key.to_vec(), value: value.map(<[u8]>::to_vec) })
    });
    known.ok_or_else(|| {
        let message =
            "the changelog holds a record that this build cannot read: it was written by a later one, or not by us";
        Error::new(ErrorKind::Invalid, "kafka.unreadable_record", message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_of_each_space_is_read_as_it_was_written() {
        for (_, space) in SPACES {
            for value in [Some(b"value".to_vec()), None] {
                let write = Write { space, key: b"\0\0\0\x07key".to_vec(), value };
                let read = write_of(Some(&record_key(&write)), write.value.as_deref()).unwrap();
                assert_eq!(read, write);
            }
        }
    }

    #[test]
    fn what_is_not_ours_is_refused() {
        for key in [None, Some(&b""[..]), Some(b"?key")] {
            assert_eq!(write_of(key, None).unwrap_err().kind, ErrorKind::Invalid);
        }
    }
}

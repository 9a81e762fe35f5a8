//! The topics that a broker must have.

use std::time::Duration;

use coffer_ports::transport::{Kept, Topic};
use coffer_protocol::topics;

use super::PARTITIONS;
use crate::{link::cell_of, replicated_log};

/// How long an outside producer's command is kept: after a day it is not carried out any more.
const COMMANDS_KEPT: Duration = Duration::from_hours(24);
/// How long what is said between us and the agents is kept: whoever was away longer is asked anew.
const MESSAGES_KEPT: Duration = Duration::from_hours(1);

/// The topic of the changelog.
pub fn changelog_topic() -> Topic {
    let kept = Kept::LastOfEachKey { gone_known: replicated_log::GONE_KNOWN };
    Topic { name: topics::STATE.to_owned(), partitions: PARTITIONS as i32, kept }
}

/// The topics that a broker must have when nodes share what it keeps.
pub fn cluster_topics() -> Vec<Topic> {
    vec![changelog_topic(), Topic { name: topics::ANSWERS.to_owned(), partitions: 1, kept: Kept::For(MESSAGES_KEPT) }]
}

/// The topics that a broker must have in any case.
pub fn topics() -> Vec<Topic> {
    let shared = PARTITIONS as i32;
    let topic = |name: &str, partitions, kept| Topic { name: name.to_owned(), partitions, kept: Kept::For(kept) };
    let mut topics =
        vec![topic(topics::COMMANDS, shared, COMMANDS_KEPT), topic(topics::TELEMETRY, shared, MESSAGES_KEPT)];
    topics.extend((0..PARTITIONS).map(|partition| topic(&topics::agents(&cell_of(partition)), 1, MESSAGES_KEPT)));
    topics
}

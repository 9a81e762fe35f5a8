//! The topics of an external broker: made where they are missing, and held against what they must be.
//!
//! A topic that differs is never changed by us: it may be somebody's decision, and more partitions would put tenants
//! elsewhere than where their records are.

use std::{collections::BTreeMap, thread, time::Duration};

use coffer_ports::{
    Error, ErrorKind, Result,
    transport::{Kept, Topic},
};
use rdkafka::{
    admin::{AdminClient, AdminOptions, ConfigResource, NewTopic, ResourceSpecifier, TopicReplication},
    client::DefaultClientContext,
    metadata::Metadata,
    types::RDKafkaErrorCode,
};

use crate::{client::new_admin, error::from_kafka};

/// How long the broker may take for one answer.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How often a topic that was made is looked for until the broker knows it, and between two looks.
const LOOKS: usize = 50;
const LOOK_INTERVAL: Duration = Duration::from_millis(200);
/// Copies of each record where there are brokers enough, and how many must have it before it is acknowledged: one
/// broker may be away, and the loss of another loses nothing.
const REPLICATION: i32 = 3;
const MIN_INSYNC_REPLICAS: i32 = 2;

type Admin = AdminClient<DefaultClientContext>;

/// Makes the topics that are missing, and checks all of them. Blocks for as long as the broker takes, 10 s for each of
/// its answers at most. Returns the names of those that were made.
///
/// Errors: `Invalid` when a topic is not as it must be: what differs, and the command that mends it; `Unavailable` or
/// `Timeout` when the broker does not answer; `Denied` when it does not let us.
///
/// # Panics
/// Outside a tokio runtime, and on a thread that drives one: call it with `spawn_blocking`.
pub fn prepare_topics(servers: &str, client_id: &str, topics: &[Topic]) -> Result<Vec<String>> {
    let admin = new_admin(servers, client_id)?;
    let metadata = metadata(&admin)?;
    let brokers = i32::try_from(metadata.brokers().len()).unwrap_or(i32::MAX);
    let present = partitions(&metadata);
    let missing: Vec<&Topic> = topics.iter().filter(|topic| !present.contains_key(&topic.name)).collect();
    make(&admin, &missing, brokers.min(REPLICATION))?;
    let present = await_all(&admin, topics)?;
    let settings = settings(&admin, topics)?;
    let mut differences = Vec::new();
    for (topic, resource) in topics.iter().zip(&settings) {
        let found = present.get(&topic.name).copied().unwrap_or_default();
        differences.extend(wrong_partitions(servers, topic, found.partitions));
        differences.extend(wrong_settings(servers, topic, found.replicas, resource));
    }
    if differences.is_empty() {
        return Ok(missing.into_iter().map(|topic| topic.name.clone()).collect());
    }
    Err(Error::new(ErrorKind::Invalid, "kafka.topics", differences.join("\n")))
}

/// What the broker knows of a topic.
#[derive(Clone, Copy, Default)]
struct Present {
    partitions: usize,
    /// Of the partition that has the fewest.
    replicas: usize,
}

fn metadata(admin: &Admin) -> Result<Metadata> {
    admin.inner().fetch_metadata(None, TIMEOUT).map_err(|error| from_kafka("look at the topics", &error))
}

fn partitions(metadata: &Metadata) -> BTreeMap<String, Present> {
    let known = metadata.topics().iter().filter(|topic| topic.error().is_none() && !topic.partitions().is_empty());
    known
        .map(|topic| {
            let replicas = topic.partitions().iter().map(|partition| partition.replicas().len()).min();
            let present = Present { partitions: topic.partitions().len(), replicas: replicas.unwrap_or_default() };
            (topic.name().to_owned(), present)
        })
        .collect()
}

fn make(admin: &Admin, missing: &[&Topic], replication: i32) -> Result<()> {
    if missing.is_empty() {
        return Ok(());
    }
    let policies: Vec<Policy> = missing.iter().map(|topic| Policy::of(topic.kept)).collect();
    let min_insync = min_insync_replicas(usize::try_from(replication).unwrap_or_default()).to_string();
    let wanted: Vec<NewTopic<'_>> = missing
        .iter()
        .zip(&policies)
        .map(|(topic, policy)| {
            NewTopic::new(&topic.name, topic.partitions, TopicReplication::Fixed(replication))
                .set("cleanup.policy", policy.cleanup)
                .set(policy.setting, &policy.least_ms)
                .set("min.insync.replicas", &min_insync)
        })
        .collect();
    let made =
        block_on(admin.create_topics(&wanted, &options())).map_err(|error| from_kafka("make the topics", &error))?;
    for refused in made.into_iter().filter_map(std::result::Result::err) {
        // Another node makes them at the same time.
        if refused.1 != RDKafkaErrorCode::TopicAlreadyExists {
            return Err(denied_or(refused.1, &format!("the broker does not make the topic {}", refused.0)));
        }
    }
    Ok(())
}

/// What a topic keeps, in Kafka's words.
struct Policy {
    cleanup: &'static str,
    /// What has a least value …
    setting: &'static str,
    /// … in ms.
    least_ms: String,
}

impl Policy {
    fn of(kept: Kept) -> Self {
        let (cleanup, setting, least) = match kept {
            Kept::For(span) => ("delete", "retention.ms", span),
            Kept::LastOfEachKey { gone_known } => ("compact", "delete.retention.ms", gone_known),
        };
        Self { cleanup, setting, least_ms: least.as_millis().to_string() }
    }
}

/// Waits until the broker knows all topics: it answers before every one of its parts does.
fn await_all(admin: &Admin, topics: &[Topic]) -> Result<BTreeMap<String, Present>> {
    for _ in 0..LOOKS {
        let present = partitions(&metadata(admin)?);
        if topics.iter().all(|topic| present.contains_key(&topic.name)) {
            return Ok(present);
        }
        thread::sleep(LOOK_INTERVAL);
    }
    let message = "the broker has made the topics and does not know them";
    Err(Error::new(ErrorKind::Timeout, "kafka.timeout", message))
}

fn settings(admin: &Admin, topics: &[Topic]) -> Result<Vec<ConfigResource>> {
    let wanted: Vec<ResourceSpecifier<'_>> = topics.iter().map(|topic| ResourceSpecifier::Topic(&topic.name)).collect();
    let found = block_on(admin.describe_configs(&wanted, &options()))
        .map_err(|error| from_kafka("look at the topics' settings", &error))?;
    found
        .into_iter()
        .map(|one| one.map_err(|code| denied_or(code, "the broker does not show topics' settings")))
        .collect()
}

fn wrong_partitions(servers: &str, topic: &Topic, found: usize) -> Option<String> {
    let Topic { name, partitions: wanted, .. } = topic;
    let remedy = match usize::try_from(*wanted).unwrap_or_default() {
        wanted if found == wanted => return None,
        wanted if found < wanted => format!("--alter --topic {name} --partitions {wanted}"),
        // A topic does not get fewer; these hold nothing that is not sent or asked for again.
        _ if matches!(topic.kept, Kept::For(_)) => format!("--delete --topic {name}"),
        _ => {
            return Some(format!(
                "topic {name} has {found} partitions and must have {wanted}: it is not of this deployment, or somebody \
                 has added some; its state must be moved into another cluster"
            ));
        }
    };
    Some(format!(
        "topic {name} has {found} partitions and must have {wanted}: kafka-topics.sh --bootstrap-server {servers} {remedy}"
    ))
}

fn wrong_settings(servers: &str, topic: &Topic, replicas: usize, found: &ConfigResource) -> Vec<String> {
    let name = &topic.name;
    let policy = Policy::of(topic.kept);
    let value = |setting: &str| found.get(setting).and_then(|entry| entry.value.clone()).unwrap_or_default();
    let number = |setting: &str| value(setting).parse::<i128>().unwrap_or_default();
    let min_insync = min_insync_replicas(replicas);
    let kept_ms = number(policy.setting);
    let is_kept = kept_ms == -1 || kept_ms >= policy.least_ms.parse().unwrap_or(i128::MAX);
    let rules = [
        ("cleanup.policy", policy.cleanup.to_owned(), value("cleanup.policy") == policy.cleanup),
        (policy.setting, format!("{} at least", policy.least_ms), is_kept),
        ("min.insync.replicas", min_insync.to_string(), number("min.insync.replicas") == i128::from(min_insync)),
    ];
    let broken = rules.into_iter().filter(|(_, _, holds)| !holds);
    broken
        .map(|(setting, wanted, _)| {
            let plain = wanted.trim_end_matches(" at least");
            format!(
                "topic {name} has {setting}={} and must have {wanted}: kafka-configs.sh --bootstrap-server {servers} \
                 --alter --entity-type topics --entity-name {name} --add-config {setting}={plain}",
                value(setting)
            )
        })
        .collect()
}

/// With fewer copies than [`REPLICATION`] one broker away would stop everything.
fn min_insync_replicas(replicas: usize) -> i32 {
    if i32::try_from(replicas).unwrap_or(i32::MAX) >= REPLICATION { MIN_INSYNC_REPLICAS } else { 1 }
}

fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(TIMEOUT)).operation_timeout(Some(TIMEOUT))
}

fn denied_or(code: RDKafkaErrorCode, what: &str) -> Error {
    let kind = match code {
        RDKafkaErrorCode::TopicAuthorizationFailed | RDKafkaErrorCode::ClusterAuthorizationFailed => ErrorKind::Denied,
        _ => ErrorKind::Unavailable,
    };
    Error::new(kind, "kafka.topics", format!("{what}: {code}"))
}

/// The client answers from a thread of its own.
fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Handle::current().block_on(future)
}

//! Starts all partitions and is the handle that the server wires up: submit, watch, read.

use std::{sync::Arc, time::Duration};

use actix::Arbiter;
use coffer_domain::{
    catalogue::Catalogue,
    command::{Command, Envelope},
    configuration::Group,
    ids::{CommandId, GroupId, InstanceId, TenantId},
    instance::InstanceView,
    quota::{Limits, Usage},
    rejection::{Rejection, RejectionKind},
    time::{SECOND, Timestamp},
};
use coffer_ports::{
    changelog::Changelog,
    log::{Batch, Log, Space, Write},
    telemetry::Happening,
    transport::{Delivery, Incoming, Kept, Start, Topic, Transport},
};
use coffer_protocol::topics;
use tokio::sync::{mpsc, oneshot};

use crate::{
    borders::Borders,
    clock::Clock,
    dispatcher::{Connectors, Dispatcher},
    fullness,
    link::{LinkParts, cell_of},
    local_log::LocalLog,
    metrics::Metrics,
    partition::{Accepted, Parts},
    post::{self, Reports},
    replicated_log::{self, ReplicatedLog},
    room_watch,
    runner::{INBOX, Message, Runner, RunnerError, RunnerParts},
    store::{Journal, Store, StoreError, keys, room::Standing, rows},
    telemetry::{IntakeRefused, ReadFailed},
    vault::Vault,
};

/// Partitions of a deployment: fixed for life, since the key's hash decides where a tenant is.
pub const PARTITIONS: u32 = 16;
/// How long an outside producer's command is kept: after a day it is not carried out any more.
const COMMANDS_KEPT: Duration = Duration::from_hours(24);
/// How long what is said between us and the agents is kept: whoever was away longer is asked anew.
const MESSAGES_KEPT: Duration = Duration::from_hours(1);
/// Bytes of a tenant's id, and of a producer's other words, at most.
const MAX_TENANT: usize = 64;
const MAX_WORDS: usize = 255;
/// How long the intake waits before it offers a command again that could not be taken.
const INTAKE_RETRY: Duration = Duration::from_secs(1);
/// How long a client waits for a place in a partition's inbox and for the commit.
const SUBMIT_LIMIT: Duration = Duration::from_secs(10);

/// What a runtime is made of.
pub struct Config {
    pub store: Arc<Store>,
    pub connectors: Connectors,
    pub transport: Arc<dyn Transport>,
    pub vault: Arc<Vault>,
    pub clock: Arc<dyn Clock>,
    pub borders: Arc<dyn Borders>,
    pub catalogue: Arc<Catalogue>,
    pub limits: Arc<Limits>,
    pub metrics: Metrics,
    /// What the store follows; it is the truth itself when there is none.
    pub changelog: Option<Arc<dyn Changelog>>,
    /// Whether commands are taken from the topic `coffer.commands`, where whoever reaches the broker may write.
    pub open_intake: bool,
}

/// Why the runtime did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Changelog(#[from] replicated_log::OpenError),
    #[error(
        "the store follows the changelog {0}, and is no truth by itself: broker.log must be \"kafka\", or coffer admin move-log makes it one"
    )]
    Follows(String),
    #[error("the log's thread did not start: {0}")]
    Thread(#[from] std::io::Error),
    #[error("the broker cannot be read: {0}")]
    Transport(#[from] coffer_ports::Error),
    #[error(transparent)]
    Runner(#[from] RunnerError),
}

/// All partitions at work. Cheap to clone.
#[derive(Clone)]
pub struct Runtime {
    store: Arc<Store>,
    inboxes: Arc<Vec<mpsc::Sender<Message>>>,
    metrics: Metrics,
}

/// Ends with the first partition that fails, or when all have stopped.
pub type Failure = mpsc::Receiver<RunnerError>;

impl Runtime {
    /// Takes all partitions over and returns when they work. Must be called within an actix system on a multi-thread-capable host.
    pub async fn start(config: Config) -> Result<(Self, Failure), StartError> {
        let metrics = config.metrics;
        let log = open_log(&config.store, config.changelog, &config.clock, &metrics).await?;
        let dispatcher = Dispatcher::new(
            config.connectors,
            config.vault.clone(),
            metrics.clone(),
            tokio::runtime::Handle::current(),
        );
        let partition_parts = Parts {
            log,
            store: config.store.clone(),
            borders: config.borders,
            catalogue: config.catalogue,
            limits: config.limits,
            metrics: metrics.clone(),
        };

        // Before the partitions challenge their agents: no answer is missed.
        let telemetry = config.transport.subscribe(&[topics::TELEMETRY.to_owned()], Start::Latest).await?;
        let (failed, failure) = mpsc::channel(PARTITIONS as usize);
        let mut inboxes = Vec::new();
        let mut take_overs = Vec::new();
        let arbiters = start_arbiters();
        for partition in 0..PARTITIONS {
            let (sender, inbox) = mpsc::channel(INBOX);
            post::watch(&metrics.bounded, fullness::PARTITION_INBOX, &sender);
            let outgoing = post::outgoing(config.transport.clone(), metrics.clone());
            let parts = RunnerParts {
                partition: partition_parts.clone(),
                link: LinkParts { vault: config.vault.clone(), outgoing, metrics: metrics.clone() },
                dispatcher: dispatcher.clone(),
                clock: config.clock.clone(),
            };
            let (failed, weak) = (failed.clone(), sender.downgrade());
            let (taken_over, is_taken_over) = oneshot::channel::<()>();
            arbiters[partition as usize % arbiters.len()].spawn(async move {
                let mut end = End { failed, error: Some(RunnerError::Panicked { partition }) };
                let owned = Runner::own(partition, &parts).await;
                end.error = match owned.and_then(|ownership| Runner::load(ownership, parts, inbox, weak)) {
                    Ok(runner) => {
                        // Nobody waits once another partition has failed.
                        let _ = taken_over.send(());
                        runner.run().await.err()
                    }
                    Err(error) => Some(error),
                };
            });
            inboxes.push(sender);
            take_overs.push(is_taken_over);
        }
        for is_taken_over in take_overs {
            // One that failed says why through `failure`.
            let _ = is_taken_over.await;
        }
        let runtime = Self { store: config.store, inboxes: Arc::new(inboxes), metrics: metrics.clone() };
        let watched = runtime.clone();
        let (store, watching) = (runtime.store.clone(), metrics.clone());
        tokio::spawn(async move { room_watch::watch(store, watching, watched.ended()).await });
        runtime.read_telemetry(telemetry, &metrics);
        if config.open_intake {
            runtime.read_commands(&config.transport, config.vault, metrics).await?;
        }
        Ok((runtime, failure))
    }

    /// Commits a command. The answer comes after the commit. While the disk is almost full only deletes are taken, and
    /// what helps them.
    pub async fn submit(&self, envelope: Envelope) -> Result<Accepted, Rejection> {
        let busy = |message: &str| Rejection::new(RejectionKind::Busy, message);
        match self.store.room().standing() {
            Standing::Low(_) if matches!(envelope.command, Command::Delete | Command::ResetStatus { .. }) => {}
            standing => {
                if let Some(refusal) = standing.refusal() {
                    return Err(Rejection::new(RejectionKind::NoRoom, refusal));
                }
            }
        }
        let (answer, answered) = oneshot::channel();
        let inbox = self.inbox(&envelope.tenant);
        let message = Message::Command { envelope: Box::new(envelope), answer };
        let submitted = async {
            inbox.send(message).await.map_err(|_| busy("The control plane is stopping."))?;
            answered.await.map_err(|_| busy("The control plane is stopping."))?
        };
        tokio::time::timeout(SUBMIT_LIMIT, submitted)
            .await
            .unwrap_or_else(|_| Err(busy("The request was not recorded in time; look whether it was done.")))
    }

    /// Why new orders are refused now; `None` while they are taken.
    pub fn refusal(&self) -> Option<String> {
        self.store.room().standing().refusal()
    }

    /// Submits until there is an answer that repeating would not change. Ends with a refusal when the partitions end.
    async fn submit_until_decided(&self, envelope: Envelope) -> Result<Accepted, Rejection> {
        loop {
            match self.submit(envelope.clone()).await {
                Err(Rejection { kind: RejectionKind::Busy | RejectionKind::NoRoom, .. })
                    if !self.inbox(&envelope.tenant).is_closed() =>
                {
                    tokio::time::sleep(INTAKE_RETRY).await;
                }
                answer => return answer,
            }
        }
    }

    /// Waits until the task of an accepted command has ended; `None` when it has not within `limit`.
    pub async fn settled(
        &self,
        tenant: &TenantId,
        instance: InstanceId,
        command: CommandId,
        limit: Duration,
    ) -> Option<Result<(), String>> {
        let (ended, result) = oneshot::channel();
        let message = Message::Watch { tenant: tenant.clone(), instance, command, ended };
        let waited = async {
            self.inbox(tenant).send(message).await.ok()?;
            result.await.ok()
        };
        tokio::time::timeout(limit, waited).await.ok().flatten()
    }

    pub fn instance(&self, tenant: &TenantId, id: InstanceId) -> Result<Option<InstanceView>, StoreError> {
        self.told(self.store.view(partition_of(tenant), tenant, id))
    }

    /// What a GET shows of an instance: a row for [`coffer_domain::instance::shown::Shown`].
    pub fn shown(&self, tenant: &TenantId, id: InstanceId) -> Result<Option<Vec<u8>>, StoreError> {
        self.told(self.store.shown(partition_of(tenant), tenant, id))
    }

    /// The same of at most `limit` instances of a tenant in the order of their ids, after `marker`.
    pub fn shown_after(
        &self,
        tenant: &TenantId,
        marker: Option<InstanceId>,
        limit: usize,
    ) -> Result<Vec<(InstanceId, Vec<u8>)>, StoreError> {
        self.told(self.store.shown_after(partition_of(tenant), tenant, marker, limit))
    }

    /// At most `limit` instances of all tenants, ordered by partition, tenant and id, after `marker`, which need not exist.
    pub fn everyones_after(
        &self,
        marker: Option<&(TenantId, InstanceId)>,
        limit: usize,
    ) -> Result<Vec<InstanceView>, StoreError> {
        let first = marker.map_or(0, |(tenant, _)| partition_of(tenant));
        let mut found = Vec::new();
        for partition in first..PARTITIONS {
            let marker = marker.filter(|_| partition == first);
            found.extend(self.told(self.store.views_after(partition, marker, limit - found.len()))?);
        }
        Ok(found)
    }

    /// The tenant of an instance, looked for in every partition.
    pub fn owner(&self, id: InstanceId) -> Result<Option<TenantId>, StoreError> {
        for partition in 0..PARTITIONS {
            if let Some(tenant) = self.told(self.store.owner(partition, id))? {
                return Ok(Some(tenant));
            }
        }
        Ok(None)
    }

    /// At most `limit` entries of an instance's journal after number `after`; `None` when there is no journal.
    pub fn journal(
        &self,
        tenant: &TenantId,
        id: InstanceId,
        after: Option<u64>,
        limit: usize,
    ) -> Result<Option<Journal>, StoreError> {
        self.store.journal(partition_of(tenant), tenant, id, after, limit)
    }

    pub fn group(&self, tenant: &TenantId, id: GroupId) -> Result<Option<Group>, StoreError> {
        self.told(self.store.group(partition_of(tenant), tenant, id))
    }

    /// At most `limit` configuration groups of a tenant in the order of their ids, after `marker`.
    pub fn groups_after(
        &self,
        tenant: &TenantId,
        marker: Option<GroupId>,
        limit: usize,
    ) -> Result<Vec<Group>, StoreError> {
        self.told(self.store.groups_after(partition_of(tenant), tenant, marker, limit))
    }

    pub fn usage(&self, tenant: &TenantId) -> Result<Usage, StoreError> {
        self.told(self.store.usage(partition_of(tenant), tenant))
    }

    fn told<T>(&self, read: Result<T, StoreError>) -> Result<T, StoreError> {
        read.inspect_err(|error| ReadFailed { error }.emit(&self.metrics))
    }

    /// Ends every partition after what it has in its inbox; returns when all have ended.
    pub async fn stop(&self) {
        for inbox in self.inboxes.iter() {
            let _ = inbox.send(Message::Stop).await;
        }
        self.ended().await;
    }

    async fn ended(&self) {
        for inbox in self.inboxes.iter() {
            inbox.closed().await;
        }
    }

    /// The next delivery; none any more when the partitions have ended, so that the store is let go of.
    async fn next(&self, deliveries: &mut mpsc::Receiver<Delivery>) -> Option<Delivery> {
        tokio::select! {
            delivery = deliveries.recv() => delivery,
            () = self.ended() => None,
        }
    }

    fn inbox(&self, tenant: &TenantId) -> &mpsc::Sender<Message> {
        &self.inboxes[partition_of(tenant) as usize]
    }

    fn read_telemetry(&self, mut deliveries: mpsc::Receiver<Delivery>, metrics: &Metrics) {
        let runtime = self.clone();
        let inboxes = (0..).zip(self.inboxes.iter());
        let reports: Vec<Reports> =
            inboxes.map(|(partition, inbox)| Reports::new(partition, inbox.clone(), metrics.clone())).collect();
        tokio::spawn(async move {
            while let Some(delivery) = runtime.next(&mut deliveries).await {
                match delivery {
                    Delivery::Record(record) => {
                        let Some(tenant) = record.key.clone().map(TenantId) else { continue };
                        reports[partition_of(&tenant) as usize].take(record);
                    }
                    Delivery::Reconnected => reports.iter().for_each(Reports::reconnected),
                }
            }
        });
    }

    async fn read_commands(
        &self,
        transport: &Arc<dyn Transport>,
        vault: Arc<Vault>,
        metrics: Metrics,
    ) -> Result<(), StartError> {
        let mut deliveries = transport.subscribe(&[topics::COMMANDS.to_owned()], Start::Earliest).await?;
        let runtime = self.clone();
        tokio::spawn(async move {
            while let Some(delivery) = runtime.next(&mut deliveries).await {
                let Delivery::Record(record) = delivery else { continue };
                let refused = match read_command(&record, &vault) {
                    Ok(envelope) => runtime
                        .submit_until_decided(envelope)
                        .await
                        .err()
                        .map(|rejection| ("rejected", rejection.message)),
                    Err(error) => Some(("malformed", error)),
                };
                if let Some((reason, message)) = refused {
                    IntakeRefused { reason, message: &message, offset: record.offset }.emit(&metrics);
                }
            }
        });
        Ok(())
    }
}

/// Tells how a partition ended, also when it panicked.
struct End {
    failed: mpsc::Sender<RunnerError>,
    error: Option<RunnerError>,
}

impl Drop for End {
    fn drop(&mut self) {
        if let Some(error) = self.error.take() {
            // There is room for one of each partition.
            let _ = self.failed.try_send(error);
        }
    }
}

async fn open_log(
    store: &Arc<Store>,
    changelog: Option<Arc<dyn Changelog>>,
    clock: &Arc<dyn Clock>,
    metrics: &Metrics,
) -> Result<Arc<dyn Log>, StartError> {
    match (changelog, store.follows()?) {
        (Some(changelog), _) => {
            let applier = Arc::new(LocalLog::unsynced(store.clone(), &metrics.bounded)?);
            let (store, clock) = (store.clone(), clock.clone());
            Ok(Arc::new(ReplicatedLog::open(changelog, store, applier, clock, metrics.clone()).await?))
        }
        (None, None) => Ok(Arc::new(LocalLog::start(store.clone(), &metrics.bounded)?)),
        (None, Some(known)) => Err(StartError::Follows(known)),
    }
}

/// The partition that a tenant is in.
pub fn partition_of(tenant: &TenantId) -> u32 {
    topics::partition_of(&tenant.0, PARTITIONS)
}

/// The topic of the changelog, when a broker keeps one.
pub fn changelog_topic() -> Topic {
    let kept = Kept::LastOfEachKey { gone_known: replicated_log::GONE_KNOWN };
    Topic { name: topics::STATE.to_owned(), partitions: PARTITIONS as i32, kept }
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

/// Reads an outside producer's command: the record's key must be its tenant, and a new instance gets its server key.
fn read_command(record: &Incoming, vault: &Vault) -> Result<Envelope, String> {
    let mut envelope: Envelope = serde_json::from_slice(&record.value).map_err(|error| error.to_string())?;
    if envelope.version != coffer_domain::command::ENVELOPE_VERSION {
        return Err(format!("version: {} is not known", envelope.version));
    }
    if record.key.as_deref() != Some(envelope.tenant.0.as_str()) {
        return Err("key: the record's key must be the tenant".into());
    }
    check_origin(&envelope)?;
    let is_create = matches!(envelope.command, Command::Create(_) | Command::CreateConfiguration(_));
    if is_create && envelope.instance != InstanceId::of_outside_create(&envelope.tenant, envelope.command_id) {
        return Err("instance: for a create it must be the UUID version 5 of <tenant>/<command_id>".into());
    }
    if let Command::Create(order) = &mut envelope.command {
        order.server_key = Some(vault.new_server_key(envelope.instance, 1));
    }
    Ok(envelope)
}

/// A producer's words end up in keys, rows and logs.
fn check_origin(envelope: &Envelope) -> Result<(), String> {
    let tenant = &envelope.tenant.0;
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.');
    if tenant.is_empty() || tenant.len() > MAX_TENANT || !tenant.chars().all(is_plain) {
        return Err(format!("tenant: 1 to {MAX_TENANT} ASCII letters, digits, '-', '_' and '.'"));
    }
    for (field, text) in [("principal", &envelope.principal), ("request_id", &envelope.request_id)] {
        if text.len() > MAX_WORDS || text.chars().any(char::is_control) {
            return Err(format!("{field}: at most {MAX_WORDS} bytes, none of them a control character"));
        }
    }
    Ok(())
}

/// Starts by which epochs grow without anybody counting them, in a store that is put back from a copy: more than there
/// are in a life.
const UNCOUNTED_STARTS: u64 = 1 << 20;

/// Puts the epochs of a store that is put back from a copy above all that were in use since the copy was made, which
/// the store cannot know: to the time in seconds, which grows faster than anybody starts. Returns the least of them.
///
/// Sequence numbers of messages to agents begin anew with each epoch, so that none is used twice. With a clock that was
/// ahead at an earlier restore and is not now, agents refuse the new epoch until as many seconds have passed.
pub fn raise_epochs(store: &Store, now: Timestamp) -> Result<u64, StoreError> {
    let seconds = u64::try_from(now.0 / SECOND).unwrap_or_default();
    let mut batch = Batch::default();
    let mut least = u64::MAX;
    for partition in 0..PARTITIONS {
        let epoch = seconds.max(store.epoch(partition)? + UNCOUNTED_STARTS);
        least = least.min(epoch);
        batch.writes.push(Write { space: Space::Meta, key: keys::epoch(partition), value: Some(rows::encode(&epoch)) });
    }
    store.write(&[batch])?;
    Ok(least)
}

/// One thread per core at most: partitions share them.
fn start_arbiters() -> Vec<Arbiter> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    (0..cores.min(PARTITIONS as usize)).map(|_| Arbiter::new()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raised_epochs_are_above_all_that_a_copy_may_have_missed() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path()).unwrap();
        let at = |seconds: i64| Timestamp(seconds * SECOND);
        let first = raise_epochs(&store, at(1_800_000_000)).unwrap();
        assert_eq!(first, 1_800_000_000, "the time, whatever the copy says");
        // The same copy restored later, or one that was made after a restore, with a clock that was set back.
        assert!(raise_epochs(&store, at(1_800_000_100)).unwrap() > first + 100);
        assert!(raise_epochs(&store, at(0)).unwrap() > first + 100);
        assert_eq!(store.epoch(PARTITIONS - 1).unwrap(), store.epoch(0).unwrap());
    }
}

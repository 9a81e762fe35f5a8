//! The sealed conversation with the agents of one partition.
//!
//! A session is opened by a challenge, and only reports that name it count: what an agent said before a take-over, or
//! what somebody recorded, changes nothing. Commands are sent again until their outcome arrives; agents answer a
//! repeat from their journal. Heartbeats are folded here: only a changed fact becomes an input.
//!
//! Nothing here is durable. After a take-over all sessions are opened anew.

mod orders;
mod questions;
mod session;

use std::{collections::BTreeMap, ops::Bound, sync::Arc};

use coffer_domain::{
    ids::{EffectId, InstanceId, TenantId},
    instance::{
        Input, Instance,
        effect::{Action, Effect, Failure, Observation, Produced},
        policy::{GAUGES_INTERVAL, SILENCE},
    },
    time::{Millis, SECOND, Timestamp},
};
use coffer_ports::{
    telemetry::Happening,
    transport::{Incoming, Outgoing},
};
use coffer_protocol::{
    command::ToAgent,
    report::{EngineState, FromAgent, Heartbeat, Report},
    seal::{Channel, Direction, Envelope, Header},
    topics,
};
use tokio::sync::mpsc;

use crate::{
    metrics::Metrics,
    partition::Item,
    telemetry::{AgentEnrolled, AgentMessageRefused, AgentSendDeferred, AgentSilent, SessionOpened},
    vault::{Vault, instance_of_key, random, random_nonce},
};
use orders::Pending;
use questions::Asked;
pub use questions::{Answered, Unanswered};
pub use session::Refusal;
use session::{Challenges, SeenEnrols, Session};

/// The volume's fill is told in steps of this many bytes.
const GAUGE_STEP_BYTES: u64 = 1 << 20;
/// Between two rounds of [`Links::tick`], and between two parts of one.
const TICK: Millis = SECOND;
const REST: Millis = 10;
/// Agents that a part of a round looks at, at most …
const LINKS_AT_ONCE: usize = 10_000;
/// … and what it does for them: a challenge takes some 5 µs.
const ACTS_AT_ONCE: usize = 200;

/// What all links of a partition share.
#[derive(Clone)]
pub struct LinkParts {
    pub vault: Arc<Vault>,
    /// Records for the agents; full means later.
    pub outgoing: mpsc::Sender<Outgoing>,
    pub metrics: Metrics,
}

/// The agents of one partition.
pub struct Links {
    parts: LinkParts,
    cell: String,
    epoch: u64,
    /// Ordered, so that a simulated run can be repeated.
    links: BTreeMap<InstanceId, Link>,
    /// The agent that a round of [`Links::tick`] has come to, while it is under way.
    ticked: Option<InstanceId>,
}

/// One agent.
struct Link {
    tenant: TenantId,
    key_id: String,
    hear: Channel,
    speak: Channel,
    sequence: u64,
    session: Option<Session>,
    challenges: Challenges,
    enrols: SeenEnrols,
    /// Later of the agent's last word and the take-over.
    heard_at: Timestamp,
    told: Told,
    pending: BTreeMap<EffectId, Pending>,
    asked: Asked,
}

/// What was last passed on, so that only changes are.
#[derive(Debug, Default)]
struct Told {
    engine: Option<EngineState>,
    silent: bool,
    restart_required: bool,
    gauges_at: Option<Timestamp>,
    volume_used_bytes: Option<u64>,
}

/// The cell of a partition's agents. One per partition until a fleet needs more.
pub fn cell_of(partition: u32) -> String {
    format!("p{partition}")
}

impl Links {
    pub fn new(partition: u32, epoch: u64, parts: LinkParts) -> Self {
        Self { parts, cell: cell_of(partition), epoch, links: BTreeMap::new(), ticked: None }
    }

    /// Knows the agent of a new instance from now on. It has no server yet, and enrols when it has one.
    pub fn add_new(&mut self, instance: &Instance, now: Timestamp) {
        self.add_with(instance, now, Challenges::later(now));
    }

    /// Knows the instance's agent from now on, and challenges it at once. Its silence counts from `now`.
    pub fn add(&mut self, instance: &Instance, now: Timestamp) {
        self.add_with(instance, now, Challenges::new(now));
    }

    fn add_with(&mut self, instance: &Instance, now: Timestamp, challenges: Challenges) {
        let key = match self.parts.vault.open_server_key(&instance.server_key) {
            Ok(key) => key,
            Err(error) => {
                tracing::error!(instance = %instance.id, %error, "the agent's key cannot be opened: its reports will be refused");
                return;
            }
        };
        let link = Link {
            tenant: instance.tenant.clone(),
            key_id: instance.server_key.key_id.clone(),
            hear: key.channel(Direction::FromAgent),
            speak: key.channel(Direction::ToAgent),
            sequence: 0,
            session: None,
            challenges,
            enrols: SeenEnrols::default(),
            heard_at: now,
            told: Told { restart_required: instance.restart_required, ..Told::default() },
            pending: BTreeMap::new(),
            asked: Asked::default(),
        };
        self.links.insert(instance.id, link);
    }

    /// Nothing was taken in for a while up to `now`: silence counts from here.
    pub fn was_away(&mut self, now: Timestamp) {
        self.links.values_mut().for_each(|link| link.heard_at = now);
    }

    /// Takes over how far the messages to each agent were counted, within one epoch.
    pub fn go_on_from(&mut self, before: &Links) {
        for (instance, link) in &mut self.links {
            if let Some(known) = before.links.get(instance) {
                link.sequence = known.sequence;
            }
        }
    }

    pub fn remove(&mut self, instance: InstanceId) {
        self.links.remove(&instance);
        self.parts.metrics.instances.forget(instance);
    }

    /// Sends an agent's order, now and until it is withdrawn. Returns an outcome where it can never be sent.
    pub fn dispatch(&mut self, effect: Effect, now: Timestamp) -> Option<Item> {
        let (tenant, instance, id) = (effect.tenant, effect.instance, effect.id);
        let failed = |code: &str, message: String| {
            let failure = Failure { retryable: false, code: code.into(), message, retry_after: None };
            Some(Item {
                tenant: tenant.clone(),
                instance,
                input: Input::Outcome { effect: id.clone(), outcome: Err(failure) },
            })
        };
        let Action::Agent(order) = effect.action else { return None };
        let Some(link) = self.links.get_mut(&instance) else {
            return failed("no_agent", "the agent's key is not known".into());
        };
        let pending = match Pending::new(&id, &order, &instance.to_string(), &self.parts.vault, now) {
            Ok(pending) => pending,
            Err(error) => return failed("vault", error.to_string()),
        };
        link.pending.insert(id, pending);
        self.send_due(instance, now);
        None
    }

    pub fn withdraw(&mut self, instance: InstanceId, effect: &EffectId) {
        if let Some(link) = self.links.get_mut(&instance) {
            link.forget(effect);
        }
    }

    /// The broker was lost and found: every agent is asked anew, everything under way is sent again.
    pub fn reconnected(&mut self, now: Timestamp) {
        for link in self.links.values_mut() {
            link.session = None;
            link.challenges = Challenges::new(now);
            link.pending.values_mut().for_each(|pending| pending.send_at(now));
        }
    }

    /// Has the agent tell everything again: a task that failed may have been done by half, and what the engine holds may
    /// have been told before its outcome was.
    pub fn ask_anew(&mut self, instance: InstanceId, now: Timestamp) {
        self.challenge(instance, now);
    }

    /// Takes in one record of the telemetry topic.
    pub fn receive(&mut self, record: &Incoming, now: Timestamp) -> Vec<Item> {
        match self.open(record, now) {
            Ok(items) => {
                self.parts.metrics.agent_messages.inc();
                items
            }
            Err(refusal) => {
                AgentMessageRefused { reason: refusal, cell: &self.cell, offset: record.offset }
                    .emit(&self.parts.metrics);
                Vec::new()
            }
        }
    }

    /// What is due by time alone: silence, challenges, repeats. A round through all agents is made in parts, since a
    /// thousand challenges take longer than a client likes to wait; call it again as [`Links::next_tick`] says.
    pub fn tick(&mut self, now: Timestamp) -> Vec<Item> {
        let mut items = Vec::new();
        let mut acts = 0;
        let from = self.ticked.map_or(Bound::Unbounded, Bound::Excluded);
        let instances: Vec<InstanceId> =
            self.links.range((from, Bound::Unbounded)).map(|(instance, _)| *instance).take(LINKS_AT_ONCE).collect();
        self.ticked = instances.last().copied().filter(|_| instances.len() == LINKS_AT_ONCE);
        for instance in instances {
            let Some(link) = self.links.get_mut(&instance) else { continue };
            if !link.told.silent && now - link.heard_at >= SILENCE {
                link.told = Told { silent: true, restart_required: link.told.restart_required, ..Told::default() };
                link.session = None;
                AgentSilent { tenant: &link.tenant, instance }.emit(&self.parts.metrics);
                items.push(link.item(instance, Input::Observed(Observation::Silent)));
                acts += 1;
            }
            let established = link.session.as_ref().is_some_and(|session| session.established);
            if !established && link.challenges.due(now) {
                self.challenge(instance, now);
                acts += 1;
            }
            acts += self.send_due(instance, now);
            if acts >= ACTS_AT_ONCE {
                self.ticked = Some(instance);
                break;
            }
        }
        items
    }

    /// When [`Links::tick`] is to be called after a call at `now`.
    pub fn next_tick(&self, now: Timestamp) -> Timestamp {
        now + if self.ticked.is_some() { REST } else { TICK }
    }

    /// Opens and folds a record.
    fn open(&mut self, record: &Incoming, now: Timestamp) -> Result<Vec<Item>, Refusal> {
        let envelope: Envelope = serde_json::from_slice(&record.value).map_err(|_| Refusal::Malformed)?;
        let header = &envelope.header;
        if header.version != coffer_protocol::VERSION {
            return Err(Refusal::Version);
        }
        let instance = instance_of_key(&header.key_id).ok_or(Refusal::UnknownKey)?;
        let link = self.links.get_mut(&instance).ok_or(Refusal::UnknownKey)?;
        if link.key_id != header.key_id || record.key.as_deref() != Some(link.tenant.0.as_str()) {
            return Err(Refusal::UnknownKey);
        }
        if header.cell != self.cell {
            return Err(Refusal::Cell);
        }
        let plaintext = link.hear.open(&envelope).map_err(|_| Refusal::Forged)?;
        let message: FromAgent = serde_json::from_slice(&plaintext).map_err(|_| Refusal::Malformed)?;

        if let Report::Enrol(enrol) = &message.report {
            if !link.enrols.is_new(header.sequence) {
                return Err(Refusal::Replayed);
            }
            AgentEnrolled { tenant: &link.tenant, instance, version: &enrol.agent_version }.emit(&self.parts.metrics);
            if link.challenges.may_answer_enrol(now) {
                self.challenge(instance, now);
            }
            return Ok(Vec::new());
        }
        let session = link.session.as_mut().ok_or(Refusal::Session)?;
        let first_word = session.accept(message.session.as_deref(), header.sequence)?;
        link.heard_at = now;
        if first_word {
            SessionOpened { tenant: &link.tenant, instance }.emit(&self.parts.metrics);
            link.pending.values_mut().for_each(|pending| pending.send_at(now));
        }
        if let Report::Heartbeat(heartbeat) = &message.report {
            self.parts.metrics.instances.tell(&link.tenant, instance, &heartbeat.metrics);
        }
        let items = link.fold(instance, message.report, now);
        if first_word {
            self.send_due(instance, now);
        }
        Ok(items)
    }

    /// Opens a new session: what the agent says from now on must name it.
    fn challenge(&mut self, instance: InstanceId, now: Timestamp) {
        let Some(link) = self.links.get_mut(&instance) else { return };
        let id: String = random::<16>().iter().map(|byte| format!("{byte:02x}")).collect();
        link.session = Some(Session::new(id.clone()));
        link.challenges.sent(now);
        self.send(instance, &ToAgent::Challenge { session: id });
    }

    /// Sends the pending orders whose time has come, once the agent has answered a challenge; returns how many.
    fn send_due(&mut self, instance: InstanceId, now: Timestamp) -> usize {
        let Some(link) = self.links.get_mut(&instance) else { return 0 };
        if !link.session.as_ref().is_some_and(|session| session.established) {
            return 0;
        }
        let due: Vec<ToAgent> = link.pending.values_mut().filter_map(|pending| pending.take_due(now)).collect();
        for message in &due {
            self.send(instance, message);
        }
        due.len()
    }

    fn send(&mut self, instance: InstanceId, message: &ToAgent) {
        let Some(link) = self.links.get_mut(&instance) else { return };
        link.sequence += 1;
        let header = Header {
            version: coffer_protocol::VERSION,
            key_id: link.key_id.clone(),
            cell: self.cell.clone(),
            direction: Direction::ToAgent,
            epoch: self.epoch,
            sequence: link.sequence,
        };
        let (Ok(plaintext), key_id) = (serde_json::to_vec(message), link.key_id.clone()) else { return };
        let envelope = link.speak.seal(header, &plaintext, random_nonce());
        let Ok(value) = serde_json::to_vec(&envelope) else { return };
        let record = Outgoing {
            topic: topics::agents(&self.cell),
            key: None,
            headers: vec![(topics::KEY_ID_HEADER.to_owned(), key_id)],
            value,
        };
        if self.parts.outgoing.try_send(record).is_err() {
            AgentSendDeferred { instance, cell: &self.cell }.emit(&self.parts.metrics);
        }
    }
}

impl Link {
    fn item(&self, instance: InstanceId, input: Input) -> Item {
        Item { tenant: self.tenant.clone(), instance, input }
    }

    /// Sends an order no more; returns whether it was pending. A map that was emptied keeps a node with room for eleven
    /// orders, 2 KiB for each agent that was ever asked anything.
    fn forget(&mut self, effect: &EffectId) -> bool {
        let was_pending = self.pending.remove(effect).is_some();
        if self.pending.is_empty() {
            self.pending = BTreeMap::new();
        }
        was_pending
    }

    /// Turns a report into the inputs that change something.
    fn fold(&mut self, instance: InstanceId, report: Report, now: Timestamp) -> Vec<Item> {
        match report {
            Report::Enrol(_) => Vec::new(),
            Report::Answer { command_id, answer } => {
                self.asked.answered(&command_id, Ok(answer));
                Vec::new()
            }
            Report::Heartbeat(heartbeat) => self
                .fold_heartbeat(heartbeat, now)
                .into_iter()
                .map(|observation| self.item(instance, Input::Observed(observation)))
                .collect(),
            Report::Outcome { command_id, result, restart_required } => {
                let effect = EffectId(command_id);
                let configures = self.pending.get(&effect).is_some_and(Pending::configures);
                if !self.forget(&effect) {
                    self.asked.refused(&effect.0, &result);
                    return Vec::new();
                }
                let produced = if configures { Produced::Configured { restart_required } } else { Produced::Nothing };
                let outcome = result.map(|()| produced).map_err(|failure| Failure {
                    retryable: failure.retryable,
                    code: failure.code,
                    message: failure.message,
                    retry_after: None,
                });
                vec![self.item(instance, Input::Outcome { effect, outcome })]
            }
        }
    }

    fn fold_heartbeat(&mut self, heartbeat: Heartbeat, now: Timestamp) -> Vec<Observation> {
        let mut observations = Vec::new();
        let changed = self.told.engine != Some(heartbeat.engine);
        if changed {
            self.told.engine = Some(heartbeat.engine);
            self.told.silent = false;
            observations.push(Observation::Heard { engine: heartbeat.engine });
        }
        if self.told.restart_required != heartbeat.restart_required {
            self.told.restart_required = heartbeat.restart_required;
            observations.push(Observation::RestartRequired { required: heartbeat.restart_required });
        }
        let volume_used_bytes =
            heartbeat.metrics.volume_used_bytes.map(|bytes| bytes / GAUGE_STEP_BYTES * GAUGE_STEP_BYTES);
        let interval_over = self.told.gauges_at.is_none_or(|at| now - at >= GAUGES_INTERVAL);
        if volume_used_bytes != self.told.volume_used_bytes && (changed || interval_over) {
            self.told.volume_used_bytes = volume_used_bytes;
            self.told.gauges_at = Some(now);
            observations.push(Observation::Gauges { volume_used_bytes });
        }
        observations.extend(heartbeat.inventory.map(Observation::Inventory));
        observations
    }
}

#[cfg(test)]
mod tests;

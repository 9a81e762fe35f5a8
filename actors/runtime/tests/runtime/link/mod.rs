//! The sealed conversation with the agents of one partition, driven by hand.

mod health;
mod orders;
mod questions;
mod refusals;
mod sessions;

use std::sync::Arc;

use coffer_domain::{
    command::Command,
    ids::{EffectId, InstanceId},
    instance::{
        Context, Input, Instance, decide,
        effect::{Action, AgentOrder, AgentVerb, Effect},
        evolve,
    },
    quota::{Limits, Usage},
    time::{MINUTE, Millis, Timestamp},
};
use coffer_ports::transport::Outgoing;
use coffer_protocol::{
    command::ToAgent,
    report::{EngineState, Report},
};
use coffer_runtime::{
    link::{LinkParts, Links, cell_of},
    metrics::Metrics,
    partition::Item,
};
use prometheus::Registry;
use tokio::sync::mpsc;

use crate::support::{
    agent::{Agent, arrived, heartbeat},
    samples::{START, catalogue, command_id, create, envelope, instance, tenant, vault},
};

const PARTITION: u32 = 5;
const EPOCH: u64 = 7;
/// Messages to agents that nobody has taken yet.
const OUTGOING: usize = 64;

/// The links of a partition with one instance, its agent, and what is between them.
pub struct Line {
    links: Links,
    outgoing: mpsc::Receiver<Outgoing>,
    pub metrics: Metrics,
    now: Timestamp,
    /// As the store has it.
    instance: Instance,
    agent: Agent,
}

impl Line {
    fn new() -> Self {
        let instance = new_instance(instance(1));
        let agent = agent_of(&instance);
        Self::take_over(instance, agent, EPOCH, START)
    }

    /// An owner of epoch `epoch` that knows nothing but the instance.
    fn take_over(instance: Instance, agent: Agent, epoch: u64, now: Timestamp) -> Self {
        let (sender, outgoing) = mpsc::channel(OUTGOING);
        let metrics = Metrics::new(&Registry::new()).unwrap();
        let parts = LinkParts { vault: Arc::new(vault()), outgoing: sender, metrics: metrics.clone() };
        let mut links = Links::new(PARTITION, epoch, parts);
        links.add(&instance, now);
        Self { links, outgoing, metrics, now, instance, agent }
    }

    /// With an agent that has just been heard.
    pub fn established() -> Self {
        let mut line = Self::new();
        line.tick(0);
        line.deliver();
        let items = line.say(heartbeat(EngineState::Running));
        assert_eq!(items.len(), 1, "{items:?}");
        line
    }

    fn receive(&mut self, record: Outgoing) -> Vec<Item> {
        self.links.receive(&arrived(record), self.now)
    }

    fn say(&mut self, report: Report) -> Vec<Item> {
        let record = self.agent.say(report);
        self.receive(record)
    }

    /// Lets time pass.
    pub fn tick(&mut self, span: Millis) -> Vec<Item> {
        self.now = self.now + span;
        self.links.tick(self.now)
    }

    /// Orders more than the outgoing queue takes.
    pub fn overflow(&mut self) {
        for number in 0..=u32::try_from(OUTGOING).unwrap() {
            self.dispatch(order(number, AgentVerb::Restart));
        }
    }

    fn dispatch(&mut self, effect: Effect) -> Option<Item> {
        self.links.dispatch(effect, self.now)
    }

    /// What was sent and not taken yet.
    fn sent(&mut self) -> Vec<Outgoing> {
        std::iter::from_fn(|| self.outgoing.try_recv().ok()).collect()
    }

    /// Hands the agent what was sent: every message must be for it, and in order.
    fn deliver(&mut self) -> Vec<ToAgent> {
        let sent = self.sent();
        sent.iter()
            .map(|record| {
                let heard = self.agent.hear(&record.headers, &record.value);
                heard.expect("the agent obeys").expect("there is no other agent")
            })
            .collect()
    }

    fn refused(&self, reason: &str) -> u64 {
        self.metrics.agent_messages_refused.with_label_values(&[reason]).get()
    }

    /// Messages refused, for whatever reason.
    fn refused_in_all(&self) -> u64 {
        ["malformed", "version", "unknown_key", "cell", "forged", "session", "replayed"]
            .iter()
            .map(|reason| self.refused(reason))
            .sum()
    }
}

fn new_instance(id: InstanceId) -> Instance {
    let order = envelope(command_id(1), id, create(id), START);
    let (catalogue, limits) = (catalogue(), Limits::default());
    let context = Context { now: START, catalogue: &catalogue, usage: Usage::default(), limits: &limits, group: None };
    let decision = decide(None, &Input::Command(Box::new(order)), &context).unwrap();
    decision.events.iter().fold(None, evolve).expect("it was created")
}

fn agent_of(instance: &Instance) -> Agent {
    Agent {
        tenant: instance.tenant.to_string(),
        key_id: instance.server_key.key_id.clone(),
        key: vault().open_server_key(&instance.server_key).unwrap(),
        cell: cell_of(PARTITION),
        last: (EPOCH, 0),
        sequence: 0,
        session: None,
    }
}

/// An order for the agent of [`instance`] 1.
fn order(number: u32, verb: AgentVerb) -> Effect {
    let Command::Create(created) = create(instance(1)) else { unreachable!("it is a create") };
    let server_key = created.server_key.expect("a create has its key");
    let order = AgentOrder { server_key, issued_at: START, converge: false, verb };
    Effect {
        id: EffectId::new(command_id(number), "order", 1),
        tenant: tenant(1),
        instance: instance(1),
        deadline: MINUTE,
        action: Action::Agent(Box::new(order)),
    }
}

/// The ids of the commands among messages.
fn commands(messages: &[ToAgent]) -> Vec<&str> {
    messages
        .iter()
        .filter_map(|message| match message {
            ToAgent::Command { command_id, .. } => Some(command_id.as_str()),
            ToAgent::Challenge { .. } => None,
        })
        .collect()
}

fn challenges(messages: &[ToAgent]) -> usize {
    messages.len() - commands(messages).len()
}

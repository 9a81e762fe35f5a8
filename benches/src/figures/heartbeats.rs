//! Heartbeats of 10,000 agents, unsealed and folded on one core, against unsealing alone.

use std::{collections::BTreeMap, sync::Arc, time::Instant};

use coffer_domain::{ids::TenantId, instance::Instance, time::SECOND};
use coffer_ports::transport::{Incoming, Outgoing};
use coffer_protocol::{
    VERSION,
    command::ToAgent,
    report::{EngineState, FromAgent, HEARTBEAT_INTERVAL_S, Heartbeat, Metrics as Gauges, Report},
    seal::{Channel, Direction, Envelope, Header, Key},
    topics,
};
use coffer_runtime::{
    link::{LinkParts, Links, cell_of},
    metrics::Metrics,
    runtime::partition_of,
    vault::random_nonce,
};
use prometheus::Registry;
use tokio::sync::mpsc;

use crate::{
    Failure,
    measure::{Scale, median},
    samples,
    table::{Line, Target},
};

const AGENTS: usize = 10_000;

/// One agent, as far as it speaks.
struct Agent {
    tenant: TenantId,
    key_id: String,
    channel: Channel,
    session: String,
    sequence: u64,
}

pub fn measure(scale: Scale) -> Result<Vec<Line>, Failure> {
    let count = scale.of(AGENTS, 100);
    let (vault, tenant) = (Arc::new(samples::vault()), TenantId("one".into()));
    let (outgoing, mut challenges) = mpsc::channel(count);
    let metrics = Metrics::new(&Registry::new())?;
    let partition = partition_of(&tenant);
    let mut links = Links::new(partition, 1, LinkParts { vault: vault.clone(), outgoing, metrics });
    let instances: Vec<Instance> = (0..count).map(|number| samples::active(&tenant, number, &vault)).collect();
    instances.iter().for_each(|instance| links.add(instance, samples::now()));
    let now = samples::now();
    // A round is made in parts.
    loop {
        links.tick(now);
        if links.next_tick(now) - now >= SECOND {
            break;
        }
    }
    let by_key: BTreeMap<&str, &Instance> =
        instances.iter().map(|instance| (instance.server_key.key_id.as_str(), instance)).collect();
    let agents = std::iter::from_fn(|| challenges.try_recv().ok()).map(|challenge| {
        let key_id = challenge.headers.first().map(|(_, key_id)| key_id.as_str()).unwrap_or_default();
        let instance = by_key.get(key_id).ok_or("a challenge for nobody")?;
        Agent::new(instance, vault.open_server_key(&instance.server_key)?, &challenge)
    });
    let mut agents = agents.collect::<Result<Vec<Agent>, Failure>>()?;
    if agents.len() != count {
        return Err(format!("{} of {count} agents were challenged", agents.len()).into());
    }

    let (mut folded, mut unsealed) = (vec![], vec![]);
    for round in 0..=scale.rounds() {
        let envelopes: Vec<Envelope> = agents.iter_mut().map(Agent::heartbeat).collect();
        let records = agents.iter().zip(&envelopes).map(|(agent, envelope)| agent.record(envelope, partition));
        let records = records.collect::<Result<Vec<Incoming>, _>>()?;
        let (now, started) = (samples::now(), Instant::now());
        let inputs: usize = records.iter().map(|record| links.receive(record, now).len()).sum();
        let folding = started.elapsed().as_secs_f64();
        let started = Instant::now();
        for (agent, envelope) in agents.iter().zip(&envelopes) {
            agent.channel.open(envelope)?;
        }
        // In the first round every agent has news; later on none has.
        if round > 0 {
            folded.push(count as f64 / folding);
            unsealed.push(count as f64 / started.elapsed().as_secs_f64());
            if inputs > 0 {
                return Err(format!("{inputs} heartbeats without news were not folded").into());
            }
        }
    }
    let folded = median(&folded);
    Ok(vec![
        Line::new("heartbeats folded by one core", "/s", folded)
            .against("unsealing alone", median(&unsealed))
            .target(Target::Share(0.5)),
        Line::new("… agents that one core carries, each heard every 10 s", "", folded * HEARTBEAT_INTERVAL_S as f64),
    ])
}

impl Agent {
    /// An agent that has read its first challenge.
    fn new(instance: &Instance, key: Key, challenge: &Outgoing) -> Result<Self, Failure> {
        let envelope: Envelope = serde_json::from_slice(&challenge.value)?;
        let challenge = serde_json::from_slice(&key.open(&envelope, Direction::ToAgent)?)?;
        let ToAgent::Challenge { session } = challenge else { return Err("not a challenge".into()) };
        let (tenant, key_id) = (instance.tenant.clone(), instance.server_key.key_id.clone());
        Ok(Self { tenant, key_id, channel: key.channel(Direction::FromAgent), session, sequence: 0 })
    }

    /// Its next heartbeat, which says what the last one said.
    fn heartbeat(&mut self) -> Envelope {
        self.sequence += 1;
        let metrics = Gauges {
            connections: Some(3),
            queries_total: Some(1000 + self.sequence),
            volume_used_bytes: Some(135_266_304),
            volume_total_bytes: Some(1 << 30),
            cpu_seconds_total: Some(12.5 + self.sequence as f64),
            memory_used_bytes: Some(98_566_144),
            engine_restarts_total: 0,
        };
        let at_ms = samples::now().0;
        let heartbeat =
            Heartbeat { at_ms, engine: EngineState::Running, metrics, inventory: None, restart_required: false };
        let message = FromAgent { session: Some(self.session.clone()), report: Report::Heartbeat(heartbeat) };
        let header = Header {
            version: VERSION,
            key_id: self.key_id.clone(),
            cell: cell_of(partition_of(&self.tenant)),
            direction: Direction::FromAgent,
            epoch: 1,
            sequence: self.sequence,
        };
        // Reports have string keys and no failing `Serialize`.
        let plaintext = serde_json::to_vec(&message).unwrap_or_default();
        self.channel.seal(header, &plaintext, random_nonce())
    }

    fn record(&self, envelope: &Envelope, partition: u32) -> Result<Incoming, Failure> {
        Ok(Incoming {
            topic: topics::TELEMETRY.into(),
            partition: i32::try_from(partition)?,
            offset: 0,
            key: Some(self.tenant.0.clone()),
            headers: vec![],
            value: serde_json::to_vec(envelope)?,
        })
    }
}

//! What an agent says: enrolments, heartbeats, outcomes, sealed with its own key.

use coffer_domain::time::{Millis, SECOND};
use coffer_ports::transport::Outgoing;
use coffer_protocol::{
    report::{EngineState, Enrol, Failure, FromAgent, HEARTBEAT_INTERVAL_S, Heartbeat, Metrics, Report},
    seal::{Direction, Header, Key},
    topics,
};
use coffer_runtime::vault::random_nonce;

use super::{Disk, Guest, RECORDED, Timer};
use crate::desk::{Desk, Event};

/// Before enrolment is asked for again: the first and the longest wait.
const ENROL_FIRST: Millis = SECOND;
const ENROL_LONGEST: Millis = 10 * SECOND;
const HEARTBEAT: Millis = HEARTBEAT_INTERVAL_S as Millis * SECOND;

impl Guest {
    /// Asks for a session until there is one.
    pub(super) fn enrol(&mut self, disk: &mut Disk, desk: &mut Desk) -> Vec<Outgoing> {
        if let Some(process) = &mut self.process {
            process.is_enrolling = true;
            process.enrol_wait = ENROL_FIRST;
        }
        self.ask_again(disk, desk)
    }

    pub(super) fn ask_again(&mut self, disk: &mut Disk, desk: &mut Desk) -> Vec<Outgoing> {
        let Some(process) = &mut self.process else { return Vec::new() };
        process.enrol += 1;
        let (number, wait) = (process.enrol, process.enrol_wait);
        process.enrol_wait = (wait * 2).min(ENROL_LONGEST);
        self.later(desk, wait, Timer::Enrol(number));
        let enrol = Enrol {
            agent_version: "simulated".into(),
            protocol_min: coffer_protocol::VERSION,
            protocol_max: coffer_protocol::VERSION,
            datastores: vec![self.boot.datastore.clone()],
        };
        desk.tell(&self.name, format_args!("asks for a session"));
        vec![self.say(Report::Enrol(enrol), disk)]
    }

    /// Says how the engine is, and what is in it when that is news to the control plane.
    pub(super) fn beat(&mut self, disk: &mut Disk, desk: &mut Desk) -> Vec<Outgoing> {
        let engine = self.engine;
        let Some(process) = &mut self.process else { return Vec::new() };
        process.beat += 1;
        let number = process.beat;
        let is_heard = process.session.is_some();
        let knows_contents = engine == EngineState::Running && process.executing.is_none();
        let news = Some(disk.inventory()).filter(|_| knows_contents && is_heard).filter(|inventory| {
            process.told.as_ref().is_none_or(|(challenge, told)| *challenge != process.challenges || told != inventory)
        });
        if let Some(inventory) = &news {
            process.told = Some((process.challenges, inventory.clone()));
        }
        self.later(desk, HEARTBEAT, Timer::Beat(number));
        if !is_heard {
            return Vec::new();
        }
        let used = 64 + u64::try_from(disk.databases.len()).unwrap_or(0) * 16;
        let metrics = Metrics { volume_used_bytes: Some(used << 20), ..Metrics::default() };
        let contents = news.as_ref().map_or(String::new(), |inventory| format!(" with {:?}", inventory.databases));
        desk.tell(&self.name, format_args!("says its engine is {engine:?}{contents}"));
        let heartbeat = Heartbeat { at_ms: desk.now(), engine, metrics, inventory: news, restart_required: false };
        vec![self.say(Report::Heartbeat(heartbeat), disk)]
    }

    pub(super) fn say_outcome(
        &mut self,
        command_id: String,
        result: Result<(), Failure>,
        disk: &Disk,
        desk: &mut Desk,
    ) -> Outgoing {
        let word = result.as_ref().map_or_else(|failure| failure.code.as_str(), |()| "done");
        desk.tell(&self.name, format_args!("says {command_id} is {word}"));
        self.say(Report::Outcome { command_id, result, restart_required: false }, disk)
    }

    pub(super) fn later(&self, desk: &mut Desk, span: Millis, timer: Timer) {
        desk.after(span, Event::Agent { server: self.server, life: self.life, timer });
    }

    fn say(&mut self, report: Report, disk: &Disk) -> Outgoing {
        let (session, sequence) = match &mut self.process {
            Some(process) => {
                process.sequence += 1;
                (process.session.clone(), process.sequence)
            }
            None => (None, 0),
        };
        let key = self.boot.key.clone();
        let record = self.seal(&FromAgent { session, report }, sequence, disk.epoch, &key);
        if self.recorded.len() == RECORDED {
            self.recorded.pop_front();
        }
        self.recorded.push_back(record.clone());
        record
    }

    fn seal(&self, message: &FromAgent, sequence: u64, epoch: u64, key: &Key) -> Outgoing {
        let header = Header {
            version: coffer_protocol::VERSION,
            key_id: self.boot.key_id.clone(),
            cell: self.boot.cell.clone(),
            direction: Direction::FromAgent,
            epoch,
            sequence,
        };
        let plaintext = serde_json::to_vec(message).unwrap_or_default();
        let envelope = key.seal(header, &plaintext, random_nonce());
        Outgoing {
            topic: topics::TELEMETRY.to_owned(),
            key: Some(self.boot.tenant.clone()),
            headers: vec![(topics::KEY_ID_HEADER.to_owned(), self.boot.key_id.clone())],
            value: serde_json::to_vec(&envelope).unwrap_or_default(),
        }
    }

    /// What somebody would say in this agent's name who knows its session and everything else but its key.
    pub fn forged(&self, disk: &Disk, desk: &mut Desk) -> Outgoing {
        let (session, sequence, executing) = match &self.process {
            Some(process) => (process.session.clone(), process.sequence, process.executing.as_ref()),
            None => (None, 0, None),
        };
        let report = match executing {
            Some(order) => Report::Outcome { command_id: order.id.clone(), result: Ok(()), restart_required: true },
            None => {
                let mut inventory = disk.inventory();
                inventory.databases.push(FORGED.to_owned());
                let inventory = Some(inventory);
                let engine = EngineState::Running;
                Report::Heartbeat(Heartbeat {
                    at_ms: desk.now(),
                    engine,
                    metrics: Metrics::default(),
                    inventory,
                    restart_required: true,
                })
            }
        };
        let key = Key::from_bytes([7; 32]);
        self.seal(&FromAgent { session, report }, sequence + 1, disk.epoch, &key)
    }
}

/// A database that no state may ever hold.
pub const FORGED: &str = "forged";

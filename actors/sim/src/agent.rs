//! A guest with its agent: keeps the real agent's contract, without a real engine.
//!
//! Obeys only what was sealed for it, in order, of no older epoch; records a command's id before it acts and answers
//! a repeat from its record; says how the engine is every ten seconds and what is in it whenever that changed. The
//! agent's process can die at any time; what stands on the volume survives it.

mod executor;
mod voice;

pub use voice::FORGED;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use coffer_domain::{
    ids::InstanceId,
    instance::{policy, workflow::Step},
    time::{MINUTE, Millis, SECOND},
};
use coffer_ports::transport::{Incoming, Outgoing};
use coffer_protocol::{
    boot::FirstBoot,
    command::{AgentCommand, ToAgent},
    report::{EngineState, Failure, Inventory},
    seal::{Direction, Envelope},
    topics::KEY_ID_HEADER,
};

use crate::{desk::Desk, faults::Fault, plan::Way, short};

/// Records of this agent that an eavesdropper keeps.
const RECORDED: usize = 16;
/// How long a dead agent stays dead.
const REVIVAL: (Millis, Millis) = (500, 60 * SECOND);

/// What an agent does when the time comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timer {
    /// Ask for a session again; the number tells the latest one.
    Enrol(u64),
    /// Send a heartbeat; the number tells the latest one.
    Beat(u64),
    /// The command at work has come to its end.
    Executed,
    /// The engine is up again.
    EngineUp,
}

/// What stands on a volume.
#[derive(Debug, Default)]
pub struct Disk {
    epoch: u64,
    journal: BTreeMap<String, Record>,
    pub is_prepared: bool,
    /// Its engine is not to run until it is told to.
    pub is_stopped: bool,
    /// The volume's own size.
    pub size_gib: u32,
    /// What the engine is sized for.
    pub memory_mib: u64,
    pub databases: BTreeSet<String>,
    pub users: BTreeMap<(String, String), BTreeSet<String>>,
    pub is_root_enabled: bool,
    /// Number and values of what the engine is given besides its defaults.
    pub configuration: (u64, BTreeMap<String, String>),
}

/// What the journal says of a command.
#[derive(Debug)]
struct Record {
    /// The whole order, to see that one id never stands for two.
    order: String,
    outcome: Option<Result<(), Failure>>,
    /// Times that it was carried out to its end.
    done: u32,
}

/// A server with its agent.
pub struct Guest {
    server: u64,
    pub volume: u64,
    pub instance: InstanceId,
    pub flavor: String,
    name: String,
    boot: FirstBoot,
    engine: EngineState,
    /// Grows with each process of the agent.
    life: u64,
    process: Option<Process>,
    /// The last words of this agent, as an eavesdropper has them.
    pub recorded: VecDeque<Outgoing>,
}

/// What dies with the agent.
#[derive(Default)]
struct Process {
    session: Option<String>,
    challenges: u64,
    is_enrolling: bool,
    enrol: u64,
    enrol_wait: Millis,
    beat: u64,
    sequence: u64,
    last_seen: Option<(u64, u64)>,
    told: Option<(u64, Inventory)>,
    queue: VecDeque<Order>,
    executing: Option<Order>,
}

#[derive(Clone)]
struct Order {
    id: String,
    converge: bool,
    command: AgentCommand,
    /// As the journal keeps it.
    text: String,
}

impl Disk {
    pub fn new(size_gib: u32) -> Self {
        Self { size_gib, ..Self::default() }
    }

    /// Whether an attempt at this command was carried out and reported as done.
    pub fn has_done(&self, command: &str) -> bool {
        let records = self.journal.iter().filter(|(id, _)| id.split('/').next() == Some(command));
        records.into_iter().any(|(_, record)| record.outcome == Some(Ok(())))
    }

    fn inventory(&self) -> Inventory {
        let users = self.users.iter().map(|((name, host), databases)| coffer_protocol::report::UserEntry {
            name: name.clone(),
            host: host.clone(),
            databases: databases.iter().cloned().collect(),
        });
        Inventory { databases: self.databases.iter().cloned().collect(), users: users.collect() }
    }
}

impl Guest {
    pub fn new(server: u64, volume: u64, instance: InstanceId, flavor: String, boot: FirstBoot) -> Self {
        Self {
            server,
            volume,
            instance,
            flavor,
            name: format!("agent {}", short(instance)),
            boot,
            engine: EngineState::Absent,
            life: 0,
            process: None,
            recorded: VecDeque::new(),
        }
    }

    pub fn key_id(&self) -> &str {
        &self.boot.key_id
    }

    pub fn is_alive(&self) -> bool {
        self.process.is_some()
    }

    /// Whether it has a command to carry out.
    pub fn is_busy(&self) -> bool {
        self.process.as_ref().is_some_and(|process| process.executing.is_some())
    }

    pub fn is_of_life(&self, life: u64) -> bool {
        self.process.is_some() && self.life == life
    }

    pub fn start(&mut self, disk: &mut Disk, desk: &mut Desk) -> Vec<Outgoing> {
        if self.is_alive() {
            return Vec::new();
        }
        let planned = desk.plan.of_agent(self.instance, Step::AwaitAgent.as_str());
        match planned {
            Some(Way::FailsAlways | Way::FailsForGood) => return Vec::new(),
            Some(Way::TimesOut) => {
                let late = policy::of(Step::AwaitAgent).deadline + MINUTE;
                desk.after(late, crate::desk::Event::AgentStarts { server: self.server });
                return Vec::new();
            }
            Some(Way::FailsOnce | Way::DoneTwice) | None => {}
        }
        self.life += 1;
        disk.epoch = disk.epoch.max(self.boot.epoch);
        // The real one starts from the clock's microseconds, so that it grows from one process to the next.
        let sequence = u64::try_from(desk.now()).unwrap_or(0) * 1000;
        self.process = Some(Process { sequence, ..Process::default() });
        desk.tell(&self.name, format_args!("starts"));
        if disk.is_stopped {
            self.engine = EngineState::Stopped;
        } else if disk.is_prepared && self.engine != EngineState::Running {
            self.engine = EngineState::Starting;
            self.later(desk, SECOND, Timer::EngineUp);
        }
        let said = self.enrol(disk, desk);
        if planned.is_some() {
            self.die(disk, desk);
        }
        // One that fails dies before its first word is out, one that does it twice right after it.
        if planned == Some(Way::FailsOnce) { Vec::new() } else { said }
    }

    /// The agent's process ends; the engine goes on.
    pub fn die(&mut self, disk: &mut Disk, desk: &mut Desk) {
        let Some(process) = self.process.take() else { return };
        desk.tell(&self.name, format_args!("dies"));
        if let Some(order) = process.executing {
            // Begun in the journal, and perhaps done.
            if desk.dice.chance(500) {
                self.apply(&order.command, disk);
            }
        }
        let revival = desk.dice.span(REVIVAL.0, REVIVAL.1);
        desk.after(revival, crate::desk::Event::AgentStarts { server: self.server });
    }

    /// The engine ends without being asked to; the agent starts it again.
    pub fn crash_engine(&mut self, disk: &mut Disk, desk: &mut Desk) -> Vec<Outgoing> {
        if self.engine != EngineState::Running {
            return Vec::new();
        }
        desk.tally.count(Fault::EngineCrashes);
        self.engine = EngineState::Crashed;
        desk.tell(&self.name, format_args!("its engine crashes"));
        let recovery = desk.dice.mostly_short(200, 30 * SECOND);
        self.later(desk, recovery, Timer::EngineUp);
        self.beat(disk, desk)
    }

    pub fn on_timer(&mut self, timer: Timer, disk: &mut Disk, desk: &mut Desk) -> Vec<Outgoing> {
        let Some(process) = &self.process else { return Vec::new() };
        match timer {
            Timer::Enrol(number) if number == process.enrol && process.is_enrolling => self.ask_again(disk, desk),
            Timer::Beat(number) if number == process.beat => self.beat(disk, desk),
            Timer::Enrol(_) | Timer::Beat(_) => Vec::new(),
            Timer::Executed => self.executed(disk, desk),
            Timer::EngineUp if disk.is_stopped => Vec::new(),
            Timer::EngineUp => {
                self.engine = EngineState::Running;
                desk.tell(&self.name, format_args!("its engine is up"));
                self.beat(disk, desk)
            }
        }
    }

    /// The broker was lost and found.
    pub fn reconnected(&mut self, disk: &mut Disk, desk: &mut Desk) -> Vec<Outgoing> {
        if self.is_alive() { self.enrol(disk, desk) } else { Vec::new() }
    }

    /// Takes in one record of the agent's topic.
    pub fn receive(&mut self, record: &Incoming, disk: &mut Disk, desk: &mut Desk) -> Vec<Outgoing> {
        if !record.headers.iter().any(|(name, value)| name == KEY_ID_HEADER && *value == self.boot.key_id) {
            return Vec::new();
        }
        let message = match self.open(record, disk) {
            Ok(message) => message,
            Err(refusal) => {
                desk.tell(&self.name, format_args!("refuses a message: {refusal}"));
                return Vec::new();
            }
        };
        match message {
            ToAgent::Challenge { session } => {
                let Some(process) = &mut self.process else { return Vec::new() };
                process.session = Some(session);
                process.challenges += 1;
                process.is_enrolling = false;
                desk.tell(&self.name, format_args!("has a session"));
                self.beat(disk, desk)
            }
            ToAgent::Command { command_id, issued_at_ms, converge, command } => {
                let text = serde_json::to_string(&(issued_at_ms, converge, &command)).unwrap_or_default();
                self.take(Order { id: command_id, converge, command, text }, disk, desk)
            }
        }
    }

    fn open(&mut self, record: &Incoming, disk: &mut Disk) -> Result<ToAgent, &'static str> {
        let process = self.process.as_mut().ok_or("there is nobody")?;
        let envelope: Envelope = serde_json::from_slice(&record.value).map_err(|_| "malformed")?;
        let header = &envelope.header;
        if header.key_id != self.boot.key_id || header.cell != self.boot.cell {
            return Err("for somebody else");
        }
        let plaintext = self.boot.key.open(&envelope, Direction::ToAgent).map_err(|_| "forged")?;
        if header.epoch < disk.epoch {
            return Err("an old epoch");
        }
        if process.last_seen.is_some_and(|last| (header.epoch, header.sequence) <= last) {
            return Err("seen before");
        }
        process.last_seen = Some((header.epoch, header.sequence));
        disk.epoch = header.epoch;
        serde_json::from_slice(&plaintext).map_err(|_| "unreadable")
    }
}

//! The simulated world: everybody outside the control plane, and what they do when their time comes.

mod clients;
mod commits;
mod promises;
mod rest;
mod script;
mod written;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use coffer_domain::{
    catalogue::Catalogue,
    ids::InstanceId,
    quota::Limits,
    time::{MINUTE, Millis, SECOND},
};
use coffer_ports::transport::{Incoming, Outgoing};
use coffer_protocol::seal::Key;
use coffer_runtime::{runner::Message, store::Store, vault::Vault};
use tokio::sync::oneshot;

use crate::{
    broker::{Broker, Way},
    client::{self, Client, LIMITS},
    cloud::{Answer, Ask, Cloud},
    cluster::{Cluster, Disks},
    desk::{Desk, Event},
    faults::Fault,
    invariants::{self, States},
    ledger::Ledger,
    plane::Plane,
    short,
};
pub use commits::CommitFate;
pub use rest::Phase;
pub use script::{Act, Script, Wish};
use written::Written;

/// Partitions at work; tenants are spread over them.
pub const PARTITIONS: u32 = 2;
const CLIENTS: usize = 3;
/// How long things go wrong.
const TROUBLE: (Millis, Millis) = (10 * MINUTE, 30 * MINUTE);
/// How often the dice are rolled for what strikes by itself.
const MISCHIEF: Millis = 5 * SECOND;
/// By how much the clock is set forward at a time.
const SET_FORWARD: (Millis, Millis) = (SECOND, 60 * MINUTE);

/// The world, shared with the tasks of the control plane. All of them run on one thread.
pub type Shared = Arc<Mutex<World>>;

pub fn lock(world: &Shared) -> MutexGuard<'_, World> {
    world.lock().unwrap_or_else(PoisonError::into_inner)
}

pub struct World {
    me: Weak<Mutex<World>>,
    pub desk: Desk,
    pub broker: Broker,
    pub cloud: Cloud,
    pub clients: Vec<Client>,
    pub ledger: Ledger,
    /// What was committed, as far as it was written.
    pub states: States,
    written: Written,
    pub store: Arc<Store>,
    disks: Disks,
    /// Where what is committed is kept, unless it is on the one disk.
    pub cluster: Option<Cluster>,
    pub vault: Arc<Vault>,
    pub catalogue: Arc<Catalogue>,
    pub limits: Arc<Limits>,
    pub plane: Option<Plane>,
    /// Control planes that were replaced, and do not know it yet.
    pub replaced: Vec<Plane>,
    /// Lives of the control plane so far.
    pub lives: u64,
    pub commits: u64,
    disk_is_full: bool,
    phase: Phase,
    script: Script,
    /// When the phase began.
    phase_since: Millis,
    rest_since: Option<Millis>,
    /// The longest that it took from the end of the faults, or the last delete, until everything was at rest.
    pub longest_unrest: Millis,
}

impl World {
    /// Must be called on a tokio runtime whose clock is paused.
    pub fn create(seed: u64, disks: Disks, aloud: bool) -> Result<Shared, String> {
        let mut desk = Desk::new(seed, aloud);
        let trouble = desk.dice.span(TROUBLE.0, TROUBLE.1);
        desk.after(0, Event::PlaneStarts);
        desk.after(MISCHIEF, Event::Mischief);
        desk.after(trouble, Event::FaultsStop);
        let clients = (0..CLIENTS).map(|number| {
            desk.after(SECOND, Event::ClientActs { tenant: number });
            Client::new(number, u32::try_from(number).unwrap_or(0) % PARTITIONS)
        });
        let clients = clients.collect();
        let world = Self::with(desk, clients, disks, Phase::Trouble)?;
        lock(&world).cluster = seed.is_multiple_of(2).then(Cluster::default);
        Ok(world)
    }

    fn with(desk: Desk, clients: Vec<Client>, mut disks: Disks, phase: Phase) -> Result<Shared, String> {
        let store = disks.next()?;
        Ok(Arc::new_cyclic(|me| {
            Mutex::new(Self {
                me: me.clone(),
                desk,
                broker: Broker::default(),
                cloud: Cloud::default(),
                clients,
                ledger: Ledger::default(),
                states: States::new(),
                written: Written::default(),
                store,
                disks,
                cluster: None,
                vault: Arc::new(Vault::new("simulated", Key::from_bytes([3; 32]))),
                catalogue: Arc::new(client::catalogue()),
                limits: Arc::new(LIMITS),
                plane: None,
                replaced: Vec::new(),
                lives: 0,
                commits: 0,
                disk_is_full: false,
                phase,
                script: Script::default(),
                phase_since: 0,
                rest_since: None,
                longest_unrest: 0,
            })
        }))
    }

    pub fn is_disk_full(&self) -> bool {
        self.disk_is_full
    }

    /// The next control plane has a disk of its own.
    pub fn new_disk(&mut self) {
        match self.disks.next() {
            Ok(store) => self.store = store,
            Err(error) => self.desk.violated(format!("no other disk: {error}")),
        }
    }

    /// Does what is due. Starting and ending the control plane is not done here, since it has to be waited for.
    pub fn handle(&mut self, event: Event) {
        let desk = &mut self.desk;
        match event {
            Event::Mischief => self.mischief(),
            Event::ClientActs { tenant } => self.client_acts(tenant),
            Event::ClientSends { command } => self.send_command(command),
            Event::Deliver { way, broker, record } => {
                if self.broker.holds(broker) {
                    self.deliver(way, record);
                }
            }
            Event::BrokerFound => self.broker_found(),
            Event::AgentStarts { server } => {
                let said = self.cloud.guest(server).map(|(guest, disk)| guest.start(disk, desk));
                self.send_all(said);
            }
            Event::Agent { server, life, timer } => {
                let guest = self.cloud.guest(server).filter(|(guest, _)| guest.is_of_life(life));
                let said = guest.map(|(guest, disk)| guest.on_timer(timer, disk, desk));
                self.send_all(said);
            }
            Event::CloudDoes { call } => {
                self.cloud.carry_out(call, desk);
                self.check_outside();
            }
            Event::CloudAnswers { call } => self.cloud.answer(call),
            Event::CallOver { call } => self.cloud.call_over(call),
            Event::DiskHasRoom => {
                desk.tell("disk", format_args!("has room again"));
                self.disk_is_full = false;
            }
            Event::FaultsStop => self.faults_stop(),
            Event::LookForRest => self.look_for_rest(),
            Event::ScriptGoesOn => self.next_act(),
            Event::PlaneStarts | Event::PlaneEnds { .. } => {}
        }
    }

    pub fn ask_cloud(&mut self, life: u64, instance: InstanceId, ask: Ask, answer: oneshot::Sender<Answer>) {
        // A dead one's call is never answered.
        if self.plane.as_ref().is_some_and(|plane| plane.life == life) {
            // A delete that was done may be repeated, when its outcome was not committed the first time.
            let is_repeat = ask.is_delete() && self.ledger.is_removed(instance);
            if !self.states.contains_key(&instance) && !is_repeat {
                self.desk.violated(format!("a call is made for {}, which was not committed", short(instance)));
            }
            self.cloud.call(life, instance, ask, answer, &mut self.desk);
            if self.desk.plan.interrupts() {
                self.desk.after(0, Event::ScriptGoesOn);
            }
        }
    }

    pub fn check_outside(&mut self) {
        if let Err(violation) = invariants::check_outside(&self.states, &self.cloud, &self.ledger) {
            self.desk.violated(violation);
        }
    }

    /// Rolls for what strikes by itself.
    fn mischief(&mut self) {
        let desk = &mut self.desk;
        desk.after(MISCHIEF, Event::Mischief);
        if let Some(plane) = self.plane.as_ref().filter(|_| desk.strikes(Fault::Killed)) {
            desk.tell("control plane", format_args!("is killed"));
            desk.after(0, Event::PlaneEnds { life: plane.life });
        }
        if self.cluster.is_some()
            && let Some(plane) = self.plane.take_if(|_| desk.strikes(Fault::Replaced))
        {
            desk.tell("control plane", format_args!("stands still, and is replaced"));
            // What it asks of the cloud from now on is not heard.
            self.cloud.caller_died(plane.life, SECOND, desk);
            desk.after(SECOND, Event::PlaneStarts);
            self.replaced.push(plane);
            self.new_disk();
        }
        let desk = &mut self.desk;
        if desk.strikes(Fault::BrokerReplaced) {
            self.broker.lose(desk);
        }
        if desk.strikes(Fault::ClockSetForward) {
            let span = desk.dice.mostly_short(SET_FORWARD.0, SET_FORWARD.1);
            desk.tell("clock", format_args!("is set forward by {} s", span / SECOND));
            desk.clock.set_forward(span);
        }
        if !self.disk_is_full && desk.strikes(Fault::DiskFull) {
            desk.tell("disk", format_args!("is full"));
            self.disk_is_full = true;
            let full = desk.dice.mostly_short(SECOND, MINUTE);
            desk.after(full, Event::DiskHasRoom);
        }
        let servers: Vec<u64> = self.cloud.guests.keys().copied().collect();
        for server in servers {
            self.disturb(server);
        }
    }

    fn disturb(&mut self, server: u64) {
        let desk = &mut self.desk;
        let Some((guest, disk)) = self.cloud.guest(server) else { return };
        let mut said = Vec::new();
        if guest.is_alive() && desk.strikes(Fault::AgentDies) {
            guest.die(disk, desk);
        }
        if guest.is_alive() && desk.dice.chance(desk.mixture.rate(Fault::EngineCrashes)) {
            said = guest.crash_engine(disk, desk);
        }
        if guest.is_alive() && desk.strikes(Fault::ReportForged) {
            let mut forged = guest.forged(disk, desk);
            if desk.dice.chance(300) {
                // A real record, under some tenant or other.
                forged = guest.recorded.back().cloned().unwrap_or(forged);
                forged.key = desk.dice.pick(&self.clients).map(|client| client.tenant.0.clone());
            }
            desk.tell("intruder", format_args!("forges a report of {}", short(guest.instance)));
            said.push(forged);
        }
        if let Some(record) = guest.recorded.front().cloned().filter(|_| desk.strikes(Fault::ReportReplayed)) {
            desk.tell("intruder", format_args!("replays a report of {}", short(guest.instance)));
            said.push(record);
        }
        self.send_all(Some(said));
    }

    fn send_all(&mut self, said: Option<Vec<Outgoing>>) {
        for record in said.unwrap_or_default() {
            self.broker.send(Way::ToPlane, record, &mut self.desk);
        }
    }

    fn deliver(&mut self, way: Way, record: Incoming) {
        match way {
            Way::ToPlane => {
                let tenant = record.key.clone().unwrap_or_default();
                let partition = self.clients.iter().find(|client| client.tenant.0 == tenant);
                let partition = partition.map_or(0, |client| client.partition);
                if let Some(plane) = &self.plane {
                    // A full inbox slows the real reader; it is never full here.
                    let _ = plane.inboxes[partition as usize].try_send(Message::Telemetry(record));
                }
            }
            Way::ToAgent => {
                let desk = &mut self.desk;
                let key_id = record.headers.first().map(|(_, key_id)| key_id.clone()).unwrap_or_default();
                let guest = self.cloud.guest_with_key(&key_id);
                let said =
                    guest.filter(|(guest, _)| guest.is_alive()).map(|(guest, disk)| guest.receive(&record, disk, desk));
                self.send_all(said);
            }
        }
    }

    /// Both sides notice that the broker is another one.
    fn broker_found(&mut self) {
        let desk = &mut self.desk;
        self.broker.found(desk);
        for inbox in self.plane.iter().flat_map(|plane| &plane.inboxes) {
            let _ = inbox.try_send(Message::Reconnected);
        }
        let servers: Vec<u64> = self.cloud.guests.keys().copied().collect();
        for server in servers {
            let desk = &mut self.desk;
            let said = self.cloud.guest(server).map(|(guest, disk)| guest.reconnected(disk, desk));
            self.send_all(said);
        }
    }
}

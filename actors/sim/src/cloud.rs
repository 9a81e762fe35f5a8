//! The cloud: addresses, volumes and servers, found again under the name of the instance that they are for.
//!
//! A call looks the name up when it arrives and makes or takes away later, so that two calls for one name at a time
//! would make two things. It keeps to its contract and to no more: what it does it does before the caller's deadline,
//! perhaps without saying so.

use std::collections::{BTreeMap, BTreeSet};

use coffer_domain::{
    ids::InstanceId,
    instance::{policy, workflow::Step},
    time::{MINUTE, Millis, SECOND},
};
use coffer_ports::{Error, ErrorKind};
use coffer_protocol::boot::FirstBoot;
use tokio::sync::oneshot;

use crate::{
    agent::{Disk, Guest},
    desk::{Desk, Event},
    faults::Fault,
    plan::Way,
    short,
};

/// How long a call takes at most when nothing is wrong.
const USUAL: Millis = 2 * SECOND;
/// How long a guest takes to boot.
const BOOT: (Millis, Millis) = (SECOND, 40 * SECOND);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Address,
    Volume,
    Server,
}

/// What a call asks for.
#[derive(Clone)]
pub enum Ask {
    EnsureAddress,
    /// Of this size, in GiB.
    EnsureVolume(u32),
    /// Of this flavor, with the first-boot data of the guest.
    EnsureServer(String, Box<FirstBoot>),
    Grow(u32),
    Measure,
    /// To this flavor.
    Resize(String),
    Delete(Kind),
}

/// The number of what was made or found, or the size that was measured; otherwise 0.
pub type Answer = Result<u64, Error>;

/// A call under way.
struct Call {
    life: u64,
    instance: InstanceId,
    ask: Ask,
    /// What stood under the name when the call arrived.
    found: Option<u64>,
    /// When it is done; `None` when it was done or never is.
    done_at: Option<Millis>,
    /// What the caller is told if it is not told the truth.
    error: Option<Error>,
    made: u64,
    answer: Option<oneshot::Sender<Answer>>,
}

#[derive(Default)]
pub struct Cloud {
    things: BTreeMap<u64, (Kind, InstanceId)>,
    pub disks: BTreeMap<u64, Disk>,
    pub guests: BTreeMap<u64, Guest>,
    calls: BTreeMap<u64, Call>,
    numbers: u64,
}

impl Ask {
    pub fn kind(&self) -> Kind {
        match self {
            Self::EnsureAddress => Kind::Address,
            Self::EnsureVolume(_) | Self::Grow(_) | Self::Measure => Kind::Volume,
            Self::EnsureServer(..) | Self::Resize(_) => Kind::Server,
            Self::Delete(kind) => *kind,
        }
    }

    pub fn is_delete(&self) -> bool {
        matches!(self, Self::Delete(_))
    }

    fn step(&self) -> Step {
        match self {
            Self::EnsureAddress => Step::EnsureAddress,
            Self::EnsureVolume(_) => Step::EnsureVolume,
            Self::EnsureServer(..) => Step::EnsureServer,
            Self::Grow(_) => Step::GrowVolume,
            Self::Measure => Step::MeasureVolume,
            // Back to the old flavor is the same call.
            Self::Resize(_) => Step::ResizeServer,
            Self::Delete(Kind::Address) => Step::ReleaseAddress,
            Self::Delete(Kind::Volume) => Step::DeleteVolume,
            Self::Delete(Kind::Server) => Step::DeleteServer,
        }
    }
}

impl Cloud {
    /// Takes a call in and decides what becomes of it.
    pub fn call(
        &mut self,
        life: u64,
        instance: InstanceId,
        ask: Ask,
        answer: oneshot::Sender<Answer>,
        desk: &mut Desk,
    ) {
        if self.calls.values().any(|call| call.instance == instance && call.done_at.is_some()) {
            desk.violated(format!("two calls at a time for {}", short(instance)));
        }
        let step = ask.step();
        let deadline = policy::of(step).deadline;
        let mut takes = desk.dice.mostly_short(5, USUAL);
        if desk.strikes(Fault::CloudSlow) {
            takes = desk.dice.span(USUAL, deadline - SECOND);
        }
        let (is_done, error, is_answered) = match desk.plan.of_call(instance, step) {
            Some(way) => planned(way, desk),
            None => fate(desk),
        };
        self.numbers += 1;
        let number = self.numbers;
        let found = self.find(ask.kind(), instance);
        let fate = match (&error, is_answered) {
            (_, false) => "never answers".to_owned(),
            (Some(error), true) => format!("will say {}", error.code),
            (None, true) => "will answer".to_owned(),
        };
        desk.tell("cloud", format_args!("is asked to {} for {}, {fate} in {takes} ms", step.as_str(), short(instance)));
        if is_done {
            desk.after(takes, Event::CloudDoes { call: number });
        }
        if is_answered {
            desk.after(takes, Event::CloudAnswers { call: number });
        }
        desk.after(deadline + SECOND, Event::CallOver { call: number });
        let done_at = is_done.then(|| desk.now() + takes);
        let call = Call { life, instance, ask, found, done_at, error, made: 0, answer: Some(answer) };
        self.calls.insert(number, call);
    }

    /// Does what the call asks for.
    pub fn carry_out(&mut self, number: u64, desk: &mut Desk) {
        let Some(mut call) = self.calls.remove(&number) else { return };
        if call.done_at.take().is_some() {
            call.made = match &call.ask {
                Ask::Delete(kind) => self.delete(*kind, call.instance, desk),
                Ask::Grow(_) | Ask::Measure | Ask::Resize(_) => self.change(&call.ask, call.instance, desk),
                ask => match call.found.filter(|found| self.things.contains_key(found)) {
                    Some(found) => found,
                    None => self.make(ask.clone(), call.instance, desk),
                },
            };
        }
        self.calls.insert(number, call);
    }

    pub fn answer(&mut self, number: u64) {
        let Some(mut call) = self.calls.remove(&number) else { return };
        if let Some(answer) = call.answer.take() {
            // Whoever asked may have died.
            let _ = answer.send(call.error.map_or(Ok(call.made), Err));
        }
    }

    pub fn call_over(&mut self, number: u64) {
        self.calls.remove(&number);
    }

    /// The control plane of this life has died. What it has asked for is through within `away`, done or not: nothing of
    /// it is done behind the next one's back.
    pub fn caller_died(&mut self, life: u64, away: Millis, desk: &mut Desk) {
        let back_at = desk.now() + away;
        let under_way: Vec<u64> =
            self.calls.iter().filter(|(_, call)| call.life == life).map(|(number, _)| *number).collect();
        for number in under_way {
            let done_at = self.calls.get(&number).and_then(|call| call.done_at);
            match done_at {
                // It is done in time, and not answered to anybody.
                Some(at) if at < back_at => continue,
                Some(_) if desk.dice.chance(500) => {
                    desk.tell("cloud", format_args!("still does what the dead control plane asked for"));
                    self.carry_out(number, desk);
                }
                Some(_) | None => {}
            }
            self.calls.remove(&number);
        }
    }

    /// Everything of a kind that stands under an instance's name.
    pub fn of(&self, kind: Kind, instance: InstanceId) -> impl Iterator<Item = u64> {
        let things = self.things.iter().filter(move |(_, thing)| **thing == (kind, instance));
        things.map(|(number, _)| *number)
    }

    /// The instances for which anything is there.
    pub fn owners(&self) -> BTreeSet<InstanceId> {
        self.things.values().map(|(_, instance)| *instance).collect()
    }

    pub fn guest_of(&self, instance: InstanceId) -> Option<(&Guest, &Disk)> {
        let guest = self.guests.get(&self.of(Kind::Server, instance).next()?)?;
        Some((guest, self.disks.get(&guest.volume)?))
    }

    /// The guest that this server key belongs to, with its volume.
    pub fn guest_with_key(&mut self, key_id: &str) -> Option<(&mut Guest, &mut Disk)> {
        let guest = self.guests.values_mut().find(|guest| guest.key_id() == key_id)?;
        let disk = self.disks.get_mut(&guest.volume)?;
        Some((guest, disk))
    }

    pub fn guest(&mut self, server: u64) -> Option<(&mut Guest, &mut Disk)> {
        let guest = self.guests.get_mut(&server)?;
        let disk = self.disks.get_mut(&guest.volume)?;
        Some((guest, disk))
    }

    pub fn is_idle(&self) -> bool {
        self.calls.values().all(|call| call.done_at.is_none())
    }

    fn find(&self, kind: Kind, instance: InstanceId) -> Option<u64> {
        self.of(kind, instance).next()
    }

    fn make(&mut self, ask: Ask, instance: InstanceId, desk: &mut Desk) -> u64 {
        self.numbers += 1;
        let (number, kind) = (self.numbers, ask.kind());
        self.things.insert(number, (kind, instance));
        desk.tell("cloud", format_args!("makes {kind:?} {number} for {}", short(instance)));
        match ask {
            Ask::EnsureVolume(size_gib) => drop(self.disks.insert(number, Disk::new(size_gib))),
            Ask::EnsureServer(flavor, boot) => {
                let (address, volume) = (self.find(Kind::Address, instance), self.find(Kind::Volume, instance));
                let (Some(_), Some(volume)) = (address, volume) else {
                    desk.violated(format!("a server of {} without its address or volume", short(instance)));
                    return number;
                };
                self.guests.insert(number, Guest::new(number, volume, instance, flavor, *boot));
                let boots = desk.dice.span(BOOT.0, BOOT.1);
                desk.after(boots, Event::AgentStarts { server: number });
            }
            _ => {}
        }
        number
    }

    /// Changes what is there, or looks at it.
    fn change(&mut self, ask: &Ask, instance: InstanceId, desk: &mut Desk) -> u64 {
        let Some(number) = self.find(ask.kind(), instance) else {
            desk.violated(format!("{} has no {:?} that could be {:?}", short(instance), ask.kind(), ask.step()));
            return 0;
        };
        match (ask, self.disks.get_mut(&number), self.guests.get_mut(&number)) {
            (Ask::Grow(size_gib), Some(disk), _) => {
                desk.tell("cloud", format_args!("grows Volume {number} to {size_gib} GiB"));
                disk.size_gib = disk.size_gib.max(*size_gib);
                0
            }
            (Ask::Measure, Some(disk), _) => disk.size_gib.into(),
            (Ask::Resize(flavor), _, Some(guest)) => {
                desk.tell("cloud", format_args!("gives Server {number} the flavor {flavor}"));
                guest.flavor.clone_from(flavor);
                0
            }
            _ => 0,
        }
    }

    fn delete(&mut self, kind: Kind, instance: InstanceId, desk: &mut Desk) -> u64 {
        if kind != Kind::Server && self.find(Kind::Server, instance).is_some() {
            desk.violated(format!("the server of {} still has its {kind:?}", short(instance)));
        }
        let gone: Vec<u64> = self.of(kind, instance).collect();
        for number in gone {
            desk.tell("cloud", format_args!("takes {kind:?} {number} of {} away", short(instance)));
            self.things.remove(&number);
            self.disks.remove(&number);
            self.guests.remove(&number);
        }
        0
    }
}

/// Whether a call is done, what the caller is told instead of the truth, and whether it is told anything.
fn fate(desk: &mut Desk) -> (bool, Option<Error>, bool) {
    if desk.strikes(Fault::CloudHangs) {
        return (desk.dice.chance(500), None, false);
    }
    if desk.strikes(Fault::CloudDoesAndFails) {
        let kind = if desk.dice.chance(800) { ErrorKind::Timeout } else { ErrorKind::Internal };
        return (true, Some(error(kind, desk)), true);
    }
    if desk.strikes(Fault::CloudFailsForNow) {
        let kinds = [ErrorKind::Unavailable, ErrorKind::Throttled, ErrorKind::Timeout];
        let kind = desk.dice.pick(&kinds).copied().unwrap_or(ErrorKind::Unavailable);
        return (false, Some(error(kind, desk)), true);
    }
    if desk.strikes(Fault::CloudFailsForGood) {
        let kinds = [ErrorKind::Exhausted, ErrorKind::Denied, ErrorKind::Invalid, ErrorKind::Internal];
        let kind = desk.dice.pick(&kinds).copied().unwrap_or(ErrorKind::Internal);
        return (false, Some(error(kind, desk)), true);
    }
    (true, None, true)
}

/// The same, on purpose.
fn planned(way: Way, desk: &mut Desk) -> (bool, Option<Error>, bool) {
    match way {
        Way::FailsOnce | Way::FailsAlways => (false, Some(error(ErrorKind::Unavailable, desk)), true),
        Way::FailsForGood => (false, Some(error(ErrorKind::Exhausted, desk)), true),
        Way::TimesOut => (true, None, false),
        Way::DoneTwice => (true, None, true),
    }
}

fn error(kind: ErrorKind, desk: &mut Desk) -> Error {
    let mut error = Error::new(kind, kind.as_str(), "the simulated cloud says so");
    if kind == ErrorKind::Throttled {
        let wait = desk.dice.mostly_short(SECOND, MINUTE);
        error.retry_after = Some(std::time::Duration::from_millis(u64::try_from(wait).unwrap_or(0)));
    }
    error
}

//! What everybody in the simulated world has at hand: the time, the dice, the agenda, the trace.

use std::{collections::BTreeMap, fmt, sync::Arc};

use coffer_domain::{ids::CommandId, time::Millis};
use coffer_ports::transport::Incoming;
use tokio::sync::Notify;

use crate::{
    agent::Timer,
    broker::Way,
    clock::VirtualClock,
    dice::Dice,
    faults::{Fault, Mixture, Tally},
    plan::Plan,
    trace::Trace,
};

/// What is to happen at a time.
pub enum Event {
    /// Time to roll for what strikes by itself.
    Mischief,
    /// The tenant's client thinks of something to do.
    ClientActs {
        tenant: usize,
    },
    /// A client sends its command, or sends it again.
    ClientSends {
        command: CommandId,
    },
    Deliver {
        way: Way,
        broker: u64,
        record: Incoming,
    },
    BrokerFound,
    AgentStarts {
        server: u64,
    },
    Agent {
        server: u64,
        life: u64,
        timer: Timer,
    },
    /// The cloud does what the call asks for.
    CloudDoes {
        call: u64,
    },
    CloudAnswers {
        call: u64,
    },
    /// Whoever called has given up.
    CallOver {
        call: u64,
    },
    PlaneStarts,
    /// The control plane of this life has died or dies.
    PlaneEnds {
        life: u64,
    },
    DiskHasRoom,
    FaultsStop,
    LookForRest,
    /// The next act of a script is due, whatever is under way.
    ScriptGoesOn,
}

pub struct Desk {
    pub clock: Arc<VirtualClock>,
    pub dice: Dice,
    pub mixture: Mixture,
    pub plan: Plan,
    pub tally: Tally,
    pub trace: Trace,
    /// Told when the agenda has changed.
    pub changed: Arc<Notify>,
    agenda: BTreeMap<(Millis, u64), Event>,
    entries: u64,
    violation: Option<String>,
}

impl Desk {
    pub fn new(seed: u64, aloud: bool) -> Self {
        let mut dice = Dice::new(seed);
        let mixture = Mixture::new(&mut dice);
        Self {
            clock: Arc::new(VirtualClock::start()),
            dice,
            mixture,
            plan: Plan::default(),
            tally: Tally::default(),
            trace: Trace::new(aloud),
            changed: Arc::default(),
            agenda: BTreeMap::new(),
            entries: 0,
            violation: None,
        }
    }

    /// Virtual time since the start.
    pub fn now(&self) -> Millis {
        self.clock.elapsed()
    }

    /// Puts an event on the agenda, after those of the same time.
    pub fn after(&mut self, span: Millis, event: Event) {
        self.entries += 1;
        self.agenda.insert((self.now() + span.max(0), self.entries), event);
        self.changed.notify_one();
    }

    /// When the next event is due.
    pub fn next_at(&self) -> Option<Millis> {
        self.agenda.first_key_value().map(|((at, _), _)| *at)
    }

    /// The next event, if it is due.
    pub fn due(&mut self) -> Option<Event> {
        let at = self.next_at()?;
        if at > self.now() {
            return None;
        }
        self.agenda.pop_first().map(|(_, event)| event)
    }

    /// Rolls for a fault, and counts it when it strikes.
    pub fn strikes(&mut self, fault: Fault) -> bool {
        let rate = self.mixture.rate(fault);
        let strikes = rate > 0 && self.dice.chance(rate);
        if strikes {
            self.tally.count(fault);
        }
        strikes
    }

    pub fn tell(&mut self, who: &str, what: fmt::Arguments<'_>) {
        let now = self.now();
        self.trace.tell(now, who, what);
    }

    /// Something that must never happen has happened; the first one counts.
    pub fn violated(&mut self, what: String) {
        self.tell("INVARIANT", format_args!("{what}"));
        self.violation.get_or_insert(what);
    }

    pub fn violation(&self) -> Option<&str> {
        self.violation.as_deref()
    }
}

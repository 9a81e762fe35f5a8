//! The broker: carries records both ways, in order and once unless something goes wrong.

use coffer_domain::time::{MINUTE, Millis, SECOND};
use coffer_ports::transport::{Incoming, Outgoing};

use crate::{
    desk::{Desk, Event},
    faults::Fault,
};

/// How long a record takes at most when nothing is wrong.
const LATENCY: Millis = 20;

/// Which way a record goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    ToAgent,
    ToPlane,
}

#[derive(Default)]
pub struct Broker {
    /// Grows when the broker is replaced: what the old one held is gone.
    generation: u64,
    is_lost: bool,
    sent: u64,
    /// When the last record of each way arrives that was not delayed.
    last_arrival: [Millis; 2],
}

impl Broker {
    /// Takes a record in. What becomes of it is nobody's business who sends it.
    pub fn send(&mut self, way: Way, record: Outgoing, desk: &mut Desk) {
        if self.is_lost {
            return;
        }
        if desk.strikes(Fault::MessageLost) {
            desk.tell("broker", format_args!("loses a record {}", way.as_str()));
            return;
        }
        let mut latency = desk.dice.span(1, LATENCY);
        if desk.strikes(Fault::MessageDelayed) {
            latency = desk.dice.mostly_short(200, MINUTE);
            desk.tell("broker", format_args!("delays a record {} by {latency} ms", way.as_str()));
        } else {
            let last = &mut self.last_arrival[way as usize];
            *last = (*last).max(desk.now() + latency);
            latency = *last - desk.now();
        }
        if desk.strikes(Fault::MessageDoubled) {
            let again = latency + desk.dice.mostly_short(1, 20 * SECOND);
            self.deliver_after(again, way, record.clone(), desk);
        }
        self.deliver_after(latency, way, record, desk);
    }

    /// Loses everything that is under way.
    pub fn lose(&mut self, desk: &mut Desk) {
        if self.is_lost {
            return;
        }
        desk.tell("broker", format_args!("is gone with all it held"));
        self.is_lost = true;
        self.generation += 1;
        let away = desk.dice.mostly_short(500, MINUTE);
        desk.after(away, Event::BrokerFound);
    }

    pub fn found(&mut self, desk: &mut Desk) {
        self.is_lost = false;
        desk.tell("broker", format_args!("another one is found"));
    }

    /// Whether a record of this generation is still to be delivered.
    pub fn holds(&self, generation: u64) -> bool {
        generation == self.generation
    }

    fn deliver_after(&mut self, latency: Millis, way: Way, record: Outgoing, desk: &mut Desk) {
        self.sent += 1;
        let Outgoing { topic, key, headers, value } = record;
        let offset = i64::try_from(self.sent).unwrap_or(i64::MAX);
        let record = Incoming { topic, partition: 0, offset, key, headers, value };
        desk.after(latency, Event::Deliver { way, broker: self.generation, record });
    }
}

impl Way {
    fn as_str(self) -> &'static str {
        match self {
            Self::ToAgent => "to an agent",
            Self::ToPlane => "to the control plane",
        }
    }
}

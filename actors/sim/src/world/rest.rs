//! How a history ends: faults stop, everything comes to rest, is deleted, and comes to rest again.

use coffer_domain::{
    instance::{
        journal::{self, Happening},
        policy,
    },
    time::{MINUTE, Millis, SECOND},
};
use coffer_runtime::clock::Clock;

use super::World;
use crate::{
    agent::Guest,
    desk::Event,
    invariants::{check_contents, check_sizes},
    short,
};

/// Once nothing goes wrong any more, everything must be at rest after this long: an attempt under way runs into its
/// deadline, waits for its turn, a create that cannot be saved is cleaned up behind it. The longest attempt has 5 min.
const UNREST: Millis = 2 * (5 * MINUTE + policy::TIMER_MARGIN) + 5 * MINUTE;
/// How long it must have been at rest: what agents still have to tell is told by then.
const REST: Millis = 45 * SECOND;
pub(super) const LOOK: Millis = SECOND;

/// Deletes that may follow a first one whose attempts were used up when the faults stopped.
const ROUNDS_OF_DELETES: u32 = 2;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Things go wrong.
    Trouble,
    /// Nothing goes wrong any more, and clients ask for nothing new.
    Calm,
    /// Everything is being deleted, for the time that the number says.
    Deleting(u32),
    /// What is asked for next stands in a script.
    Scripted,
    Over,
}

impl World {
    pub fn is_over(&self) -> bool {
        self.phase == Phase::Over || self.desk.violation().is_some()
    }

    pub(super) fn faults_stop(&mut self) {
        self.desk.tell("world", format_args!("nothing goes wrong any more"));
        self.desk.mixture.stop();
        // What was lost without a trace is asked for again.
        self.broker.lose(&mut self.desk);
        self.begin(Phase::Calm);
        self.desk.after(LOOK, Event::LookForRest);
    }

    pub(super) fn look_for_rest(&mut self) {
        let now = self.desk.now();
        match (self.what_is_under_way(), self.rest_since) {
            (None, None) => {
                self.rest_since = Some(now);
                self.longest_unrest = self.longest_unrest.max(now - self.phase_since);
            }
            (None, Some(since)) if now - since >= REST => self.at_rest(),
            (None, Some(_)) => {}
            (Some(what), _) => {
                self.rest_since = None;
                if now - self.phase_since > UNREST {
                    self.desk.violated(format!("not at rest after {} s: {what}", UNREST / SECOND));
                }
            }
        }
        if self.phase != Phase::Over {
            self.desk.after(LOOK, Event::LookForRest);
        }
    }

    pub(super) fn begin(&mut self, phase: Phase) {
        self.phase = phase;
        self.phase_since = self.desk.now();
        self.rest_since = None;
    }

    fn what_is_under_way(&self) -> Option<String> {
        if self.plane.is_none() {
            return Some("the control plane is not up".into());
        }
        if !self.replaced.is_empty() {
            return Some("a control plane has not noticed that it was replaced".into());
        }
        if !self.ledger.is_settled() {
            return Some("a client waits for an answer".into());
        }
        let mut states = self.states.values().map(|(_, state)| state);
        if let Some(state) = states.find(|state| state.operation.is_some() || !state.tasks.is_empty()) {
            return Some(format!("{:?} {:?} of {}", state.operation, state.tasks, state.id));
        }
        if self.cloud.guests.values().any(Guest::is_busy) {
            return Some("an agent is at work, on what nobody may wait for any more".into());
        }
        if self.cloud.is_idle() { None } else { Some("a call to the cloud is under way".into()) }
    }

    fn at_rest(&mut self) {
        self.desk.tell("world", format_args!("is at rest"));
        let checked = self
            .ledger
            .check_kept(&self.states)
            .and_then(|()| check_contents(&self.states, &self.cloud, &self.ledger))
            .and_then(|()| check_sizes(&self.states, &self.cloud))
            .and_then(|()| self.check_promises())
            .and_then(|()| self.check_journals())
            .and_then(|()| self.check_store());
        if let Err(violation) = checked {
            return self.desk.violated(violation);
        }
        self.check_outside();
        match self.phase {
            Phase::Trouble | Phase::Over => {}
            Phase::Scripted => self.next_act(),
            _ if self.states.is_empty() => self.begin(Phase::Over),
            Phase::Calm => self.delete_all(1),
            Phase::Deleting(round) if round < ROUNDS_OF_DELETES => self.delete_all(round + 1),
            Phase::Deleting(_) => self.desk.violated(format!("cannot be deleted: {:?}", self.states.keys())),
        }
    }

    /// A journal's last word on the status is the status, and it is not longer than it may be.
    fn check_journals(&self) -> Result<(), String> {
        for (id, (partition, state)) in &self.states {
            let journal = self.store.journal(*partition, &state.tenant, *id, None, usize::MAX);
            let journal = journal.map_err(|error| error.to_string())?;
            let entries = journal.map(|journal| journal.entries).unwrap_or_default();
            let last = entries.iter().rev().find_map(|(_, entry)| match &entry.what {
                Happening::StatusChanged { to, .. } => Some(to.clone()),
                _ => None,
            });
            let status = journal::words(Some(state));
            // One that was written in all the time may have lost it.
            let is_full = entries.len() as u64 == journal::MAX_ENTRIES;
            if entries.len() as u64 > journal::MAX_ENTRIES || !is_full && last.as_ref() != Some(&status) {
                return Err(format!("{} is {status}, its journal of {} says {last:?}", short(*id), entries.len()));
            }
        }
        Ok(())
    }

    fn delete_all(&mut self, round: u32) {
        self.begin(Phase::Deleting(round));
        let now = self.desk.clock.now();
        let mut commands = Vec::new();
        for (id, (partition, state)) in &self.states {
            let Some(client) = self.clients.iter().find(|client| client.tenant == state.tenant) else { continue };
            let envelope = client.delete(*id, now, &mut self.desk.dice);
            commands.push(self.ledger.open(envelope, *partition));
        }
        for command in commands {
            self.send_command(command);
        }
    }
}

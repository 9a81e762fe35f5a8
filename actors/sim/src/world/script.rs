//! A history that is told beforehand: one instance, one wish after the other, each when the last has come to rest.

use std::collections::VecDeque;

use coffer_domain::{
    ids::InstanceId,
    instance::{
        state::Fault,
        view::{self, Status},
    },
};
use coffer_runtime::clock::Clock;

use super::{Phase, Shared, World, rest::LOOK};
pub use crate::client::Wish;
use crate::{
    client::Client,
    cluster::Disks,
    desk::{Desk, Event},
    plan::Plan,
};

/// What happens next in a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    Ask(Wish),
    /// What was planted has shown what it does: notes how the instance is, and nothing goes wrong from now on.
    Look,
}

#[derive(Debug, Default)]
pub struct Script {
    pub(super) acts: VecDeque<Act>,
    instance: Option<InstanceId>,
    /// How the instance was when it was looked at: its status and what its tenant is told; `None` when it was gone.
    pub seen: Option<Option<(Status, Option<Fault>)>>,
}

impl World {
    /// A world in which nothing goes wrong but what is planned.
    pub fn scripted(seed: u64, disks: Disks, aloud: bool, plan: Plan, acts: &[Act]) -> Result<Shared, String> {
        let mut desk = Desk::new(seed, aloud);
        desk.mixture.stop();
        desk.plan = plan;
        desk.after(0, Event::PlaneStarts);
        desk.after(LOOK, Event::LookForRest);
        let world = Self::with(desk, vec![Client::new(0, 0)], disks, Phase::Scripted)?;
        super::lock(&world).script.acts = acts.iter().copied().collect();
        Ok(world)
    }

    pub fn script(&self) -> &Script {
        &self.script
    }

    /// Goes on with the script; at its end nothing may be left.
    pub(super) fn next_act(&mut self) {
        self.begin(Phase::Scripted);
        match self.script.acts.pop_front() {
            Some(Act::Ask(wish)) => self.wish(wish),
            Some(Act::Look) => self.look(),
            None if self.states.is_empty() && self.cloud.owners().is_empty() => self.begin(Phase::Over),
            None => self.desk.violated(format!("left at the end: {:?}", self.states.keys())),
        }
    }

    fn wish(&mut self, wish: Wish) {
        let now = self.desk.clock.now();
        let client = &self.clients[0];
        let instance = *self.script.instance.get_or_insert_with(|| InstanceId(self.desk.dice.uuid()));
        if wish == Wish::Delete && !self.states.contains_key(&instance) {
            return;
        }
        let envelope = client.wish(wish, instance, now, &self.vault, &mut self.desk.dice);
        let command = self.ledger.open(envelope, client.partition);
        self.send_command(command);
    }

    fn look(&mut self) {
        let state = self.script.instance.and_then(|id| self.states.get(&id)).map(|(_, state)| state);
        self.script.seen = Some(state.map(|state| (view::status(state), state.fault.clone())));
        self.desk.plan.stop();
    }
}

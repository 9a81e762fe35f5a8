//! What can go wrong, how often it does, and how often it did.
//!
//! Each seed has its own mixture: a kind of fault is left out altogether in some seeds and frequent in others, so that
//! rare combinations come up as well as long stretches without disturbance.

use std::fmt;

use crate::dice::Dice;

/// A kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(usize)]
pub enum Fault {
    MessageLost,
    MessageDoubled,
    /// By up to a minute, while later ones pass it.
    MessageDelayed,
    /// The broker is lost with all it holds, and another one is found.
    BrokerReplaced,
    StopBeforeCommit,
    StopAfterCommit,
    StopAfterApply,
    StopAfterEffect,
    /// The control plane is killed wherever it is.
    Killed,
    ClockSetForward,
    DiskSlow,
    /// Commits are refused for a while.
    DiskFull,
    /// A commit is not written, and nobody knows.
    CommitLost,
    /// A commit is written, and nobody knows.
    CommitUnconfirmed,
    CloudSlow,
    CloudFailsForNow,
    CloudFailsForGood,
    /// Done, and reported as failed.
    CloudDoesAndFails,
    /// Never answered; done or not.
    CloudHangs,
    AgentDies,
    AgentSlow,
    AgentFailsForNow,
    AgentFailsForGood,
    EngineCrashes,
    /// Another control plane takes over while this one stands still, and this one goes on as if nothing had happened.
    Replaced,
    /// The disk of a control plane that has died is lost with it.
    DiskLost,
    /// Somebody sends a report that is sealed with a key of his own, or under another tenant.
    ReportForged,
    /// Somebody sends a recorded report again.
    ReportReplayed,
    /// A client sends an accepted command again.
    CommandRepeated,
    /// A client orders more than its quota allows.
    OverQuota,
    /// A delete comes while something else is under way.
    DeletedHalfway,
    /// The status is reset while something is under way.
    ResetHalfway,
    /// A forced delete gives up on something outside.
    LeftBehind,
}

use Fault::*;

/// All kinds, with the rate at which each strikes where it is in the mixture, per thousand occasions. What has the
/// rate 0 is not rolled for: it comes of what clients happen to do.
pub const FAULTS: [(Fault, u64); 33] = [
    (MessageLost, 40),
    (MessageDoubled, 40),
    (MessageDelayed, 40),
    (BrokerReplaced, 8),
    (StopBeforeCommit, 8),
    (StopAfterCommit, 8),
    (StopAfterApply, 8),
    (StopAfterEffect, 20),
    (Killed, 8),
    (ClockSetForward, 8),
    (DiskSlow, 60),
    (DiskFull, 5),
    (CommitLost, 8),
    (CommitUnconfirmed, 8),
    (CloudSlow, 80),
    (CloudFailsForNow, 100),
    (CloudFailsForGood, 30),
    (CloudDoesAndFails, 60),
    (CloudHangs, 40),
    (AgentDies, 25),
    (AgentSlow, 80),
    (AgentFailsForNow, 80),
    (AgentFailsForGood, 30),
    (EngineCrashes, 25),
    (Replaced, 4),
    (DiskLost, 200),
    (ReportForged, 60),
    (ReportReplayed, 60),
    (CommandRepeated, 150),
    (OverQuota, 0),
    (DeletedHalfway, 0),
    (ResetHalfway, 0),
    (LeftBehind, 0),
];

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, formatter)
    }
}

/// The mixture of one seed.
#[derive(Debug, Clone)]
pub struct Mixture([u64; FAULTS.len()]);

impl Mixture {
    pub fn new(dice: &mut Dice) -> Self {
        Self(FAULTS.map(|(_, rate)| match dice.below(5) {
            0 | 1 => 0,
            2 => rate / 3,
            3 => rate,
            _ => rate * 2,
        }))
    }

    /// Per thousand occasions.
    pub fn rate(&self, fault: Fault) -> u64 {
        self.0[fault as usize]
    }

    /// Nothing goes wrong from now on.
    pub fn stop(&mut self) {
        self.0 = [0; FAULTS.len()];
    }
}

/// How often each kind struck.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tally([u64; FAULTS.len()]);

impl Default for Tally {
    fn default() -> Self {
        Self([0; FAULTS.len()])
    }
}

impl Tally {
    pub fn count(&mut self, fault: Fault) {
        self.0[fault as usize] += 1;
    }

    pub fn of(&self, fault: Fault) -> u64 {
        self.0[fault as usize]
    }

    pub fn add(&mut self, other: &Self) {
        self.0.iter_mut().zip(other.0).for_each(|(sum, more)| *sum += more);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_stands_at_its_own_place() {
        for (position, (fault, _)) in FAULTS.iter().enumerate() {
            assert_eq!(*fault as usize, position, "{fault}");
        }
    }
}

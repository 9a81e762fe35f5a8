//! Sessions with an agent: opened by a challenge, closed by the next one.

use std::collections::VecDeque;

use coffer_domain::time::{Millis, SECOND, Timestamp};

/// Between two challenges of an agent that does not answer: the first and the longest wait.
const FIRST_WAIT: Millis = 2 * SECOND;
const LONGEST_WAIT: Millis = 30 * SECOND;
/// An agent that enrols again sooner than this after a challenge is not answered: it repeats itself.
const ENROL_WAIT: Millis = 300;
/// Enrolments of one agent that are remembered.
const ENROLS_REMEMBERED: usize = 64;

/// Why a message of an agent is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Not an envelope, or not a report.
    Malformed,
    /// A protocol version that this build does not speak.
    Version,
    /// No living instance has this key, or the record stands under another tenant.
    UnknownKey,
    /// Another cell's.
    Cell,
    /// The seal is broken.
    Forged,
    /// It names no session, or an old one.
    Session,
    /// Its sequence was seen before.
    Replayed,
}

impl Refusal {
    /// Stable name, for metrics and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Version => "version",
            Self::UnknownKey => "unknown_key",
            Self::Cell => "cell",
            Self::Forged => "forged",
            Self::Session => "session",
            Self::Replayed => "replayed",
        }
    }
}

/// What a challenge has opened.
#[derive(Debug)]
pub struct Session {
    id: String,
    /// The agent has answered.
    pub established: bool,
    last_sequence: Option<u64>,
}

impl Session {
    pub fn new(id: String) -> Self {
        Self { id, established: false, last_sequence: None }
    }

    /// Accepts a report of this session that was not seen before; tells whether it is the first one.
    pub fn accept(&mut self, session: Option<&str>, sequence: u64) -> Result<bool, Refusal> {
        if session != Some(self.id.as_str()) {
            return Err(Refusal::Session);
        }
        if self.last_sequence.is_some_and(|last| sequence <= last) {
            return Err(Refusal::Replayed);
        }
        self.last_sequence = Some(sequence);
        Ok(!std::mem::replace(&mut self.established, true))
    }
}

/// The enrolments seen last: a recorded one must not end the running session. Sequences need not grow here, since a
/// guest's clock, from which they start, may have been set back.
#[derive(Debug, Default)]
pub struct SeenEnrols(VecDeque<u64>);

impl SeenEnrols {
    /// Whether no enrolment with this sequence was seen; from now on one was.
    pub fn is_new(&mut self, sequence: u64) -> bool {
        if self.0.contains(&sequence) {
            return false;
        }
        if self.0.len() == ENROLS_REMEMBERED {
            self.0.pop_front();
        }
        self.0.push_back(sequence);
        true
    }
}

/// When to challenge an agent that has no session.
#[derive(Debug)]
pub struct Challenges {
    due: Timestamp,
    sent_at: Option<Timestamp>,
    wait: Millis,
}

impl Challenges {
    /// The first one is due at `now`.
    pub fn new(now: Timestamp) -> Self {
        Self { due: now, sent_at: None, wait: FIRST_WAIT }
    }

    /// The first one is due when the agent has not enrolled for a while.
    pub fn later(now: Timestamp) -> Self {
        Self { due: now + LONGEST_WAIT, ..Self::new(now) }
    }

    pub fn due(&self, now: Timestamp) -> bool {
        now >= self.due
    }

    pub fn sent(&mut self, now: Timestamp) {
        self.sent_at = Some(now);
        self.due = now + self.wait;
        self.wait = (self.wait * 2).min(LONGEST_WAIT);
    }

    /// Whether an enrolment is answered at once, or was just answered.
    pub fn may_answer_enrol(&mut self, now: Timestamp) -> bool {
        let answered = self.sent_at.is_some_and(|sent_at| now - sent_at < ENROL_WAIT);
        if !answered {
            self.wait = FIRST_WAIT;
        }
        !answered
    }
}

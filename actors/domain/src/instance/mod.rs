//! The lifecycle of one database instance.
//!
//! * [`state`] – what is wanted, what is there, what is being done about it;
//! * [`workflow`] – which steps an operation takes, in which order;
//! * [`policy`] – how long a step may take and how often it is tried;
//! * [`effect`] – what is to be done outside, and the timers that outlive it;
//! * [`event`] – what has happened;
//! * [`mod@decide`] – from an input to events, effects and timers;
//! * [`mod@evolve`] – from an event to the next state;
//! * [`mod@view`] – what a reader sees; [`shown`] – the same as the text of an answer; `words` – what a tenant is told when
//!   something failed;
//! * [`journal`] – what was done to it and why, for people.
//!
//! Invariants, held by property tests: `evolve` is total; an operation that waits for an effect has exactly this one
//! outstanding; each outstanding effect has a timer that outlives it; a removed instance answers no input.

pub mod decide;
pub mod effect;
pub mod event;
pub mod evolve;
pub mod journal;
pub mod policy;
pub mod shown;
pub mod state;
pub mod view;
mod words;
pub mod workflow;

pub use decide::{Context, Decision, GroupChanged, Input, decide};
pub use event::Event;
pub use evolve::evolve;
pub use state::Instance;
pub use view::{InstanceView, view};

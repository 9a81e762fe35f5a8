//! One partition on a real store, driven by hand.

mod borders;
mod chaos;
mod commits;
mod endings;
mod groups;
mod journal;
mod kept;
mod limits;
mod quota;
mod repeats;
mod timers;

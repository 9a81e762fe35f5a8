//! What happens in the runtime and is worth telling: one type each, that counts and logs together.
//!
//! A line carries its happening's name in the field `happening`, and what it is about: tenant, instance, request. Counters
//! are exact; lines are throttled per happening ([`coffer_ports::telemetry::Throttles`]).

mod agents;
mod nodes;
mod orders;
mod stored;

use coffer_ports::telemetry::Happening;

pub use agents::*;
pub use nodes::*;
pub use orders::*;
pub use stored::*;

/// The names of all of them.
pub const HAPPENINGS: &[&str] = &[
    CommandDecided::NAME,
    OperationStarted::NAME,
    OperationEnded::NAME,
    LeftBehind::NAME,
    QuotaSet::NAME,
    EffectEnded::NAME,
    CommitRefused::NAME,
    CommitUncertain::NAME,
    PartitionLoaded::NAME,
    ChangelogFollowed::NAME,
    StoreWiped::NAME,
    PartitionReleased::NAME,
    TakeOverFailed::NAME,
    CommandForwarded::NAME,
    AgentEnrolled::NAME,
    SessionOpened::NAME,
    AgentSilent::NAME,
    AgentMessageRefused::NAME,
    AgentMessageDropped::NAME,
    AgentSendDeferred::NAME,
    AgentSendFailed::NAME,
    IntakeRefused::NAME,
    ReadFailed::NAME,
    StoreChanged::NAME,
];

//! The journal of an instance: what was asked, decided, tried and found, so that anybody can tell why it is as it is.
//!
//! Entries follow from an input and the decision on it, and are committed with it. They hold no secret: passwords and
//! keys are sealed in what they are made from, and are left out all the same. What is rejected changes nothing and is
//! not written down: whoever asked was told, and a client that asks for nonsense again and again must not push out what
//! happened.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{
    decide::{Decision, GroupChanged, Input},
    effect::{Action, EffectChange, Outcome, Produced, TimerChange, TimerId},
    event::Event,
    state::{AgentContact, Fault, Instance, OperationKind},
    view,
    workflow::Step,
};
use crate::{
    command::{Command, Envelope},
    ids::{CommandId, EffectId},
    quota::Charge,
    time::{DAY, Millis, SECOND, Timestamp},
};
use coffer_protocol::report::EngineState;

/// Entries that are kept of one instance: a create has about 25, a restart 6. The oldest go first.
pub const MAX_ENTRIES: u64 = 500;
/// How long the journal of a removed instance is kept.
pub const KEPT_AFTER_REMOVAL: Millis = 7 * DAY;
/// Journals of removed instances that one partition keeps at most; the ones removed first go first.
pub const MAX_REMOVED: usize = 1000;
/// Characters of a text from outside at most.
const MAX_TEXT: usize = 500;

/// One line of a journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    pub at: Timestamp,
    #[serde(flatten)]
    pub what: Happening,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "entry", rename_all = "snake_case")]
pub enum Happening {
    /// A command was accepted.
    Accepted {
        verb: String,
        details: String,
        principal: String,
        request_id: String,
        command: CommandId,
    },
    OperationBegan {
        operation: OperationKind,
    },
    /// An effect was started, or given to the agent.
    EffectBegan {
        effect: EffectId,
        action: String,
    },
    EffectDone {
        effect: EffectId,
        produced: Option<String>,
    },
    EffectFailed {
        effect: EffectId,
        code: String,
        message: String,
        retryable: bool,
    },
    /// It is not waited for any more.
    EffectDropped {
        effect: EffectId,
    },
    /// The next attempt comes after a wait.
    RetrySet {
        wait_ms: Millis,
    },
    TimerFired {
        timer: TimerId,
    },
    QuotaCharged {
        charge: Charge,
    },
    QuotaRefunded {
        charge: Charge,
    },
    AgentChanged {
        contact: AgentContact,
        engine: EngineState,
    },
    FaultRaised {
        message: String,
        details: String,
    },
    /// A forced delete left something outside, which somebody has to look after.
    LeftBehind {
        step: Step,
        id: Option<String>,
        reason: String,
    },
    /// In Trove's words, `status` and `operating_status`; `from` is empty for a new instance.
    StatusChanged {
        from: String,
        to: String,
    },
    Removed,
}

/// What the decision on `input` adds to the journal.
pub fn entries(
    input: &Input,
    decision: &Decision,
    before: Option<&Instance>,
    after: Option<&Instance>,
    now: Timestamp,
) -> Vec<Entry> {
    let mut journal = Vec::new();
    let mut ended = None;
    match input {
        // A command is written down also when it changes nothing, as a second delete does.
        Input::Command(envelope) => journal.push(accepted(envelope)),
        _ if decision.is_empty() => return Vec::new(),
        Input::Outcome { effect, outcome } => {
            ended = Some(effect);
            journal.push(outcome_of(effect, outcome));
        }
        Input::Timer(timer) => {
            if let TimerId::Deadline { effect } = timer {
                ended = Some(effect);
            }
            journal.push(Happening::TimerFired { timer: timer.clone() });
        }
        Input::Observed(_) => {}
        Input::GroupChanged(changed) => journal.push(group_changed(changed)),
    }
    journal.extend(decision.events.iter().filter_map(of_event));
    for change in &decision.effects {
        match change {
            EffectChange::Dispatch(effect) => {
                journal.push(Happening::EffectBegan { effect: effect.id.clone(), action: action(&effect.action) });
            }
            EffectChange::Withdraw(effect) if Some(effect) != ended => {
                journal.push(Happening::EffectDropped { effect: effect.clone() });
            }
            EffectChange::Withdraw(_) => {}
        }
    }
    for change in &decision.timers {
        if let TimerChange::Set(timer) = change
            && matches!(timer.id, TimerId::Retry { .. })
        {
            journal.push(Happening::RetrySet { wait_ms: timer.due - now });
        }
    }
    let (from, to) = (words(before), words(after));
    if from != to && after.is_some() {
        journal.push(Happening::StatusChanged { from, to });
    }
    journal.into_iter().map(|what| Entry { at: now, what }).collect()
}

fn accepted(envelope: &Envelope) -> Happening {
    Happening::Accepted {
        verb: envelope.command.verb().to_owned(),
        details: cut(&details(&envelope.command)),
        principal: cut(&envelope.principal),
        request_id: cut(&envelope.request_id),
        command: envelope.command_id,
    }
}

fn group_changed(changed: &GroupChanged) -> Happening {
    Happening::Accepted {
        verb: "change_configuration".into(),
        details: cut(&format!("{} {:?}", changed.group, changed.name)),
        principal: cut(&changed.principal),
        request_id: cut(&changed.request_id),
        command: changed.command,
    }
}

/// What was asked for, without what is nobody's business.
fn details(command: &Command) -> String {
    match command {
        Command::Create(order) => {
            let (databases, users) = (order.databases.len(), order.users.len());
            let group = order.configuration.map(|group| format!(", configuration {group}")).unwrap_or_default();
            let (name, flavor, size) = (&order.name, &order.flavor, order.volume_gib);
            format!("{name:?}, flavor {flavor}, {size} GiB, databases: {databases}, users: {users}{group}")
        }
        Command::ResizeVolume { volume_gib } => format!("{volume_gib} GiB"),
        Command::ResizeFlavor { flavor } => format!("flavor {flavor}"),
        Command::CreateDatabases { databases } => list(databases.iter().map(|database| database.name.clone())),
        Command::CreateUsers { users } => list(users.iter().map(|user| format!("{}@{}", user.name, user.host))),
        Command::DropDatabase { name } => name.clone(),
        Command::DropUser { name, host } => format!("{name}@{host}"),
        Command::Grant { name, host, databases } => format!("{name}@{host}: {}", list(databases.iter().cloned())),
        Command::Revoke { name, host, database } => format!("{name}@{host}: {database}"),
        Command::ChangeUser { name, host, change } => {
            let to = |what: &str, value: &Option<String>| value.as_ref().map(|value| format!("{what} {value}"));
            let password = change.password.as_ref().map(|_| "a new password".to_owned());
            let changes = [to("name", &change.name), to("host", &change.host), password];
            format!("{name}@{host}: {}", list(changes.into_iter().flatten()))
        }
        Command::ChangePasswords { users } => list(users.iter().map(|user| format!("{}@{}", user.name, user.host))),
        Command::Rename { name } => format!("{name:?}"),
        Command::AttachConfiguration { group } => group.to_string(),
        Command::ResetStatus { force_delete: true } => "the next delete by force".into(),
        Command::ResetStatus { force_delete: false }
        | Command::Delete
        | Command::Restart
        | Command::Stop
        | Command::EnableRoot { .. }
        | Command::DisableRoot
        | Command::DetachConfiguration
        // They are about no instance.
        | Command::CreateConfiguration(_)
        | Command::PatchConfiguration { .. }
        | Command::ReplaceConfiguration { .. }
        | Command::DeleteConfiguration
        | Command::SetQuota { .. } => String::new(),
    }
}

fn list(names: impl Iterator<Item = String>) -> String {
    names.collect::<Vec<_>>().join(", ")
}

fn outcome_of(effect: &EffectId, outcome: &Outcome) -> Happening {
    let effect = effect.clone();
    match outcome {
        Ok(produced) => Happening::EffectDone { effect, produced: told(produced) },
        Err(failure) => Happening::EffectFailed {
            effect,
            code: cut(&failure.code),
            message: cut(&failure.message),
            retryable: failure.retryable,
        },
    }
}

fn told(produced: &Produced) -> Option<String> {
    match produced {
        Produced::Nothing => None,
        Produced::Address(address) => Some(cut(&address.ip)),
        Produced::Volume { id } | Produced::Server { id } => Some(cut(id)),
        Produced::VolumeSize { size_gib } => Some(format!("{size_gib} GiB")),
        Produced::Configured { restart_required: true } => Some("the engine has to be restarted for it".into()),
        Produced::Configured { restart_required: false } => None,
    }
}

fn action(action: &Action) -> String {
    match action {
        Action::EnsureVolume { size_gib, .. } | Action::GrowVolume { size_gib } => {
            format!("{}, {size_gib} GiB", action.as_str())
        }
        Action::EnsureServer(order) => format!("{}, flavor {}", action.as_str(), order.flavor.id),
        Action::ResizeServer { flavor } => format!("{}, flavor {}", action.as_str(), flavor.id),
        _ => action.as_str().to_owned(),
    }
}

/// Events that say more than the effects beside them.
fn of_event(event: &Event) -> Option<Happening> {
    match event {
        Event::OperationStarted { operation, .. } => Some(Happening::OperationBegan { operation: operation.kind }),
        Event::QuotaCharged { charge } => Some(Happening::QuotaCharged { charge: *charge }),
        Event::QuotaRefunded { charge } => Some(Happening::QuotaRefunded { charge: *charge }),
        Event::HealthChanged { contact, engine, .. } => {
            Some(Happening::AgentChanged { contact: *contact, engine: *engine })
        }
        Event::FaultRaised { fault: Fault { message, details, .. } } => {
            Some(Happening::FaultRaised { message: cut(message), details: cut(details) })
        }
        Event::LeftBehind { step, id, reason } => {
            Some(Happening::LeftBehind { step: *step, id: id.as_deref().map(cut), reason: cut(reason) })
        }
        Event::Removed => Some(Happening::Removed),
        _ => None,
    }
}

/// Trove's words for an instance: `status` and `operating_status`.
pub fn words(instance: Option<&Instance>) -> String {
    let Some(instance) = instance else { return String::new() };
    let row = view::view(instance);
    let word = |value: Result<serde_json::Value, serde_json::Error>| {
        value.ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
    };
    let (status, operating_status) =
        (word(serde_json::to_value(row.status)), word(serde_json::to_value(row.operating_status)));
    format!("{status} {operating_status}").trim_end().to_owned()
}

fn cut(text: &str) -> String {
    text.chars().take(MAX_TEXT).map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}

/// `step #attempt` of an effect.
fn short(effect: &EffectId) -> String {
    let mut parts = effect.0.split('/').skip(1);
    let (step, attempt) = (parts.next().unwrap_or(&effect.0), parts.next().unwrap_or("1"));
    if attempt == "1" { step.to_owned() } else { format!("{step} (attempt {attempt})") }
}

/// One line for people, without the time.
impl fmt::Display for Entry {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.what {
            Happening::Accepted { verb, details, principal, request_id, .. } => {
                let details = if details.is_empty() { String::new() } else { format!(" {details}") };
                write!(formatter, "accepted: {verb}{details} (by {principal}, {request_id})")
            }
            Happening::OperationBegan { operation } => write!(formatter, "{} begins", operation.as_str()),
            Happening::EffectBegan { effect, action } => write!(formatter, "started: {} [{action}]", short(effect)),
            Happening::EffectDone { effect, produced: None } => write!(formatter, "done: {}", short(effect)),
            Happening::EffectDone { effect, produced: Some(produced) } => {
                write!(formatter, "done: {}, {produced}", short(effect))
            }
            Happening::EffectFailed { effect, code, message, retryable } => {
                let hope = if *retryable { "for now" } else { "for good" };
                write!(formatter, "failed {hope}: {}: {message} [{code}]", short(effect))
            }
            Happening::EffectDropped { effect } => write!(formatter, "no longer waited for: {}", short(effect)),
            Happening::RetrySet { wait_ms } => {
                write!(formatter, "next attempt in {}.{:03} s", wait_ms / SECOND, wait_ms % SECOND)
            }
            Happening::TimerFired { timer: TimerId::Deadline { effect } } => {
                write!(formatter, "no answer in time: {}", short(effect))
            }
            Happening::TimerFired { timer: TimerId::Retry { .. } } => formatter.write_str("time for the next attempt"),
            Happening::TimerFired { timer: TimerId::Agent { .. } } => {
                formatter.write_str("the agent has not spoken in time")
            }
            Happening::QuotaCharged { charge } => write!(formatter, "quota charged: {}", amount(charge)),
            Happening::QuotaRefunded { charge } => write!(formatter, "quota refunded: {}", amount(charge)),
            Happening::AgentChanged { contact: AgentContact::Silent, .. } => formatter.write_str("the agent is silent"),
            Happening::AgentChanged { contact: AgentContact::Heard, engine } => {
                write!(formatter, "the agent says: engine {}", format!("{engine:?}").to_lowercase())
            }
            Happening::FaultRaised { message, details } => write!(formatter, "fault: {message} ({details})"),
            Happening::LeftBehind { step, id, reason } => {
                write!(
                    formatter,
                    "left behind: {} {}: {reason}",
                    step.as_str(),
                    id.as_deref().unwrap_or("(id not known)")
                )
            }
            Happening::StatusChanged { from, to } if from.is_empty() => write!(formatter, "status: {to}"),
            Happening::StatusChanged { from, to } => write!(formatter, "status: {from} -> {to}"),
            Happening::Removed => formatter.write_str("removed: nothing is left outside"),
        }
    }
}

fn amount(charge: &Charge) -> String {
    let Charge { instances, volume_gib, memory_mib } = charge;
    let all = [(*instances, "instance"), (*volume_gib, "GiB of volume"), (*memory_mib, "MiB of memory")];
    list(all.into_iter().filter(|(number, _)| *number > 0).map(|(number, unit)| format!("{number} {unit}")))
}

//! Tasks: small jobs of the agent beside the lifecycle, each tried a few times, several side by side.

use super::{configuration, draft::Draft};
use crate::{
    ids::{CommandId, EffectId},
    instance::{
        effect::{Action, AgentOrder, AgentVerb, Effect, Failure, Outcome, TimerId},
        event::Event,
        policy,
        state::{Fault, Instance, Task, TaskKind},
        words,
    },
};

/// Starts a task under the command that asked for it.
pub fn start(draft: &mut Draft, command: CommandId, kind: TaskKind) {
    let at = draft.now();
    let task = Task { kind, started_at: at, attempt: 0, effect: None };
    draft.push(Event::TaskStarted { command, task: Box::new(task), at });
    attempt(draft, command, 1);
}

/// The wait before the next attempt is over.
pub fn retry(draft: &mut Draft, command: CommandId) {
    let waiting = draft.state().and_then(|instance| instance.tasks.get(&command)).filter(|task| task.effect.is_none());
    if let Some(number) = waiting.map(|task| task.attempt.saturating_add(1)) {
        attempt(draft, command, number);
    }
}

fn attempt(draft: &mut Draft, command: CommandId, number: u32) {
    let Some(instance) = draft.state() else { return };
    let Some(task) = instance.tasks.get(&command) else { return };
    let id = EffectId::new(command, task.kind.as_str(), number);
    let order = AgentOrder {
        server_key: instance.server_key.clone(),
        issued_at: draft.now(),
        converge: number > 1,
        verb: verb(&task.kind, instance),
    };
    let effect = Effect {
        id: id.clone(),
        tenant: instance.tenant.clone(),
        instance: instance.id,
        deadline: policy::TASK.deadline,
        action: Action::Agent(Box::new(order)),
    };
    draft.push(Event::TaskAttempted { command, attempt: number, effect: Some(id) });
    draft.dispatch(effect);
}

/// The effect of a task's attempt has ended.
pub fn attempt_ended(draft: &mut Draft, command: CommandId, effect: &EffectId, outcome: &Outcome) {
    let Some(task) = draft.state().and_then(|instance| instance.tasks.get(&command)).cloned() else { return };
    let at = draft.now();
    match outcome {
        Ok(produced) => {
            configuration::told(draft, produced);
            draft.push(Event::TaskEnded { command, succeeded: true, at });
        }
        Err(failure) if failure.retryable && task.attempt < policy::TASK.attempts => {
            let wait = policy::backoff(effect, task.attempt, failure.retry_after);
            draft.push(Event::TaskAttempted { command, attempt: task.attempt, effect: None });
            draft.set_timer(TimerId::Retry { command }, wait, 0);
        }
        Err(failure) => {
            draft.push(Event::FaultRaised { fault: fault(&task, failure, at) });
            draft.push(Event::TaskEnded { command, succeeded: false, at });
        }
    }
}

/// Withdraws what all tasks wait for: the instance is being taken down.
pub fn abandon_all(draft: &mut Draft) {
    let tasks = draft.state().map(|instance| instance.tasks.clone()).unwrap_or_default();
    for (command, task) in tasks {
        match task.effect {
            Some(effect) => draft.settle(&effect),
            None => draft.cancel_timer(TimerId::Retry { command }),
        }
    }
}

fn verb(kind: &TaskKind, instance: &Instance) -> AgentVerb {
    match kind.clone() {
        TaskKind::CreateDatabases { databases } => AgentVerb::CreateDatabases { databases },
        TaskKind::DropDatabase { name } => AgentVerb::DropDatabase { name },
        TaskKind::CreateUsers { users } => AgentVerb::CreateUsers { users },
        TaskKind::DropUser { user } => AgentVerb::DropUser { user },
        TaskKind::EnableRoot { password, user: _ } => AgentVerb::EnableRoot { password },
        TaskKind::DisableRoot => AgentVerb::DisableRoot,
        TaskKind::Grant { user, databases } => AgentVerb::Grant { user, databases },
        TaskKind::Revoke { user, database } => AgentVerb::Revoke { user, database },
        TaskKind::ChangeUser { user, change } => AgentVerb::ChangeUser { user, change },
        TaskKind::ChangePasswords { users } => AgentVerb::ChangePasswords { users },
        TaskKind::Configure { .. } => configuration::verb(instance),
    }
}

fn fault(task: &Task, failure: &Failure, at: crate::time::Timestamp) -> Fault {
    let name = task.kind.as_str();
    Fault {
        message: words::task_failed(&task.kind, failure),
        at,
        details: format!("{name} attempt {}: {} [{}]", task.attempt, failure.message, failure.code),
    }
}

impl TaskKind {
    /// Stable name: it is part of effect ids.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::CreateDatabases { .. } => "create_databases",
            Self::DropDatabase { .. } => "drop_database",
            Self::CreateUsers { .. } => "create_users",
            Self::DropUser { .. } => "drop_user",
            Self::EnableRoot { .. } => "enable_root",
            Self::DisableRoot => "disable_root",
            Self::Grant { .. } => "grant",
            Self::Revoke { .. } => "revoke",
            Self::ChangeUser { .. } => "change_user",
            Self::ChangePasswords { .. } => "change_passwords",
            Self::Configure { .. } => "configure",
        }
    }
}

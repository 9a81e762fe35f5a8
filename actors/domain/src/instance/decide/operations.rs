//! Operations: workflows of steps, with retries, and a teardown that takes back what a failed create has made.

use coffer_protocol::report::EngineState;

use super::{configuration, draft::Draft, repair, resize};
use crate::{
    command::Envelope,
    ids::{CommandId, EffectId},
    instance::{
        effect::{Action, AgentOrder, AgentVerb, Effect, Failure, Outcome, ServerOrder, TimerId},
        event::Event,
        policy,
        state::{AgentContact, Fault, FirstContents, Instance, Operation, OperationKind, Waiting},
        words,
        workflow::Step,
    },
};

/// The operation that a command asks for, before its first step is started.
pub fn operation(kind: OperationKind, envelope: &Envelope, first_contents: FirstContents) -> Operation {
    Operation {
        kind,
        command: envelope.command_id,
        request_id: envelope.request_id.clone(),
        started_at: envelope.issued_at,
        step: kind.steps()[0],
        attempt: 1,
        waiting: Waiting::Backoff,
        first_contents,
        because: None,
    }
}

/// Starts an operation in place of whatever runs. A teardown first lets an outside call under way come to its end.
pub fn start(draft: &mut Draft, mut operation: Operation) {
    let interrupted = draft.state().and_then(|instance| instance.operation.clone());
    operation.started_at = draft.now();
    let kind = operation.kind;
    if matches!(kind, OperationKind::Delete | OperationKind::CleanUp) {
        super::tasks::abandon_all(draft);
    }
    let at = draft.now();
    draft.push(Event::OperationStarted { operation: Box::new(operation), at });
    match interrupted {
        Some(old) => interrupt(draft, &old, kind),
        None => start_first_step(draft, kind),
    }
}

/// Ends what the interrupted operation waits for, or waits for it in its place.
fn interrupt(draft: &mut Draft, old: &Operation, kind: OperationKind) {
    match &old.waiting {
        Waiting::Effect { effect } if old.step.is_outside_call() => {
            // The effect and its timer stay: either ends the step.
            let waiting = Waiting::Effect { effect: effect.clone() };
            draft.push(Event::StepStarted { step: Step::Settle, attempt: 1, waiting });
            return;
        }
        Waiting::Effect { effect } => draft.settle(effect),
        Waiting::Backoff => draft.cancel_timer(TimerId::Retry { command: old.command }),
        Waiting::Agent => draft.cancel_timer(TimerId::Agent { command: old.command }),
    }
    start_first_step(draft, kind);
}

pub(super) fn start_first_step(draft: &mut Draft, kind: OperationKind) {
    let first = kind.steps().iter().copied().find(|step| *step != Step::Settle);
    match first {
        Some(step) => start_step(draft, step, 1),
        None => end(draft),
    }
}

/// Nothing was there to wait for.
fn end(draft: &mut Draft) {
    if let Some(operation) = draft.state().and_then(|instance| instance.operation.clone()) {
        finish(draft, &operation);
    }
}

pub(super) fn start_step(draft: &mut Draft, step: Step, attempt: u32) {
    let Some(instance) = draft.state() else { return };
    let Some(command) = instance.operation.as_ref().map(|operation| operation.command) else { return };
    let deadline = policy::of(step).deadline;
    if step == Step::AwaitAgent {
        draft.push(Event::StepStarted { step, attempt, waiting: Waiting::Agent });
        draft.set_timer(TimerId::Agent { command }, deadline, deadline);
        return;
    }
    let Some(action) = action(instance, step, attempt, draft.now()) else {
        fail_without_order(draft, step);
        return;
    };
    let id = EffectId::new(command, step.as_str(), attempt);
    let (tenant, instance) = (instance.tenant.clone(), instance.id);
    draft.push(Event::StepStarted { step, attempt, waiting: Waiting::Effect { effect: id.clone() } });
    draft.dispatch(Effect { id, tenant, instance, deadline, action });
}

/// A step before this one has not told what it made: a connector broke its contract.
fn fail_without_order(draft: &mut Draft, step: Step) {
    let Some(operation) = draft.state().and_then(|instance| instance.operation.clone()) else { return };
    let failure = Failure {
        retryable: false,
        code: "incomplete".into(),
        message: format!("an earlier step did not tell what {} needs", step.as_str()),
        retry_after: None,
    };
    fail(draft, &operation, &failure);
}

/// What a step does outside; nothing where it has nothing to do or lacks what an earlier one should have told.
fn action(instance: &Instance, step: Step, attempt: u32, now: crate::time::Timestamp) -> Option<Action> {
    let agent = |verb| {
        Action::Agent(Box::new(AgentOrder {
            server_key: instance.server_key.clone(),
            issued_at: now,
            converge: attempt > 1,
            verb,
        }))
    };
    match step {
        Step::Settle | Step::AwaitAgent => None,
        Step::EnsureAddress => Some(Action::EnsureAddress),
        Step::EnsureVolume => {
            Some(Action::EnsureVolume { size_gib: instance.volume_gib, volume_type: instance.volume_type.clone() })
        }
        Step::EnsureServer => Some(Action::EnsureServer(Box::new(ServerOrder {
            flavor: instance.flavor.clone(),
            address: instance.resources.address.clone()?,
            volume: instance.resources.volume.clone()?,
            server_key: instance.server_key.clone(),
            manager: instance.datastore.manager.clone(),
        }))),
        Step::PrepareDatabase => {
            let contents = &instance.operation.as_ref()?.first_contents;
            Some(agent(AgentVerb::Prepare {
                datastore_version: instance.datastore.version_number.clone(),
                memory_mib: instance.flavor.memory_mib,
                vcpus: instance.flavor.vcpus,
                volume_gib: instance.volume_gib,
                databases: contents.databases.clone(),
                users: contents.users.clone(),
                values: configuration::engine_words(instance),
            }))
        }
        Step::RestartEngine => Some(agent(AgentVerb::Restart)),
        Step::StopEngine => Some(agent(AgentVerb::Stop)),
        Step::GrowVolume => Some(Action::GrowVolume { size_gib: instance.wanted_volume_gib() }),
        Step::MeasureVolume => Some(Action::MeasureVolume),
        Step::GrowFilesystem => Some(agent(AgentVerb::GrowVolume { volume_gib: instance.volume_gib })),
        Step::ResizeServer => Some(Action::ResizeServer { flavor: instance.wanted_flavor().clone() }),
        Step::ResizeEngine => Some(agent(resize::engine(instance.wanted_flavor()))),
        Step::RestoreServer => Some(Action::ResizeServer { flavor: instance.flavor.clone() }),
        Step::RestoreEngine => Some(agent(resize::engine(&instance.flavor))),
        Step::DeleteServer => Some(Action::DeleteServer),
        Step::DeleteVolume => Some(Action::DeleteVolume),
        Step::ReleaseAddress => Some(Action::ReleaseAddress),
    }
}

/// The effect that the current step waits for has ended.
pub fn step_ended(draft: &mut Draft, effect: &EffectId, outcome: &Outcome) {
    let Some(operation) = draft.state().and_then(|instance| instance.operation.clone()) else { return };
    match outcome {
        // What the interrupted effect came to does not matter: the teardown asks by name.
        _ if operation.step == Step::Settle => next_step(draft, &operation),
        Ok(produced) if operation.step == Step::MeasureVolume => resize::volume_measured(draft, &operation, produced),
        Ok(produced) => {
            resize::step_done(draft, operation.step);
            if *produced != crate::instance::effect::Produced::Nothing {
                draft.push(Event::Learnt { produced: produced.clone() });
            }
            if matches!(operation.step, Step::DeleteServer | Step::DeleteVolume | Step::ReleaseAddress) {
                draft.push(Event::Freed { step: operation.step });
            }
            next_step(draft, &operation);
        }
        Err(failure) if may_retry(draft, &operation, failure) => {
            let wait = policy::backoff(effect, operation.attempt, failure.retry_after);
            draft.push(Event::StepDelayed { failure: describe(&operation, failure) });
            draft.set_timer(TimerId::Retry { command: operation.command }, wait, 0);
        }
        Err(failure) if is_forced(draft, &operation) => repair::leave_behind(draft, &operation, failure),
        Err(failure) => fail(draft, &operation, failure),
    }
}

/// An undo goes on whatever it meets, as long as it has attempts: what a teardown leaves would belong to nobody.
fn may_retry(draft: &Draft, operation: &Operation, failure: &Failure) -> bool {
    let attempts = policy::of(operation.step).attempts;
    let attempts = if is_forced(draft, operation) { attempts.min(policy::FORCED_ATTEMPTS) } else { attempts };
    (failure.retryable || operation.kind.is_undo()) && operation.attempt < attempts
}

fn is_forced(draft: &Draft, operation: &Operation) -> bool {
    operation.kind == OperationKind::Delete && draft.state().is_some_and(|instance| instance.delete_is_forced)
}

/// The wait before the next attempt is over.
pub fn retry(draft: &mut Draft, command: CommandId) {
    let Some(operation) = draft.state().and_then(|instance| instance.operation.clone()) else { return };
    if operation.command == command && operation.waiting == Waiting::Backoff {
        start_step(draft, operation.step, operation.attempt.saturating_add(1));
    }
}

/// The agent has spoken for the first time.
pub fn agent_spoke(draft: &mut Draft) {
    let Some(operation) = draft.state().and_then(|instance| instance.operation.clone()) else { return };
    if operation.waiting == Waiting::Agent {
        draft.cancel_timer(TimerId::Agent { command: operation.command });
        next_step(draft, &operation);
    }
}

/// The agent has not spoken in time.
pub fn agent_missing(draft: &mut Draft, command: CommandId) {
    let Some(operation) = draft.state().and_then(|instance| instance.operation.clone()) else { return };
    if operation.command == command && operation.waiting == Waiting::Agent {
        let failure = Failure {
            retryable: false,
            code: "agent_missing".into(),
            message: "the guest agent did not report in time".into(),
            retry_after: None,
        };
        fail(draft, &operation, &failure);
    }
}

/// What a deadline says when it passes without an outcome.
pub fn deadline_passed() -> Failure {
    Failure {
        retryable: true,
        code: "deadline".into(),
        message: "there was no answer in time".into(),
        retry_after: None,
    }
}

pub(super) fn next_step(draft: &mut Draft, operation: &Operation) {
    let heard = draft.state().is_some_and(|instance| instance.health.contact == AgentContact::Heard);
    let next = match operation.kind.after(operation.step) {
        // Its first word came before its server was reported ready; the next one may bring nothing new and never come.
        Some(Step::AwaitAgent) if heard => operation.kind.after(Step::AwaitAgent),
        next => next,
    };
    match next {
        Some(step) => start_step(draft, step, 1),
        None => finish(draft, operation),
    }
}

pub(super) fn finish(draft: &mut Draft, operation: &Operation) {
    let at = draft.now();
    if operation.kind == OperationKind::Delete {
        if let Some(charge) = draft.state().map(Instance::charge) {
            draft.push(Event::QuotaRefunded { charge });
        }
        draft.push(Event::Removed);
        return;
    }
    resize::finished(draft, operation);
    let starts_engine = matches!(
        operation.kind,
        OperationKind::Create | OperationKind::Restart | OperationKind::ResizeFlavor | OperationKind::UndoResizeFlavor
    );
    // The agent's last word was that the engine is up, or down; its heartbeat may come after.
    let engine = match operation.kind {
        _ if starts_engine => Some(EngineState::Running),
        OperationKind::Stop => Some(EngineState::Stopped),
        _ => None,
    };
    if starts_engine {
        configuration::restart_required(draft, false);
    }
    if let Some(engine) = engine {
        let contact = AgentContact::Heard;
        if draft.state().is_some_and(|instance| (instance.health.contact, instance.health.engine) != (contact, engine))
        {
            draft.push(Event::HealthChanged { contact, engine, at });
        }
    }
    let broken = match operation.kind {
        OperationKind::Reset => draft.state().is_some_and(|instance| instance.broken),
        kind => kind == OperationKind::CleanUp,
    };
    draft.push(Event::OperationEnded { broken, at });
}

pub(super) fn fail(draft: &mut Draft, operation: &Operation, failure: &Failure) {
    let at = draft.now();
    let message = match operation.kind {
        // It asks for nothing: there is nothing that could fail.
        OperationKind::Reset => return end(draft),
        OperationKind::ResizeVolume
        | OperationKind::ResizeFlavor
        | OperationKind::UndoResizeVolume
        | OperationKind::UndoResizeFlavor => return resize::failed(draft, operation, failure),
        _ => words::operation_failed(operation, failure),
    };
    let mut details = describe(operation, failure);
    // Why the create failed still matters when its clean-up fails too.
    if let Some(first) = draft.state().and_then(|instance| instance.fault.as_ref())
        && operation.kind == OperationKind::CleanUp
    {
        details = format!("{details}; before that: {}", first.details);
    }
    draft.push(Event::FaultRaised { fault: Fault { message, at, details } });
    match operation.kind {
        OperationKind::Create => {
            let clean_up = Operation {
                kind: OperationKind::CleanUp,
                step: OperationKind::CleanUp.steps()[0],
                attempt: 1,
                waiting: Waiting::Backoff,
                first_contents: FirstContents::default(),
                ..operation.clone()
            };
            draft.push(Event::OperationStarted { operation: Box::new(clean_up), at });
            start_first_step(draft, OperationKind::CleanUp);
        }
        OperationKind::Restart | OperationKind::Reset => {
            configuration::not_started_with(draft, failure);
            draft.push(Event::OperationEnded { broken: false, at });
        }
        OperationKind::Stop => draft.push(Event::OperationEnded { broken: false, at }),
        // A resize was seen to above.
        _ => draft.push(Event::OperationEnded { broken: true, at }),
    }
}

pub(super) fn describe(operation: &Operation, failure: &Failure) -> String {
    format!(
        "{} {} attempt {}: {} [{}]",
        operation.kind.as_str(),
        operation.step.as_str(),
        operation.attempt,
        failure.message,
        failure.code
    )
}

//! Resizes: another flavor, a larger volume.
//!
//! The quota holds the larger of both sizes from the command on until one of them is known to be true. A flavor that
//! cannot be had is taken back; a volume cannot shrink, so after a failed growth it is measured, and what is there
//! counts. When that fails too, the instance stays in use with a fault: outside is one size or the other, and the next
//! resize makes it clear.

use super::{Context, commands, draft::Draft, operations};
use crate::{
    catalogue::Flavor,
    command::Envelope,
    instance::{
        effect::{AgentVerb, Failure, Produced},
        event::Event,
        state::{Fault, FirstContents, Instance, Operation, OperationKind, Resize, Waiting},
        words,
        workflow::Step,
    },
    quota::Charge,
    rejection::Rejection,
};

/// Orders a larger volume.
pub fn volume(
    draft: &mut Draft,
    instance: &Instance,
    envelope: &Envelope,
    volume_gib: u32,
    context: &Context<'_>,
) -> Result<(), Rejection> {
    commands::check_volume(volume_gib, context)?;
    if volume_gib <= instance.volume_gib {
        let size = instance.volume_gib;
        return Err(Rejection::invalid(format!(
            "The new volume 'size' must be larger than the current volume size of '{size}'."
        )));
    }
    commands::check_reachable(instance)?;
    // A provider grants a smaller size than what is there, and nobody would hear of the larger one any more.
    if let Some(in_doubt) = instance.resize.volume_gib.filter(|in_doubt| volume_gib < *in_doubt) {
        return Err(Rejection::invalid(format!(
            "The volume may have '{in_doubt}' already, since it is not known how its last resize ended: the new volume \
             'size' must not be smaller."
        )));
    }
    let resize = Resize { volume_gib: Some(volume_gib), ..instance.resize.clone() };
    start(draft, instance, envelope, OperationKind::ResizeVolume, resize, context)
}

/// Orders another flavor.
pub fn flavor(
    draft: &mut Draft,
    instance: &Instance,
    envelope: &Envelope,
    flavor: &str,
    context: &Context<'_>,
) -> Result<(), Rejection> {
    let wanted = context
        .catalogue
        .flavor(flavor)
        .ok_or_else(|| Rejection::invalid(format!("Resource {flavor} cannot be found.")))?;
    // After a resize that came to no good end, the same flavor is a wish too.
    if wanted.id == instance.flavor.id && instance.resize.flavor.is_none() {
        return Err(Rejection::invalid(format!(
            "The new flavor id must be different than the current flavor id of '{flavor}'."
        )));
    }
    let resize = Resize { flavor: Some(wanted.clone()), ..instance.resize.clone() };
    start(draft, instance, envelope, OperationKind::ResizeFlavor, resize, context)
}

fn start(
    draft: &mut Draft,
    instance: &Instance,
    envelope: &Envelope,
    kind: OperationKind,
    resize: Resize,
    context: &Context<'_>,
) -> Result<(), Rejection> {
    commands::check_reachable(instance)?;
    let larger = Instance { resize: resize.clone(), ..instance.clone() };
    context.usage.admit(larger.charge().beyond(instance.charge()), context.limits)?;
    push(draft, Event::ResizeWanted { resize });
    operations::start(draft, operations::operation(kind, envelope, FirstContents::default()));
    Ok(())
}

/// What the agent is told of a flavor.
pub fn engine(flavor: &Flavor) -> AgentVerb {
    AgentVerb::Resize { memory_mib: flavor.memory_mib, vcpus: flavor.vcpus }
}

/// A step has come to its good end.
pub fn step_done(draft: &mut Draft, step: Step) {
    // From here on there is no way back: the volume is larger, whatever the agent makes of it.
    if step == Step::GrowVolume
        && let Some(volume_gib) = draft.state().map(Instance::wanted_volume_gib)
    {
        push(draft, Event::VolumeSized { volume_gib });
    }
}

/// The operation has come to its good end.
pub fn finished(draft: &mut Draft, operation: &Operation) {
    let Some(instance) = draft.state() else { return };
    match operation.kind {
        OperationKind::ResizeFlavor => {
            let flavor = instance.wanted_flavor().clone();
            push(draft, Event::FlavorSet { flavor });
        }
        OperationKind::UndoResizeFlavor => {
            let flavor = instance.flavor.clone();
            push(draft, Event::FlavorSet { flavor });
            raise_cause(draft, operation);
        }
        _ => {}
    }
}

/// After a failed growth: the volume's true size is known.
pub fn volume_measured(draft: &mut Draft, operation: &Operation, produced: &Produced) {
    let Some(instance) = draft.state() else { return };
    let Produced::VolumeSize { size_gib } = produced else {
        let failure = Failure {
            retryable: false,
            code: "incomplete".into(),
            message: "the volume's size was not told".into(),
            retry_after: None,
        };
        return operations::fail(draft, operation, &failure);
    };
    let wanted = instance.wanted_volume_gib();
    let volume_gib = (*size_gib).clamp(instance.volume_gib, wanted);
    push(draft, Event::VolumeSized { volume_gib });
    let at = draft.now();
    if volume_gib == wanted {
        // It was carried out after all.
        let resumed = Operation { kind: OperationKind::ResizeVolume, because: None, ..operation.clone() };
        draft.push(Event::OperationStarted { operation: Box::new(resumed), at });
        operations::start_step(draft, Step::GrowFilesystem, 1);
        return;
    }
    raise_cause(draft, operation);
    draft.push(Event::OperationEnded { broken: false, at });
}

/// A step has failed for good.
pub fn failed(draft: &mut Draft, operation: &Operation, failure: &Failure) {
    let at = draft.now();
    let message = words::operation_failed(operation, failure);
    let undo = match (operation.kind, operation.step) {
        (OperationKind::ResizeVolume, Step::GrowVolume) => Some(OperationKind::UndoResizeVolume),
        (OperationKind::ResizeFlavor, _) => Some(OperationKind::UndoResizeFlavor),
        _ => None,
    };
    let mut details = operations::describe(operation, failure);
    if let Some(cause) = &operation.because {
        details = format!("{details}; before that: {}", cause.details);
    }
    let fault = Fault { message, at, details };
    let Some(kind) = undo else {
        draft.push(Event::FaultRaised { fault });
        draft.push(Event::OperationEnded { broken: false, at });
        return;
    };
    let back = Operation {
        kind,
        step: kind.steps()[0],
        attempt: 1,
        waiting: Waiting::Backoff,
        because: Some(fault),
        ..operation.clone()
    };
    draft.push(Event::OperationStarted { operation: Box::new(back), at });
    operations::start_first_step(draft, kind);
}

fn raise_cause(draft: &mut Draft, operation: &Operation) {
    if let Some(fault) = operation.because.clone() {
        draft.push(Event::FaultRaised { fault });
    }
}

/// Pushes an event together with what it changes about the tenant's quota.
fn push(draft: &mut Draft, event: Event) {
    let charge = |draft: &Draft| draft.state().map(Instance::charge).unwrap_or_default();
    let before = charge(draft);
    draft.push(event);
    let after = charge(draft);
    let (more, less) = (after.beyond(before), before.beyond(after));
    if more != Charge::default() {
        draft.push(Event::QuotaCharged { charge: more });
    }
    if less != Charge::default() {
        draft.push(Event::QuotaRefunded { charge: less });
    }
}

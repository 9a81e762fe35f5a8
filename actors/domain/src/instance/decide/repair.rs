//! Repairs: giving up on what an instance is doing, and deleting one that does not let itself be deleted.
//!
//! Nothing outside is orphaned without a word: what was under way is waited for before anything is taken away, and what
//! a forced delete cannot take away is named in an event. See `ops/docs/adr/0010-reset-and-force.md`.

use super::{draft::Draft, operations};
use crate::{
    command::Envelope,
    instance::{
        effect::Failure,
        event::Event,
        state::{Fault, FirstContents, Instance, Operation, OperationKind, ResourceAddress},
        workflow::Step,
    },
};

/// Gives up on the running operation. An instance that was only being looked after stays in use; one that was being
/// made or taken down is left in ERROR, and its next delete is a forced one.
pub fn reset(draft: &mut Draft, instance: &Instance, envelope: &Envelope, force_delete: bool) {
    let abandoned = instance.operation.as_ref().filter(|operation| operation.kind != OperationKind::Reset);
    let broken = abandoned.map_or(instance.broken, |operation| !operation.kind.is_upkeep());
    let delete_is_forced = instance.delete_is_forced || force_delete || broken;
    draft.push_if_changing(Event::StatusReset { broken, delete_is_forced });
    if let Some(operation) = abandoned {
        draft.push(Event::FaultRaised { fault: fault(operation, draft.now()) });
        operations::start(draft, operations::operation(OperationKind::Reset, envelope, FirstContents::default()));
    }
}

fn fault(abandoned: &Operation, at: crate::time::Timestamp) -> Fault {
    let message = match abandoned.kind {
        OperationKind::Create => "The status was reset during the create. The instance cannot be used: delete it.",
        OperationKind::CleanUp => {
            "The status was reset while what a failed create had left was being taken away. Delete the instance."
        }
        OperationKind::Delete => "The status was reset during the delete, which can be asked for again.",
        OperationKind::Restart | OperationKind::Reset => {
            "The status was reset during the restart, which may still be carried out."
        }
        OperationKind::Stop => "The status was reset during the stop, which may still be carried out.",
        OperationKind::ResizeVolume
        | OperationKind::ResizeFlavor
        | OperationKind::UndoResizeVolume
        | OperationKind::UndoResizeFlavor => {
            "The status was reset during the resize: the size may be the old or the new one. Ask for it again."
        }
    };
    let (kind, step, attempt) = (abandoned.kind.as_str(), abandoned.step.as_str(), abandoned.attempt);
    Fault { message: message.into(), at, details: format!("{kind} {step} attempt {attempt}: given up on [reset]") }
}

/// A step of a forced delete has failed for the last time: the delete goes on without it.
pub fn leave_behind(draft: &mut Draft, operation: &Operation, failure: &Failure) {
    tell(draft, operation.step, operations::describe(operation, failure));
    if operation.step != Step::DeleteServer {
        return operations::next_step(draft, operation);
    }
    // The server may still run: what it runs on is not pulled away below it, and its address not given to another.
    for step in [Step::DeleteVolume, Step::ReleaseAddress] {
        tell(draft, step, "the server that may still use it could not be deleted".into());
    }
    operations::finish(draft, operation);
}

fn tell(draft: &mut Draft, step: Step, reason: String) {
    let Some(instance) = draft.state() else { return };
    let resources = &instance.resources;
    let id = match step {
        Step::DeleteServer => resources.server.clone(),
        Step::DeleteVolume => resources.volume.clone(),
        Step::ReleaseAddress => resources.address.as_ref().map(|ResourceAddress { ip, .. }| ip.clone()),
        _ => None,
    };
    draft.push(Event::LeftBehind { step, id, reason });
}

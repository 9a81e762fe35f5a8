//! Which operations begin and end in a decision, and how those end.

use coffer_domain::{
    ids::{InstanceId, TenantId},
    instance::{Event, Instance, state::OperationKind},
    time::Timestamp,
};

use crate::telemetry::{Ending, OperationEnded, OperationStarted};

/// The operations that a decision ends and starts, in order.
pub fn passed(
    tenant: &TenantId,
    instance: InstanceId,
    before: Option<&Instance>,
    events: &[Event],
    now: Timestamp,
) -> (Vec<OperationEnded>, Vec<OperationStarted>) {
    let (mut ended, mut all_started) = (Vec::new(), Vec::new());
    let mut running = before.and_then(|instance| instance.operation.clone());
    let mut course = Course::default();
    for event in events {
        let (ending, started) = match event {
            Event::Created { instance } => (Ending::Ok, instance.operation.clone()),
            Event::OperationStarted { operation, .. } => (replaced_by(operation.kind), Some((**operation).clone())),
            Event::OperationEnded { broken, .. } => {
                let kind = running.as_ref().map(|operation| operation.kind);
                (kind.map_or(Ending::Ok, |kind| course.ending(kind, *broken)), None)
            }
            Event::Removed => (Ending::Ok, None),
            event => {
                course.see(event);
                continue;
            }
        };
        if let Some(operation) = running.take() {
            ended.push(OperationEnded::of(tenant, instance, &operation, ending, now));
        }
        if let Some(operation) = &started {
            all_started.push(OperationStarted {
                tenant: tenant.clone(),
                instance,
                operation: operation.kind.as_str(),
                request_id: operation.request_id.clone(),
            });
        }
        running = started;
        course = Course::default();
    }
    (ended, all_started)
}

/// What an operation that gives way to another one has come to.
fn replaced_by(next: OperationKind) -> Ending {
    match next {
        OperationKind::CleanUp | OperationKind::UndoResizeVolume | OperationKind::UndoResizeFlavor => Ending::Failed,
        _ => Ending::Replaced,
    }
}

/// What a decision says of the running operation before it ends it.
#[derive(Default)]
struct Course {
    is_faulted: bool,
    /// The instance's size is known again.
    is_sized: bool,
}

impl Course {
    fn see(&mut self, event: &Event) {
        match event {
            Event::FaultRaised { .. } => self.is_faulted = true,
            Event::VolumeSized { .. } | Event::FlavorSet { .. } => self.is_sized = true,
            _ => {}
        }
    }

    fn ending(&self, kind: OperationKind, broken: bool) -> Ending {
        match kind {
            // A resize's undo ends with the resize's own fault: what tells its good end is the size.
            OperationKind::UndoResizeVolume | OperationKind::UndoResizeFlavor if self.is_sized => Ending::Undone,
            OperationKind::CleanUp if !self.is_faulted => Ending::Undone,
            _ if broken => Ending::Broken,
            _ if self.is_faulted => Ending::Failed,
            _ => Ending::Ok,
        }
    }
}

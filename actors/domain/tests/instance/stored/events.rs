//! Events.

use coffer_domain::{
    instance::{
        Event,
        effect::Produced,
        state::{AgentContact, Resize, Task, TaskKind, Waiting},
        workflow::Step,
    },
    quota::Charge,
    time::SECOND,
};
use coffer_protocol::report::EngineState;

use super::{effect_id, inventory, rows};
use crate::support::{
    golden::Samples,
    samples::{START, address, command_id, large_flavor},
};

/// One of each. The match stops compiling when an event is added: give it a sample.
fn events() -> Vec<Event> {
    let charge = Charge { instances: 1, volume_gib: 2, memory_mib: 512 };
    let at = START + 5 * SECOND;
    let command = command_id(2);
    let task = Task { kind: TaskKind::DropDatabase { name: "stock".into() }, started_at: at, attempt: 0, effect: None };
    let samples = vec![
        Event::Created { instance: Box::new(rows::ordered()) },
        Event::QuotaCharged { charge },
        Event::QuotaRefunded { charge },
        Event::ResizeWanted { resize: Resize { flavor: None, volume_gib: Some(3) } },
        Event::VolumeSized { volume_gib: 3 },
        Event::FlavorSet { flavor: large_flavor() },
        Event::OperationStarted { operation: Box::new(rows::operation()), at },
        Event::StepStarted { step: Step::EnsureVolume, attempt: 2, waiting: Waiting::Effect { effect: effect_id() } },
        Event::StepDelayed { failure: rows::fault().details },
        Event::Learnt { produced: Produced::Address(address()) },
        Event::Freed { step: Step::ReleaseAddress },
        Event::FaultRaised { fault: rows::fault() },
        Event::Renamed { name: "sales-db".into(), at },
        Event::StatusReset { broken: true, delete_is_forced: true },
        Event::LeftBehind {
            step: Step::DeleteVolume,
            id: Some("volume-1".into()),
            reason: "delete delete_volume attempt 3: the host does not answer [local.unavailable]".into(),
        },
        Event::OperationEnded { broken: true, at },
        Event::TaskStarted { command, task: Box::new(task), at },
        Event::TaskAttempted { command, attempt: 2, effect: Some(effect_id()) },
        Event::TaskEnded { command, succeeded: true, at },
        Event::HealthChanged { contact: AgentContact::Heard, engine: EngineState::Running, at },
        Event::GaugesTaken { volume_used_bytes: Some(167_772_160), at },
        Event::InventoryTaken { inventory: inventory() },
        Event::ConfigurationWanted { configuration: Box::new(rows::configuration()), at },
        Event::RestartRequired { required: true },
        Event::Removed,
    ];
    for sample in &samples {
        match sample {
            Event::Created { .. }
            | Event::QuotaCharged { .. }
            | Event::QuotaRefunded { .. }
            | Event::ResizeWanted { .. }
            | Event::VolumeSized { .. }
            | Event::FlavorSet { .. }
            | Event::OperationStarted { .. }
            | Event::StepStarted { .. }
            | Event::StepDelayed { .. }
            | Event::Learnt { .. }
            | Event::Freed { .. }
            | Event::FaultRaised { .. }
            | Event::Renamed { .. }
            | Event::StatusReset { .. }
            | Event::LeftBehind { .. }
            | Event::OperationEnded { .. }
            | Event::TaskStarted { .. }
            | Event::TaskAttempted { .. }
            | Event::TaskEnded { .. }
            | Event::HealthChanged { .. }
            | Event::GaugesTaken { .. }
            | Event::InventoryTaken { .. }
            | Event::ConfigurationWanted { .. }
            | Event::RestartRequired { .. }
            | Event::Removed => {}
        }
    }
    samples
}

#[test]
fn events_stand_in_the_journal() {
    let mut samples: Vec<_> = events().into_iter().map(|event| (event.name(), event)).collect();
    let waits = |waiting| Event::StepStarted { step: Step::AwaitAgent, attempt: 1, waiting };
    samples.push(("step_started, for the agent", waits(Waiting::Agent)));
    samples.push(("step_started, to wait", waits(Waiting::Backoff)));
    Samples(samples).check("events.json");
}

#[test]
fn an_event_is_stored_under_its_name() {
    for event in events() {
        assert_eq!(serde_json::to_value(&event).unwrap()["event"], event.name());
    }
}

//! Stored rows: reading arbitrary bytes never panics, what reads is written back the same, and whatever state can be
//! read can be decided on.
//!
//! An input is a row and, each on a line of its own, what happens to it.

use std::fmt::Debug;

use coffer_domain::{
    catalogue::{Catalogue, Datastore, DatastoreVersion, Flavor},
    command::Envelope,
    ids::{EffectId, InstanceId, TenantId},
    instance::{
        Context, Event, Input, Instance, decide,
        effect::{Effect, Observation, Outcome, Timer, TimerId},
        evolve,
        journal::{self, Entry},
        shown::{self, Shown},
        state::Waiting,
        view,
    },
    quota::{Limits, Usage},
    time::Timestamp,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use uuid::Uuid;

/// The codec of the store, without the store.
#[path = "../../../actors/runtime/src/store/rows.rs"]
mod codec;

/// As the runtime stores a timer.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct OwnedTimer {
    tenant: TenantId,
    instance: InstanceId,
    timer: Timer,
}

/// What happens to a row. An empty effect is the one that is waited for; a command is always for this instance.
#[derive(Deserialize)]
#[serde(tag = "happens", rename_all = "snake_case")]
enum Happening {
    Command { envelope: Box<Envelope> },
    Outcome { effect: EffectId, outcome: Outcome },
    Timer { timer: TimerId },
    Observed { observation: Observation },
    Event { event: Event },
}

pub fn check(data: &[u8]) {
    let mut lines = data.split(|byte| *byte == b'\n');
    let row = lines.next().unwrap_or_default();
    let _ = Shown::read(data);
    row_round_trip::<Effect>(row);
    row_round_trip::<OwnedTimer>(row);
    row_round_trip::<codec::AcceptedRow>(row);
    row_round_trip::<codec::JournalRow>(row);
    row_round_trip::<codec::RemovedRow>(row);
    row_round_trip::<codec::LastRow>(row);
    row_round_trip::<codec::OwnerRow>(row);
    row_round_trip::<Entry>(row);
    row_round_trip::<u64>(row);
    let usage = row_round_trip::<Usage>(row).unwrap_or_default();
    let mut state = row_round_trip::<Instance>(row);
    for line in lines.take(16) {
        crate::round_trip::<Envelope>(line);
        crate::round_trip::<Event>(line);
        if let Ok(happening) = serde_json::from_slice(line) {
            state = live(state, happening, usage);
        }
    }
}

fn row_round_trip<T: DeserializeOwned + Serialize + PartialEq + Debug>(bytes: &[u8]) -> Option<T> {
    let row: T = codec::decode(bytes).ok()?;
    assert_eq!(codec::decode(&codec::encode(&row)).as_ref(), Ok(&row));
    Some(row)
}

/// Decides what happens, and takes over what follows from it.
fn live(state: Option<Instance>, happening: Happening, usage: Usage) -> Option<Instance> {
    let input = match happening {
        Happening::Event { event } => return evolved(state, &event),
        Happening::Command { mut envelope } => {
            if let Some(instance) = &state {
                (envelope.instance, envelope.tenant) = (instance.id, instance.tenant.clone());
            }
            Input::Command(envelope)
        }
        Happening::Outcome { effect, outcome } => {
            let awaited = state.as_ref().and_then(awaited).filter(|_| effect.0.is_empty());
            Input::Outcome { effect: awaited.unwrap_or(effect), outcome }
        }
        Happening::Timer { timer: TimerId::Deadline { effect } } if effect.0.is_empty() => {
            Input::Timer(TimerId::Deadline { effect: state.as_ref().and_then(awaited).unwrap_or(effect) })
        }
        Happening::Timer { timer } => Input::Timer(timer),
        Happening::Observed { observation } => Input::Observed(observation),
    };
    let (catalogue, limits) = (catalogue(), Limits::default());
    let context =
        Context { now: Timestamp(1_767_323_045_678), catalogue: &catalogue, usage, limits: &limits, group: None };
    let decided = decide(state.as_ref(), &input, &context);
    assert_eq!(decided, decide(state.as_ref(), &input, &context), "the same input decides the same");
    let Ok(decision) = decided else { return state };
    let after = decision.events.iter().fold(state.clone(), evolved);
    for entry in journal::entries(&input, &decision, state.as_ref(), after.as_ref(), context.now) {
        assert!(!entry.to_string().contains('\n'), "an entry is one line");
        assert_eq!(codec::decode(&codec::encode(&entry)).as_ref(), Ok(&entry));
    }
    after
}

fn evolved(state: Option<Instance>, event: &Event) -> Option<Instance> {
    let after = evolve(state, event);
    if let Some(instance) = &after {
        assert_eq!(codec::decode(&codec::encode(instance)).as_ref(), Ok(instance));
        let row = shown::row(&view(instance));
        let shown = Shown::read(&row).expect("what this build shows is taken apart");
        let parts = [shown.common, shown.detailed, shown.for_admins, shown.for_admins_detailed].join(",");
        let object: serde_json::Value = serde_json::from_str(&format!("{{{parts}}}")).expect("the parts are an object");
        assert_eq!(object["name"], instance.name.as_str());
    }
    after
}

fn awaited(instance: &Instance) -> Option<EffectId> {
    let operation = instance.operation.as_ref().and_then(|operation| match &operation.waiting {
        Waiting::Effect { effect } => Some(effect.clone()),
        Waiting::Backoff | Waiting::Agent => None,
    });
    operation.or_else(|| instance.tasks.values().find_map(|task| task.effect.clone()))
}

/// The one of the golden files.
fn catalogue() -> Catalogue {
    let id = Uuid::from_u128(0x8f11_ee71_6b1c_4c5d_9c5b_0000_0000_1011);
    let (name, number, manager) = ("10.11".into(), "10.11".into(), "mysql".into());
    let version = DatastoreVersion { id, name, number, manager, active: true };
    let datastore =
        Datastore { id: Uuid::from_u128(1), name: "mysql".into(), versions: vec![version], default_version: Some(id) };
    let flavor =
        Flavor { id: "1".into(), name: "small".into(), memory_mib: 512, vcpus: 1, disk_gib: 0, ephemeral_gib: 0 };
    Catalogue {
        default_datastore: Some(datastore.id),
        datastores: vec![datastore],
        flavors: vec![flavor],
        ..Catalogue::default()
    }
}

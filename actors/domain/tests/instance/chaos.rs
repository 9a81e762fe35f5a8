//! Inputs against every contract: outcomes of the wrong kind, for effects of the past, timers long before they are
//! due. Nothing good can be asked of the outside then, but the state stays sound and finds its way to rest.

use coffer_domain::{
    command::Command,
    ids::{EffectId, InstanceId},
    instance::{
        Decision, Event, Input,
        effect::{EffectChange, Observation, Outcome, Produced, TimerChange, TimerId},
        evolve, view,
    },
    time::SECOND,
};
use proptest::{
    prelude::*,
    sample::{Index, select},
};

use crate::{
    histories::{commands, observations},
    support::{
        self,
        partition::Partition,
        samples::{address, hiccup, instance, produced, refusal, tenant},
    },
};

const SLOTS: std::ops::Range<u8> = 1..4;

#[derive(Debug, Clone)]
enum Step {
    Order {
        slot: u8,
        command: Command,
    },
    Answer {
        effect: Index,
        outcome: Outcome,
    },
    /// The outcome that is waited for, so that not every history stays at its beginning.
    Succeed {
        effect: Index,
    },
    Fire {
        timer: Index,
    },
    Observe {
        slot: u8,
        observation: Observation,
    },
    Wait {
        seconds: i64,
    },
}

fn outcomes() -> impl Strategy<Value = Outcome> {
    select(vec![
        Ok(Produced::Nothing),
        Ok(Produced::Address(address())),
        Ok(Produced::Volume { id: "volume-2".into() }),
        Ok(Produced::Server { id: "server-2".into() }),
        Ok(Produced::VolumeSize { size_gib: 3 }),
        hiccup(),
        refusal(),
    ])
}

fn steps() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (SLOTS, commands()).prop_map(|(slot, command)| Step::Order { slot, command }),
        3 => (any::<Index>(), outcomes()).prop_map(|(effect, outcome)| Step::Answer { effect, outcome }),
        9 => any::<Index>().prop_map(|effect| Step::Succeed { effect }),
        4 => any::<Index>().prop_map(|timer| Step::Fire { timer }),
        4 => (SLOTS, observations()).prop_map(|(slot, observation)| Step::Observe { slot, observation }),
        1 => (0..100_i64).prop_map(|seconds| Step::Wait { seconds }),
    ]
}

/// A partition, and every effect and timer that it ever had.
struct Chaos {
    partition: Partition,
    effects: Vec<(InstanceId, EffectId)>,
    timers: Vec<(InstanceId, TimerId)>,
}

impl Chaos {
    fn take(&mut self, step: Step) {
        match step {
            Step::Order { slot, command } => {
                let envelope = self.partition.envelope(tenant(), instance(slot), command);
                self.give(instance(slot), &Input::Command(Box::new(envelope)));
            }
            Step::Answer { effect, outcome } if !self.effects.is_empty() => {
                let (id, effect) = effect.get(&self.effects).clone();
                self.give(id, &Input::Outcome { effect, outcome });
            }
            Step::Succeed { effect } if !self.partition.effects.is_empty() => {
                let position = effect.index(self.partition.effects.len());
                self.succeed(position);
            }
            Step::Fire { timer } if !self.timers.is_empty() => {
                let (id, timer) = timer.get(&self.timers).clone();
                self.give(id, &Input::Timer(timer));
            }
            Step::Answer { .. } | Step::Succeed { .. } | Step::Fire { .. } => {}
            Step::Observe { slot, observation } => self.give(instance(slot), &Input::Observed(observation)),
            Step::Wait { seconds } => self.partition.wait(seconds * SECOND),
        }
    }

    fn succeed(&mut self, position: usize) {
        let outstanding = self.partition.effects.values().nth(position).expect("a position among the outstanding");
        let effect = outstanding.effect.clone();
        let outcome = Ok(produced(&effect.action));
        self.give(effect.instance, &Input::Outcome { effect: effect.id, outcome });
    }

    fn give(&mut self, id: InstanceId, input: &Input) {
        let Ok(decision) = self.partition.give(id, input) else { return };
        for change in &decision.effects {
            if let EffectChange::Dispatch(effect) = change {
                self.effects.push((id, effect.id.clone()));
            }
        }
        for change in &decision.timers {
            if let TimerChange::Set(timer) = change {
                self.timers.push((id, timer.id.clone()));
            }
        }
        self.evolve_is_total(&decision);
    }

    /// Every event fits every state, also one that it was never meant for, and what comes of it can be read.
    fn evolve_is_total(&self, decision: &Decision) {
        for event in &decision.events {
            let born = evolve(None, event);
            assert_eq!(born.is_some(), matches!(event, Event::Created { .. }));
            for instance in self.partition.instances.values() {
                let after = evolve(Some(instance.clone()), event);
                assert_eq!(after.is_none(), *event == Event::Removed);
                after.iter().for_each(|instance| drop(view(instance)));
            }
            let stored = serde_json::to_string(event).unwrap();
            assert_eq!(&serde_json::from_str::<Event>(&stored).unwrap(), event, "an event is read as it was written");
        }
    }
}

proptest! {
    #![proptest_config(support::proptest_config(1000))]

    #[test]
    fn no_input_breaks_the_state(history in proptest::collection::vec(steps(), 1..150)) {
        let mut chaos = Chaos { partition: Partition::new(), effects: vec![], timers: vec![] };
        history.into_iter().for_each(|step| chaos.take(step));
        for slot in SLOTS {
            chaos.take(Step::Order { slot, command: Command::Delete });
        }
        for _ in 0..1000 {
            if !chaos.partition.effects.is_empty() {
                chaos.succeed(0);
            } else if chaos.partition.next_timer().is_some() {
                chaos.partition.wait_for_timer();
            }
        }
        prop_assert!(chaos.partition.instances.is_empty(), "{:?}", chaos.partition.instances);
        prop_assert!(chaos.partition.timers.is_empty() && chaos.partition.effects.is_empty());
    }
}

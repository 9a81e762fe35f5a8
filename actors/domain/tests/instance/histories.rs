//! Random histories: commands at any time, an outside that keeps to its contract and to no more, and a control plane
//! that is away now and then. Three instances of one tenant share a quota that has room for two.
//!
//! What holds after each step stands in `support::invariants` and `support::outside`; here is what holds at the end.

use coffer_domain::{
    command::{Command, Create},
    ids::TenantId,
    instance::{
        Input, Instance,
        effect::Observation,
        state::OperationKind,
        view::{Status, status},
    },
    quota::{Limits, Usage},
    rejection::{Rejection, RejectionKind},
    time::{HOUR, SECOND},
};
use coffer_protocol::report::{EngineState, Inventory, UserEntry};
use proptest::{
    prelude::*,
    sample::{Index, select},
};

use crate::support::{
    self,
    outside::{Fate, World},
    partition::Partition,
    samples::{
        change_passwords, change_user, create_databases, create_users, disable_root, drop_database, drop_user,
        enable_root, grant, instance, new_database, order, rename, reset_status, resize_flavor, resize_volume, revoke,
        tenant,
    },
};

const SLOTS: std::ops::Range<u8> = 1..4;
const NAMES: [&str; 3] = ["shop", "stock", "staff"];

#[derive(Debug, Clone)]
enum Step {
    Order { slot: u8, command: Command },
    OrderOfAnotherTenant { slot: u8, command: Command },
    Answer { call: Index, fate: Fate },
    RepeatAnswer { answer: Index },
    RepeatTimer { timer: Index },
    Wait { seconds: i64, done: bool },
    TakeOver { seconds: i64, done: bool },
    Observe { slot: u8, observation: Observation },
}

fn creates() -> impl Strategy<Value = Command> {
    (1..5_u32, any::<bool>()).prop_map(|(volume_gib, filled)| {
        let order = Create { volume_gib, ..order() };
        let empty = Create { databases: vec![], users: vec![], ..order.clone() };
        Command::Create(Box::new(if filled { order } else { empty }))
    })
}

fn tasks() -> impl Strategy<Value = Command> {
    let verbs: [fn(&str) -> Command; 11] = [
        create_databases,
        drop_database,
        create_users,
        drop_user,
        |_| enable_root(),
        |_| disable_root(),
        |name| grant(name, "shop"),
        |name| grant("clerk", name),
        |name| revoke(name, "shop"),
        |name| change_user(name, "staff"),
        |name| change_passwords(&[name]),
    ];
    let two = |_: &str| Command::CreateDatabases { databases: vec![new_database("stock"), new_database("staff")] };
    prop_oneof![
        9 => (select(verbs.to_vec()), select(NAMES.to_vec())).prop_map(|(verb, name)| verb(name)),
        1 => Just(two("")),
    ]
}

pub fn commands() -> impl Strategy<Value = Command> {
    prop_oneof![
        4 => creates(),
        1 => Just(Command::Delete),
        1 => Just(Command::Restart),
        1 => Just(Command::Stop),
        9 => tasks(),
        1 => Just(rename()),
        1 => any::<bool>().prop_map(reset_status),
        2 => (1..5_u32).prop_map(resize_volume),
        2 => select(vec!["1", "2"]).prop_map(resize_flavor),
    ]
}

pub fn fates() -> impl Strategy<Value = Fate> {
    prop_oneof![
        10 => Just(Fate::Done),
        2 => any::<bool>().prop_map(|done| Fate::Failed { done, retryable: true }),
        1 => any::<bool>().prop_map(|done| Fate::Failed { done, retryable: false }),
        1 => any::<bool>().prop_map(|done| Fate::Lost { done }),
    ]
}

pub fn observations() -> impl Strategy<Value = Observation> {
    use EngineState::{Absent, Crashed, Running, Starting, Stopped, Unresponsive};
    let engines = prop_oneof![
        5 => Just(Running),
        1 => select(vec![Absent, Crashed, Starting, Stopped, Unresponsive]),
    ];
    let names = proptest::sample::subsequence(NAMES.to_vec(), 0..=NAMES.len());
    let inventories = (names.clone(), names).prop_map(|(databases, users)| Inventory {
        databases: databases.into_iter().map(str::to_owned).collect(),
        users: users
            .into_iter()
            .map(|name| UserEntry { name: name.into(), host: "%".into(), databases: vec![] })
            .collect(),
    });
    prop_oneof![
        6 => engines.prop_map(|engine| Observation::Heard { engine }),
        1 => Just(Observation::Silent),
        1 => proptest::option::of(0..1000_u64).prop_map(|volume_used_bytes| Observation::Gauges { volume_used_bytes }),
        1 => inventories.prop_map(Observation::Inventory),
    ]
}

fn steps() -> impl Strategy<Value = Step> {
    prop_oneof![
        10 => (SLOTS, commands()).prop_map(|(slot, command)| Step::Order { slot, command }),
        1 => (SLOTS, tasks()).prop_map(|(slot, command)| Step::OrderOfAnotherTenant { slot, command }),
        20 => (any::<Index>(), fates()).prop_map(|(call, fate)| Step::Answer { call, fate }),
        2 => any::<Index>().prop_map(|answer| Step::RepeatAnswer { answer }),
        2 => any::<Index>().prop_map(|timer| Step::RepeatTimer { timer }),
        4 => (0..120_i64, any::<bool>()).prop_map(|(seconds, done)| Step::Wait { seconds, done }),
        1 => (0..7200_i64, any::<bool>()).prop_map(|(seconds, done)| Step::TakeOver { seconds, done }),
        8 => (SLOTS, observations()).prop_map(|(slot, observation)| Step::Observe { slot, observation }),
    ]
}

fn world() -> World {
    let mut partition = Partition::new();
    partition.limits = Limits {
        instances: Some(2),
        volume_gib: Some(6),
        memory_mib: Some(3000),
        max_volume_gib: 4,
        ..Limits::default()
    };
    World::new(partition)
}

impl World {
    fn take(&mut self, step: Step) {
        match step {
            Step::Order { slot, command } => self.order(slot, command),
            Step::OrderOfAnotherTenant { slot, command } => {
                let envelope = self.partition.envelope(TenantId("another".into()), instance(slot), command);
                let rejection = self.give(instance(slot), &Input::Command(Box::new(envelope))).unwrap_err();
                assert_eq!(rejection.kind, RejectionKind::NotFound);
            }
            Step::Answer { call, fate } if !self.calls.is_empty() => self.answer(call.index(self.calls.len()), fate),
            Step::RepeatAnswer { answer } if !self.past_answers.is_empty() => {
                self.repeat_answer(answer.index(self.past_answers.len()));
            }
            Step::RepeatTimer { timer } if !self.past_timers.is_empty() => {
                self.repeat_timer(timer.index(self.past_timers.len()));
            }
            Step::Answer { .. } | Step::RepeatAnswer { .. } | Step::RepeatTimer { .. } => {}
            Step::Wait { seconds, done } => self.wait(seconds * SECOND, done),
            Step::TakeOver { seconds, done } => self.take_over(seconds * SECOND, done),
            Step::Observe { slot, observation } => {
                let exists = self.partition.instances.contains_key(&instance(slot));
                let decision = self.give(instance(slot), &Input::Observed(observation)).unwrap();
                assert!(exists || decision.is_empty(), "an instance that does not exist was changed: {decision:?}");
            }
        }
    }

    /// Gives a command and checks the answer against the state before.
    fn order(&mut self, slot: u8, command: Command) {
        let before = self.partition.instances.get(&instance(slot)).cloned();
        let usage = self.partition.usage;
        let envelope = self.partition.envelope(tenant(), instance(slot), command.clone());
        let answer = self.give(instance(slot), &Input::Command(Box::new(envelope)));
        let kind = answer.as_ref().err().map(|Rejection { kind, .. }| *kind);
        match (&command, before) {
            (Command::Create(_), Some(_)) => assert_eq!(kind, Some(RejectionKind::Invalid)),
            (Command::Create(order), None) => {
                let fits = usage.instances < 2
                    && usage.volume_gib + u64::from(order.volume_gib) <= 6
                    && usage.memory_mib + 512 <= 3000;
                assert_eq!(kind, (!fits).then_some(RejectionKind::OverLimit));
            }
            (_, None) => assert_eq!(kind, Some(RejectionKind::NotFound)),
            (Command::Delete, Some(_)) => {
                assert_eq!(kind, None, "a delete is taken at any time");
                assert_eq!(status(&self.partition.instances[&instance(slot)]), Status::Shutdown);
            }
            (Command::Rename { .. } | Command::ResetStatus { .. }, Some(before)) => {
                assert_eq!(kind, None, "it is taken at any time");
                let after = &self.partition.instances[&instance(slot)];
                let unchanged = matches!(command, Command::Rename { .. }) || before.operation.is_none();
                if unchanged {
                    assert_eq!(status(after), status(&before));
                } else {
                    let is_stop = before.operation.as_ref().is_some_and(|running| running.kind == OperationKind::Stop);
                    let expected = match status(&before) {
                        // A call for it may be under way outside.
                        Status::Resize if after.operation.is_some() => Status::Resize,
                        Status::Reboot | Status::Resize => at_rest(&before),
                        Status::Shutdown if is_stop => at_rest(&before),
                        _ => Status::Error,
                    };
                    assert_eq!(status(after), expected);
                }
            }
            (Command::ResizeVolume { volume_gib }, Some(before)) if *volume_gib <= before.volume_gib => {
                assert_eq!(kind, Some(RejectionKind::Invalid));
            }
            (Command::ResizeFlavor { flavor }, Some(before))
                if *flavor == before.flavor.id && before.resize.flavor.is_none() =>
            {
                assert_eq!(kind, Some(RejectionKind::Invalid));
            }
            (_, Some(before)) if status(&before) != Status::Active && !is_stopped(&before) => {
                assert_eq!(kind, Some(RejectionKind::WrongState));
            }
            (_, Some(_)) => {}
        }
        if answer.is_err() {
            assert_eq!(self.partition.usage, usage);
        }
    }

    /// Deletes everything while the outside works well, and checks that nothing is left anywhere.
    fn delete_all(&mut self) {
        // A delete that was under way may have used up its attempts already; it is asked for a second time then.
        for _ in 0..2 {
            for slot in SLOTS {
                if self.partition.instances.contains_key(&instance(slot)) {
                    self.order(slot, Command::Delete);
                }
            }
            self.come_to_rest(true, || Fate::Done);
        }
        assert_eq!(self.partition.instances.len(), 0, "{:?}", self.partition.instances);
        assert_eq!(self.partition.usage, Usage::default());
        for slot in SLOTS {
            self.assert_nothing_left(instance(slot));
        }
    }
}

/// An operator has stopped its engine.
fn is_stopped(instance: &Instance) -> bool {
    instance.operation.is_none() && status(instance) == Status::Shutdown
}

/// What it is once nothing runs any more.
fn at_rest(instance: &Instance) -> Status {
    status(&Instance { operation: None, ..instance.clone() })
}

proptest! {
    #![proptest_config(support::proptest_config(2000))]

    /// Whatever happened, and whatever the outside does from then on: each instance ends ACTIVE, in ERROR or gone,
    /// and can be deleted without a trace.
    #[test]
    fn every_history_comes_to_rest(
        history in proptest::collection::vec(steps(), 1..100),
        fates in proptest::collection::vec(fates(), 1..20),
        agents_speak: bool,
    ) {
        let mut world = world();
        history.into_iter().for_each(|step| world.take(step));

        let mut fates = fates.into_iter().cycle();
        world.come_to_rest(agents_speak, || fates.next().expect("a cycle has no end"));
        for instance in world.partition.instances.values() {
            prop_assert!(matches!(status(instance), Status::Active | Status::Error) || is_stopped(instance));
            prop_assert!(status(instance) != Status::Error || instance.fault.is_some(), "an ERROR without a reason");
        }
        world.wait(24 * HOUR, false);
        world.delete_all();
    }

    /// Whatever is under way, a delete ends it.
    #[test]
    fn every_instance_can_be_deleted_at_any_moment(history in proptest::collection::vec(steps(), 1..100)) {
        let mut world = world();
        history.into_iter().for_each(|step| world.take(step));
        world.delete_all();
    }
}

//! The calls to the outside: in order and one at a time for each instance, bounded in all, ended by their deadline.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use coffer_domain::{
    command::Command,
    ids::{EffectId, InstanceId},
    instance::{
        effect::{Action, AgentOrder, AgentVerb, Effect, Outcome, Produced, ServerOrder},
        state::ResourceAddress,
    },
    time::{MINUTE, Millis},
};
use coffer_ports::{Error, ErrorKind};
use coffer_runtime::{
    dispatcher::{Dispatcher, Ownership},
    metrics::Metrics,
};
use prometheus::Registry;

use crate::support::{
    broker::Broker,
    cloud::Cloud,
    poll::{run, until},
    samples::{START, catalogue, command_id, create, instance, tenant, vault},
};

/// What the dispatcher documents as its bound.
const CONCURRENCY: usize = 64;
const OWNER: Ownership = Ownership { partition: 5, epoch: 7 };

struct Desk {
    cloud: Cloud,
    dispatcher: Arc<Dispatcher>,
    done: Arc<Mutex<Vec<(EffectId, Outcome)>>>,
}

impl Desk {
    fn new() -> Self {
        let cloud = Cloud::new(Broker::default());
        let metrics = Metrics::new(&Registry::new()).unwrap();
        let handle = tokio::runtime::Handle::current();
        let dispatcher = Dispatcher::new(cloud.connectors(), Arc::new(vault()), metrics, handle);
        Self { cloud, dispatcher, done: Arc::default() }
    }

    fn start(&self, effect: Effect) {
        let done = self.done.clone();
        self.dispatcher.start(effect, OWNER, move |effect, outcome| async move {
            done.lock().unwrap().push((effect.id, outcome));
        });
    }

    fn done(&self) -> Vec<EffectId> {
        self.done.lock().unwrap().iter().map(|(id, _)| id.clone()).collect()
    }

    /// Carries one effect out and returns its outcome.
    async fn outcome(&self, effect: Effect) -> Outcome {
        let before = self.done().len();
        self.start(effect);
        until("the outcome", || self.done().len() > before).await;
        self.done.lock().unwrap().last().expect("there is one more").1.clone()
    }
}

fn effect(number: u32, instance: InstanceId, deadline: Millis, action: Action) -> Effect {
    Effect { id: EffectId::new(command_id(number), "step", 1), tenant: tenant(1), instance, deadline, action }
}

fn volume() -> Action {
    Action::EnsureVolume { size_gib: 1, volume_type: None }
}

#[test]
fn effects_of_one_instance_are_carried_out_one_at_a_time_and_in_order() {
    run(async {
        let desk = Arc::new(Desk::new());
        let (starter, actions) = (desk.clone(), [Action::EnsureAddress, volume(), Action::ReleaseAddress]);
        // From a worker, whose own queue would put the last one first.
        let started = tokio::spawn(async move {
            for number in 0..60 {
                let action = actions[number as usize % 3].clone();
                starter.start(effect(number, instance(1), MINUTE, action));
            }
        });
        started.await.unwrap();
        until("all are done", || desk.done().len() == 60).await;
        let expected: Vec<EffectId> = (0..60).map(|number| EffectId::new(command_id(number), "step", 1)).collect();
        let mut done = desk.done();
        done.sort();
        assert_eq!(done, expected, "each has one outcome");
        let calls = desk.cloud.calls();
        let begun: Vec<&str> = calls.begun.iter().map(|(action, _)| *action).collect();
        assert_eq!(begun, ["ensure_address", "ensure_volume", "release_address"].repeat(20));
        assert_eq!(calls.most_for_one, 1);
    });
}

/// A partition that reloads dispatches again what is under way.
#[test]
fn an_effect_that_is_under_way_is_not_carried_out_beside_itself() {
    run(async {
        let desk = Desk::new();
        desk.cloud.hold("ensure_address");
        let address = effect(1, instance(1), MINUTE, Action::EnsureAddress);
        desk.start(address.clone());
        until("the call is under way", || desk.cloud.calls().begun("ensure_address") == 1).await;
        desk.start(address.clone());
        desk.start(effect(2, instance(1), MINUTE, Action::ReleaseAddress));
        desk.start(effect(3, instance(2), MINUTE, volume()));
        until("the neighbour is done", || !desk.done().is_empty()).await;
        assert_eq!(desk.cloud.calls().begun("release_address"), 0, "what comes after it waits");
        desk.cloud.release("ensure_address");
        until("all are done", || desk.done().len() == 3).await;
        assert_eq!(desk.cloud.calls().begun("ensure_address"), 1);
        assert_eq!(desk.cloud.calls().most_for_one, 1);

        desk.start(address);
        until("asked again after its end, it is done again", || desk.done().len() == 4).await;
        assert_eq!(desk.cloud.calls().begun("ensure_address"), 2);
    });
}

#[test]
fn calls_are_bounded_over_all_instances() {
    run(async {
        let desk = Desk::new();
        desk.cloud.hold("ensure_address");
        let count = CONCURRENCY as u8 * 2;
        for number in 0..count {
            desk.start(effect(number.into(), instance(number), MINUTE, Action::EnsureAddress));
        }
        until("as many as allowed are under way", || desk.cloud.calls().under_way() == CONCURRENCY).await;
        desk.cloud.release("ensure_address");
        until("all are done", || desk.done().len() == usize::from(count)).await;
        assert_eq!(desk.cloud.calls().most, CONCURRENCY);
    });
}

#[test]
fn a_call_that_outlasts_its_deadline_is_a_failure_for_now_and_holds_nobody_up() {
    run(async {
        let desk = Desk::new();
        desk.cloud.hold("ensure_address");
        desk.start(effect(1, instance(1), 20, Action::EnsureAddress));
        desk.start(effect(2, instance(1), MINUTE, volume()));
        until("both are done", || desk.done().len() == 2).await;
        let ended: BTreeMap<EffectId, Outcome> = desk.done.lock().unwrap().iter().cloned().collect();
        let [Err(failure), Ok(_)] = ended.values().collect::<Vec<_>>()[..] else { panic!("{ended:?}") };
        assert_eq!((failure.retryable, failure.code.as_str()), (true, "deadline"));
        assert_eq!(desk.cloud.calls().under_way(), 0, "the late call was ended");
    });
}

#[test]
fn what_the_outside_says_decides_on_another_attempt() {
    run(async {
        let desk = Desk::new();
        for (number, (kind, retryable)) in [
            (ErrorKind::Unavailable, true),
            (ErrorKind::Throttled, true),
            (ErrorKind::Timeout, true),
            (ErrorKind::Exhausted, false),
            (ErrorKind::Denied, false),
            (ErrorKind::Invalid, false),
        ]
        .into_iter()
        .enumerate()
        {
            let mut error = Error::new(kind, "cloud.word", "in the cloud's own words");
            error.retry_after = Some(std::time::Duration::from_secs(20));
            desk.cloud.fail("ensure_address", error);
            let number = u32::try_from(number).unwrap();
            let failure = desk.outcome(effect(number, instance(1), MINUTE, Action::EnsureAddress)).await.unwrap_err();
            assert_eq!(failure.retryable, retryable, "{kind:?}");
            assert_eq!((failure.code.as_str(), failure.message.as_str()), ("cloud.word", "in the cloud's own words"));
            assert_eq!(failure.retry_after, Some(20_000));
        }
    });
}

#[test]
fn what_was_made_is_told() {
    run(async {
        let desk = Desk::new();
        let outcome = desk.outcome(effect(1, instance(1), MINUTE, Action::EnsureAddress)).await;
        let Ok(Produced::Address(ResourceAddress { ip, .. })) = outcome else { panic!("{outcome:?}") };
        assert_eq!(desk.cloud.outside.things().addresses[&instance(1).to_string()], ip);
        let outcome = desk.outcome(effect(2, instance(1), MINUTE, volume())).await;
        assert_eq!(outcome, Ok(Produced::Volume { id: format!("volume-{}", instance(1)) }));
        let outcome = desk.outcome(effect(3, instance(1), MINUTE, Action::DeleteVolume)).await;
        assert_eq!(outcome, Ok(Produced::Nothing));
    });
}

#[test]
fn a_server_whose_key_cannot_be_opened_is_not_asked_for() {
    run(async {
        let desk = Desk::new();
        let Command::Create(order) = create(instance(1)) else { unreachable!("it is a create") };
        let mut server_key = order.server_key.expect("a create has its key");
        server_key.wrapped.bytes[30] ^= 1;
        let order = ServerOrder {
            flavor: catalogue().flavors.remove(0),
            address: ResourceAddress { ip: "127.0.0.2".into(), network_id: None },
            volume: "volume".into(),
            server_key,
            manager: "mysql".into(),
        };
        let failure =
            desk.outcome(effect(1, instance(1), MINUTE, Action::EnsureServer(Box::new(order)))).await.unwrap_err();
        assert_eq!((failure.retryable, failure.code.as_str()), (false, "first_boot"));
        assert!(desk.cloud.calls().begun.is_empty());
    });
}

#[test]
fn an_order_for_an_agent_is_no_call() {
    run(async {
        let desk = Desk::new();
        let Command::Create(order) = create(instance(1)) else { unreachable!("it is a create") };
        let order = AgentOrder {
            server_key: order.server_key.expect("a create has its key"),
            issued_at: START,
            converge: false,
            verb: AgentVerb::Restart,
        };
        let outcome = desk.outcome(effect(1, instance(1), MINUTE, Action::Agent(Box::new(order)))).await;
        assert!(!outcome.unwrap_err().retryable);
    });
}

//! A create: what is ordered, what becomes of it, and what is told when it fails.

use coffer_domain::{
    command::{Command, Create},
    instance::{
        effect::{Action, AgentVerb, Failure},
        state::Presence,
    },
    quota::Usage,
    rejection::RejectionKind,
};
use coffer_protocol::report::EngineState;
use uuid::Uuid;

use crate::support::{
    partition::Partition,
    samples::{
        CLERK, SHOP, WITHDRAWN_VERSION, address, create, failure, hiccup, instance, order, refusal, tenant, user_key,
    },
};

#[test]
fn a_create_goes_from_address_to_engine() {
    let mut partition = Partition::new();

    partition.order(create()).unwrap();
    assert_eq!(partition.words(), "BUILD");
    assert_eq!(partition.usage, Usage { instances: 1, volume_gib: 2, memory_mib: 512 });
    assert_eq!(partition.outstanding(), ["ensure_address/1"]);

    partition.succeed("ensure_address");
    assert_eq!(partition.view().address, Some(address().ip));
    let volume = Action::EnsureVolume { size_gib: 2, volume_type: None };
    assert_eq!(partition.effect("ensure_volume").action, volume);

    partition.succeed("ensure_volume");
    let Action::EnsureServer(server) = &partition.effect("ensure_server").action else { panic!("not a server") };
    assert_eq!(server.address, address());
    assert_eq!(server.volume, "volume-1");
    assert_eq!(server.manager, "mysql");

    partition.succeed("ensure_server");
    assert_eq!(partition.outstanding(), [""; 0], "the server boots");

    partition.hear(EngineState::Absent);
    let Action::Agent(order) = &partition.effect("prepare_database").action else { panic!("not for the agent") };
    let AgentVerb::Prepare { datastore_version, memory_mib, volume_gib, databases, users, .. } = &order.verb else {
        panic!("not a prepare")
    };
    assert_eq!((datastore_version.as_str(), *memory_mib, *volume_gib), ("10.11", 512, 2));
    assert_eq!((databases[0].name.as_str(), users[0].name.as_str()), (SHOP, CLERK));
    assert!(!order.converge, "the first attempt finds nothing there");

    partition.hear(EngineState::Running);
    partition.succeed("prepare_database");
    assert_eq!(partition.words(), "ACTIVE HEALTHY");
    assert_eq!(partition.instance().databases[SHOP], Presence::Present);
    assert_eq!(partition.instance().users[&user_key(CLERK)].presence, Presence::Present);
    assert!(partition.view().fault.is_none());
}

#[test]
fn an_agent_that_speaks_before_its_server_is_reported_ready_is_not_waited_for() {
    let mut partition = Partition::new();
    partition.order(create()).unwrap();
    partition.succeed("ensure_address");
    partition.succeed("ensure_volume");

    // Heartbeats are folded: the second one brings nothing new and may never be told.
    partition.hear(EngineState::Absent);
    partition.succeed("ensure_server");
    assert_eq!(partition.outstanding(), ["prepare_database/1"]);
}

#[test]
fn a_step_that_fails_for_now_is_tried_again_with_growing_patience() {
    let mut partition = Partition::new();
    partition.order(create()).unwrap();
    let mut waits = Vec::new();
    for attempt in 1..5 {
        assert_eq!(partition.outstanding(), [format!("ensure_address/{attempt}")]);
        partition.end("ensure_address", hiccup());
        assert_eq!(partition.words(), "BUILD");
        let failed_at = partition.now;
        partition.wait_for_timer();
        waits.push(partition.now - failed_at);
    }
    assert!(waits.is_sorted(), "{waits:?}");

    partition.end("ensure_address", hiccup());
    assert_eq!(partition.words(), "ERROR", "five attempts are enough");
    let fault = partition.view().fault.unwrap();
    assert_eq!(
        fault.message,
        "The instance could not be created: no address could be reserved for it (the host does not answer). What was \
         made for it is taken away; delete it and order it again."
    );
    assert_eq!(fault.details, "create ensure_address attempt 5: the host does not answer [local.unavailable]");
}

#[test]
fn a_cloud_that_asks_for_time_is_given_it() {
    let mut partition = Partition::new();
    partition.order(create()).unwrap();
    let throttled = Failure { retry_after: Some(45_000), ..failure(true) };
    partition.end("ensure_address", Err(throttled));
    let failed_at = partition.now;
    partition.wait_for_timer();
    assert_eq!(partition.now - failed_at, 45_000);
    assert_eq!(partition.outstanding(), ["ensure_address/2"]);
}

#[test]
fn a_later_attempt_of_the_agent_takes_what_is_there_as_done() {
    let mut partition = Partition::new();
    partition.order(create()).unwrap();
    for step in ["ensure_address", "ensure_volume", "ensure_server"] {
        partition.succeed(step);
    }
    partition.hear(EngineState::Absent);
    partition.end("prepare_database", hiccup());
    partition.wait_for_timer();
    let Action::Agent(order) = &partition.effect("prepare_database/2").action else { panic!("not for the agent") };
    assert!(order.converge);
}

#[test]
fn a_create_that_fails_for_good_is_taken_back_and_says_why() {
    let mut partition = Partition::new();
    partition.order(create()).unwrap();
    partition.succeed("ensure_address");
    partition.succeed("ensure_volume");

    partition.end("ensure_server", refusal());
    assert_eq!(partition.words(), "ERROR");
    for step in ["delete_server", "delete_volume", "release_address"] {
        assert_eq!(partition.outstanding(), [format!("{step}/1")], "also where nothing is known to be there");
        partition.succeed(step);
    }
    assert_eq!(partition.words(), "ERROR");
    let view = partition.view();
    assert_eq!((view.address, view.volume_id, view.server_id), (None, None, None));
    let fault = view.fault.unwrap();
    assert_eq!(
        fault.message,
        "The instance could not be created: its server could not be started (the host has no room left). What was \
         made for it is taken away; delete it and order it again."
    );
    assert_eq!(fault.details, "create ensure_server attempt 1: the host has no room left [local.exhausted]");
    assert_eq!(partition.usage.instances, 1, "it counts until the tenant deletes it");

    partition.order(Command::Delete).unwrap();
    for step in ["delete_server", "delete_volume", "release_address"] {
        partition.succeed(step);
    }
    assert_eq!(partition.words(), "none");
    assert_eq!(partition.usage, Usage::default());
}

#[test]
fn an_agent_that_never_speaks_fails_the_create() {
    let mut partition = Partition::new();
    partition.order(create()).unwrap();
    for step in ["ensure_address", "ensure_volume", "ensure_server"] {
        partition.succeed(step);
    }
    partition.wait_for_timer();
    assert_eq!(partition.words(), "ERROR");
    assert_eq!(partition.outstanding(), ["delete_server/1"]);
    let message = partition.view().fault.unwrap().message;
    assert_eq!(
        message,
        "The instance could not be created: its server did not come up (the guest agent did not report in time). \
         What was made for it is taken away; delete it and order it again."
    );
}

#[test]
fn an_instance_that_exists_is_not_created_again() {
    let mut partition = Partition::with_active_instance();
    let rejection = partition.order(create()).unwrap_err();
    assert_eq!(rejection.kind, RejectionKind::Invalid);
    assert_eq!(partition.usage.instances, 1);
}

#[test]
fn orders_that_break_a_rule_name_it_and_leave_no_trace() {
    use RejectionKind::{Invalid, OverLimit};
    let unknown = Uuid::from_u128(1);
    let cases = [
        (Create { flavor: "99".into(), ..order() }, Invalid, "Resource 99 cannot be found."),
        (Create { volume_gib: 0, ..order() }, Invalid, "Volume 'size' must be at least 1 GB."),
        (
            Create { volume_gib: 11, ..order() },
            OverLimit,
            "Volume 'size' cannot exceed maximum of 10 GB, 11 cannot be accepted.",
        ),
        (
            Create { datastore_version: Some(unknown), ..order() },
            Invalid,
            "Datastore version '00000000-0000-0000-0000-000000000001' cannot be found.",
        ),
        (
            Create { datastore_version: Some(WITHDRAWN_VERSION), ..order() },
            Invalid,
            "Datastore version '8f11ee71-6b1c-4c5d-9c5b-000000001005' cannot be found.",
        ),
        (Create { server_key: None, ..order() }, Invalid, "create.server_key: it is missing."),
    ];
    for (order, kind, message) in cases {
        let mut partition = Partition::new();
        let rejection = partition.order(Command::Create(Box::new(order))).unwrap_err();
        assert_eq!((rejection.kind, rejection.message.as_str()), (kind, message));
        assert_eq!(partition.words(), "none");
        assert_eq!(partition.usage, Usage::default());
    }
}

#[test]
fn a_tenant_gets_no_more_than_its_quota() {
    let mut partition = Partition::new();
    partition.limits.volume_gib = Some(4);
    for number in 1..3 {
        partition.order_as(tenant(), instance(number), create()).unwrap();
    }
    let rejection = partition.order_as(tenant(), instance(3), create()).unwrap_err();
    assert_eq!(rejection.kind, RejectionKind::OverLimit);
    assert_eq!(rejection.message, "Quota exceeded for resources: ['volumes'].");
    assert_eq!(partition.usage.volume_gib, 4);
}

#[test]
fn a_volume_type_that_is_not_on_offer_is_refused_with_those_that_are() {
    let wish = |name: &str| Command::Create(Box::new(Create { volume_type: Some(name.into()), ..order() }));
    let mut partition = Partition::new();
    let refused = partition.order(wish("fast")).unwrap_err();
    assert_eq!(refused.kind, RejectionKind::Invalid);
    assert!(refused.message.contains("'fast'") && refused.message.contains("there are none"), "{}", refused.message);

    partition.catalogue.volume_types = vec!["slow".into(), "steady".into()];
    let refused = partition.order(wish("fast")).unwrap_err();
    assert!(refused.message.contains("there are: slow, steady"), "{}", refused.message);
    partition.order(wish("steady")).unwrap();
    partition.succeed("ensure_address");
    let volume = Action::EnsureVolume { size_gib: 2, volume_type: Some("steady".into()) };
    assert_eq!(partition.effect("ensure_volume").action, volume);
}

//! Configuration groups: their own rules, and what an instance makes of the one that it is attached to.

use std::collections::BTreeMap;

use coffer_domain::{
    command::{Command, Create, NewConfiguration},
    configuration::{self, Event as GroupEvent, Group, MAX_GROUPS, Value, Values},
    instance::{
        GroupChanged, Input,
        effect::{Action, AgentVerb, Failure, Observation, Produced},
        state::Standing,
    },
    rejection::{Rejection, RejectionKind},
};
use coffer_protocol::report::EngineState;
use uuid::Uuid;

use crate::support::{
    partition::Partition,
    samples::{
        MYSQL_10_11, WITHDRAWN_VERSION, attach, command_id, group, group_id, hiccup, order, refusal, tenant, values,
    },
};

/// What the agent is told, in the order of names.
fn told(partition: &Partition) -> (u64, BTreeMap<String, String>) {
    let Action::Agent(order) = &partition.effect("configure").action else { panic!("not for the agent") };
    let AgentVerb::Configure { number, values } = &order.verb else { panic!("{:?}", order.verb) };
    (*number, values.clone())
}

fn connections(partition: &Partition) -> String {
    told(partition).1["max_connections"].clone()
}

/// The group gets these values.
fn change(partition: &mut Partition, command: u32, connections: u32) {
    let changed = GroupChanged {
        command: command_id(command),
        principal: "shopkeeper".into(),
        request_id: "req-9".into(),
        group: group_id(1),
        name: "latin".into(),
        values: Some(values(connections)),
    };
    partition.input(&Input::GroupChanged(Box::new(changed)));
}

fn attached() -> Partition {
    let mut partition = Partition::with_active_instance();
    partition.order(attach()).unwrap();
    partition.succeed("configure");
    partition
}

#[test]
fn an_attached_instance_is_told_the_values_in_the_engines_words() {
    let mut partition = Partition::with_active_instance();
    partition.order(attach()).unwrap();
    assert_eq!(partition.words(), "ACTIVE HEALTHY");
    let view = partition.view();
    assert_eq!(view.configuration.unwrap().name, "latin");
    let expected = [("collation_server", "latin1_swedish_ci"), ("max_connections", "200"), ("slow_query_log", "ON")];
    assert_eq!(told(&partition), (1, expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into()));
    partition.succeed("configure");
    assert_eq!(partition.instance().configuration.standing, Standing::Applied);
    assert!(partition.outstanding().is_empty());

    partition.order(Command::DetachConfiguration).unwrap();
    assert_eq!(told(&partition), (2, BTreeMap::new()));
    assert_eq!(partition.view().configuration, None);
}

#[test]
fn values_that_need_a_restart_are_told_until_there_was_one() {
    let mut partition = Partition::with_active_instance();
    partition.order(attach()).unwrap();
    partition.end("configure", Ok(Produced::Configured { restart_required: true }));
    assert_eq!(partition.words(), "RESTART_REQUIRED");
    assert!(partition.view().is_healthy(), "databases and users can be worked on");
    partition.order(Command::Restart).unwrap();
    assert_eq!(partition.words(), "REBOOT");
    partition.succeed("restart_engine");
    assert_eq!(partition.words(), "ACTIVE HEALTHY");
    // An engine that was started anew by its agent needs no other restart.
    partition.observe(Observation::RestartRequired { required: true });
    assert_eq!(partition.words(), "RESTART_REQUIRED");
    partition.observe(Observation::RestartRequired { required: false });
    assert_eq!(partition.words(), "ACTIVE HEALTHY");
}

#[test]
fn the_last_of_many_changes_wins() {
    let mut partition = attached();
    change(&mut partition, 50, 300);
    assert_eq!(connections(&partition), "300");
    change(&mut partition, 51, 400);
    change(&mut partition, 52, 500);
    assert_eq!(partition.outstanding(), ["configure/1"], "one at a time");
    assert_eq!(connections(&partition), "300");
    partition.succeed("configure");
    assert_eq!(connections(&partition), "500");
    partition.succeed("configure");
    assert!(partition.outstanding().is_empty());
    assert_eq!(partition.instance().configuration.standing, Standing::Applied);
}

#[test]
fn an_instance_that_is_not_there_hears_of_it_when_it_is() {
    let mut partition = attached();
    partition.observe(Observation::Silent);
    change(&mut partition, 50, 300);
    assert!(partition.outstanding().is_empty());
    partition.hear(EngineState::Starting);
    assert!(partition.outstanding().is_empty());
    partition.hear(EngineState::Running);
    assert_eq!(connections(&partition), "300");
}

#[test]
fn a_refused_value_is_told_as_a_fault_and_the_next_change_is_tried() {
    let mut partition = Partition::with_active_instance();
    partition.order(attach()).unwrap();
    partition.end("configure", refusal());
    assert_eq!(partition.instance().configuration.standing, Standing::Refused);
    let fault = partition.view().fault.unwrap();
    assert!(fault.message.starts_with("The configuration group was not applied ("), "{}", fault.message);
    assert!(partition.view().configuration.is_some());
    partition.hear(EngineState::Starting);
    partition.hear(EngineState::Running);
    assert!(partition.outstanding().is_empty(), "what was refused is not tried for ever");
    change(&mut partition, 50, 300);
    partition.succeed("configure");
    assert_eq!(partition.instance().configuration.standing, Standing::Applied);
}

#[test]
fn an_old_agent_is_named_as_the_cause() {
    let mut partition = Partition::with_active_instance();
    partition.order(attach()).unwrap();
    let message = "this agent does not know the verb".into();
    partition
        .end("configure", Err(Failure { retryable: false, code: "unsupported".into(), message, retry_after: None }));
    let fault = partition.view().fault.unwrap();
    assert!(fault.message.contains("the agent of this instance is too old"), "{}", fault.message);
}

#[test]
fn an_attempt_that_failed_is_followed_by_one_with_the_latest_values() {
    let mut partition = Partition::with_active_instance();
    partition.order(attach()).unwrap();
    partition.end("configure", hiccup());
    change(&mut partition, 50, 300);
    assert!(partition.outstanding().is_empty());
    partition.wait_for_timer();
    assert_eq!((partition.outstanding(), connections(&partition).as_str()), (vec!["configure/2"], "300"));
}

#[test]
fn an_engine_that_did_not_start_with_its_values_has_refused_them() {
    let mut partition = attached();
    partition.order(Command::Restart).unwrap();
    let message = "the database server does not start with this value of max_connections".into();
    let code = "configuration_refused".into();
    partition.end("restart_engine", Err(Failure { retryable: false, code, message, retry_after: None }));
    assert_eq!(partition.instance().configuration.standing, Standing::Refused);
    assert_eq!(partition.words(), "ACTIVE HEALTHY");
    assert!(partition.view().fault.unwrap().message.contains("max_connections"));
}

#[test]
fn a_new_instance_starts_with_its_group_and_is_asked_about_it() {
    let mut partition = Partition::new();
    let create = Command::Create(Box::new(Create { configuration: Some(group_id(1)), ..order() }));
    partition.order(create).unwrap();
    for step in ["ensure_address", "ensure_volume", "ensure_server"] {
        partition.succeed(step);
    }
    partition.hear(EngineState::Absent);
    partition.hear(EngineState::Running);
    let Action::Agent(order) = &partition.effect("prepare_database").action else { panic!("not for the agent") };
    let AgentVerb::Prepare { values, .. } = &order.verb else { panic!("{:?}", order.verb) };
    assert_eq!(values["max_connections"], "200");
    partition.succeed("prepare_database");
    assert_eq!(told(&partition).0, 1);
    partition.succeed("configure");
    assert_eq!(partition.words(), "ACTIVE HEALTHY");
}

#[test]
fn what_cannot_be_attached_is_refused() {
    let refused = |partition: &mut Partition| partition.order(attach()).unwrap_err();
    let mut partition = attached();
    assert_eq!(refused(&mut partition).kind, RejectionKind::Invalid, "it is attached already");

    let mut partition = Partition::with_active_instance();
    partition.group = None;
    assert_eq!(refused(&mut partition).kind, RejectionKind::NotFound);
    let mut other = group();
    other.datastore.version_id = WITHDRAWN_VERSION;
    partition.group = Some(other);
    assert!(refused(&mut partition).message.contains("does not match"));
    partition.group = Some(group());
    partition.order(Command::Restart).unwrap();
    let busy = refused(&mut partition);
    assert_eq!(busy.kind, RejectionKind::Invalid);
    assert!(busy.message.contains("REBOOTING"), "{}", busy.message);
}

#[test]
fn another_groups_change_and_a_detach_without_a_group_change_nothing() {
    let mut partition = Partition::with_active_instance();
    change(&mut partition, 50, 300);
    assert!(partition.order(Command::DetachConfiguration).unwrap().is_empty());
    assert!(partition.instance().configuration.is_none());
}

fn decide(group: Option<&Group>, command: Command, groups: usize) -> Result<Option<Group>, Rejection> {
    let mut partition = Partition::new();
    let mut envelope = partition.envelope(tenant(), partition.id(), command);
    envelope.instance.0 = group_id(1).0;
    let context = configuration::Context { now: partition.now, catalogue: &partition.catalogue, groups };
    let event = configuration::decide(group, &envelope, &context)?;
    Ok(configuration::evolve(group.cloned(), &event))
}

fn new(values: Values, version: Option<Uuid>) -> Command {
    let order = NewConfiguration { name: "latin".into(), description: None, datastore_version: version, values };
    Command::CreateConfiguration(Box::new(order))
}

fn one(name: &str, value: Value) -> Values {
    Values::from([(name.to_owned(), value)])
}

#[test]
fn a_group_is_made_patched_replaced_and_deleted() {
    assert_eq!(decide(None, new(values(200), Some(MYSQL_10_11)), 0).unwrap(), Some(group()));
    let port = one("wait_timeout", Value::Number(60.into()));
    let patched = decide(Some(&group()), Command::PatchConfiguration { values: port.clone() }, 1).unwrap().unwrap();
    assert_eq!(patched.values.len(), 4, "the others stay");
    let replace = |name: Option<&str>, values| Command::ReplaceConfiguration {
        name: name.map(str::to_owned),
        description: Some("new".into()),
        values,
    };
    let replaced = decide(Some(&patched), replace(None, Some(port.clone())), 1).unwrap().unwrap();
    assert_eq!((replaced.name.as_str(), &replaced.values), ("latin", &port));
    let renamed = decide(Some(&patched), replace(Some("western"), None), 1).unwrap().unwrap();
    assert_eq!((renamed.name.as_str(), renamed.description.as_deref()), ("western", Some("new")));
    assert_eq!(renamed.values, patched.values, "without values they stay");
    assert_eq!(decide(Some(&patched), Command::DeleteConfiguration, 1).unwrap(), None);
}

#[test]
fn what_a_group_may_not_be_is_refused() {
    let bad = one("max_connections", Value::Number(5.into()));
    let refused = |group: Option<&Group>, command, groups| decide(group, command, groups).unwrap_err().kind;
    for command in [new(bad.clone(), None), new(one("port", Value::Number(1.into())), None)] {
        assert_eq!(refused(None, command, 0), RejectionKind::Unprocessable);
    }
    let in_use = group().with_instance(Partition::new().id(), true);
    for (group, command, groups, expected) in [
        (Some(group()), Command::PatchConfiguration { values: bad }, 1, RejectionKind::Unprocessable),
        (None, new(values(200), Some(WITHDRAWN_VERSION)), 0, RejectionKind::Invalid),
        (None, new(values(200), None), MAX_GROUPS, RejectionKind::OverLimit),
        (Some(group()), new(values(200), None), 1, RejectionKind::Invalid),
        (None, Command::DeleteConfiguration, 0, RejectionKind::NotFound),
        (
            Some(Group { tenant: coffer_domain::ids::TenantId("other".into()), ..group() }),
            Command::DeleteConfiguration,
            1,
            RejectionKind::NotFound,
        ),
        (Some(in_use), Command::DeleteConfiguration, 1, RejectionKind::Invalid),
    ] {
        assert_eq!(refused(group.as_ref(), command.clone(), groups), expected, "{command:?}");
    }
}

#[test]
fn an_event_that_does_not_fit_changes_nothing() {
    let created = GroupEvent::Created(Box::new(Group { name: "other".into(), ..group() }));
    assert_eq!(configuration::evolve(Some(group()), &created), Some(group()));
    assert_eq!(configuration::evolve(None, &GroupEvent::Deleted), None);
}

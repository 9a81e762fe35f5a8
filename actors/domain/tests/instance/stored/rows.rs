//! Rows: an instance in the middle of much, what a reader sees of it, and its tenant's quota and catalogue.

use std::collections::BTreeMap;

use coffer_domain::{
    command::Access,
    configuration::Group,
    instance::{
        Instance,
        shown::{Shown, row},
        state::{
            AgentContact, AttachedGroup, Configuration, Fault, FirstContents, Health, InstanceDatastore, Operation,
            OperationKind, Presence, Resize, Resources, RootEnabled, Standing, Task, TaskKind, UserState, Waiting,
        },
        view,
        workflow::Step,
    },
    quota::{Limit, OwnLimits, TenantLimits, Usage},
    time::SECOND,
};
use coffer_protocol::report::EngineState;

use super::{effect_id, new_passwords, user_change};
use crate::support::{
    golden::{Samples, compare},
    samples::{
        CLERK, MYSQL_10_11, SHOP, START, address, catalogue, command_id, group, group_id, instance, large_flavor,
        new_database, new_user, password, server_key, small_flavor, tenant, user_key, values,
    },
};

pub fn fault() -> Fault {
    Fault {
        message: "The instance could not be created: the host has no room left.".into(),
        at: START + 4 * SECOND,
        details: "create ensure_volume attempt 1: the host has no room left [local.exhausted]".into(),
    }
}

pub fn operation() -> Operation {
    Operation {
        kind: OperationKind::Create,
        command: command_id(1),
        request_id: "req-1".into(),
        started_at: START,
        step: Step::EnsureVolume,
        attempt: 2,
        waiting: Waiting::Effect { effect: effect_id() },
        first_contents: FirstContents { databases: vec![new_database(SHOP)], users: vec![new_user(CLERK, &[SHOP])] },
        because: None,
    }
}

/// As a create makes it.
pub fn ordered() -> Instance {
    Instance {
        id: instance(1),
        tenant: tenant(),
        name: "orders-db".into(),
        created_at: START,
        updated_at: START,
        datastore: InstanceDatastore {
            name: "mysql".into(),
            version_id: MYSQL_10_11,
            version_name: "10.11".into(),
            version_number: "10.11".into(),
            manager: "mysql".into(),
        },
        flavor: small_flavor(),
        volume_gib: 2,
        volume_type: None,
        region: None,
        access: Access::default(),
        server_key: server_key(),
        resources: Resources::default(),
        operation: None,
        resize: Resize::default(),
        tasks: BTreeMap::new(),
        health: Health {
            contact: AgentContact::Silent,
            engine: EngineState::Absent,
            changed_at: START,
            gauges_at: START,
            volume_used_bytes: None,
        },
        fault: None,
        broken: false,
        databases: BTreeMap::new(),
        users: BTreeMap::new(),
        root_enabled_at: None,
        root_history: vec![],
        delete_is_forced: false,
        configuration: Configuration::default(),
        restart_required: false,
    }
}

pub fn configuration() -> Configuration {
    Configuration {
        group: Some(AttachedGroup { id: group_id(1), name: "latin".into() }),
        values: values(200),
        number: 3,
        command: Some(command_id(12)),
        standing: Standing::Waiting,
    }
}

/// With everything that a row can hold, also what does not occur together.
fn full() -> Instance {
    let task = |kind| Task { kind, started_at: START + 3 * SECOND, attempt: 1, effect: Some(effect_id()) };
    let user = |presence| UserState { presence, databases: [SHOP.to_owned()].into() };
    Instance {
        updated_at: START + 5 * SECOND,
        volume_type: Some("fast".into()),
        region: Some("RegionOne".into()),
        access: Access { is_public: Some(false), allowed_cidrs: Some(vec!["10.0.0.0/8".into()]) },
        resources: Resources {
            address: Some(address()),
            volume: Some("volume-1".into()),
            server: Some("server-1".into()),
        },
        operation: Some(operation()),
        resize: Resize { flavor: Some(large_flavor()), volume_gib: Some(3) },
        tasks: BTreeMap::from([
            (command_id(2), task(TaskKind::CreateDatabases { databases: vec![new_database("stock")] })),
            (command_id(3), task(TaskKind::DropDatabase { name: "staff".into() })),
            (command_id(4), task(TaskKind::CreateUsers { users: vec![new_user("buyer", &[SHOP])] })),
            (command_id(5), task(TaskKind::DropUser { user: user_key("guest") })),
            (
                command_id(6),
                Task { effect: None, ..task(TaskKind::EnableRoot { password: password(), user: "shopkeeper".into() }) },
            ),
            (command_id(7), task(TaskKind::Grant { user: user_key("temp"), databases: [SHOP.to_owned()].into() })),
            (command_id(8), task(TaskKind::Revoke { user: user_key("temp"), database: SHOP.into() })),
            (command_id(9), task(TaskKind::ChangeUser { user: user_key("temp"), change: user_change() })),
            (command_id(10), task(TaskKind::ChangePasswords { users: new_passwords() })),
            (command_id(11), task(TaskKind::DisableRoot)),
            (command_id(12), task(TaskKind::Configure { number: 3 })),
        ]),
        health: Health {
            contact: AgentContact::Heard,
            engine: EngineState::Running,
            changed_at: START + 2 * SECOND,
            gauges_at: START + 3 * SECOND,
            volume_used_bytes: Some(167_772_160),
        },
        fault: Some(fault()),
        broken: false,
        databases: BTreeMap::from([
            (SHOP.into(), Presence::Present),
            ("stock".into(), Presence::Creating),
            ("staff".into(), Presence::Dropping),
        ]),
        users: BTreeMap::from([
            (user_key(CLERK), user(Presence::Present)),
            (user_key("buyer"), user(Presence::Creating)),
            (user_key("guest"), user(Presence::Dropping)),
            (user_key("temp"), user(Presence::Changing)),
        ]),
        root_enabled_at: Some(START + SECOND),
        root_history: vec![RootEnabled { user: "shopkeeper".into(), enabled_at: START + SECOND }],
        delete_is_forced: true,
        configuration: configuration(),
        restart_required: true,
        ..ordered()
    }
}

/// At rest, after a create that failed.
fn broken() -> Instance {
    Instance { fault: Some(fault()), broken: true, ..ordered() }
}

/// With an operation of this kind, in its first step.
fn during(kind: OperationKind) -> Instance {
    let undoes_resize = matches!(kind, OperationKind::UndoResizeVolume | OperationKind::UndoResizeFlavor);
    let operation = Operation {
        kind,
        step: kind.steps()[0],
        attempt: 1,
        first_contents: FirstContents::default(),
        because: undoes_resize.then(fault),
        ..operation()
    };
    Instance { operation: Some(operation), ..ordered() }
}

fn instances() -> Vec<(&'static str, Instance)> {
    let kinds = [
        OperationKind::Create,
        OperationKind::Restart,
        OperationKind::Stop,
        OperationKind::Delete,
        OperationKind::CleanUp,
        OperationKind::Reset,
        OperationKind::ResizeVolume,
        OperationKind::ResizeFlavor,
        OperationKind::UndoResizeVolume,
        OperationKind::UndoResizeFlavor,
    ];
    let mut samples = vec![("full", full()), ("ordered", ordered()), ("broken", broken())];
    samples.extend(kinds.map(|kind| (kind.as_str(), during(kind))));
    samples
}

#[test]
fn instances_stand_in_the_store() {
    Samples(instances()).check("instances.json");
}

#[test]
fn what_is_shown_stands_in_the_store() {
    let mut samples: Vec<_> = instances().iter().map(|(name, instance)| (*name, view(instance))).collect();
    let engines = [
        ("healthy", EngineState::Running),
        ("restarting", EngineState::Starting),
        ("shut down", EngineState::Crashed),
        ("blocked", EngineState::Unresponsive),
        ("stopped", EngineState::Stopped),
    ];
    samples.extend(engines.map(|(name, engine)| {
        let health = Health { engine, ..full().health };
        (name, view(&Instance { health, operation: None, fault: None, ..full() }))
    }));
    let texts = samples.iter().map(|(name, view)| format!("# {name}\n{}\n", String::from_utf8(row(view)).unwrap()));
    compare("shown.txt", &texts.collect::<String>());
}

/// Each reader's parts are an object when they are joined, whatever stands in them.
#[test]
fn what_is_shown_is_taken_apart_into_members() {
    let name = "line\nbreak, \"quoted\", {braced} \u{1}".to_owned();
    for region in [None, Some("north".to_owned())] {
        let instance = Instance { name: name.clone(), region: region.clone(), ..full() };
        let row = row(&view(&instance));
        let shown = Shown::read(&row).unwrap();
        assert_eq!((shown.created_at, shown.flavor_id), (instance.created_at, instance.flavor.id.as_str()));
        let object = |parts: &[&str]| -> serde_json::Value {
            serde_json::from_str(&format!("{{{}}}", parts.join(","))).unwrap()
        };
        let listed = object(&[shown.common, shown.listed]);
        assert_eq!(listed["name"], name);
        assert_eq!(listed["tenant_id"], serde_json::Value::Null);
        let detailed = object(&[shown.common, shown.detailed, shown.for_admins, shown.for_admins_detailed]);
        assert_eq!(detailed["tenant_id"], instance.tenant.0);
        assert_eq!(detailed["created"], instance.created_at.iso());
        assert_eq!(shown.region.is_empty(), region.is_none());
        assert_eq!(shown.configuration, Some((group_id(1).to_string().as_str(), "\"latin\"")));
    }
}

#[test]
fn what_another_version_shows_is_not_taken_apart() {
    let row = String::from_utf8(row(&view(&full()))).unwrap();
    let later = row.replacen('3', "4", 1);
    let short = row.rsplit_once('\n').unwrap().0;
    let first = r#"{"v":1,"row":{}}"#;
    for other in [later.as_str(), short, first, ""] {
        assert_eq!(Shown::read(other.as_bytes()), None, "{other}");
    }
}

#[test]
fn a_row_without_what_was_optional_is_read() {
    let mut row = serde_json::to_value(ordered()).unwrap();
    let fields = row.as_object_mut().unwrap();
    fields.retain(|_, value| !value.is_null());
    assert_eq!(serde_json::from_value::<Instance>(row).unwrap(), ordered());
}

/// Written before there were grants, repairs and a history of root.
#[test]
fn a_row_of_the_first_version_is_read() {
    let mut row = serde_json::to_value(ordered()).unwrap();
    let fields = row.as_object_mut().unwrap();
    assert!(fields.remove("root_history").is_some() && fields.remove("delete_is_forced").is_some());
    assert_eq!(serde_json::from_value::<Instance>(row).unwrap(), ordered());
    let task = r#"{ "task": "enable_root", "password": { "key_id": "deployment.1", "context": "password", "bytes": "Y2lwaGVydGV4dA==" } }"#;
    let expected = TaskKind::EnableRoot { password: password(), user: String::new() };
    assert_eq!(serde_json::from_str::<TaskKind>(task).unwrap(), expected);
}

#[test]
fn groups_stand_in_the_store() {
    let full = Group { description: Some("as in the old days".into()), instances: [instance(1)].into(), ..group() };
    Samples(vec![("group", full)]).check("groups.json");
}

#[test]
fn usage_stands_in_the_store() {
    let usage = Usage { instances: 2, volume_gib: 12, memory_mib: 1536 };
    Samples(vec![("usage", usage)]).check("usage.json");
}

#[test]
fn a_tenants_own_limits_stand_in_the_store() {
    let limits = OwnLimits {
        instances: Some(Limit::AtMost(20)),
        volume_gib: None,
        memory_mib: Some(Limit::Unlimited),
        backups: Some(Limit::AtMost(0)),
    };
    let row = TenantLimits { limits, set_by: "operator".into(), request_id: "req-1".into(), set_at: START };
    Samples(vec![("limits", row)]).check("limits.json");
}

#[test]
fn the_catalogue_stands_in_the_store() {
    Samples(vec![("catalogue", catalogue())]).check("catalogue.json");
}

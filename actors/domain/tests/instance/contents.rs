//! Databases, users and root: tasks of the agent, side by side, and the lists that they change.

use coffer_domain::{
    command::Command,
    instance::{
        effect::{Action, AgentVerb, Observation},
        policy::MAX_TASKS,
        state::Presence,
    },
    rejection::RejectionKind,
};
use coffer_protocol::report::{EngineState, Inventory, UserEntry};

use crate::support::{
    partition::Partition,
    samples::{
        CLERK, SHOP, create_databases, create_users, drop_database, drop_user, enable_root, hiccup, new_database,
        refusal, user_key,
    },
};

fn databases(partition: &Partition) -> Vec<String> {
    partition.view().databases
}

fn users(partition: &Partition) -> Vec<String> {
    partition.view().users.into_iter().map(|user| user.name).collect()
}

#[test]
fn a_database_is_listed_from_the_order_on() {
    let mut partition = Partition::with_active_instance();
    partition.order(create_databases("stock")).unwrap();
    assert_eq!(databases(&partition), [SHOP, "stock"]);
    assert_eq!(partition.instance().databases["stock"], Presence::Creating);
    let Action::Agent(order) = &partition.effect("create_databases").action else { panic!("not for the agent") };
    assert_eq!(order.verb, AgentVerb::CreateDatabases { databases: vec![new_database("stock")] });

    partition.succeed("create_databases");
    assert_eq!(partition.instance().databases["stock"], Presence::Present);
}

#[test]
fn a_database_that_could_not_be_created_leaves_the_list() {
    let mut partition = Partition::with_active_instance();
    partition.order(create_databases("stock")).unwrap();
    partition.end("create_databases", refusal());
    assert_eq!(databases(&partition), [SHOP]);
    assert_eq!(partition.words(), "ACTIVE HEALTHY");
    let fault = partition.view().fault.unwrap();
    assert_eq!(
        fault.message,
        "The request to create databases failed (the host has no room left). Look at what is there, and ask again."
    );
}

#[test]
fn a_dropped_database_leaves_the_list_at_once_and_comes_back_if_it_cannot_be_dropped() {
    let mut partition = Partition::with_active_instance();
    partition.order(drop_database(SHOP)).unwrap();
    assert_eq!(databases(&partition), [""; 0]);

    let mut failing = partition.clone();
    failing.end("drop_database", refusal());
    assert_eq!(databases(&failing), [SHOP]);

    partition.succeed("drop_database");
    assert_eq!(databases(&partition), [""; 0]);
    assert_eq!(partition.order(drop_database(SHOP)).unwrap_err().kind, RejectionKind::NotFound);
}

#[test]
fn users_come_and_go_as_databases_do() {
    let mut partition = Partition::with_active_instance();
    partition.order(create_users("buyer")).unwrap();
    assert_eq!(users(&partition), ["buyer", CLERK]);
    partition.clone().end("create_users", refusal());
    partition.succeed("create_users");
    assert_eq!(users(&partition), ["buyer", CLERK]);

    partition.order(drop_user("buyer")).unwrap();
    assert_eq!(users(&partition), [CLERK]);
    let mut failing = partition.clone();
    failing.end("drop_user", refusal());
    assert_eq!(users(&failing), ["buyer", CLERK]);
    partition.succeed("drop_user");
    assert!(!partition.instance().users.contains_key(&user_key("buyer")));
}

#[test]
fn root_is_enabled_once_the_engine_has_confirmed_it() {
    let mut partition = Partition::with_active_instance();
    partition.order(enable_root()).unwrap();
    assert!(!partition.view().root_enabled);

    let mut failing = partition.clone();
    failing.end("enable_root", refusal());
    assert!(!failing.view().root_enabled);

    partition.succeed("enable_root");
    assert!(partition.view().root_enabled);
    assert_eq!(partition.instance().root_enabled_at, Some(partition.now));
}

#[test]
fn a_task_is_tried_three_times() {
    let mut partition = Partition::with_active_instance();
    partition.order(create_databases("stock")).unwrap();
    for attempt in 1..3 {
        assert_eq!(partition.outstanding(), [format!("create_databases/{attempt}")]);
        partition.end("create_databases", hiccup());
        assert_eq!(partition.instance().databases["stock"], Presence::Creating);
        partition.wait_for_timer();
    }
    let Action::Agent(order) = &partition.effect("create_databases/3").action else { panic!("not for the agent") };
    assert!(order.converge, "an earlier attempt may have been carried out");
    partition.wait_for_timer();
    assert_eq!(databases(&partition), [SHOP]);
    let message = partition.view().fault.unwrap().message;
    assert_eq!(
        message,
        "The request to create databases failed (there was no answer in time). Look at what is there, and ask again."
    );
}

#[test]
fn tasks_run_side_by_side_up_to_a_bound() {
    let mut partition = Partition::with_active_instance();
    for number in 0..MAX_TASKS {
        partition.order(create_databases(&format!("db{number}"))).unwrap();
    }
    assert_eq!(partition.effects.len(), MAX_TASKS);
    assert_eq!(partition.order(create_databases("more")).unwrap_err().kind, RejectionKind::Busy);

    partition.succeed("create_databases");
    partition.order(create_databases("more")).unwrap();
}

#[test]
fn names_are_taken_once() {
    let mut partition = Partition::with_active_instance();
    partition.order(create_databases("stock")).unwrap();
    for taken in [SHOP, "stock"] {
        let rejection = partition.order(create_databases(taken)).unwrap_err();
        assert_eq!(rejection.kind, RejectionKind::Invalid);
        assert_eq!(rejection.message, format!("A database with the name '{taken}' already exists."));
    }
    let rejection = partition.order(create_users(CLERK)).unwrap_err();
    assert_eq!(rejection.message, "A user with the name 'clerk@%' already exists.");
    assert_eq!(partition.order(drop_database("stock")).unwrap_err().kind, RejectionKind::NotFound, "not there yet");
    assert_eq!(partition.order(drop_user("nobody")).unwrap_err().kind, RejectionKind::NotFound);
}

#[test]
fn a_user_is_given_rights_only_on_databases_that_are_there() {
    let mut partition = Partition::with_active_instance();
    partition.order(drop_database(SHOP)).unwrap();
    let rejection = partition.order(create_users("buyer")).unwrap_err();
    assert_eq!(rejection.kind, RejectionKind::Invalid);
    assert_eq!(rejection.message, "Database shop cannot be found on the instance.");
}

#[test]
fn an_engine_that_is_down_takes_no_orders() {
    let mut partition = Partition::with_active_instance();
    partition.hear(EngineState::Crashed);
    for command in [create_databases("stock"), drop_database(SHOP), create_users("buyer"), enable_root()] {
        assert_eq!(partition.order(command).unwrap_err().kind, RejectionKind::WrongState);
    }
    partition.hear(EngineState::Running);
    partition.order(create_databases("stock")).unwrap();
}

#[test]
fn tasks_outlive_a_restart() {
    let mut partition = Partition::with_active_instance();
    partition.order(create_databases("stock")).unwrap();
    partition.order(Command::Restart).unwrap();
    assert_eq!(partition.outstanding().len(), 2);
    partition.end("create_databases", hiccup());
    partition.succeed("restart_engine");
    partition.wait_for_timer();
    partition.succeed("create_databases/2");
    assert_eq!(databases(&partition), [SHOP, "stock"]);
}

#[test]
fn the_engine_has_the_last_word_on_its_contents() {
    let mut partition = Partition::with_active_instance();
    partition.order(create_databases("stock")).unwrap();
    let inventory = Inventory {
        databases: vec!["made_by_hand".into()],
        users: vec![UserEntry { name: "guest".into(), host: "10.%".into(), databases: vec!["made_by_hand".into()] }],
    };

    partition.observe(Observation::Inventory(inventory.clone()));
    assert_eq!(databases(&partition), ["made_by_hand", "stock"], "but for what has just been ordered");
    assert_eq!(users(&partition), ["guest"]);
    assert!(partition.observe(Observation::Inventory(inventory)).is_empty(), "nothing new is no event");
}

//! Rights, passwords and names of users, and root: changed by tasks of the agent, one at a time for each user.

use coffer_domain::{
    command::{Command, NewPassword, UserChange},
    instance::{
        effect::{Action, AgentVerb, Failure, Observation},
        policy::MAX_ROOT_HISTORY,
        state::{Presence, RootEnabled},
    },
    rejection::RejectionKind,
};
use coffer_protocol::report::{Inventory, UserEntry};

use crate::support::{
    partition::Partition,
    samples::{
        CLERK, SHOP, change_passwords, change_user, create_databases, create_users, disable_root, drop_database,
        drop_user, enable_root, grant, password, refusal, revoke, user_key,
    },
};

/// With the databases `shop` and `stock`, and the user `clerk` with rights on the first.
fn partition() -> Partition {
    let mut partition = Partition::with_active_instance();
    partition.order(create_databases("stock")).unwrap();
    partition.succeed("create_databases");
    partition
}

fn rights(partition: &Partition, name: &str) -> Vec<String> {
    partition.instance().users[&user_key(name)].databases.iter().cloned().collect()
}

fn users(partition: &Partition) -> Vec<String> {
    partition.view().users.into_iter().map(|user| format!("{}@{}", user.name, user.host)).collect()
}

fn verb(partition: &Partition, step: &str) -> AgentVerb {
    let Action::Agent(order) = &partition.effect(step).action else { panic!("not for the agent") };
    order.verb.clone()
}

fn refused(partition: &mut Partition, command: Command) -> (RejectionKind, String) {
    let rejection = partition.order(command).unwrap_err();
    (rejection.kind, rejection.message)
}

#[test]
fn rights_are_listed_once_the_engine_has_confirmed_them() {
    let mut partition = partition();
    partition.order(grant(CLERK, "stock")).unwrap();
    let expected = AgentVerb::Grant { user: user_key(CLERK), databases: ["stock".to_owned()].into() };
    assert_eq!(verb(&partition, "grant"), expected);
    assert_eq!(rights(&partition, CLERK), [SHOP]);

    let mut failing = partition.clone();
    failing.end("grant", refusal());
    assert_eq!(rights(&failing, CLERK), [SHOP]);
    let message = failing.view().fault.unwrap().message;
    assert!(message.starts_with("The request to give a user rights failed (the host has no room left)."), "{message}");

    partition.succeed("grant");
    assert_eq!(rights(&partition, CLERK), [SHOP, "stock"]);

    partition.order(revoke(CLERK, SHOP)).unwrap();
    assert_eq!(rights(&partition, CLERK), [SHOP, "stock"], "it may still log in there");
    let mut failing = partition.clone();
    failing.end("revoke", refusal());
    assert_eq!(rights(&failing, CLERK), [SHOP, "stock"]);
    partition.succeed("revoke");
    assert_eq!(rights(&partition, CLERK), ["stock"]);
}

#[test]
fn rights_are_given_and_taken_where_they_are() {
    let mut partition = partition();
    let not_found = |message: &str| (RejectionKind::NotFound, message.to_owned());
    assert_eq!(
        refused(&mut partition, grant("nobody", SHOP)),
        not_found("User nobody@% cannot be found on the instance.")
    );
    assert_eq!(
        refused(&mut partition, grant(CLERK, "attic")),
        not_found("Database attic cannot be found on the instance.")
    );
    assert_eq!(
        refused(&mut partition, revoke(CLERK, "stock")),
        not_found("Database stock cannot be found among those of user clerk@%.")
    );
    let nothing = Command::Grant { name: CLERK.into(), host: "%".into(), databases: [].into() };
    assert_eq!(refused(&mut partition, nothing).0, RejectionKind::Invalid);
}

#[test]
fn a_user_is_changed_by_one_request_at_a_time() {
    let mut partition = partition();
    partition.order(grant(CLERK, "stock")).unwrap();
    for other in [grant(CLERK, SHOP), revoke(CLERK, SHOP), change_user(CLERK, "seller"), drop_user(CLERK)] {
        let expected = "User clerk@% is being changed by another request.";
        assert_eq!(refused(&mut partition, other), (RejectionKind::WrongState, expected.into()));
    }
    assert_eq!(refused(&mut partition, change_passwords(&[CLERK])).0, RejectionKind::WrongState);
    assert_eq!(users(&partition), ["clerk@%"], "it is there all the time");
    partition.succeed("grant");
    partition.order(revoke(CLERK, SHOP)).unwrap();
}

#[test]
fn a_database_is_not_dropped_while_rights_on_it_are_given() {
    let mut partition = partition();
    partition.order(grant(CLERK, "stock")).unwrap();
    assert_eq!(refused(&mut partition, drop_database("stock")).0, RejectionKind::WrongState);
    partition.succeed("grant");
    partition.order(create_users("buyer")).unwrap();
    assert_eq!(refused(&mut partition, drop_database(SHOP)).0, RejectionKind::WrongState);
    partition.order(drop_database("stock")).unwrap();
    partition.succeed("drop_database");
    assert_eq!(rights(&partition, CLERK), [SHOP], "there are no rights on what is not there");
}

#[test]
fn a_user_has_its_old_name_until_the_engine_has_confirmed_the_new_one() {
    let mut partition = partition();
    partition.order(change_user(CLERK, "seller")).unwrap();
    let change = UserChange { name: Some("seller".into()), host: Some("10.0.%".into()), password: Some(password()) };
    assert_eq!(verb(&partition, "change_user"), AgentVerb::ChangeUser { user: user_key(CLERK), change });
    assert_eq!(partition.instance().users[&user_key(CLERK)].presence, Presence::Changing);
    let taken = Command::CreateUsers {
        users: vec![coffer_domain::command::NewUser {
            name: "seller".into(),
            host: "10.0.%".into(),
            password: password(),
            databases: [].into(),
        }],
    };
    assert_eq!(refused(&mut partition, taken).1, "A user with the name 'seller@10.0.%' already exists.");

    let mut failing = partition.clone();
    failing.end("change_user", refusal());
    assert_eq!(users(&failing), ["clerk@%"]);

    partition.succeed("change_user");
    assert_eq!(users(&partition), ["seller@10.0.%"]);
    let (_, user) = partition.instance().users.first_key_value().unwrap();
    assert_eq!((user.presence, user.databases.first().unwrap().as_str()), (Presence::Present, SHOP));
}

#[test]
fn a_change_of_nothing_or_to_a_name_that_is_taken_is_refused() {
    let mut partition = partition();
    partition.order(create_users("buyer")).unwrap();
    partition.succeed("create_users");
    let change = |change| Command::ChangeUser { name: CLERK.into(), host: "%".into(), change };
    for (wanted, message) in [
        (UserChange::default(), "Nothing about the user is to be changed."),
        (
            UserChange { name: Some("buyer".into()), ..UserChange::default() },
            "A user with the name 'buyer@%' already exists.",
        ),
    ] {
        assert_eq!(refused(&mut partition, change(wanted)), (RejectionKind::Invalid, message.into()));
    }
    for wanted in [
        UserChange { name: Some("root".into()), ..UserChange::default() },
        UserChange { name: Some("o'neil".into()), ..UserChange::default() },
        UserChange { host: Some("example.org".into()), ..UserChange::default() },
    ] {
        assert_eq!(refused(&mut partition, change(wanted)).0, RejectionKind::Invalid);
    }
    // Its own name is no other one's.
    let own = UserChange { name: Some(CLERK.into()), password: Some(password()), ..UserChange::default() };
    partition.order(change(own)).unwrap();
    assert_eq!(users(&partition), ["buyer@%", "clerk@%"]);
    partition.succeed("change_user");
    assert_eq!(users(&partition), ["buyer@%", "clerk@%"]);
}

#[test]
fn passwords_of_several_users_are_changed_if_all_are_there() {
    let mut partition = partition();
    partition.order(create_users("buyer")).unwrap();
    partition.succeed("create_users");
    assert_eq!(refused(&mut partition, change_passwords(&[CLERK, "nobody"])).0, RejectionKind::NotFound);
    assert_eq!(refused(&mut partition, change_passwords(&[CLERK, CLERK])).0, RejectionKind::Invalid);
    assert_eq!(refused(&mut partition, change_passwords(&[])).0, RejectionKind::Invalid);

    partition.order(change_passwords(&[CLERK, "buyer"])).unwrap();
    let new = |name: &str| NewPassword { name: name.into(), host: "%".into(), password: password() };
    let expected = AgentVerb::ChangePasswords { users: vec![new(CLERK), new("buyer")] };
    assert_eq!(verb(&partition, "change_passwords"), expected);
    partition.succeed("change_passwords");
    partition.order(drop_user("buyer")).unwrap();
}

#[test]
fn root_is_enabled_until_it_is_disabled_and_remembered_after() {
    let mut partition = Partition::with_active_instance();
    let never = (RejectionKind::NotFound, "Root user has never been enabled on the instance.".to_owned());
    assert_eq!(refused(&mut partition, disable_root()), never);

    partition.order(enable_root()).unwrap();
    assert_eq!(refused(&mut partition, disable_root()).0, RejectionKind::WrongState, "it is being enabled");
    partition.succeed("enable_root");
    let enabled_at = partition.now;
    assert!(partition.view().root_enabled);

    partition.order(disable_root()).unwrap();
    assert_eq!(refused(&mut partition, enable_root()).0, RejectionKind::WrongState);
    assert!(partition.view().root_enabled, "the engine may still let it in");
    let mut failing = partition.clone();
    failing.end("disable_root", refusal());
    assert!(failing.view().root_enabled);

    partition.succeed("disable_root");
    assert!(!partition.view().root_enabled);
    assert_eq!(refused(&mut partition, disable_root()), never);
    assert_eq!(partition.instance().root_history, [RootEnabled { user: "shopkeeper".into(), enabled_at }]);
}

#[test]
fn the_history_of_root_is_bounded() {
    let mut partition = Partition::with_active_instance();
    for _ in 0..=MAX_ROOT_HISTORY {
        partition.wait(1000);
        partition.order(enable_root()).unwrap();
        partition.succeed("enable_root");
    }
    let history = &partition.instance().root_history;
    assert_eq!(history.len(), MAX_ROOT_HISTORY);
    assert_eq!(history.last().unwrap().enabled_at, partition.now);
}

#[test]
fn an_agent_that_does_not_know_the_verb_leaves_all_as_it_was() {
    let mut partition = partition();
    let failure = Failure {
        retryable: false,
        code: "unsupported".into(),
        message: "this agent does not know the verb".into(),
        retry_after: None,
    };
    for (command, step, words) in [
        (grant(CLERK, "stock"), "grant", "give a user rights"),
        (revoke(CLERK, SHOP), "revoke", "take rights from a user"),
        (change_user(CLERK, "seller"), "change_user", "change a user"),
        (change_passwords(&[CLERK]), "change_passwords", "change passwords of users"),
    ] {
        partition.order(command).unwrap();
        partition.end(step, Err(failure.clone()));
        let message = partition.view().fault.unwrap().message;
        let expected = format!("The request to {words} failed (this agent does not know the verb).");
        assert!(message.starts_with(&expected), "{message}");
        assert_eq!((users(&partition), rights(&partition, CLERK)), (vec!["clerk@%".into()], vec![SHOP.into()]));
    }
}

/// An outcome may be heard long after what it tells of: an inventory on the way counts.
#[test]
fn the_engines_word_on_rights_counts_during_a_change_too() {
    let mut partition = partition();
    partition.order(grant(CLERK, "stock")).unwrap();
    let entry = |databases: &[&str]| UserEntry {
        name: CLERK.into(),
        host: "%".into(),
        databases: databases.iter().map(|name| (*name).to_owned()).collect(),
    };
    let inventory =
        |databases: &[&str]| Inventory { databases: vec![SHOP.into(), "stock".into()], users: vec![entry(databases)] };
    partition.observe(Observation::Inventory(inventory(&[SHOP, "stock"])));
    assert_eq!(rights(&partition, CLERK), [SHOP, "stock"]);
    partition.end("grant", refusal());
    assert_eq!(rights(&partition, CLERK), [SHOP, "stock"], "it was done, whatever the agent says");
}

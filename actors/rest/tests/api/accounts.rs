//! Rights, attributes and passwords of users, and the end of root.

use coffer_domain::{
    command::Command,
    instance::view::{InstanceView, UserView},
};

use super::{control::healthy, server::Api};

const INSTANCE: &str = "/instances/00000000-0000-0000-0000-000000000001";

/// With the databases `app` and `shop.d`, the user `bob` from anywhere and `u.dot` from `10.0.0.%`.
fn api() -> Api {
    let api = Api::start();
    let user = |name: &str, host: &str, databases: &[&str]| UserView {
        name: name.into(),
        host: host.into(),
        databases: databases.iter().map(|name| (*name).to_owned()).collect(),
    };
    api.memory.put(InstanceView {
        databases: vec!["app".into(), "shop.d".into()],
        users: vec![user("bob", "%", &["app"]), user("u.dot", "10.0.0.%", &["shop.d"])],
        ..healthy(1)
    });
    api
}

#[test]
fn rights_are_listed_given_and_taken() {
    let api = api();
    let access = format!("{INSTANCE}/users/bob/databases");
    assert_eq!(api.get(&access).body, r#"{"databases":[{"name":"app"}]}"#);
    let given = api.put(&access, r#"{"databases": [{"name": "shop.d"}, {"name": "shop.d"}]}"#);
    assert_eq!((given.status, given.body.as_str(), given.header("Content-Length")), (202, "", Some("0")));
    assert_eq!(api.get(&access).body, r#"{"databases":[{"name":"app"},{"name":"shop.d"}]}"#);
    assert_eq!(api.delete(&format!("{access}/app")).status, 202);
    assert_eq!(api.get(&access).body, r#"{"databases":[{"name":"shop.d"}]}"#);
    assert_eq!(api.put(&access, r#"{"databases": []}"#).status, 202);
    assert_eq!(api.memory.count(), 2, "to give nothing is nothing to do");
}

#[test]
fn users_and_databases_are_found_under_every_spelling() {
    let api = api();
    for user in ["u.dot@10.0.0.%25", "u%2edot%4010%2e0%2e0%2e%25", "u%252edot%254010.0.0.%2525"] {
        assert_eq!(api.get(&format!("{INSTANCE}/users/{user}/databases")).status, 200, "{user}");
        for database in ["shop.d", "shop%2ed", "shop%252ed"] {
            assert_eq!(api.delete(&format!("{INSTANCE}/users/{user}/databases/{database}")).status, 202, "{user}");
            let Command::Revoke { name, host, database } = api.memory.last().command else { panic!("no revoke") };
            assert_eq!((name.as_str(), host.as_str(), database.as_str()), ("u.dot", "10.0.0.%", "shop.d"));
        }
    }
}

#[test]
fn attributes_are_changed_and_passwords_sealed() {
    let api = api();
    let body = r#"{"user": {"name": "rob", "password": "Secret-3", "host": "10.%"}}"#;
    assert_eq!(api.put(&format!("{INSTANCE}/users/bob"), body).status, 202);
    assert!(!serde_json::to_string(&api.memory.last()).unwrap().contains("Secret-"));
    assert_eq!(api.get(&format!("{INSTANCE}/users/rob@10.%25")).status, 200);
    assert_eq!(api.get(&format!("{INSTANCE}/users/bob")).status, 404);

    let body = r#"{"users": [{"name": "rob", "host": "10.%", "password": "Secret-4"},
        {"name": "u.dot", "host": "10.0.0.%", "password": "Secret-5"}]}"#;
    assert_eq!(api.put(&format!("{INSTANCE}/users"), body).status, 202);
    let Command::ChangePasswords { users } = api.memory.last().command else { panic!("no passwords") };
    let sealed: Vec<_> = users.iter().map(|user| user.password.bytes.clone()).collect();
    assert_eq!(sealed, ["Secret-4", "Secret-5"].map(|password| password.bytes().rev().collect::<Vec<_>>()));
}

#[test]
fn what_is_not_there_is_not_found() {
    let api = api();
    for (method, path, body) in [
        ("GET", "users/nobody/databases", ""),
        ("PUT", "users/nobody/databases", r#"{"databases": [{"name": "app"}]}"#),
        ("PUT", "users/nobody/databases", r#"{"databases": []}"#),
        ("DELETE", "users/nobody/databases/app", ""),
        ("PUT", "users/bob@10.%25", r#"{"user": {"name": "rob"}}"#),
        ("PUT", "users", r#"{"users": [{"name": "nobody", "password": "p1"}]}"#),
        ("DELETE", "root", ""),
    ] {
        let answer = api.call(super::people::DEMO, method, &format!("/v1.0/demo{INSTANCE}/{path}"), body);
        assert_eq!(answer.status, 404, "{method} {path}: {}", answer.body);
    }
}

#[test]
fn bad_changes_are_refused_at_once() {
    let api = api();
    for (path, body, words) in [
        ("users/bob", r#"{"user": {}}"#, "user {} should be non-empty"),
        ("users/bob", r#"{"user": {"databases": []}}"#, "'databases' was unexpected"),
        ("users/bob", r#"{"user": {"name": "o'neil"}}"#, "User name 'o'neil' is not valid"),
        ("users/bob", r#"{"user": {"name": "root"}}"#, "reserved list"),
        ("users/bob", r#"{"user": {"host": "example.org"}}"#, "Host 'example.org' is not valid"),
        ("users/bob", r#"{"user": {"password": "a;b"}}"#, "Password is not valid"),
        ("users/bob", r#"{"user": {"password": 7}}"#, "['password'] the value is not of type 'string'"),
        ("users/root", r#"{"user": {"password": "p1"}}"#, "reserved list"),
        ("users", r#"{"users": [{"name": "bob"}]}"#, "'password' is a required property"),
        ("users", r#"{"users": [{"name": "root", "password": "p1"}]}"#, "reserved list"),
        ("users", r#"{"users": {}}"#, "is not of type 'array'"),
        ("users/bob/databases", r#"{"databases": [{"name": "mysql"}]}"#, "reserved list"),
        ("users/bob/databases", r#"{"databases": [{}]}"#, "databases[0] 'name' is a required property"),
        ("users/root/databases", r#"{"databases": [{"name": "app"}]}"#, "reserved list"),
    ] {
        let answer = api.put(&format!("{INSTANCE}/{path}"), body);
        let message = answer.fault().1;
        assert_eq!(answer.status, 400, "{path} {body}: {message}");
        assert!(message.contains(words), "{path} {body}: {message}");
    }
    assert_eq!(api.memory.count(), 0);
}

#[test]
fn root_is_disabled_once() {
    let api = api();
    let root = format!("{INSTANCE}/root");
    assert_eq!(api.delete(&root).fault().1, "Root user has never been enabled on the instance.");
    assert_eq!(api.post(&root, r#"{"password": "chosen-1"}"#).json()["user"]["password"], "chosen-1");
    let gone = api.delete(&root);
    assert_eq!((gone.status, gone.body.as_str()), (204, ""));
    assert_eq!(api.get(&root).body, r#"{"rootEnabled":false}"#);
    assert_eq!(api.delete(&root).status, 404);
}

#[test]
fn an_agent_that_does_not_know_the_verb_is_no_success() {
    let api = api();
    let words = "The request grant failed: this agent does not know the verb.";
    *api.memory.outcome.lock().unwrap() = Some(Err(words.into()));
    let answer = api.put(&format!("{INSTANCE}/users/bob/databases"), r#"{"databases": [{"name": "app"}]}"#);
    assert_eq!(answer.fault().1, format!("An error occurred communicating with the guest: {words}"));
}

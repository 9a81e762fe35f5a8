//! Databases, users and root: from creation to deletion, under every spelling that clients use.

use coffer_domain::{
    command::Command,
    instance::view::{InstanceView, UserView},
};

use super::{control::healthy, server::Api};

const INSTANCE: &str = "/instances/00000000-0000-0000-0000-000000000001";

fn with_users(users: &[(&str, &str)]) -> Api {
    let api = Api::start();
    let user =
        |(name, host): &(&str, &str)| UserView { name: (*name).into(), host: (*host).into(), databases: Vec::new() };
    api.memory.put(InstanceView { users: users.iter().map(user).collect(), ..healthy(1) });
    api
}

#[test]
fn databases_come_and_go() {
    let api = Api::start();
    api.memory.put(healthy(1));
    let body = r#"{"databases": [{"name": "shop", "character_set": "utf8mb4"}, {"name": "app"}]}"#;
    assert_eq!(api.post(&format!("{INSTANCE}/databases"), body).status, 202);
    assert_eq!(api.get(&format!("{INSTANCE}/databases")).body, r#"{"databases":[{"name":"app"},{"name":"shop"}]}"#);
    let gone = api.delete(&format!("{INSTANCE}/databases/app"));
    assert_eq!((gone.status, gone.body.as_str(), gone.header("Content-Length")), (202, "", Some("0")));
    let again = api.delete(&format!("{INSTANCE}/databases/app"));
    assert_eq!(again.fault().1, "Database app cannot be found on the instance.");
    let reserved = api.delete(&format!("{INSTANCE}/databases/mysql"));
    assert_eq!(reserved.status, 400);
    assert_eq!(api.post(&format!("{INSTANCE}/databases"), r#"{"databases": []}"#).status, 202);
    assert_eq!(api.memory.count(), 2);
}

#[test]
fn users_come_and_go() {
    let api = Api::start();
    api.memory.put(healthy(1));
    let body = r#"{"users": [{"name": "bob", "password": "Secret-1", "databases": [{"name": "app"}]},
        {"name": "bob", "password": "Secret-2", "host": "10.0.0.%"}]}"#;
    assert_eq!(api.post(&format!("{INSTANCE}/users"), body).status, 202);
    assert!(!serde_json::to_string(&api.memory.last()).unwrap().contains("Secret-"));
    let shown = api.get(&format!("{INSTANCE}/users/bob@10.0.0.%25"));
    assert_eq!(shown.body, r#"{"user":{"name":"bob","host":"10.0.0.%","databases":[]}}"#);
    assert_eq!(api.delete(&format!("{INSTANCE}/users/bob")).status, 202);
    assert_eq!(api.get(&format!("{INSTANCE}/users/bob")).status, 404);
    assert_eq!(api.get(&format!("{INSTANCE}/users/bob%4010.0.0.%25")).status, 200);
    assert_eq!(api.delete(&format!("{INSTANCE}/users/root")).status, 400);
    assert_eq!(api.get(&format!("{INSTANCE}/users/os_admin")).status, 400);
}

#[test]
fn users_are_found_under_every_spelling() {
    let api = with_users(&[("u.dot", "%"), ("u.dot", "10.0.0.%"), ("a@b", "%"), ("tail@", "%"), ("p%41", "%")]);
    for (segment, name, host) in [
        ("u.dot", "u.dot", "%"),
        ("u%2edot", "u.dot", "%"),
        ("u.dot@%25", "u.dot", "%"),
        ("u%2edot%40%25", "u.dot", "%"),
        ("u%252edot%2540%2525", "u.dot", "%"),
        ("u.dot%4010.0.0.%25", "u.dot", "10.0.0.%"),
        ("u%2edot%4010%2e0%2e0%2e%25", "u.dot", "10.0.0.%"),
        ("u.dot%254010.0.0.%2525", "u.dot", "10.0.0.%"),
        ("u.dot@10.0.0.%", "u.dot", "10.0.0.%"),
        ("a%40b%40%25", "a@b", "%"),
        ("a@b@%25", "a@b", "%"),
        ("tail%40", "tail@", "%"),
        ("tail%2540", "tail@", "%"),
        // There is such a user: it is meant, and not `pA`.
        ("p%2541", "p%41", "%"),
    ] {
        let answer = api.get(&format!("{INSTANCE}/users/{segment}"));
        assert_eq!(answer.status, 200, "{segment}: {}", answer.body);
        let user = &answer.json()["user"];
        assert_eq!((user["name"].as_str(), user["host"].as_str()), (Some(name), Some(host)), "{segment}");
    }
    let answer = api.delete(&format!("{INSTANCE}/users/u.dot%254010.0.0.%2525"));
    assert_eq!(answer.status, 202);
    let Command::DropUser { name, host } = api.memory.last().command else { panic!("not a drop") };
    assert_eq!((name.as_str(), host.as_str()), ("u.dot", "10.0.0.%"));
}

#[test]
fn bad_contents_are_refused_at_once() {
    let api = Api::start();
    api.memory.put(healthy(1));
    for (path, body, words) in [
        ("databases", r#"{"databases": [{"name": "x"}]}"#, "at least 2 characters"),
        ("databases", r#"{"databases": [{"name": "sys"}]}"#, "reserved list"),
        ("databases", r#"{"databases": [{}]}"#, "databases[0] 'name' is a required property"),
        (
            "databases",
            r#"{"databases": [{"name": "ab", "collate": "latin1_x"}]}"#,
            "'latin1_x' is not a valid collation.",
        ),
        ("databases", "{}", "'databases' is a required property"),
        ("users", r#"{"users": [{"name": "bob", "password": "a;b"}]}"#, "Password is not valid"),
        ("users", r#"{"users": [{"name": "b'b", "password": "p1"}]}"#, "User name 'b'b' is not valid"),
        ("users", r#"{"users": [{"name": "bob", "password": "p1", "host": null}]}"#, "users[0]['host'] None"),
        ("root", r#"{"password": "a'b"}"#, "Password is not valid"),
        ("root", r#"{"password": 7}"#, "password the value is not of type 'string'"),
        ("root", "[]", "is not of type 'object'"),
    ] {
        let answer = api.post(&format!("{INSTANCE}/{path}"), body);
        let message = answer.fault().1;
        assert_eq!(answer.status, 400, "{body}: {message}");
        assert!(message.contains(words), "{body}: {message}");
    }
    assert_eq!(api.memory.count(), 0);
}

#[test]
fn root_gets_the_given_password_or_a_random_one() {
    let api = Api::start();
    api.memory.put(healthy(1));
    assert_eq!(api.get(&format!("{INSTANCE}/root")).body, r#"{"rootEnabled":false}"#);
    for body in ["", "{}", "null", r#"{"password": null}"#] {
        let answer = api.post(&format!("{INSTANCE}/root"), body);
        assert_eq!(answer.status, 200, "{body}");
        let password = answer.json()["user"]["password"].as_str().unwrap().to_owned();
        assert_eq!((password.len(), answer.json()["user"]["name"].as_str()), (36, Some("root")));
        let Command::EnableRoot { password: sealed } = api.memory.last().command else { panic!("not root") };
        assert_eq!(sealed.bytes, password.bytes().rev().collect::<Vec<_>>());
    }
    assert_eq!(api.get(&format!("{INSTANCE}/root")).body, r#"{"rootEnabled":true}"#);
}

#[test]
fn what_the_guest_makes_of_it_is_waited_for() {
    let api = Api::start();
    api.memory.put(healthy(1));
    let create =
        |name: &str| api.post(&format!("{INSTANCE}/databases"), &format!(r#"{{"databases": [{{"name": "{name}"}}]}}"#));
    *api.memory.outcome.lock().unwrap() = Some(Err("The disk is full.".into()));
    assert_eq!(create("db1").fault().1, "An error occurred communicating with the guest: The disk is full.");
    *api.memory.outcome.lock().unwrap() = None;
    assert_eq!(create("db2").status, 202, "still running when the time is up");
}

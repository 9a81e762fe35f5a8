//! A request that is sent again with its `Idempotency-Key`: its first answer again, and nothing done twice.

use coffer_domain::{command::Command, rejection::RejectionKind};

use super::{
    control::{healthy, refusal},
    people::{ADMIN, DEMO, OPERATOR},
    server::{Answer, Api},
};

const INSTANCE: &str = "/v1.0/demo/instances/00000000-0000-0000-0000-000000000001";
const ORDER: &str = r#"{"instance": {"name": "shop-db", "flavorRef": 1, "volume": {"size": 2}}}"#;
const RESTART: &str = r#"{"restart": {}}"#;

fn api() -> Api {
    let api = Api::start();
    api.memory.put(healthy(1));
    api
}

fn send(api: &Api, token: &str, key: &str, method: &str, path: &str, body: &str) -> Answer {
    let headers = [
        ("X-Auth-Token", token),
        ("Accept", "application/json"),
        ("Content-Type", "application/json"),
        ("Idempotency-Key", key),
    ];
    api.send(method, path, &headers, body.as_bytes())
}

fn is_replayed(answer: &Answer) -> bool {
    answer.header("Idempotent-Replayed") == Some("true")
}

#[test]
fn a_create_is_done_once_and_answered_as_the_first_time() {
    let api = api();
    let create = || send(&api, DEMO, "k-1", "POST", "/v1.0/demo/instances", ORDER);
    let first = create();
    assert_eq!((first.status, is_replayed(&first)), (200, false), "{}", first.body);
    let id = first.json()["instance"]["id"].as_str().unwrap().to_owned();
    // Whatever has become of it meanwhile.
    assert_eq!(api.delete(&format!("/instances/{id}")).status, 202);
    let again = create();
    assert_eq!((again.status, is_replayed(&again)), (200, true));
    assert_eq!(again.body, first.body);
    assert_eq!(api.memory.count(), 2, "a create and a delete");
}

#[test]
fn a_password_that_was_generated_is_told_again_and_kept_sealed() {
    let api = api();
    let enable = || send(&api, DEMO, "k-1", "POST", &format!("{INSTANCE}/root"), "");
    let first = enable();
    let password = first.json()["user"]["password"].as_str().unwrap().to_owned();
    assert_eq!(password.len(), 36);
    assert_eq!(enable().body, first.body);
    assert_eq!(api.memory.count(), 1);
    assert!(!serde_json::to_string(&api.memory.last()).unwrap().contains(&password));
}

#[test]
fn every_answer_has_its_status_and_body_again() {
    let api = api();
    let group = send(
        &api,
        DEMO,
        "g",
        "POST",
        "/v1.0/demo/configurations",
        r#"{"configuration": {"name": "c", "values": {"max_connections": 100}}}"#,
    );
    let group = group.json()["configuration"]["id"].as_str().unwrap().to_owned();
    let group = format!("/v1.0/demo/configurations/{group}");
    let patch = r#"{"configuration": {"values": {"max_connections": 200}}}"#;
    for (method, path, body, status) in [
        ("POST", format!("{INSTANCE}/action"), RESTART, 202),
        ("POST", "/v1.0/demo/configurations".into(), r#"{"configuration": {"name": "c", "values": {}}}"#, 200),
        ("PATCH", group.clone(), patch, 200),
        ("PUT", group.clone(), r#"{"configuration": {"values": {}}}"#, 202),
        ("POST", format!("{INSTANCE}/databases"), r#"{"databases": [{"name": "shop"}]}"#, 202),
        ("POST", format!("{INSTANCE}/root"), r#"{"password": "Secret-1"}"#, 200),
        ("DELETE", format!("{INSTANCE}/root"), "", 204),
        ("PUT", INSTANCE.into(), r#"{"instance": {"name": "other"}}"#, 202),
        ("DELETE", group, "", 202),
    ] {
        // A restart of the fake ends nothing: it is made healthy again, as time would.
        api.memory.put(coffer_domain::instance::InstanceView { root_enabled: method == "DELETE", ..healthy(1) });
        let first = send(&api, DEMO, "k", method, &path, body);
        let count = api.memory.count();
        let again = send(&api, DEMO, "k", method, &path, body);
        assert_eq!((first.status, is_replayed(&first)), (status, false), "{method} {path}: {}", first.body);
        assert_eq!((again.status, is_replayed(&again)), (status, true), "{method} {path}: {}", again.body);
        assert_eq!((again.body, api.memory.count()), (first.body, count), "{method} {path}");
    }
}

#[test]
fn a_request_id_repeats_nothing_and_a_key_does() {
    let api = api();
    let restart = |more: (&str, &str)| {
        let headers = [("X-Auth-Token", DEMO), ("Content-Type", "application/json"), more];
        let answer = api.send("POST", &format!("{INSTANCE}/action"), &headers, RESTART.as_bytes());
        assert_eq!(answer.status, 202, "{}", answer.body);
        api.memory.count()
    };
    let request_id = ("X-Openstack-Request-Id", "req-6f8f9d6c-3f0e-4b0c-9d52-7f8d2f9f3a11");
    assert_eq!((restart(request_id), restart(request_id)), (1, 2));
    let key = ("Idempotency-Key", "k-1");
    assert_eq!((restart(key), restart(key)), (3, 3));
}

#[test]
fn a_key_stands_for_one_request() {
    let api = api();
    let action = format!("{INSTANCE}/action");
    let other = INSTANCE.replace("0001", "0002");
    api.memory.put(healthy(2));
    assert_eq!(send(&api, DEMO, "k", "POST", &action, RESTART).status, 202);
    for (path, body) in [
        (action.clone(), r#"{"resize": {"volume": {"size": 6}}}"#),
        (format!("{other}/action"), RESTART),
        (format!("{action}?x=1"), RESTART),
    ] {
        let refused = send(&api, DEMO, "k", "POST", &path, body);
        let (name, message) = refused.fault();
        assert_eq!((refused.status, name.as_str()), (422, "unprocessableEntity"));
        assert!(message.contains("Idempotency-Key was sent with another request"), "{message}");
    }
    assert_eq!(api.memory.count(), 1, "nothing was done");
}

#[test]
fn a_key_counts_for_its_caller_and_its_route_alone() {
    let api = api();
    let action = format!("{INSTANCE}/action");
    for (token, path) in [(DEMO, action.clone()), (OPERATOR, action), (DEMO, format!("{INSTANCE}/databases"))] {
        let body = if path.ends_with("action") { RESTART } else { r#"{"databases": [{"name": "shop"}]}"# };
        api.memory.put(healthy(1));
        let answer = send(&api, token, "k", "POST", &path, body);
        assert_eq!((answer.status, is_replayed(&answer)), (202, false), "{token} {path}: {}", answer.body);
    }
    assert_eq!(api.memory.count(), 3);
}

#[test]
fn a_refusal_is_decided_again() {
    let api = api();
    let restart = || send(&api, DEMO, "k", "POST", &format!("{INSTANCE}/action"), RESTART);
    *api.memory.refusal.lock().unwrap() = Some(refusal(RejectionKind::WrongState));
    assert_eq!(restart().status, 422);
    let done = restart();
    assert_eq!((done.status, is_replayed(&done)), (202, false), "nothing was done the first time");
}

#[test]
fn what_failed_in_the_guest_is_told_again() {
    let api = api();
    let create =
        || send(&api, DEMO, "k", "POST", &format!("{INSTANCE}/databases"), r#"{"databases": [{"name": "shop"}]}"#);
    *api.memory.outcome.lock().unwrap() = Some(Err("The engine said no.".into()));
    let first = create();
    assert_eq!(first.status, 400);
    assert!(first.fault().1.contains("The engine said no."), "{}", first.body);
    *api.memory.outcome.lock().unwrap() = Some(Ok(()));
    let again = create();
    assert_eq!((again.status, again.body, api.memory.count()), (400, first.body, 1));
}

#[test]
fn an_operators_repeat_finds_what_the_tenants_partition_keeps() {
    let api = api();
    let path = format!("/v1.0/admin/mgmt/instances{}/action", INSTANCE.trim_start_matches("/v1.0/demo/instances"));
    let reboot = || send(&api, ADMIN, "k", "POST", &path, r#"{"reboot": {}}"#);
    let (first, again) = (reboot(), reboot());
    assert_eq!((first.status, again.status, is_replayed(&again)), (202, 202, true), "{}", first.body);
    assert_eq!(api.memory.count(), 1);
}

#[test]
fn a_key_that_is_none_is_refused_and_reads_need_none() {
    let api = api();
    for key in ["", &"k".repeat(256), "schlüssel"] {
        let refused = send(&api, DEMO, key, "POST", &format!("{INSTANCE}/action"), RESTART);
        assert_eq!(refused.status, 400, "{key}");
        assert!(refused.fault().1.starts_with("Idempotency-Key:"), "{}", refused.body);
    }
    assert_eq!(api.memory.count(), 0);
    assert_eq!(send(&api, DEMO, &"k".repeat(256), "GET", INSTANCE, "").status, 200);
    assert_eq!(send(&api, DEMO, &"k".repeat(255), "POST", &format!("{INSTANCE}/action"), RESTART).status, 202);
    let wrong = send(&api, DEMO, "k", "POST", &format!("{INSTANCE}/action"), "{");
    assert_eq!(wrong.status, 400, "the body is checked as ever");
    let away = send(&api, DEMO, "k", "POST", "/v1.0/demo/nowhere", "{}");
    assert_eq!(away.status, 404);
}

#[test]
fn two_changes_of_one_request_are_answered_once_both_are_taken() {
    let api = api();
    let group = uuid::Uuid::from_u128(9);
    let both = format!(r#"{{"instance": {{"name": "other", "configuration": "{group}"}}}}"#);
    let update = || send(&api, DEMO, "k", "PUT", INSTANCE, &both);
    assert_eq!((update().status, api.memory.count()), (202, 2));
    assert!(matches!(api.memory.last().command, Command::AttachConfiguration { .. }));
    let again = update();
    assert_eq!((again.status, is_replayed(&again), api.memory.count()), (202, true, 2));
}

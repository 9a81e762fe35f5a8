//! Another name for an instance, and resets of its status.

use coffer_domain::{
    command::Command,
    instance::view::{InstanceView, OperatingStatus, Status},
};

use super::{
    control::healthy,
    people::{DEMO, OPERATOR},
    server::{Answer, Api},
};

const INSTANCE: &str = "/v1.0/demo/instances/00000000-0000-0000-0000-000000000001";

fn act(api: &Api, token: &str, body: &str) -> Answer {
    api.call(token, "POST", &format!("{INSTANCE}/action"), body)
}

#[test]
fn an_instance_is_renamed_in_any_state() {
    let api = Api::start();
    let (status, operating_status) = (Status::Build, OperatingStatus::Unknown);
    api.memory.put(InstanceView { status, operating_status, ..healthy(1) });
    for (method, name) in [("PUT", "one"), ("PATCH", "two")] {
        let answer = api.call(DEMO, method, INSTANCE, &format!(r#"{{"instance": {{"name": "{name}"}}}}"#));
        assert_eq!((answer.status, answer.body.as_str(), answer.header("Content-Length")), (202, "", Some("0")));
        assert_eq!(api.call(DEMO, "GET", INSTANCE, "").json()["instance"]["name"], name);
    }
}

#[test]
fn to_detach_no_configuration_is_nothing_to_do() {
    let api = Api::start();
    api.memory.put(healthy(1));
    for body in [r#"{"instance": {}}"#, r#"{"instance": {"configuration": null}}"#] {
        assert_eq!(api.call(DEMO, "PUT", INSTANCE, body).status, 202, "{body}");
    }
    assert_eq!(api.memory.count(), 0);
    let body = r#"{"instance": {"name": "other", "configuration": null}}"#;
    assert_eq!(api.call(DEMO, "PUT", INSTANCE, body).status, 202);
    assert_eq!(api.memory.last().command, Command::Rename { name: "other".into() });
}

#[test]
fn what_cannot_be_changed_is_named() {
    let api = Api::start();
    api.memory.put(healthy(1));
    for (body, status, words) in [
        (r#"{"instance": {"replica_of": null}}"#, 501, "'replica_of'"),
        (r#"{"instance": {"slave_of": ""}}"#, 501, "'slave_of'"),
        (r#"{"instance": {"datastore_version": "11.4"}}"#, 501, "'datastore_version'"),
        (r#"{"instance": {"name": "x1", "access": {"is_public": true}}}"#, 501, "'access'"),
        (r#"{"instance": {"flavor": "2"}}"#, 400, "'flavor' was unexpected"),
        (r#"{"instance": {"access": {}, "replica_of": null}}"#, 400, "access, replica_of"),
        (r#"{"instance": {"name": ""}}"#, 400, "instance['name'] '' should be non-empty"),
        (r#"{"instance": {"name": "a\u0007"}}"#, 400, "control character"),
        (r#"{"instance": null}"#, 400, "instance None is not of type 'object'"),
        (r#"{"name": "x1"}"#, 400, "'instance' is a required property"),
    ] {
        let answer = api.call(DEMO, "PUT", INSTANCE, body);
        let message = answer.fault().1;
        assert_eq!(answer.status, status, "{body}: {message}");
        assert!(message.contains(words), "{body}: {message}");
    }
    assert_eq!(api.memory.count(), 0);
    let missing = INSTANCE.replace("01", "09");
    assert_eq!(api.call(DEMO, "PUT", &missing, r#"{"instance": {"name": "x1"}}"#).status, 404);
}

#[test]
fn a_reset_is_for_operators_and_one_to_delete_by_force_for_owners_too() {
    let api = Api::start();
    api.memory.put(healthy(1));
    for body in [r#"{"reset_status": {}}"#, r#"{"reset_status": {"force_delete": false}}"#] {
        let refused = act(&api, DEMO, body);
        assert_eq!(refused.status, 403);
        assert_eq!(refused.fault().1, "Policy doesn't allow instance:reset_status to be performed.");
        assert_eq!(act(&api, OPERATOR, body).status, 202);
        assert_eq!(api.memory.last().command, Command::ResetStatus { force_delete: false });
    }
    for token in [DEMO, OPERATOR] {
        let answer = act(&api, token, r#"{"reset_status": {"force_delete": true}}"#);
        assert_eq!((answer.status, answer.body.as_str()), (202, ""));
        assert_eq!(api.memory.last().command, Command::ResetStatus { force_delete: true });
    }
    for body in [
        r#"{"reset_status": null}"#,
        r#"{"reset_status": {"force_delete": "yes"}}"#,
        r#"{"reset_status": {"force": true}}"#,
    ] {
        assert_eq!(act(&api, OPERATOR, body).status, 400, "{body}");
    }
    assert_eq!(api.memory.count(), 4);
}

//! The table of refusals.

use std::sync::atomic::Ordering;

use coffer_domain::{
    command::Command,
    instance::view::{InstanceView, OperatingStatus, Status},
    rejection::RejectionKind,
};

use super::{
    control::{OLD_VERSION, healthy, refusal},
    people::{ADMIN, DEMO},
    server::Api,
};

const INSTANCE: &str = "/instances/00000000-0000-0000-0000-000000000001";

#[test]
fn unknown_routes_and_wrong_methods_are_404() {
    let api = Api::start();
    api.memory.put(healthy(1));
    for (method, path) in [
        ("GET", "/".to_owned()),
        ("GET", String::new()),
        ("GET", "/instances/".into()),
        ("GET", "/nothing".into()),
        ("GET", "/flavors.json".into()),
        ("PUT", "/flavors".into()),
        ("POST", "/flavors/1".into()),
        ("DELETE", "/instances".into()),
        ("POST", INSTANCE.into()),
        ("GET", format!("{INSTANCE}/action")),
        ("GET", format!("{INSTANCE}/databases/")),
        ("HEAD", "/instances".into()),
        ("TRACE", "/instances".into()),
    ] {
        let answer = api.call(DEMO, method, &format!("/v1.0/demo{path}"), "");
        assert_eq!(answer.status, 404, "{method} {path}");
        if method != "HEAD" {
            let expected = ("itemNotFound".to_owned(), "The resource could not be found.".to_owned());
            assert_eq!(answer.fault(), expected, "{method} {path}");
        }
    }
    for (method, path) in
        [("GET", "/nothing"), ("POST", "/"), ("GET", "/v2.0/x"), ("GET", "/v3/auth/tokens"), ("PUT", "/v3")]
    {
        assert_eq!(api.send(method, path, &[], b"").fault().0, "itemNotFound", "{method} {path}");
    }
}

#[test]
fn things_that_are_not_there() {
    let api = Api::start();
    api.memory.put(healthy(1));
    let old = format!("/datastores/versions/{OLD_VERSION}");
    for (path, status, message) in [
        ("/instances/nobody", 404, "Resource nobody cannot be found."),
        ("/flavors/99", 404, "Resource 99 cannot be found."),
        ("/datastores/oracle", 404, "Datastore 'oracle' cannot be found."),
        ("/datastores/empty", 404, "Datastore 'empty' cannot be found."),
        ("/datastores/oracle/versions", 404, "Datastore 'oracle' cannot be found."),
        ("/datastores/mysql/versions/9", 400, "Datastore version '9' cannot be found."),
        ("/datastores/mysql/versions/10.5", 400, "Datastore version '10.5' cannot be found."),
        ("/datastores/mysql/versions/9/flavors", 400, "Datastore version '9' cannot be found."),
        ("/datastores/versions/9", 400, "Datastore version '9' cannot be found."),
        (&old, 400, "Datastore version '00000000-0000-0000-0000-000000001005' cannot be found."),
        ("/mgmt/quotas/other", 403, "Operation not allowed for tenant demo."),
        (&format!("{INSTANCE}/users/bob"), 404, "User bob cannot be found on the instance."),
        (&format!("{INSTANCE}/databases/db"), 501, "One database cannot be shown; list the databases instead."),
        ("/instances?limit=abc", 400, "The query parameter 'limit' must be a whole number, not negative."),
        ("/instances?limit=-1", 400, "The query parameter 'limit' must be a whole number, not negative."),
    ] {
        let answer = api.get(path);
        assert_eq!((answer.status, answer.fault().1.as_str()), (status, message), "{path}");
    }
    let admin = api.call(ADMIN, "GET", &format!("/v1.0/admin{old}"), "");
    assert_eq!((admin.status, admin.json()["version"]["active"].as_u64()), (200, Some(0)));
}

#[test]
fn rejections_of_the_domain_have_troves_status_and_name() {
    let api = Api::start();
    api.memory.put(healthy(1));
    for (kind, status, name) in [
        (RejectionKind::Invalid, 400, "badRequest"),
        (RejectionKind::NotFound, 404, "itemNotFound"),
        (RejectionKind::WrongState, 422, "unprocessableEntity"),
        (RejectionKind::OverLimit, 413, "overLimit"),
        (RejectionKind::Unsupported, 501, "notImplemented"),
        (RejectionKind::Busy, 503, "serviceUnavailable"),
        (RejectionKind::NoRoom, 503, "serviceUnavailable"),
    ] {
        *api.memory.refusal.lock().unwrap() = Some(refusal(kind));
        let answer = api.post(&format!("{INSTANCE}/action"), r#"{"restart": {}}"#);
        assert_eq!(answer.status, status);
        assert_eq!(answer.fault(), (name.to_owned(), "The words of the domain.".to_owned()));
    }
}

#[test]
fn a_full_disk_is_asked_again_later_than_a_busy_control_plane() {
    let api = Api::start();
    api.memory.put(healthy(1));
    for (kind, seconds) in
        [(RejectionKind::Busy, Some("1")), (RejectionKind::NoRoom, Some("30")), (RejectionKind::Invalid, None)]
    {
        *api.memory.refusal.lock().unwrap() = Some(refusal(kind));
        let answer = api.post(&format!("{INSTANCE}/action"), r#"{"restart": {}}"#);
        assert_eq!(answer.header("Retry-After"), seconds, "{kind:?}");
    }
}

#[test]
fn an_engine_that_is_not_healthy_has_no_contents_to_show() {
    let api = Api::start();
    for (status, operating_status, words) in [
        (Status::Build, OperatingStatus::Unknown, "status: BUILD, operating status: ''"),
        (Status::Active, OperatingStatus::Error, "status: ACTIVE, operating status: 'ERROR'"),
        (Status::Reboot, OperatingStatus::Unknown, "status: REBOOT, operating status: ''"),
    ] {
        api.memory.put(InstanceView { status, operating_status, ..healthy(1) });
        for answer in [
            api.get(&format!("{INSTANCE}/databases")),
            api.get(&format!("{INSTANCE}/users")),
            api.get(&format!("{INSTANCE}/users/u")),
            api.get(&format!("{INSTANCE}/root")),
            api.post(&format!("{INSTANCE}/root"), ""),
            api.post(&format!("{INSTANCE}/databases"), r#"{"databases": [{"name": "db1"}]}"#),
            api.post(&format!("{INSTANCE}/users"), r#"{"users": [{"name": "u", "password": "p1"}]}"#),
            api.delete(&format!("{INSTANCE}/databases/db1")),
            api.delete(&format!("{INSTANCE}/users/u")),
        ] {
            let (name, message) = answer.fault();
            assert_eq!((answer.status, name.as_str()), (422, "unprocessableEntity"));
            assert!(message.contains(words), "{message}");
        }
    }
    assert_eq!(api.memory.count(), 0);
}

#[test]
fn actions() {
    let api = Api::start();
    api.memory.put(healthy(1));
    for (body, status) in [
        (r#"{"restart": {}}"#, 202),
        (r#"{"restart": null}"#, 400),
        (r#"{"restart": []}"#, 400),
        ("{}", 400),
        ("", 400),
        ("[]", 400),
        ("null", 400),
        (r#"{"zz": {}}"#, 400),
        (r#"{"restart": {}, "resize": {}}"#, 400),
        (r#"{"resize": {"volume": {"size": 9}}}"#, 202),
        (r#"{"resize": {"volume": {"size": "9"}}}"#, 202),
        (r#"{"resize": {"volume": {"size": 11}}}"#, 413),
        (r#"{"resize": {"volume": {"size": 0}}}"#, 400),
        (r#"{"resize": {"volume": {}}}"#, 400),
        (r#"{"resize": {"volume": 9}}"#, 400),
        (r#"{"resize": {"flavorRef": 2}}"#, 202),
        (r#"{"resize": {"flavorRef": "http://127.0.0.1/v1.0/demo/flavors/2"}}"#, 202),
        (r#"{"resize": {"flavorRef": null}}"#, 400),
        (r#"{"resize": {"flavorRef": 2, "volume": {"size": 9}}}"#, 400),
        (r#"{"resize": {}}"#, 400),
        (r#"{"resize": null}"#, 400),
        (r#"{"promote_to_replica_source": {}}"#, 501),
        (r#"{"reset_status": {}}"#, 403),
    ] {
        let answer = api.post(&format!("{INSTANCE}/action"), body);
        assert_eq!(answer.status, status, "{body}: {}", answer.body);
        if status == 202 {
            assert_eq!((answer.body.as_str(), answer.header("Content-Length")), ("", Some("0")));
            assert_eq!(answer.header("Content-Type"), Some("application/json"));
        }
    }
    assert_eq!(api.memory.count(), 5);
    assert_eq!(api.memory.last().command, Command::ResizeFlavor { flavor: "2".into() });
    let answer = api.post("/instances/nobody/action", r#"{"restart": {}}"#);
    assert_eq!(answer.status, 404);
}

#[test]
fn a_store_that_cannot_answer_is_503_and_not_ready() {
    let api = Api::start();
    api.memory.put(healthy(1));
    api.memory.is_away.store(true, Ordering::SeqCst);
    for path in ["/instances", INSTANCE, "/mgmt/quotas/demo"] {
        let answer = api.get(path);
        assert_eq!((answer.status, answer.fault().0.as_str()), (503, "serviceUnavailable"), "{path}");
    }
    let answer = api.send("GET", "/readyz", &[], b"");
    assert_eq!((answer.status, answer.body.as_str()), (503, "not ready: The store cannot be read now."));
    assert_eq!(api.send("GET", "/healthz", &[], b"").status, 200);
}

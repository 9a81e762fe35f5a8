//! What a tenant is answered about things that Coffer does not have yet.

use super::{
    control::healthy,
    people::{DEMO, OPERATOR, OTHER},
    server::Api,
};

const ID: &str = "3fa85f64-5717-4562-b3fc-2c963f66afa6";
const INSTANCE: &str = "/instances/00000000-0000-0000-0000-000000000001";

#[test]
fn there_are_none() {
    let api = Api::start();
    api.memory.put(healthy(1));
    for (path, body) in [
        ("/backups", r#"{"backups":[]}"#),
        ("/backups?limit=3&all_projects=False&instance_id=x", r#"{"backups":[]}"#),
        ("/backup_strategies", r#"{"backup_strategies":[]}"#),
        ("/backup_strategies?project_id=demo", r#"{"backup_strategies":[]}"#),
        ("/clusters", r#"{"clusters":[]}"#),
        ("/modules?datastore=mysql", r#"{"modules":[]}"#),
        (&format!("{INSTANCE}/backups"), r#"{"backups":[]}"#),
        (&format!("{INSTANCE}/modules"), r#"{"modules":[]}"#),
        ("/datastores/mysql/versions/10.11/volume-types", r#"{"volume_types":[]}"#),
    ] {
        let answer = api.get(path);
        assert_eq!((answer.status, answer.body.as_str()), (200, body), "{path}");
        assert_eq!(answer.header("Content-Type"), Some("application/json"), "{path}");
    }
    let answer = api.delete("/backup_strategies");
    assert_eq!((answer.status, answer.body.as_str()), (202, ""));
    for path in ["/backups", "/clusters"] {
        assert_eq!(api.get(&format!("{path}?limit=abc")).status, 400, "{path}");
    }
}

#[test]
fn one_of_them_is_not_there() {
    let api = Api::start();
    api.memory.put(healthy(1));
    let cluster = format!("Cluster '{ID}' cannot be found.");
    let resource = format!("Resource {ID} cannot be found.");
    for (method, path, body, message) in [
        ("GET", format!("/backups/{ID}"), "", &resource),
        ("DELETE", format!("/backups/{ID}"), "", &resource),
        ("GET", format!("/clusters/{ID}"), "", &cluster),
        ("DELETE", format!("/clusters/{ID}"), "", &cluster),
        ("POST", format!("/clusters/{ID}"), r#"{"restart": {}}"#, &cluster),
        ("POST", format!("/clusters/{ID}"), r#"{"grow": [{"flavorRef": 1, "volume": {"size": 1}}]}"#, &cluster),
        ("GET", format!("/clusters/{ID}/instances/{ID}"), "", &cluster),
        ("POST", format!("/clusters/{ID}/root"), "", &cluster),
        ("DELETE", format!("/clusters/{ID}/root/x"), "", &cluster),
        ("GET", format!("/modules/{ID}"), "", &resource),
        ("PUT", format!("/modules/{ID}"), r#"{"module": {"auto_apply": 1}}"#, &resource),
        ("PUT", format!("/modules/{ID}/instances"), r#"{"reapply": {"force": 1}}"#, &resource),
        ("DELETE", format!("{INSTANCE}/modules/{ID}"), "", &resource),
    ] {
        let answer = api.call(DEMO, method, &format!("/v1.0/demo{path}"), body);
        assert_eq!((answer.status, &answer.fault().1), (404, message), "{method} {path}");
    }
}

#[test]
fn orders_are_checked_and_then_refused_in_words() {
    let api = Api::start();
    api.memory.put(healthy(1));
    let own = "00000000-0000-0000-0000-000000000001";
    let log = format!("{INSTANCE}/log");
    let ssl = format!("{INSTANCE}/ssl");
    let modules = format!("{INSTANCE}/modules");
    for (path, body, status, words) in [
        ("/backups", format!(r#"{{"backup": {{"name": "b", "instance": "{own}", "incremental": 0}}}}"#), 501, "Backups"),
        ("/backups", format!(r#"{{"backup": {{"name": "b", "instance": "{ID}"}}}}"#), 404, ID),
        ("/backups", format!(r#"{{"backup": {{"name": "b", "instance": "{own}", "incremental": 2}}}}"#), 400, "maximum"),
        ("/backups", format!(r#"{{"backup": {{"instance": "{own}"}}}}"#), 400, "backup 'name' is a required property"),
        ("/backups", r#"{"backup": {"name": "b"}}"#.into(), 400, "instance is missing."),
        ("/backups", r#"{"backup": {"name": "b", "restore_from": {"size": 1}}}"#.into(), 400, "remote_location"),
        ("/backups", String::new(), 400, "it is empty"),
        ("/backup_strategies", r#"{"backup_strategy": {"swift_container": "c"}}"#.into(), 501, "strategies"),
        ("/backup_strategies", r#"{"backup_strategy": {"swift_container": "c", "x": 1}}"#.into(), 400, "'x' was unexpected"),
        (
            "/clusters",
            r#"{"cluster": {"name": "c", "datastore": {"type": "mysql", "version": "10.11"}, "instances": [{"flavorRef": 1}]}}"#.into(),
            501,
            "Clusters not supported for mysql-10.11.",
        ),
        (
            "/clusters",
            r#"{"cluster": {"name": "c", "datastore": {"type": "mysql", "version": "10.11"}, "instances": [{}]}}"#.into(),
            400,
            "cluster['instances'][0] 'flavorRef' is a required property",
        ),
        ("/clusters/x", "{}".into(), 400, "exactly one key"),
        ("/clusters/x", r#"{"explode": {}}"#.into(), 400, "Action explode not supported"),
        ("/clusters/x", r#"{"shrink": [{"id": "y"}]}"#.into(), 400, "shrink"),
        ("/modules", r#"{"module": {"name": "m", "module_type": "ping", "contents": "eA=="}}"#.into(), 501, "Modules"),
        ("/modules", r#"{"module": {"name": "m", "module_type": "zz", "contents": "eA=="}}"#.into(), 404, "Module type 'zz'"),
        ("/modules", r#"{"module": {"name": "m", "module_type": "ping", "contents": ""}}"#.into(), 400, "non-empty"),
        (
            "/modules",
            r#"{"module": {"name": "m", "module_type": "ping", "contents": "eA==", "auto_apply": 1}}"#.into(),
            403,
            "'auto_apply'",
        ),
        (
            "/modules",
            r#"{"module": {"name": "m", "module_type": "ping", "contents": "eA==", "apply_order": 10}}"#.into(),
            400,
            "10 is greater than the maximum of 9",
        ),
        (&modules, format!(r#"{{"modules": [{{"id": "{ID}"}}]}}"#), 501, "Modules"),
        (&modules, r#"{"modules": [{"id": 5}]}"#.into(), 400, "modules"),
        (&log, r#"{"name": "general", "enable": 1}"#.into(), 501, "Log actions are not supported."),
        (&log, r#"{"name": "general", "enable": 1, "disable": 1}"#.into(), 400, "at once"),
        (&log, r#"{"enable": 1}"#.into(), 400, "'name' is a required property"),
        (&ssl, r#"{"ssl": {"enable": 1, "container_ref": "http://b/1", "mode": "basic"}}"#.into(), 501, "SSL"),
        (&ssl, r#"{"ssl": {"enable": 1}}"#.into(), 400, "container_ref"),
        (&ssl, r#"{"ssl": {"disable": 1, "rollback": 1}}"#.into(), 400, "at once"),
        (&ssl, r#"{"ssl": {"enable": 1, "container_ref": "x", "mode": "loose"}}"#.into(), 400, "is not one of"),
    ] {
        let answer = api.post(path, &body);
        assert_eq!(answer.status, status, "{path} {body}: {}", answer.body);
        assert!(answer.fault().1.contains(words), "{path} {body}: {}", answer.body);
    }
    for path in [log, ssl] {
        let answer = api.get(&path);
        assert_eq!((answer.status, answer.fault().0.as_str()), (501, "notImplemented"), "{path}");
    }
    assert_eq!(api.memory.count(), 0);
}

#[test]
fn another_tenants_instance_has_nothing_either() {
    let api = Api::start();
    api.memory.put(healthy(1));
    for part in ["backups", "configuration", "log", "modules", "ssl"] {
        let answer = api.call(OTHER, "GET", &format!("/v1.0/other{INSTANCE}/{part}"), "");
        assert_eq!(answer.status, 404, "{part}");
    }
    let backup = r#"{"backup": {"name": "b", "instance": "00000000-0000-0000-0000-000000000001"}}"#;
    assert_eq!(api.call(OTHER, "POST", "/v1.0/other/backups", backup).status, 404);
    assert_eq!(api.post(&format!("{INSTANCE}/action"), r#"{"promote_to_replica_source": null}"#).status, 400);
}

#[test]
fn other_projects_are_for_admins() {
    let api = Api::start();
    for (path, list) in [
        ("/backups?all_projects=True", "backups"),
        ("/backups?project_id=other", "backups"),
        ("/backup_strategies?project_id=other", "backup_strategies"),
    ] {
        assert_eq!(api.get(path).status, 403, "{path}");
        let admin = api.call(OPERATOR, "GET", &format!("/v1.0/demo{path}"), "");
        assert_eq!((admin.status, admin.body), (200, format!(r#"{{"{list}":[]}}"#)), "{path}");
    }
    assert_eq!(api.delete("/backup_strategies?project_id=other").status, 403);
}

#[test]
fn the_catalogue_stands_in_the_configuration() {
    let api = Api::start();
    for (method, path, body, status, words) in [
        ("DELETE", "/datastores/mysql", "", 400, "Datastore versions exist for datastore mysql."),
        ("DELETE", "/datastores/empty", "", 501, "catalogue"),
        ("DELETE", "/datastores/oracle", "", 404, "Datastore 'oracle' cannot be found."),
        ("PATCH", "/mgmt/datastore-versions/9", "{}", 400, "Datastore version '9' cannot be found."),
        ("POST", "/mgmt/datastore-versions", r#"{"version": {"name": "11"}}"#, 400, "'datastore_name'"),
        (
            "POST",
            "/mgmt/datastore-versions",
            r#"{"version": {"name": "11", "datastore_name": "mysql", "datastore_manager": "mysql", "active": true,
                "image_tags": []}}"#,
            400,
            "Image must be specified.",
        ),
        (
            "POST",
            "/mgmt/datastore-versions",
            r#"{"version": {"name": "11", "datastore_name": "mysql", "datastore_manager": "mysql", "active": true,
                "image_tags": ["trove", "mysql"], "packages": []}}"#,
            501,
            "catalogue",
        ),
        (
            "POST",
            "/mgmt/datastore-versions",
            r#"{"version": {"name": "11", "datastore_name": "mysql", "datastore_manager": "mysql", "active": true,
                "image_tags": ["trove", "trove"]}}"#,
            400,
            "non-unique",
        ),
    ] {
        let answer = api.call(OPERATOR, method, &format!("/v1.0/demo{path}"), body);
        assert_eq!(answer.status, status, "{method} {path} {body}: {}", answer.body);
        assert!(answer.fault().1.contains(words), "{method} {path} {body}: {}", answer.body);
    }
    let member = api.delete("/datastores/mysql");
    assert_eq!(member.fault().1, "Policy doesn't allow datastore:delete to be performed.");
    assert_eq!(member.status, 403);
}

#[test]
fn changes_of_an_instance_are_checked_and_then_refused_in_words() {
    let api = Api::start();
    api.memory.put(healthy(1));
    for (change, status, words) in [
        (r#"{"configuration": "x"}"#, 400, "instance['configuration'] 'x' is not a UUID"),
        (r#"{"replica_of": null}"#, 501, "'replica_of'"),
        (r#"{"datastore_version": "11"}"#, 501, "'datastore_version'"),
        (r#"{"datastore_version": null}"#, 400, "instance['datastore_version']"),
        (r#"{"access": {"is_public": true, "allowed_cidrs": ["10.0.0.0/8"]}}"#, 501, "'access'"),
        (r#"{"access": {"allowed_cidrs": ["10.0.0.0/99"]}}"#, 400, "is not an IPv4 network"),
        (r#"{"access": {"private": true}}"#, 400, "'private' was unexpected"),
    ] {
        for method in ["PUT", "PATCH"] {
            let body = format!(r#"{{"instance": {change}}}"#);
            let answer = api.call(DEMO, method, &format!("/v1.0/demo{INSTANCE}"), &body);
            assert_eq!(answer.status, status, "{method} {change}: {}", answer.body);
            assert!(answer.fault().1.contains(words), "{method} {change}: {}", answer.body);
        }
    }
    assert_eq!(api.memory.count(), 0);
}

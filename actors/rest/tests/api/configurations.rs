//! Configuration groups and the parameters that they may set.

use coffer_domain::{
    command::Command,
    ids::{GroupId, InstanceId},
    instance::{state::AttachedGroup, view::InstanceView},
};
use serde_json::json;
use uuid::Uuid;

use super::{
    control::{OLD_VERSION, VERSION, healthy},
    people::{DEMO, OTHER},
    server::{Answer, Api},
};

const ABSENT: &str = "3fa85f64-5717-4562-b3fc-2c963f66afa6";
const INSTANCE: &str = "/instances/00000000-0000-0000-0000-000000000001";

fn create(api: &Api, body: &str) -> Answer {
    api.post("/configurations", &format!(r#"{{"configuration": {body}}}"#))
}

/// The id of a new group.
fn created(api: &Api, name: &str) -> String {
    let answer = create(api, &format!(r#"{{"name": "{name}", "values": {{"max_connections": 200}}}}"#));
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.json()["configuration"]["id"].as_str().unwrap().to_owned()
}

fn patch(api: &Api, id: &str, body: &str) -> Answer {
    api.call(DEMO, "PATCH", &format!("/v1.0/demo/configurations/{id}"), body)
}

#[test]
fn parameters_are_those_of_the_version() {
    let api = Api::start();
    let by_name = api.get("/datastores/mysql/versions/10.11/parameters");
    let by_id = api.get(&format!("/datastores/versions/{VERSION}/parameters"));
    assert_eq!((by_name.status, &by_name.body), (200, &by_id.body));
    let list = by_name.json();
    let all = list["configuration-parameters"].as_array().unwrap();
    assert!(all.len() > 200, "{}", all.len());
    let connections = json!({
        "name": "max_connections", "datastore_version_id": VERSION, "restart_required": false, "type": "integer",
        "max": 100_000, "min": 10,
    });
    assert!(all.contains(&connections));
    for path in [
        "/datastores/mysql/versions/10.11/parameters/max_connections".to_owned(),
        format!("/datastores/versions/{VERSION}/parameters/max_connections"),
    ] {
        assert_eq!(api.get(&path).json(), connections, "{path}: bare, with nothing around it");
    }
    let words = api.get("/datastores/mysql/versions/10.11/parameters/collation_server").json();
    assert_eq!((&words["type"], words.get("max")), (&json!("string"), None));
    for (path, status) in [
        ("/datastores/mysql/versions/10.11/parameters/datadir", 404),
        ("/datastores/mysql/versions/9/parameters", 400),
        ("/datastores/oracle/versions/9/parameters", 404),
        (&format!("/datastores/versions/{OLD_VERSION}/parameters"), 400),
    ] {
        assert_eq!(api.get(path).status, status, "{path}");
    }
}

#[test]
fn a_group_is_made_changed_and_deleted() {
    let api = Api::start();
    let body = r#"{"name": "latin", "description": "old", "values": {"collation_server": "latin1_swedish_ci"},
                   "datastore": {"type": "mysql", "version": "10.11"}}"#;
    let answer = create(&api, body);
    assert_eq!(answer.status, 200, "{}", answer.body);
    let id = answer.json()["configuration"]["id"].as_str().unwrap().to_owned();
    let path = format!("/configurations/{id}");
    let shown = api.get(&path);
    assert_eq!(shown.body, answer.body);
    assert_eq!(
        shown.json(),
        json!({ "configuration": {
            "id": id, "name": "latin", "description": "old", "created": "2026-11-22T15:04:05",
            "updated": "2026-11-22T15:04:05", "datastore_version_id": VERSION, "datastore_name": "mysql",
            "datastore_version_name": "10.11", "values": { "collation_server": "latin1_swedish_ci" }, "instance_count": 0,
            "datastore_version_number": "10.11.6",
        } })
    );
    let values = |answer: Answer| answer.json()["configuration"]["values"].clone();
    let patched = patch(&api, &id, r#"{"configuration": {"values": {"max_connections": 200}}}"#);
    assert_eq!((patched.status, patched.body.as_str()), (200, ""));
    assert_eq!(values(api.get(&path)), json!({ "collation_server": "latin1_swedish_ci", "max_connections": 200 }));
    // As gophercloud's acceptance test does it.
    let renamed = api.put(&path, r#"{"configuration": {"name": "western", "description": "new"}}"#);
    assert_eq!((renamed.status, renamed.body.as_str()), (202, ""));
    assert_eq!(api.get(&path).json()["configuration"]["name"], "western");
    assert_eq!(values(api.get(&path)), json!({ "collation_server": "latin1_swedish_ci", "max_connections": 200 }));
    assert_eq!(api.put(&path, r#"{"configuration": {"values": {"wait_timeout": 60}}}"#).status, 202);
    assert_eq!(values(api.get(&path)), json!({ "wait_timeout": 60 }));
    assert_eq!(api.get(&format!("{path}/instances")).body, r#"{"instances":[]}"#);
    assert_eq!(api.delete(&path).status, 202);
    assert_eq!(api.get(&path).status, 404);
}

#[test]
fn what_is_wrong_is_named_and_nothing_is_made() {
    let api = Api::start();
    for (body, status, words) in [
        (r#"{"name": "c"}"#, 400, "'values' is a required property"),
        (r#"{"values": {}}"#, 400, "'name' is a required property"),
        (r#"{"name": "c", "values": []}"#, 400, "['values'] [...] is not of type 'object'"),
        (r#"{"name": "c", "values": {}, "datastore": {"type": "oracle"}}"#, 404, "Datastore 'oracle' cannot be found."),
        (r#"{"name": "c", "values": {"max_connections": 5}}"#, 422, "max_connections is not from 10 to 100000"),
        (r#"{"name": "c", "values": {"max_connections": "200"}}"#, 422, "max_connections is not of type integer"),
        (r#"{"name": "c", "values": {"max_connections": null}}"#, 422, "max_connections"),
        (r#"{"name": "c", "values": {"port": 1}}"#, 422, "port is not supported"),
    ] {
        let answer = create(&api, body);
        assert_eq!(answer.status, status, "{body}: {}", answer.body);
        assert!(answer.fault().1.contains(words), "{body}: {}", answer.body);
    }
    assert_eq!(api.get("/configurations").body, r#"{"configurations":[]}"#);
    let message = format!("Configuration group with ID {ABSENT} could not be found.");
    let (some, all) =
        (r#"{"configuration": {"values": {"max_connections": 50}}}"#, r#"{"configuration": {"name": "c"}}"#);
    for (method, part, body) in
        [("GET", "", ""), ("PATCH", "", some), ("PUT", "", all), ("DELETE", "", ""), ("GET", "/instances", "")]
    {
        let answer = api.call(DEMO, method, &format!("/v1.0/demo/configurations/{ABSENT}{part}"), body);
        assert_eq!((answer.status, answer.fault().1), (404, message.clone()), "{method} {part}");
    }
    let id = created(&api, "mine");
    assert_eq!(patch(&api, &id, r#"{"configuration": {"values": {"wait_timeout": 0}}}"#).status, 422);
    let theirs = format!("/v1.0/other/configurations/{id}");
    for (method, body) in [("GET", ""), ("PATCH", some), ("PUT", all), ("DELETE", "")] {
        assert_eq!(api.call(OTHER, method, &theirs, body).status, 404, "{method}");
    }
}

#[test]
fn groups_are_listed_in_pages() {
    let api = Api::start();
    let mut made: Vec<String> = (0..5).map(|number| created(&api, &format!("group-{number}"))).collect();
    made.sort();
    let mut seen = Vec::new();
    let mut path = "/v1.0/demo/configurations?limit=2".to_owned();
    loop {
        let page = api.call(DEMO, "GET", &path, "").json();
        let ids = page["configurations"].as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap().to_owned());
        seen.extend(ids);
        assert_eq!(page["configurations"][0].get("values"), None, "a list has no values");
        let Some(next) = page.get("links") else { break };
        path = next[0]["href"].as_str().unwrap().split_once("/v1.0").map(|(_, rest)| format!("/v1.0{rest}")).unwrap();
    }
    assert_eq!(seen, made);
    assert_eq!(api.get("/configurations?limit=abc").status, 400);
}

#[test]
fn an_instance_is_attached_and_detached_however_a_client_says_it() {
    let api = Api::start();
    api.memory.put(healthy(1));
    let group = GroupId(Uuid::parse_str(ABSENT).unwrap());
    for wanted in [ABSENT.to_owned(), format!("https://host/v1.0/demo/configurations/{ABSENT}")] {
        let body = format!(r#"{{"instance": {{"configuration": "{wanted}"}}}}"#);
        assert_eq!(api.put(INSTANCE, &body).status, 202);
        assert_eq!(api.memory.last().command, Command::AttachConfiguration { group });
    }
    let shown = api.get(INSTANCE).json()["instance"]["configuration"].clone();
    assert_eq!((&shown["id"], &shown["name"]), (&json!(ABSENT), &json!("utf8")));
    assert_eq!(shown["links"][0]["rel"], "self");
    assert!(shown["links"][0]["href"].as_str().unwrap().ends_with(&format!("/v1.0/demo/configurations/{ABSENT}")));
    let before = api.memory.count();
    assert_eq!(api.put(INSTANCE, r#"{"instance": {"name": "only-a-name"}}"#).status, 202);
    assert_eq!(api.memory.count(), before + 1, "another name leaves the group attached");
    for body in [r#"{"instance": {}}"#, r#"{"instance": {"configuration": null}}"#] {
        let attached = Some(AttachedGroup { id: group, name: "utf8".into() });
        api.memory.put(InstanceView { configuration: attached, ..healthy(1) });
        assert_eq!(api.put(INSTANCE, body).status, 202);
        assert_eq!(api.memory.last().command, Command::DetachConfiguration, "{body}");
        assert_eq!(api.get(INSTANCE).json()["instance"].get("configuration"), None);
    }
    let body =
        json!({ "instance": { "name": "new", "flavorRef": 1, "volume": { "size": 1 }, "configuration": ABSENT } });
    assert_eq!(api.post("/instances", &body.to_string()).status, 200);
    let Command::Create(order) = api.memory.last().command else { panic!("not a create") };
    assert_eq!(order.configuration, Some(group));
}

#[test]
fn instances_of_a_group_are_named() {
    let api = Api::start();
    api.memory.put(healthy(1));
    let id = created(&api, "mine");
    for group in api.memory.groups.lock().unwrap().values_mut() {
        group.instances.insert(InstanceId(Uuid::from_u128(1)));
    }
    let list = api.get(&format!("/configurations/{id}/instances")).json();
    assert_eq!(list, json!({ "instances": [{ "id": InstanceId(Uuid::from_u128(1)), "name": "db-1" }] }));
    assert_eq!(api.get(&format!("/configurations/{id}")).json()["configuration"]["instance_count"], 1);
    let refused = api.delete(&format!("/configurations/{id}"));
    assert_eq!(refused.status, 400, "{}", refused.body);
}

#[test]
fn the_defaults_of_an_instance_follow_its_flavor() {
    let api = Api::start();
    api.memory.put(healthy(1));
    let defaults = api.get(&format!("{INSTANCE}/configuration")).json();
    let defaults = &defaults["instance"]["configuration"];
    assert_eq!((&defaults["max_connections"], &defaults["character_set_server"]), (&json!("128"), &json!("utf8mb4")));
    assert_eq!(defaults["innodb_buffer_pool_size"], "256M");
    assert_eq!(api.call(OTHER, "GET", &format!("/v1.0/other{INSTANCE}/configuration"), "").status, 404);
}

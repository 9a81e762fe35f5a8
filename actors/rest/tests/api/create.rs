//! Orders for an instance: what becomes of each key.

use coffer_domain::command::{Access, Command, Create};
use serde_json::{Value, json};

use super::{
    control::VERSION,
    server::{Answer, Api},
};

/// A minimal order with these keys changed; `null` takes a key away unless it is wrapped as `{"null": true}`.
fn order(changes: Value) -> String {
    let mut instance = json!({ "name": "orders", "flavorRef": "1", "volume": { "size": 2 } });
    for (key, value) in changes.as_object().unwrap() {
        instance[key] = value.clone();
    }
    json!({ "instance": instance }).to_string()
}

fn post(api: &Api, changes: Value) -> Answer {
    api.post("/instances", &order(changes))
}

fn accepted(changes: Value) -> Create {
    let api = Api::start();
    let answer = post(&api, changes);
    assert_eq!(answer.status, 200, "{}", answer.body);
    let envelope = api.memory.last();
    assert_eq!(envelope.instance.to_string(), answer.json()["instance"]["id"].as_str().unwrap());
    match envelope.command {
        Command::Create(order) => *order,
        other => panic!("not an order: {other:?}"),
    }
}

#[test]
fn what_the_openstack_client_sends() {
    let order = accepted(json!({
        "flavorRef": 1,
        "volume": { "size": "2", "type": null },
        "datastore": { "type": "mysql", "version": "10.11" },
        "nics": [{ "network_id": "3fa85f64-5717-4562-b3fc-2c963f66afa6" }],
        "access": { "is_public": false },
        "databases": [{ "name": "app", "character_set": "utf8mb4", "collate": "utf8mb4_bin" }, { "name": "shop" }],
        "users": [{ "name": "bob", "password": "Secret-1", "databases": [{ "name": "app" }] }],
        "replica_count": 1,
        "availability_zone": "nova",
        "locality": "affinity",
        "modules": [],
        "configuration": null,
        "region_name": "RegionOne",
        "some_extra_key": {},
    }));
    assert_eq!((order.name.as_str(), order.flavor.as_str(), order.volume_gib), ("orders", "1", 2));
    assert_eq!((order.volume_type, order.datastore_version), (None, Some(VERSION)));
    assert_eq!(order.access, Access { is_public: Some(false), allowed_cidrs: None });
    assert_eq!(order.databases[0].collate.as_deref(), Some("utf8mb4_bin"));
    assert_eq!((order.users[0].name.as_str(), order.users[0].host.as_str()), ("bob", "%"));
    assert!(order.users[0].databases.contains("app"));
    assert!(order.server_key.is_some());
}

#[test]
fn passwords_leave_only_sealed_for_their_instance() {
    let api = Api::start();
    let answer = post(&api, json!({ "users": [{ "name": "bob", "password": "Secret-1" }] }));
    assert_eq!(answer.status, 200);
    let envelope = api.memory.last();
    let written = serde_json::to_string(&envelope).unwrap();
    assert!(!written.contains("Secret-1"), "{written}");
    let Command::Create(order) = envelope.command else { panic!("not an order") };
    assert_eq!(order.users[0].password.context, envelope.instance.to_string());
    assert_eq!(order.users[0].password.bytes, b"1-terceS");
}

#[test]
fn defaults_fill_in() {
    for datastore in [json!({}), json!({ "type": "mysql" }), json!({ "version": "10.11" })] {
        assert_eq!(accepted(json!({ "datastore": datastore })).datastore_version, Some(VERSION));
    }
    let order = accepted(json!({ "datastore": { "type": "mysql", "version": "10.11", "version_number": "10.11.6" } }));
    assert_eq!(order.datastore_version, Some(VERSION));
    assert_eq!(accepted(json!({})).access, Access::default());
}

#[test]
fn flavors_come_as_ids_or_addresses() {
    for flavor in [json!(1), json!("1"), json!("http://h:8779/v1.0/demo/flavors/1"), json!("http://h/flavors/1?x=/2")] {
        assert_eq!(accepted(json!({ "flavorRef": flavor })).flavor, "1");
    }
    assert_eq!(accepted(json!({ "flavorRef": "m2" })).flavor, "m2");
}

#[test]
fn whole_numbers_may_be_written_as_json_schema_has_them() {
    let order = accepted(json!({ "flavorRef": 1.0, "volume": { "size": 2.0 } }));
    assert_eq!((order.flavor.as_str(), order.volume_gib), ("1", 2));
}

#[test]
fn refused_orders_leave_no_trace() {
    let api = Api::start();
    let uuid = "3fa85f64-5717-4562-b3fc-2c963f66afa6";
    let user = |name: &str, password: Value| json!({ "users": [{ "name": name, "password": password }] });
    for (changes, status, words) in [
        (json!({ "name": "" }), 400, "instance['name'] '' should be non-empty"),
        (json!({ "name": "--" }), 400, "instance['name']"),
        (json!({ "name": 5 }), 400, "instance['name'] 5 is not of type 'string'"),
        (json!({ "name": "x".repeat(256) }), 400, "is too long"),
        (json!({ "flavorRef": "99" }), 400, "Resource 99 cannot be found."),
        (json!({ "flavorRef": null }), 400, "instance['flavorRef'] None"),
        (json!({ "flavorRef": 1.5 }), 400, "instance['flavorRef']"),
        (json!({ "volume": {} }), 400, "instance['volume'] 'size' is a required property"),
        (json!({ "volume": { "size": 0 } }), 400, "instance['volume']['size']"),
        (json!({ "volume": { "size": -1 } }), 400, "instance['volume']['size']"),
        (json!({ "volume": { "size": "2x" } }), 400, "instance['volume']['size']"),
        (json!({ "volume": { "size": 1.5 } }), 400, "instance['volume']['size']"),
        (json!({ "volume": { "size": null } }), 400, "instance['volume']['size']"),
        (json!({ "volume": { "size": 2, "type": 3 } }), 400, "instance['volume']['type']"),
        (
            json!({ "volume": { "size": 11 } }),
            413,
            "Volume 'size' cannot exceed maximum of 10 GB, 11 cannot be accepted.",
        ),
        (json!({ "volume": { "size": "99999999999" } }), 413, "99999999999 cannot be accepted."),
        (json!({ "datastore": { "type": "oracle" } }), 404, "Datastore 'oracle' cannot be found."),
        (json!({ "datastore": { "type": "mysql", "version": "9" } }), 400, "Datastore version '9' cannot be found."),
        (json!({ "datastore": { "version_number": "9.9" } }), 400, "Datastore version '9.9' cannot be found."),
        (json!({ "datastore": { "version": "10.5" } }), 400, "Datastore version '10.5' is not active."),
        (json!({ "datastore": { "type": "" } }), 400, "instance['datastore']['type']"),
        (json!({ "datastore": "mysql" }), 400, "instance['datastore'] 'mysql' is not of type 'object'"),
        (json!({ "databases": [{}] }), 400, "instance['databases'][0] 'name' is a required property"),
        (json!({ "databases": {} }), 400, "instance['databases']"),
        (json!({ "databases": [{ "name": "mysql" }] }), 400, "reserved list"),
        (json!({ "databases": [{ "name": "a b c" }] }), 400, "Database name 'a b c' is not valid"),
        (json!({ "databases": [{ "name": "db1" }, { "name": "db1" }] }), 400, "occurs twice"),
        (json!({ "databases": [{ "name": "db1", "character_set": "klingon" }] }), 400, "'klingon'"),
        (user("root", json!("p1")), 400, "reserved list"),
        (user("bob", json!("")), 400, "['password'] '' should be non-empty"),
        (user("bob", json!("sec/ret1")), 400, "Password is not valid"),
        (user("bob", json!(12345)), 400, "instance['users'][0]['password'] the value is not of type 'string'"),
        (json!({ "users": [{ "name": "bob" }] }), 400, "'password' is a required property"),
        (json!({ "users": [{ "name": "bob", "password": "p1", "host": "localhost" }] }), 400, "Host 'localhost'"),
        (json!({ "users": [{ "name": "bob", "password": "p1", "databases": [{ "name": "db9" }] }] }), 400, "db9"),
        (json!({ "nics": [{}] }), 400, "Network is not provided"),
        (json!({ "nics": [{ "port-id": uuid }] }), 400, "'port-id' was unexpected"),
        (json!({ "nics": [{ "net-id": "x" }] }), 400, "instance['nics'][0]['net-id']"),
        (json!({ "nics": [{ "net-id": uuid }, { "net-id": uuid }] }), 400, "instance['nics']"),
        (json!({ "nics": [{ "net-id": uuid, "ip_address": "10.0.0.5" }] }), 400, "subnet_id"),
        (json!({ "nics": [{ "subnet_id": uuid, "ip_address": "10.0.0.5" }] }), 501, "'ip_address'"),
        (json!({ "nics": [{ "subnet_id": uuid, "ip_address": "10.0.0" }] }), 400, "['ip_address']"),
        (json!({ "access": { "is_public": "yes" } }), 400, "instance['access']['is_public']"),
        (json!({ "access": { "allowed_cidrs": ["10.0.0.0/33"] } }), 400, "instance['access']['allowed_cidrs'][0]"),
        (json!({ "access": { "allowed_cidrs": ["10.0.0.0/8", "10.0.0.0/8"] } }), 400, "non-unique"),
        (json!({ "locality": "nearby" }), 400, "Invalid locality 'nearby'."),
        (json!({ "availability_zone": "" }), 400, "instance['availability_zone']"),
        (json!({ "region_name": "elsewhere" }), 400, "Region 'elsewhere'"),
        (json!({ "replica_count": 2 }), 400, "Replica count only valid when creating replicas."),
        (json!({ "replica_of": "x" }), 400, "instance['replica_of']"),
        (json!({ "restorePoint": {} }), 400, "'backupRef' is a required property"),
        (json!({ "modules": [{}] }), 400, "instance['modules'][0] 'id' is a required property"),
        (json!({ "configuration": 5 }), 400, "instance['configuration']"),
        (json!({ "replica_of": uuid }), 501, "'replica_of'"),
        (json!({ "restorePoint": { "backupRef": uuid } }), 501, "'restorePoint'"),
        (json!({ "configuration": "x" }), 400, "instance['configuration'] 'x' is not a UUID"),
        (json!({ "modules": [{ "id": uuid }] }), 501, "'modules'"),
    ] {
        let answer = post(&api, changes.clone());
        let message = answer.fault().1;
        assert_eq!(answer.status, status, "{changes}: {message}");
        assert!(message.contains(words), "{changes}: {message}");
    }
    for missing in ["name", "flavorRef"] {
        let mut body: Value = serde_json::from_str(&order(json!({}))).unwrap();
        body["instance"].as_object_mut().unwrap().remove(missing);
        let answer = api.post("/instances", &body.to_string());
        assert_eq!(answer.fault().1, format!("Validation error: instance '{missing}' is a required property"));
    }
    let no_volume = api.post("/instances", r#"{"instance": {"name": "n", "flavorRef": 1}}"#);
    assert_eq!(no_volume.fault().1, "Volume size was not specified.");
    assert_eq!(api.memory.count(), 0);
    assert_eq!(api.get("/instances").body, r#"{"instances":[]}"#);
}

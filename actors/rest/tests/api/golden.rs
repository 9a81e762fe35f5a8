//! Every shape, byte for byte, against the files in `tests/golden` (which may be laid out for people).

use coffer_domain::{
    command::Access,
    instance::view::{FaultView, InstanceView, OperatingStatus, Status, UserView},
};

use super::{
    control::{healthy, refusal},
    people::{ADMIN, DEMO, PASSWORD},
    server::{Answer, Api},
};

/// Compares a body with a golden file, whose `HOST` stands for the server's address.
fn assert_golden(api: &Api, answer: &Answer, name: &str) {
    let path = format!("{}/tests/golden/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let golden = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}: {}", answer.body));
    let golden = without_layout(&golden).replace("HOST", &api.address.to_string());
    assert_eq!(answer.body, golden, "{name}");
    assert_eq!(answer.header("Content-Type"), Some("application/json"), "{name}");
}

/// JSON without the blanks between its tokens.
fn without_layout(json: &str) -> String {
    let mut is_text = false;
    let mut is_escaped = false;
    json.chars()
        .filter(|c| {
            let is_kept = is_text || !c.is_whitespace();
            if is_escaped {
                is_escaped = false;
            } else if *c == '"' {
                is_text = !is_text;
            } else {
                is_escaped = is_text && *c == '\\';
            }
            is_kept
        })
        .collect()
}

fn with_contents(id: u128) -> InstanceView {
    let user = |name: &str, host: &str, databases: &[&str]| UserView {
        name: name.into(),
        host: host.into(),
        databases: databases.iter().map(|name| (*name).to_owned()).collect(),
    };
    InstanceView {
        databases: vec!["app".into(), "shop".into()],
        users: vec![user("bob", "%", &["app", "shop"]), user("u.dot", "10.0.0.%", &[])],
        root_enabled: true,
        ..healthy(id)
    }
}

#[test]
fn versions_and_probes() {
    let api = Api::start();
    assert_golden(&api, &api.send("GET", "/", &[], b""), "versions");
    for path in ["/v1.0", "/v1.0/"] {
        assert_golden(&api, &api.send("GET", path, &[], b""), "version");
    }
    for path in ["/healthcheck", "/healthz", "/readyz"] {
        let answer = api.send("GET", path, &[], b"");
        assert_eq!((answer.status, answer.body.as_str()), (200, "OK"), "{path}");
    }
}

#[test]
fn flavors() {
    let api = Api::start();
    assert_golden(&api, &api.get("/flavors"), "flavors");
    assert_golden(&api, &api.get("/flavors/1"), "flavor");
    for version in ["10.11", "00000000-0000-0000-0000-000000001011"] {
        assert_golden(&api, &api.get(&format!("/datastores/mysql/versions/{version}/flavors")), "flavors");
    }
}

#[test]
fn datastores() {
    let api = Api::start();
    assert_golden(&api, &api.get("/datastores"), "datastores");
    for name in ["mysql", "00000000-0000-0000-0000-0000000000d5"] {
        assert_golden(&api, &api.get(&format!("/datastores/{name}")), "datastore");
        assert_golden(&api, &api.get(&format!("/datastores/{name}/versions")), "datastore_versions");
        assert_golden(&api, &api.get(&format!("/datastores/{name}/versions/10.11")), "datastore_version");
    }
    let by_id = api.get("/datastores/versions/00000000-0000-0000-0000-000000001011");
    assert_golden(&api, &by_id, "datastore_version");
    let admin = api.call(ADMIN, "GET", "/v1.0/admin/datastores", "");
    assert_golden(&api, &admin, "datastores_admin");
}

#[test]
fn instances() {
    let api = Api::start();
    api.memory.put(healthy(1));
    assert_golden(&api, &api.get("/instances"), "instances");
    assert_golden(&api, &api.get("/instances?include_clustered=False"), "instances");
    assert_golden(&api, &api.get("/instances/detail"), "instances_detail");
    assert_golden(&api, &api.get("/instances/00000000-0000-0000-0000-000000000001"), "instance");
}

#[test]
fn an_instance_with_all_that_can_be_there() {
    let api = Api::start();
    api.memory.put(InstanceView {
        status: Status::Error,
        operating_status: OperatingStatus::Unknown,
        network_id: Some("net-1".into()),
        access: Access { is_public: Some(true), allowed_cidrs: Some(vec!["10.0.0.0/8".into()]) },
        region: Some("north".into()),
        fault: Some(FaultView {
            message: "No volume.".into(),
            created_at: healthy(1).created_at,
            details: "ensure_volume [local.disk_full]".into(),
        }),
        tenant: coffer_domain::ids::TenantId("admin".into()),
        ..healthy(2)
    });
    let path = "/v1.0/admin/instances/00000000-0000-0000-0000-000000000002";
    assert_golden(&api, &api.call(ADMIN, "GET", path, ""), "instance_admin");
}

#[test]
fn a_created_instance() {
    let api = Api::start();
    let answer = api.post("/instances", r#"{"instance": {"name": "new", "flavorRef": 1, "volume": {"size": 2}}}"#);
    assert_eq!(answer.status, 200);
    let id = answer.json()["instance"]["id"].as_str().unwrap().to_owned();
    assert_golden(&api, &answer.replacing(&id, "ID"), "instance_created");
}

#[test]
fn databases_users_and_root() {
    let api = Api::start();
    api.memory.put(with_contents(1));
    let base = "/instances/00000000-0000-0000-0000-000000000001";
    assert_golden(&api, &api.get(&format!("{base}/databases")), "databases");
    assert_golden(&api, &api.get(&format!("{base}/users")), "users");
    assert_golden(&api, &api.get(&format!("{base}/users/bob")), "user");
    assert_golden(&api, &api.get(&format!("{base}/root")), "root");
    let enabled = api.post(&format!("{base}/root"), r#"{"password": "Chosen-1"}"#);
    assert_golden(&api, &enabled, "root_enabled");
}

#[test]
fn limits_and_quotas() {
    let api = Api::start();
    api.memory.put(healthy(1));
    let rates = r#"{"requests_per_minute": {"get": 3, "post": 200, "put": 200, "delete": 200, "mgmt_post": 200}}"#;
    let limited = Api::start_with(serde_json::from_str(rates).unwrap());
    assert_golden(&limited, &limited.get("/limits"), "limits");
    assert_golden(&api, &api.get("/mgmt/quotas/demo"), "quotas");
    assert_golden(&api, &api.call(ADMIN, "GET", "/v1.0/admin/mgmt/quotas/demo", ""), "quotas");
}

#[test]
fn keystone() {
    let api = Api::start();
    for path in ["/v3", "/v3/"] {
        assert_golden(&api, &api.send("GET", path, &[], b""), "keystone_version");
    }
    let body = format!(
        r#"{{"auth": {{"identity": {{"methods": ["password"], "password": {{"user":
            {{"name": "demo", "domain": {{"id": "default"}}, "password": "{PASSWORD}"}}}}}},
            "scope": {{"project": {{"name": "demo-name", "domain": {{"id": "default"}}}}}}}}}}"#
    );
    let answer = api.send("POST", "/v3/auth/tokens", &[("Content-Type", "application/json")], body.as_bytes());
    assert_eq!((answer.status, answer.header("X-Subject-Token")), (201, Some(DEMO)));
    let audit_id = answer.json()["token"]["audit_ids"][0].as_str().unwrap().to_owned();
    assert_golden(&api, &answer.replacing(&audit_id, "AUDIT"), "keystone_token");
}

#[test]
fn errors() {
    let api = Api::start();
    assert_golden(&api, &api.get("/instances/nobody"), "error_not_found");
    assert_golden(&api, &api.get("/nothing"), "error_no_route");
    assert_golden(&api, &api.post("/instances", "{"), "error_malformed");
    assert_golden(&api, &api.call(ADMIN, "GET", "/v1.0/demo/instances", ""), "error_other_tenant");
    assert_golden(&api, &api.call("nonsense", "GET", "/v1.0/demo/instances", ""), "error_no_token");
    *api.memory.refusal.lock().unwrap() = Some(refusal(coffer_domain::rejection::RejectionKind::OverLimit));
    let order = r#"{"instance": {"name": "new", "flavorRef": "1", "volume": {"size": 2}}}"#;
    assert_golden(&api, &api.post("/instances", order), "error_over_limit");
}

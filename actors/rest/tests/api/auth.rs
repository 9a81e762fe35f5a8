//! Tokens, tenants, request ids and links.

use coffer_rest::config::Config;

use super::{
    control::healthy,
    people::{ADMIN, AWAY, CROWDED, DEMO, OTHER, PASSWORD, UNSCOPED},
    server::Api,
};

const INSTANCE: &str = "00000000-0000-0000-0000-000000000001";

#[test]
fn without_a_valid_token_there_is_nothing() {
    let api = Api::start();
    let base = format!("http://{}", api.address);
    for path in ["/v1.0/demo/instances", "/v1.0/demo/no-such-route", "/v1.0/demo"] {
        for headers in [&[][..], &[("X-Auth-Token", "expired")], &[("X-Auth-Token", "")]] {
            let answer = api.send("GET", path, headers, b"");
            assert_eq!(answer.status, 401, "{path}");
            assert_eq!(answer.header("WWW-Authenticate"), Some(format!("Keystone uri=\"{base}/v3\"").as_str()));
            assert_eq!(answer.json()["error"]["code"], 401);
        }
    }
}

#[test]
fn an_absent_identity_service_is_no_refusal() {
    let api = Api::start();
    let answer = api.call(AWAY, "GET", "/v1.0/demo/instances", "");
    assert_eq!((answer.status, answer.fault().0.as_str()), (503, "serviceUnavailable"));
    assert_eq!(answer.header("Retry-After"), Some("1"));
    let crowded = api.call(CROWDED, "GET", "/v1.0/demo/instances", "");
    assert_eq!((crowded.status, crowded.header("Retry-After")), (503, Some("17")));
    let metrics = api.send("GET", "/metrics", &[], b"").body;
    for code in ["test.away", "test.crowded"] {
        assert!(
            metrics.contains(&format!("coffer_rest_identity_unavailable_total{{code=\"{code}\"}} 1\n")),
            "{metrics}"
        );
    }
}

#[test]
fn a_token_of_no_project_enters_nobodys_path() {
    let api = Api::start();
    for path in ["/v1.0/demo/instances", "/v1.0/None/instances"] {
        let answer = api.call(UNSCOPED, "GET", path, "");
        assert_eq!(answer.status, 403, "{path}");
        assert!(answer.body.contains("User with tenant id None cannot access this resource."), "{}", answer.body);
    }
}

#[test]
fn where_tokens_come_from_elsewhere_none_are_issued_here() {
    let auth_url = Some("https://keystone.example.org:5000/v3".to_owned());
    let api = Api::start_as_is(Config { auth_url, ..Config::default() });
    let answer = api.send("GET", "/v1.0/demo/instances", &[], b"");
    let challenge = answer.header("WWW-Authenticate");
    assert_eq!(challenge, Some("Keystone uri=\"https://keystone.example.org:5000/v3\""));
    for (method, path) in [("GET", "/v3"), ("GET", "/v3/"), ("POST", "/v3/auth/tokens")] {
        assert_eq!(api.exchange(method, path, &[], b"").status, 404, "{method} {path}");
    }
    assert_eq!(api.get("/flavors").status, 200);
}

#[test]
fn a_tenant_sees_nothing_of_another() {
    let api = Api::start();
    api.memory.put(healthy(1));
    // In its own paths the other's things do not exist; in the other's paths it may not even ask.
    for (method, path, body) in [
        ("GET", format!("/instances/{INSTANCE}"), ""),
        ("DELETE", format!("/instances/{INSTANCE}"), ""),
        ("POST", format!("/instances/{INSTANCE}/action"), r#"{"restart": {}}"#),
        ("GET", format!("/instances/{INSTANCE}/users"), ""),
        ("POST", format!("/instances/{INSTANCE}/databases"), r#"{"databases": [{"name": "db1"}]}"#),
        ("POST", format!("/instances/{INSTANCE}/root"), ""),
    ] {
        let own = api.call(OTHER, method, &format!("/v1.0/other{path}"), body);
        assert_eq!((own.status, own.fault().0.as_str()), (404, "itemNotFound"), "{method} {path}");
        for token in [OTHER, ADMIN] {
            let foreign = api.call(token, method, &format!("/v1.0/demo{path}"), body);
            assert_eq!(foreign.status, 403, "{method} {path}");
        }
    }
    assert_eq!(api.call(OTHER, "GET", "/v1.0/other/instances", "").body, r#"{"instances":[]}"#);
    assert_eq!(api.memory.count(), 0);
}

#[test]
fn another_tenants_path_is_refused_in_html_unless_json_is_named() {
    let api = Api::start();
    let answer = api.send("GET", "/v1.0/%3Cb%3E/instances", &[("X-Auth-Token", DEMO), ("Accept", "*/*")], b"");
    assert_eq!(answer.status, 403);
    assert_eq!(answer.header("Content-Type"), Some("text/html; charset=UTF-8"));
    assert!(answer.body.contains("User with tenant id demo cannot access this resource."), "{}", answer.body);
}

#[test]
fn every_answer_has_a_request_id() {
    let api = Api::start();
    let is_request_id = |id: Option<&str>| id.is_some_and(|id| id.len() == 40 && id.starts_with("req-"));
    for path in ["/", "/nothing", "/v1.0/demo/instances", "/v3", "/metrics", "/v1.0/demo/flavors/"] {
        let answer = api.send("GET", path, &[], b"");
        assert!(is_request_id(answer.header("X-Openstack-Request-Id")), "{path}");
        let authorised = api.call(DEMO, "GET", path, "");
        assert!(is_request_id(authorised.header("X-Openstack-Request-Id")), "{path}");
    }
    let given = "req-6f8f9d6c-3f0e-4b0c-9d52-7f8d2f9f3a11";
    let answer = api.send("GET", "/", &[("X-Openstack-Request-Id", given)], b"");
    assert_eq!(answer.header("X-Openstack-Request-Id"), Some(given));
    let answer = api.send("GET", "/", &[("X-Openstack-Request-Id", "req-anything")], b"");
    assert_ne!(answer.header("X-Openstack-Request-Id"), Some("req-anything"));
}

#[test]
fn the_request_id_and_the_caller_travel_with_the_command() {
    let api = Api::start();
    api.memory.put(healthy(1));
    let given = "req-6f8f9d6c-3f0e-4b0c-9d52-7f8d2f9f3a11";
    let headers = [("X-Auth-Token", DEMO), ("X-Openstack-Request-Id", given)];
    for _ in 0..2 {
        let answer = api.send("DELETE", &format!("/v1.0/demo/instances/{INSTANCE}"), &headers, b"");
        assert_eq!(answer.status, 202);
    }
    let commands = api.memory.commands.lock().unwrap();
    let [first, second] = &commands[..] else { panic!("two commands, not {}", commands.len()) };
    assert_eq!(
        (first.request_id.as_str(), first.principal.as_str(), first.tenant.0.as_str()),
        (given, "demo-id", "demo")
    );
    assert_ne!(first.command_id, second.command_id, "the id is correlation only");
}

#[test]
fn links_have_the_scheme_that_the_client_sees() {
    let api = Api::start();
    let headers = [("X-Auth-Token", DEMO), ("X-Forwarded-Proto", "https")];
    let answer = api.send("GET", "/v1.0/demo/flavors/1", &headers, b"");
    let href = answer.json()["flavor"]["links"][0]["href"].as_str().unwrap().to_owned();
    assert_eq!(href, format!("https://{}/v1.0/demo/flavors/1", api.address));
    let strange = [("X-Auth-Token", DEMO), ("X-Forwarded-Proto", "javascript")];
    let answer = api.send("GET", "/v1.0/demo/flavors/1", &strange, b"");
    assert!(answer.json()["flavor"]["links"][0]["href"].as_str().unwrap().starts_with("http://"));
}

#[test]
fn tokens_are_issued_for_a_password_or_a_token_and_for_nothing_else() {
    let api = Api::start();
    let ask = |auth: &str| api.send("POST", "/v3/auth/tokens", &[], format!(r#"{{"auth": {auth}}}"#).as_bytes());
    let password = |user: &str, password: &str| {
        format!(
            r#""identity": {{"methods": ["password"], "password": {{"user": {{{user}, "password": "{password}"}}}}}}"#
        )
    };
    let token = r#""identity": {"methods": ["token"], "token": {"id": "token-demo"}}"#;
    let by_name = password(r#""name": "demo""#, PASSWORD);
    let by_id = password(r#""id": "demo-id""#, PASSWORD);
    for auth in [
        format!("{{{by_name}}}"),
        format!(r#"{{{by_name}, "scope": "unscoped"}}"#),
        format!(r#"{{{by_id}, "scope": {{"project": {{"id": "demo"}}}}}}"#),
        format!(r#"{{{token}, "scope": {{"project": {{"name": "demo-name", "domain": {{"name": "Default"}}}}}}}}"#),
    ] {
        let answer = ask(&auth);
        assert_eq!((answer.status, answer.header("X-Subject-Token")), (201, Some(DEMO)), "{}", answer.body);
        let url = answer.json()["token"]["catalog"][0]["endpoints"][0]["url"].clone();
        assert_eq!(url, format!("http://{}/v1.0/demo", api.address));
    }
    for auth in [
        format!("{{{}}}", password(r#""name": "demo""#, "wrong")),
        format!("{{{}}}", password(r#""name": "nobody""#, PASSWORD)),
        format!(r#"{{{by_name}, "scope": {{"project": {{"name": "foreign"}}}}}}"#),
        format!(r#"{{{by_name}, "scope": {{"system": {{"all": true}}}}}}"#),
        r#"{"identity": {"methods": ["totp"]}}"#.into(),
    ] {
        let answer = ask(&auth);
        assert_eq!((answer.status, answer.json()["error"]["code"].as_u64()), (401, Some(401)), "{auth}");
        assert_eq!(answer.header("X-Subject-Token"), None);
    }
    for auth in ["{}", "[]", r#"{"identity": {"methods": ["password"]}}"#, r#"{"identity": {"methods": [1]}}"#] {
        assert_eq!(ask(auth).status, 400, "{auth}");
    }
}

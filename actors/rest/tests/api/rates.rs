//! A tenant that calls too often.

use coffer_rest::config::Config;

use super::{
    people::{DEMO, OPERATOR, OTHER},
    server::Api,
};

fn with_rates(rates: &str) -> Api {
    let config: Config = serde_json::from_str(&format!(r#"{{"requests_per_minute": {rates}}}"#)).unwrap();
    Api::start_with(config)
}

#[test]
fn more_than_a_minutes_worth_is_refused_in_troves_words_with_a_time_to_come_back() {
    let api = with_rates(r#"{"get": 3, "mgmt_post": 1}"#);
    for _ in 0..3 {
        assert_eq!(api.get("/flavors").status, 200);
    }
    let refused = api.get("/flavors");
    assert_eq!(refused.status, 413);
    let wait: u32 = refused.header("Retry-After").unwrap().parse().unwrap();
    assert!((1..=20).contains(&wait), "{wait}");
    assert_eq!(
        refused.json(),
        serde_json::json!({"overLimit": {
            "code": 413,
            "message": "This request was rate-limited.",
            "details": "Only 3 GET request(s) can be made to * every minute.",
            "retryAfter": wait.to_string(),
        }})
    );
    // By project, whoever calls in it; not others, and nothing else.
    assert_eq!(api.call(OPERATOR, "GET", "/v1.0/demo/flavors", "").status, 413);
    assert_eq!(api.call(OTHER, "GET", "/v1.0/other/flavors", "").status, 200);
    assert_eq!(api.delete("/instances/x").status, 404);
    let act = || api.call(OPERATOR, "POST", "/v1.0/demo/mgmt/instances/x/action", r#"{"reboot": {}}"#);
    assert_eq!((act().status, act().status), (404, 413));
    assert_eq!(act().json()["overLimit"]["details"], "Only 1 POST request(s) can be made to */mgmt every minute.");
}

#[test]
fn who_is_not_let_in_is_not_counted() {
    let api = with_rates(r#"{"get": 1}"#);
    for _ in 0..5 {
        assert_eq!(api.call("wrong", "GET", "/v1.0/demo/flavors", "").status, 401);
        assert_eq!(api.call(OTHER, "GET", "/v1.0/demo/flavors", "").status, 403);
        assert_eq!(api.send("GET", "/healthcheck", &[], b"").status, 200);
    }
    assert_eq!((api.get("/flavors").status, api.get("/flavors").status), (200, 413));
}

#[test]
fn what_remains_is_shown_and_without_limits_there_is_none_to_show() {
    let api = with_rates(r#"{"get": 2, "post": 5}"#);
    let rows = |api: &Api| api.call(DEMO, "GET", "/v1.0/demo/limits", "").json()["limits"].as_array().unwrap().clone();
    let shown: Vec<_> = rows(&api)[1..]
        .iter()
        .map(|row| (row["verb"].as_str().unwrap().to_owned(), row["value"].as_u64(), row["remaining"].as_u64()))
        .collect();
    assert_eq!(shown, [("POST".to_owned(), Some(5), Some(5)), ("GET".to_owned(), Some(2), Some(1))]);
    let last = &rows(&api)[2];
    assert_eq!(last["remaining"], 0);
    assert!(last["nextAvailable"].as_str().unwrap() > "2026-11-22T15:04:05Z", "{last}");
    let metrics = api.send("GET", "/metrics", &[], b"").body;
    assert!(metrics.contains("coffer_rest_tenants_counted 1\n"), "{metrics}");
    let free = Api::start();
    assert_eq!(rows(&free).len(), 1);
    assert!((0..300).all(|_| free.get("/flavors").status == 200));
}

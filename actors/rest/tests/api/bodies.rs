//! Bodies that are no JSON, too large, or of another kind.

use coffer_rest::config::Config;

use super::{
    people::DEMO,
    server::{Answer, Api},
};

const LIMIT: usize = 4096;

fn post(api: &Api, accept: &str, content_type: &str, body: &[u8]) -> Answer {
    let headers = [("X-Auth-Token", DEMO), ("Accept", accept), ("Content-Type", content_type)];
    api.send("POST", "/v1.0/demo/instances", &headers, body)
}

#[test]
fn malformed_json_is_answered_as_webob_does() {
    let api = Api::start();
    let nested = "[".repeat(100_000);
    for body in ["{", "{\"a\": }", "nonsense", "{}{}", "\u{7f}", nested.as_str()] {
        let json = post(&api, "application/json", "application/json", body.as_bytes());
        assert_eq!((json.status, json.json()["title"].as_str()), (400, Some("Bad Request")));
        let html = post(&api, "*/*", "application/json", body.as_bytes());
        assert_eq!((html.status, html.header("Content-Type")), (400, Some("text/html; charset=UTF-8")));
        assert!(html.body.contains("<h1>400 Bad Request</h1>\n  Malformed request body<br /><br />"), "{}", html.body);
    }
    let not_utf8 = post(&api, "application/json", "application/json", b"{\"instance\": \"\xff\"}");
    assert_eq!(not_utf8.status, 400);
}

#[test]
fn a_body_over_the_limit_is_413_also_when_the_client_sends_it_all_first() {
    let api = Api::start_with(Config { body_limit_bytes: LIMIT, ..Config::default() });
    for size in [LIMIT + 1, 10 * LIMIT] {
        let answer = post(&api, "application/json", "application/json", &vec![b' '; size]);
        assert_eq!((answer.status, answer.fault().0.as_str()), (413, "overLimit"), "{size}");
    }
    let answer = post(&api, "application/json", "application/json", &vec![b' '; LIMIT]);
    assert_eq!(answer.status, 400, "within the limit, and no JSON");
    assert_eq!(api.memory.count(), 0);
}

#[test]
fn other_kinds_of_content_are_415() {
    let api = Api::start();
    let order = br#"{"instance": {"name": "n", "flavorRef": 1, "volume": {"size": 1}}}"#;
    for content_type in ["text/plain", "application/xml", "application/x-www-form-urlencoded"] {
        let answer = post(&api, "application/json", content_type, order);
        assert_eq!((answer.status, answer.fault().0.as_str()), (415, "badMediaType"), "{content_type}");
    }
    for content_type in ["application/json; charset=utf-8", "APPLICATION/JSON"] {
        assert_eq!(post(&api, "application/json", content_type, order).status, 200, "{content_type}");
    }
}

#[test]
fn bodies_of_the_wrong_form_name_the_field() {
    let api = Api::start();
    for (body, message) in [
        ("", "Invalid request body: it is empty."),
        ("[]", "Validation error: body [...] is not of type 'object'"),
        ("null", "Validation error: body None is not of type 'object'"),
        ("{}", "Validation error: body 'instance' is a required property"),
        (r#"{"instance": []}"#, "Validation error: instance [...] is not of type 'object'"),
    ] {
        let answer = api.post("/instances", body);
        assert_eq!((answer.status, answer.fault().1.as_str()), (400, message));
    }
}

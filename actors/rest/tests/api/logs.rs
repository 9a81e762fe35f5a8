//! What is logged and measured about requests, and what never is.

use std::{
    io,
    sync::{Mutex, Once, OnceLock, atomic::Ordering},
};

use tracing_subscriber::fmt::MakeWriter;

use super::{
    control::healthy,
    people::{AWAY, DEMO, PASSWORD},
    server::Api,
};

/// Everything that any test of this program logs, on every level.
static LOG: OnceLock<Mutex<Vec<u8>>> = OnceLock::new();

struct Capture;

impl io::Write for Capture {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LOG.get_or_init(Mutex::default).lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Capture {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        Self
    }
}

fn captured() -> String {
    String::from_utf8(LOG.get_or_init(Mutex::default).lock().unwrap().clone()).unwrap()
}

/// Has everything captured from now on.
fn listen() {
    static LISTENING: Once = Once::new();
    LISTENING.call_once(|| {
        let subscriber =
            tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_ansi(false).with_writer(|| Capture);
        tracing::subscriber::set_global_default(subscriber.finish()).unwrap();
    });
}

#[test]
fn requests_leave_one_line_each_and_no_secret() {
    listen();
    tracing::info!("a planted positive: Seen-1");

    let api = Api::start();
    api.memory.put(healthy(1));
    let base = "/instances/00000000-0000-0000-0000-000000000001";
    let id = "req-6f8f9d6c-3f0e-4b0c-9d52-7f8d2f9f3a99";
    let headers = [("X-Auth-Token", DEMO), ("X-Openstack-Request-Id", id)];
    let path = format!("/v1.0/demo{base}/users");
    let body = r#"{"users": [{"name": "bob", "password": "Hidden-1"}]}"#;
    assert_eq!(api.send("POST", &path, &headers, body.as_bytes()).status, 202);
    api.post(&format!("{base}/users"), r#"{"users": [{"name": "bob", "password": "Hidden-2;"}]}"#);
    api.post(&format!("{base}/root"), r#"{"password": "Hidden-3"}"#);
    api.post(&format!("{base}/root"), r#"{"password": "Hidden-4"#);
    api.call("token-Hidden-5", "GET", "/v1.0/demo/instances", "");
    api.send("GET", "/healthz", &[], b"");
    assert_eq!(api.call(AWAY, "GET", "/v1.0/demo/instances", "").status, 503);
    api.memory.is_away.store(true, Ordering::SeqCst);
    assert_eq!(api.get("/instances").status, 503);
    api.memory.is_away.store(false, Ordering::SeqCst);
    let auth = format!(
        r#"{{"auth": {{"identity": {{"methods": ["password"], "password": {{"user":
            {{"name": "demo", "password": "{PASSWORD}"}}}}}}}}}}"#
    );
    assert_eq!(api.send("POST", "/v3/auth/tokens", &[], auth.as_bytes()).status, 201);
    drop(api);

    let log = captured();
    assert!(log.contains("Seen-1"), "nothing was captured");
    for secret in ["Hidden-", PASSWORD, DEMO, AWAY, "1-neddiH"] {
        assert!(!log.contains(secret), "{secret} is in the log");
    }
    for happening in coffer_rest::telemetry::HAPPENINGS {
        assert!(
            log.contains(&format!("happening=\"{happening}\"")),
            "no test makes {happening} happen, or it has no line"
        );
    }
    let lines: Vec<&str> = log.lines().filter(|line| line.contains(id) && line.contains("answered")).collect();
    let [line] = lines[..] else { panic!("{} lines for one request", lines.len()) };
    for part in [
        "method=\"POST\"",
        "route=\"/v1.0/{tenant}/instances/{instance}/users\"",
        "tenant=\"demo\"",
        "instance=00000000-0000-0000-0000-000000000001",
        "status=202",
        "elapsed_ms=",
    ] {
        assert!(line.contains(part), "{part} is missing: {line}");
    }
}

/// The log of all tests of this program is one, but the burst is this API's alone.
#[test]
fn a_client_in_a_loop_is_counted_exactly_and_logged_within_bounds() {
    const REQUESTS: usize = 700;
    listen();
    let api = Api::start();
    let id = "req-6f8f9d6c-3f0e-4b0c-9d52-000000000700";
    let headers = [("X-Auth-Token", DEMO), ("X-Openstack-Request-Id", id)];
    let started = std::time::Instant::now();
    for _ in 0..REQUESTS {
        assert_eq!(api.send("GET", "/v1.0/demo/limits", &headers, b"").status, 200);
    }
    let admitted = 200 + 10 * (usize::try_from(started.elapsed().as_secs()).unwrap() + 1);
    let lines = captured().lines().filter(|line| line.contains(id) && line.contains("answered")).count();
    assert!((200..=admitted).contains(&lines), "{lines} lines, {admitted} at most");
    let metrics = api.send("GET", "/metrics", &[], b"").body;
    let counted = "coffer_rest_request_duration_seconds_count\
                   {method=\"GET\",route=\"/v1.0/{tenant}/limits\",status=\"200\"} 700";
    assert!(metrics.contains(counted), "{metrics}");
}

#[test]
fn durations_are_counted_by_route_and_status_with_bounded_labels() {
    let api = Api::start();
    api.memory.put(healthy(1));
    for path in ["/instances/a", "/instances/b", "/strange-1", "/strange-2", "/instances"] {
        api.get(path);
    }
    api.call(DEMO, "BREW", "/v1.0/demo/instances", "");
    api.send("GET", "/favicon-1", &[], b"");
    let answer = api.send("GET", "/metrics", &[], b"");
    assert_eq!(answer.status, 200);
    assert!(answer.header("Content-Type").unwrap().starts_with("text/plain; version=0.0.4"));
    let count = |method: &str, route: &str, status: u16| {
        let labels = format!("{{method=\"{method}\",route=\"{route}\",status=\"{status}\"}}");
        let name = format!("coffer_rest_request_duration_seconds_count{labels} ");
        answer.body.lines().find_map(|line| line.strip_prefix(&name).map(str::to_owned))
    };
    assert_eq!(count("GET", "/v1.0/{tenant}/instances/{instance}", 404).as_deref(), Some("2"));
    assert_eq!(count("GET", "/v1.0/{tenant}/instances", 200).as_deref(), Some("1"));
    assert_eq!(count("GET", "unmatched", 404).as_deref(), Some("3"), "{}", answer.body);
    assert!(!answer.body.contains("strange") && !answer.body.contains("BREW"), "{}", answer.body);
}

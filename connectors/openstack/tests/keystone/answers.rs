//! What is asked, what is remembered, and for how long.

use std::{
    future::poll_fn,
    pin::pin,
    task::Poll,
    time::{Duration, Instant},
};

use coffer_openstack::keystone::THINGS;
use coffer_ports::{
    ErrorKind,
    identity::{Identity, NO_PROJECT},
    telemetry::Bounded,
};
use futures_util::future::join_all;

use super::fake::{Fake, Mood, PASSWORD, content};

#[tokio::test]
async fn a_token_is_asked_about_once_and_then_known() {
    let fake = Fake::start(60).await;
    for _ in 0..3 {
        assert_eq!(fake.project("good-a").await.unwrap(), "project-of--a");
        assert_eq!(fake.refusal("bad").await.kind, ErrorKind::Denied);
    }
    assert_eq!((fake.questions(), fake.logins()), (2, 1));
    let issued = fake.keystone.validate("good-a").await.unwrap();
    assert_eq!((issued.token.as_str(), issued.principal.roles), ("good-a", vec!["member".to_owned()]));
    let body: serde_json::Value = serde_json::from_str(&fake.last_login()).unwrap();
    let user = &body["auth"]["identity"]["password"]["user"];
    assert_eq!((&user["name"], &user["password"]), (&"coffer".into(), &PASSWORD.into()));
    assert_eq!(body["auth"]["scope"]["project"]["name"], "service");
}

#[tokio::test]
async fn an_application_credential_logs_in_without_a_scope() {
    let fake = Fake::with(|config| {
        config.username = None;
        config.application_credential_id = Some("ac-1".into());
        config.application_credential_secret_file = config.password_file.take();
    })
    .await;
    fake.project("good").await.unwrap();
    let expected = format!(
        r#"{{"auth":{{"identity":{{"application_credential":{{"id":"ac-1","secret":"{PASSWORD}"}},"methods":["application_credential"]}}}}}}"#
    );
    assert_eq!(fake.last_login(), expected);
}

#[tokio::test]
async fn a_revoked_token_is_refused_when_its_time_is_over() {
    let fake = Fake::start(1).await;
    let known_at = Instant::now();
    fake.project("good").await.unwrap();
    fake.mood(&[Mood::Status(404, "")]);
    // Until then it is let in, without a question.
    while fake.project("good").await.is_ok() {
        assert!(known_at.elapsed() < Duration::from_secs(5), "it goes on");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(known_at.elapsed() >= Duration::from_secs(1));
    assert_eq!(fake.questions(), 2);
}

#[tokio::test]
async fn with_no_cache_each_request_asks() {
    let fake = Fake::start(0).await;
    for _ in 0..3 {
        fake.project("good").await.unwrap();
    }
    assert_eq!((fake.questions(), fake.logins()), (3, 1));
}

#[tokio::test]
async fn a_crowd_with_one_token_shares_one_question() {
    let fake = Fake::start(60).await;
    fake.mood(&[Mood::Gated]);
    let crowd = join_all((0..50).map(|_| fake.project("good-a")));
    let others = join_all(["good-b", "good-c"].map(|token| fake.project(token)));
    // All of them ask before the gate is open.
    let (crowd, others, ()) = tokio::join!(crowd, others, async { fake.open_gate() });
    assert!(crowd.into_iter().chain(others).all(|answer| answer.is_ok()));
    assert_eq!((fake.questions(), fake.logins()), (3, 1));
}

#[tokio::test]
async fn a_question_outlives_whoever_asked_it() {
    let fake = Fake::start(60).await;
    fake.mood(&[Mood::Gated]);
    {
        let mut asked = pin!(fake.project("good"));
        let is_pending = poll_fn(|context| Poll::Ready(asked.as_mut().poll(context).is_pending())).await;
        assert!(is_pending);
    }
    let bounded = Bounded::default();
    fake.keystone.watch(&bounded);
    let used = |thing| bounded.fullness()[thing].used;
    assert_eq!(bounded.fullness().keys().copied().collect::<Vec<_>>(), {
        let mut things = THINGS;
        things.sort_unstable();
        things
    });
    assert_eq!(used("keystone_questions"), 1);
    fake.open_gate();
    while used("keystone_questions") == 1 {
        tokio::task::yield_now().await;
    }
    assert_eq!((used("keystone_tokens"), used("keystone_refusals"), used("keystone_asked")), (1, 0, 0));
    fake.project("good").await.unwrap();
    assert_eq!(fake.questions(), 1);
}

#[tokio::test]
async fn a_token_of_no_project_is_refused_in_words_of_its_own() {
    let fake = Fake::start(60).await;
    for scope in ["", r#""domain": {"id": "d", "name": "D"},"#, r#""system": {"all": true},"#] {
        fake.mood(&[Mood::Body(content(scope))]);
        let token = format!("good{}", scope.len());
        for _ in 0..2 {
            let error = fake.refusal(&token).await;
            assert_eq!((error.kind, &*error.code), (ErrorKind::Denied, NO_PROJECT));
        }
    }
    assert_eq!(fake.questions(), 3);
}

#[tokio::test]
async fn what_can_be_no_token_is_asked_of_nobody() {
    let fake = Fake::start(60).await;
    for token in ["", "a\nb", "a\0", &"x".repeat(9000)] {
        assert_eq!(fake.refusal(token).await.kind, ErrorKind::Denied);
    }
    assert_eq!((fake.questions(), fake.logins()), (0, 0));
}

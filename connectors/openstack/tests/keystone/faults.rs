//! A Keystone that is slow, cut off, wrong or gone lets nobody in and refuses nobody.

use std::time::{Duration, Instant};

use coffer_ports::ErrorKind;

use super::fake::{Fake, Mood};

#[tokio::test]
async fn a_passing_fault_is_asked_again_and_not_noticed() {
    let fake = Fake::start(60).await;
    fake.mood(&[Mood::Status(500, ""), Mood::Cut, Mood::Well]);
    fake.project("good").await.unwrap();
    assert_eq!(fake.questions(), 3);
}

#[tokio::test]
async fn a_lasting_fault_is_neither_a_refusal_nor_remembered() {
    let half = b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{\"token\": {".to_vec();
    let huge = [b"HTTP/1.1 200 OK\r\n\r\n".to_vec(), vec![b'x'; 2 << 20]].concat();
    for (mood, code, questions) in [
        (Mood::Status(500, ""), "keystone.fault", 3),
        (Mood::Status(503, ""), "keystone.fault", 3),
        (Mood::Status(403, ""), "keystone.role", 1),
        (Mood::Status(400, ""), "keystone.unexpected", 1),
        (Mood::Status(302, "Location: http://127.0.0.1:1/v3\r\n"), "keystone.unexpected", 1),
        (Mood::Body("<html>".into()), "keystone.garbage", 1),
        (Mood::Bytes(b"good morning\r\n\r\n".to_vec()), "keystone.away", 3),
        (Mood::Bytes(half), "keystone.away", 3),
        (Mood::Bytes(huge), "keystone.long_answer", 1),
        (Mood::Cut, "keystone.away", 3),
    ] {
        let fake = Fake::start(60).await;
        fake.mood(std::slice::from_ref(&mood));
        let error = fake.refusal("good").await;
        assert_eq!((error.kind, &*error.code), (ErrorKind::Unavailable, code), "{mood:?}: {error}");
        assert_eq!(fake.questions(), questions, "{mood:?}");
        fake.mood(&[Mood::Well]);
        becomes_known(&fake).await;
    }
}

/// Within the second for which nobody tries, and some more.
async fn becomes_known(fake: &Fake) {
    let since = Instant::now();
    while fake.project("good").await.is_err() {
        assert!(since.elapsed() < Duration::from_secs(10), "it does not recover");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn whoever_comes_after_a_silence_does_not_wait_for_another() {
    let fake = Fake::with(|config| config.timeout_s = 1).await;
    fake.project("good-known").await.unwrap();
    fake.mood(&[Mood::Gated]);
    let error = fake.refusal("good").await;
    assert_eq!((error.kind, &*error.code), (ErrorKind::Timeout, "keystone.timeout"));
    let crowd = (0..100).map(|number| format!("good-{number}")).collect::<Vec<_>>();
    for token in &crowd {
        fake.refusal(token).await;
    }
    // The first of them in each second may have tried.
    assert!(fake.questions() < 20, "{} questions", fake.questions());
    assert_eq!(fake.project("good-known").await.unwrap(), "project-of--known");
    fake.mood(&[Mood::Well]);
    becomes_known(&fake).await;
}

#[tokio::test]
async fn a_request_to_slow_down_is_passed_on() {
    let fake = Fake::start(60).await;
    fake.mood(&[Mood::Status(429, "Retry-After: 17\r\n")]);
    let error = fake.refusal("good").await;
    assert_eq!((error.kind, error.retry_after), (ErrorKind::Throttled, Some(Duration::from_secs(17))));
    assert_eq!(fake.questions(), 1);
}

#[tokio::test]
async fn an_own_token_that_is_not_taken_any_more_is_renewed() {
    let fake = Fake::start(0).await;
    fake.project("good").await.unwrap();
    fake.refuse_own_tokens();
    fake.project("good").await.unwrap();
    assert_eq!((fake.logins(), fake.questions()), (2, 3));
    fake.refuse_all_own_tokens();
    let error = fake.refusal("good").await;
    assert_eq!((error.kind, &*error.code), (ErrorKind::Unavailable, "keystone.own_token"));
    assert_eq!((fake.logins(), fake.questions()), (3, 5), "it is not asked for ever");
}

//! Users from a file, tokens, and what makes them invalid.

use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf, time::Duration};

use coffer_local::identity::{StaticIdentity, add_user, set_password};
use coffer_ports::{
    ErrorKind,
    identity::{Credentials, Identity, NameOrId},
    telemetry::Bounded,
};

struct Realm {
    _directory: tempfile::TempDir,
    path: PathBuf,
}

impl Realm {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("users.json");
        Self { _directory: directory, path }
    }

    fn add(&self, name: &str, project: &str) -> String {
        let password = add_user(&self.path, name, project, &["member".to_owned()]).expect("a user");
        password.expose().to_owned()
    }

    fn open(&self) -> StaticIdentity {
        StaticIdentity::open(&self.path, [7; 32]).expect("an identity service")
    }
}

fn by_name(user: &str, password: &str) -> Credentials {
    Credentials::Password { user: NameOrId::Name(user.to_owned()), password: password.to_owned() }
}

fn is_hex_32(text: &str) -> bool {
    text.len() == 32 && text.chars().all(|character| matches!(character, '0'..='9' | 'a'..='f'))
}

#[tokio::test]
async fn logins_under_way_are_told_with_their_bounds() {
    let realm = Realm::new();
    let password = realm.add("alice", "shop");
    let (identity, bounded) = (realm.open(), Bounded::default());
    identity.watch(&bounded);
    let credentials = by_name("alice", &password);
    let mut login = std::pin::pin!(identity.authenticate(&credentials, None));
    // Asked for once, it has its place and waits for the hash.
    assert!(is_pending(login.as_mut()).await);
    let fullness = bounded.fullness();
    assert_eq!(fullness.keys().copied().collect::<Vec<_>>(), coffer_local::identity::THINGS);
    assert!(fullness.values().all(|thing| thing.limit > 1), "{fullness:?}");
    let used = || bounded.fullness().values().map(|thing| thing.used).collect::<Vec<_>>();
    assert_eq!(used(), [1, 1, 0]);
    let issued = login.await.expect("a token");
    assert_eq!(used(), [0, 0, 0]);
    for _ in 0..2 {
        assert!(identity.validate(&issued.token).await.is_ok());
        assert_eq!(used(), [0, 0, 1]);
    }
}

/// Polls once; whether it is not ready.
async fn is_pending<F: Future>(mut future: std::pin::Pin<&mut F>) -> bool {
    std::future::poll_fn(|context| std::task::Poll::Ready(future.as_mut().poll(context).is_pending())).await
}

#[tokio::test]
async fn a_password_buys_a_token_for_the_users_project() {
    let realm = Realm::new();
    let password = realm.add("alice", "shop");
    assert!(password.len() >= 24, "{} characters", password.len());
    let identity = realm.open();

    let issued = identity.authenticate(&by_name("alice", &password), None).await.expect("a token");
    let principal = &issued.principal;
    assert!(is_hex_32(&principal.user_id) && is_hex_32(&principal.project_id), "{principal:?}");
    assert_eq!((&*principal.user_name, &*principal.project_name), ("alice", "shop"));
    assert_eq!(principal.roles, ["member"]);
    assert_eq!(issued.expires_at_ms - issued.issued_at_ms, 3_600_000);
    let validated = identity.validate(&issued.token).await.expect("valid");
    assert_eq!((&validated.principal, validated.expires_at_ms), (principal, issued.expires_at_ms));
}

#[tokio::test]
async fn everything_that_is_wrong_gets_the_same_answer() {
    let realm = Realm::new();
    let password = realm.add("alice", "shop");
    realm.add("bob", "bank");
    let identity = realm.open();
    let bank = NameOrId::Name("bank".to_owned());
    let mut answers = Vec::new();
    for (user, password, project) in
        [("alice", "wrong", None), ("nobody", "wrong", None), ("alice", &*password, Some(&bank))]
    {
        answers.push(identity.authenticate(&by_name(user, password), project).await.err().expect("refused"));
    }
    let other = StaticIdentity::open(&realm.path, [8; 32]).expect("an identity service");
    let foreign = other.authenticate(&by_name("alice", &password), None).await.expect("a token").token;
    for token in ["", "no token", &*"A".repeat(100), &*"A".repeat(10_000), &*foreign] {
        answers.push(identity.validate(token).await.err().expect("refused"));
    }
    assert!(answers.iter().all(|answer| *answer == answers[0] && answer.kind == ErrorKind::Denied), "{answers:?}");
}

#[tokio::test]
async fn a_token_dies_with_time() {
    let realm = Realm::new();
    let password = realm.add("alice", "shop");
    let identity = realm.open().with_token_lifetime(Duration::ZERO);
    let issued = identity.authenticate(&by_name("alice", &password), None).await.expect("a token");
    assert_eq!(identity.validate(&issued.token).await.err().expect("expired").kind, ErrorKind::Denied);
}

#[tokio::test]
async fn a_token_dies_with_the_password_and_with_the_user_at_once() {
    let realm = Realm::new();
    let old_password = realm.add("alice", "shop");
    let identity = realm.open();
    let issued = identity.authenticate(&by_name("alice", &old_password), None).await.expect("a token");

    let password = set_password(&realm.path, "alice").expect("a password").expose().to_owned();
    assert_eq!(identity.validate(&issued.token).await.err().expect("revoked").kind, ErrorKind::Denied);
    let refused = identity.authenticate(&by_name("alice", &old_password), None).await;
    assert_eq!(refused.err().expect("the old password").kind, ErrorKind::Denied);
    let issued = identity.authenticate(&by_name("alice", &password), None).await.expect("a token");

    // Removed, and added again under the same name: another user.
    fs::remove_file(&realm.path).expect("removed");
    realm.add("alice", "shop");
    assert_eq!(identity.validate(&issued.token).await.err().expect("revoked").kind, ErrorKind::Denied);
}

#[tokio::test]
async fn a_token_buys_another_one_that_ends_no_later() {
    let realm = Realm::new();
    let password = realm.add("alice", "shop");
    let identity = realm.open();
    let first = identity.authenticate(&by_name("alice", &password), None).await.expect("a token");
    let longer = realm.open().with_token_lifetime(Duration::from_secs(7200));
    let second = longer.authenticate(&Credentials::Token(first.token), None).await.expect("a token");
    assert_eq!((second.principal, second.expires_at_ms), (first.principal, first.expires_at_ms));
}

#[tokio::test]
async fn users_are_added_while_the_service_runs_and_share_projects_by_name() {
    let realm = Realm::new();
    let alice = realm.add("alice", "shop");
    let identity = realm.open();
    let bob = realm.add("bob", "shop");
    let alice = identity.authenticate(&by_name("alice", &alice), None).await.expect("a token");
    let bob = identity.authenticate(&by_name("bob", &bob), None).await.expect("a token");
    assert_eq!(alice.principal.project_id, bob.principal.project_id);
    assert_ne!(alice.principal.user_id, bob.principal.user_id);
    let taken = add_user(&realm.path, "bob", "elsewhere", &[]).expect_err("taken");
    assert_eq!(taken.kind, ErrorKind::Conflict);
    assert_eq!(set_password(&realm.path, "carol").expect_err("unknown").kind, ErrorKind::NotFound);
}

#[tokio::test]
async fn the_file_holds_no_password_and_must_be_closed_to_others() {
    let realm = Realm::new();
    let password = realm.add("alice", "shop");
    let content = fs::read_to_string(&realm.path).expect("readable");
    assert!(!content.contains(&password) && content.contains("$argon2id$"));
    assert_eq!(fs::metadata(&realm.path).expect("it exists").permissions().mode() & 0o777, 0o600);

    let identity = realm.open();
    fs::set_permissions(&realm.path, fs::Permissions::from_mode(0o644)).expect("opened");
    let refused = StaticIdentity::open(&realm.path, [7; 32]).err().expect("refused");
    assert_eq!((refused.kind, &*refused.code), (ErrorKind::Invalid, "local.users_file_open"));
    // A running service lets nobody in once it cannot trust the file it has to read again.
    fs::write(&realm.path, "damaged").expect("written");
    let refused = identity.authenticate(&by_name("alice", &password), None).await.err().expect("refused");
    assert_eq!(refused.kind, ErrorKind::Unavailable);
}

#[tokio::test]
async fn an_unknown_user_costs_as_much_as_a_wrong_password() {
    const ROUNDS: u32 = 5;
    let realm = Realm::new();
    realm.add("alice", "shop");
    let identity = realm.open();
    let mut took = [Duration::ZERO; 2];
    for _ in 0..ROUNDS {
        for (user, took) in ["alice", "nobody"].iter().zip(&mut took) {
            let begun = std::time::Instant::now();
            identity.authenticate(&by_name(user, "wrong"), None).await.err().expect("refused");
            *took += begun.elapsed();
        }
    }
    println!("wrong password {:?}, unknown user {:?}", took[0] / ROUNDS, took[1] / ROUNDS);
    // Without the dummy hash the second is thousands of times cheaper; a busy machine is not.
    assert!(took[1] * 10 > took[0], "{took:?}");
}

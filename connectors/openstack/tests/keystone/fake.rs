//! A Keystone of a few lines: it knows the service user `coffer` and the tokens that begin with `good`.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use coffer_openstack::keystone::{Config, Keystone};
use coffer_ports::{Error, Result, identity::Identity};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    runtime::Handle,
    sync::Semaphore,
};

pub const PASSWORD: &str = "service-Passw0rd";

/// What the next questions about tokens are answered with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mood {
    /// As Keystone does.
    Well,
    /// This status, with more of a head.
    Status(u16, &'static str),
    /// These bytes in place of an answer.
    Bytes(Vec<u8>),
    /// 200 with this body.
    Body(String),
    /// Nothing: the connection is closed.
    Cut,
    /// Only when [`Fake::gate`] lets it.
    Gated,
}

pub struct Fake {
    shared: Arc<Shared>,
    pub keystone: Keystone,
    _directory: tempfile::TempDir,
}

struct Shared {
    /// Each is used once, then the last one for ever.
    moods: Mutex<Vec<Mood>>,
    gate: Semaphore,
    questions: AtomicUsize,
    logins: AtomicUsize,
    /// The bodies of logins.
    bodies: Mutex<Vec<String>>,
    /// Own tokens up to this number are refused.
    refused: AtomicUsize,
}

impl Fake {
    pub async fn start(cache_s: u64) -> Self {
        Self::with(|config| config.cache_s = cache_s).await
    }

    pub async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            moods: Mutex::new(vec![Mood::Well]),
            gate: Semaphore::new(0),
            questions: AtomicUsize::new(0),
            logins: AtomicUsize::new(0),
            bodies: Mutex::default(),
            refused: AtomicUsize::new(0),
        });
        let served = Arc::clone(&shared);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&served)));
            }
        });
        let directory = tempfile::tempdir().unwrap();
        let secret = directory.path().join("secret");
        fs::write(&secret, PASSWORD).unwrap();
        fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
        let mut config: Config = serde_json::from_value(serde_json::json!({
            "auth_url": format!("http://{address}/v3"),
            "username": "coffer",
            "password_file": secret,
        }))
        .unwrap();
        change(&mut config);
        let keystone = Keystone::open(config, Handle::current()).unwrap();
        Self { shared, keystone, _directory: directory }
    }

    pub fn mood(&self, moods: &[Mood]) {
        *self.shared.moods.lock().unwrap() = moods.to_vec();
    }

    /// Lets gated answers through, from now on.
    pub fn open_gate(&self) {
        self.shared.gate.add_permits(Semaphore::MAX_PERMITS / 2);
    }

    /// Does not take the own tokens any more that it has given so far.
    pub fn refuse_own_tokens(&self) {
        self.shared.refused.store(self.logins(), Ordering::SeqCst);
    }

    pub fn refuse_all_own_tokens(&self) {
        self.shared.refused.store(usize::MAX, Ordering::SeqCst);
    }

    /// How often it was asked whose a token is.
    pub fn questions(&self) -> usize {
        self.shared.questions.load(Ordering::SeqCst)
    }

    pub fn logins(&self) -> usize {
        self.shared.logins.load(Ordering::SeqCst)
    }

    pub fn last_login(&self) -> String {
        self.shared.bodies.lock().unwrap().last().unwrap().clone()
    }

    /// The project of a token.
    pub async fn project(&self, token: &str) -> Result<String> {
        self.keystone.validate(token).await.map(|issued| issued.principal.project_id)
    }

    /// Why a token is not let in; no secret is in it.
    pub async fn refusal(&self, token: &str) -> Error {
        let error = self.project(token).await.expect_err("it is let in");
        let text = format!("{error} {error:?}");
        for secret in ["good", "own-", PASSWORD] {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
        error
    }
}

async fn serve(mut stream: TcpStream, shared: Arc<Shared>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return,
        }
    }
    let head = String::from_utf8(head).unwrap();
    let header = |name: &str| {
        head.lines().find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then(|| value.to_owned())
        })
    };
    let length = header("Content-Length").map_or(0, |text| text.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.unwrap();
    let answer = if head.starts_with("POST /v3/auth/tokens?nocatalog ") {
        shared.bodies.lock().unwrap().push(String::from_utf8(body).unwrap());
        login(shared.logins.fetch_add(1, Ordering::SeqCst) + 1)
    } else {
        assert!(head.starts_with("GET /v3/auth/tokens?nocatalog "), "{head}");
        shared.questions.fetch_add(1, Ordering::SeqCst);
        let own: usize = header("X-Auth-Token").unwrap().strip_prefix("own-").unwrap().parse().unwrap();
        let mood = next_mood(&shared);
        match mood {
            _ if own <= shared.refused.load(Ordering::SeqCst) => answer(401, "", "{}"),
            Mood::Well => whose(&header("X-Subject-Token").unwrap()),
            Mood::Status(status, more) => answer(status, more, "{}"),
            Mood::Bytes(bytes) => bytes,
            Mood::Body(body) => answer(200, "", &body),
            Mood::Cut => return,
            Mood::Gated => {
                drop(shared.gate.acquire().await);
                whose(&header("X-Subject-Token").unwrap())
            }
        }
    };
    // Who asked may have stopped reading.
    stream.write_all(&answer).await.ok();
}

fn next_mood(shared: &Shared) -> Mood {
    let mut moods = shared.moods.lock().unwrap();
    if moods.len() > 1 { moods.remove(0) } else { moods[0].clone() }
}

fn answer(status: u16, more: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status} X\r\nConnection: close\r\nContent-Length: {length}\r\n{more}\r\n{body}").into_bytes()
}

/// A token's content, valid for an hour.
pub fn content(project: &str) -> String {
    let now = jiff::Timestamp::now();
    let end = now + Duration::from_secs(3600);
    format!(
        r#"{{"token": {{"user": {{"id": "u1", "name": "alice"}}, {project}
            "roles": [{{"id": "r1", "name": "member"}}], "issued_at": "{now}", "expires_at": "{end}"}}}}"#
    )
}

fn login(number: usize) -> Vec<u8> {
    let head = format!("X-Subject-Token: own-{number}\r\n");
    answer(201, &head, &content(r#""project": {"id": "s1", "name": "service"},"#))
}

fn whose(token: &str) -> Vec<u8> {
    if !token.starts_with("good") {
        return answer(404, "", "{}");
    }
    answer(200, "", &content(&format!(r#""project": {{"id": "project-of-{}", "name": "p"}},"#, &token[4..])))
}

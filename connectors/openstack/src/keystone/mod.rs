//! Whose a token is, as Keystone says: the `Identity` port for an OpenStack cloud.
//!
//! Clients get their tokens from Keystone, and show them with each request. What Keystone says of a token is remembered
//! for [`Config::cache_s`] at most, so that a revoked one is refused after that; what it refuses, for some seconds.
//! Requests with the same token share one question, which goes on when whoever asked it first is gone. Where Keystone is
//! away, tokens that are remembered go on and others are neither let in nor refused.
//!
//! Unlike other adapters this one asks again by itself: nobody behind it would do so for a client that waits.

mod cache;
mod client;
mod config;
mod own_token;
mod wire;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use coffer_ports::{
    Error, ErrorKind, Result,
    identity::{Credentials, Identity, IssuedToken, NameOrId, Principal},
    telemetry::Bounded,
};
use futures_util::{
    FutureExt,
    future::{BoxFuture, Shared},
};
use reqwest::{StatusCode, header::HeaderValue};
use sha2::{Digest, Sha256};
use tokio::{runtime::Handle, sync::Semaphore};

use cache::{Cache, Key};
use client::{Answer, Client, unavailable};
use own_token::{OwnToken, now_ms, unexpected};
use wire::Known;

pub use config::Config;

/// Valid tokens that are remembered.
const TOKENS: &str = "keystone_tokens";
/// Refused tokens that are remembered: in a place of their own, so that a flood of them pushes nobody out.
const REFUSALS: &str = "keystone_refusals";
/// Tokens that Keystone is asked about, or that wait for it.
const QUESTIONS: &str = "keystone_questions";
/// Questions that are under way.
const ASKED: &str = "keystone_asked";
/// The things with a bound of this adapter, as they are registered.
pub const THINGS: [&str; 4] = [TOKENS, REFUSALS, QUESTIONS, ASKED];

const MAX_TOKENS: usize = 8192;
const MAX_REFUSALS: usize = 4096;
const MAX_QUESTIONS: usize = 512;
/// Beside each other: what a small Keystone serves without a queue.
const MAX_ASKED: usize = 16;
/// A longer text is no token. Those signed by Keystone (JWS) have up to some thousand bytes.
const MAX_TOKEN_BYTES: usize = 8192;
/// How long a refusal is remembered at most: a client that repeats itself costs one question in this time.
const REFUSAL_TIME: Duration = Duration::from_secs(10);

/// The roles of which Keystone lets one ask about the tokens of others.
const ASKING_ROLES: [&str; 2] = ["service", "admin"];

/// The `Identity` port on Keystone. Cheap to clone.
#[derive(Clone)]
pub struct Keystone(Arc<Inner>);

struct Inner {
    config: Config,
    client: Client,
    own_token: OwnToken,
    known: Mutex<Cache<Arc<Known>>>,
    refused: Mutex<Cache<Error>>,
    questions: Mutex<HashMap<Key, Question>>,
    asked: Semaphore,
    /// Where questions are asked, whoever waits for them.
    runtime: Handle,
}

type Verdict = Result<Arc<Known>>;
type Question = Shared<BoxFuture<'static, Verdict>>;

impl Keystone {
    /// Nothing is asked yet. `runtime` is where it will be.
    ///
    /// Errors: `Invalid` when the settings do not agree, or a file that they name cannot be used.
    pub fn open(config: Config, runtime: Handle) -> Result<Self> {
        config.check().map_err(|words| Error::new(ErrorKind::Invalid, "keystone.config", words))?;
        wire::own_login(&config)?;
        Ok(Self(Arc::new(Inner {
            client: Client::new(&config)?,
            own_token: OwnToken::new(config.clone()),
            known: Mutex::new(Cache::new(MAX_TOKENS)),
            refused: Mutex::new(Cache::new(MAX_REFUSALS)),
            questions: Mutex::default(),
            asked: Semaphore::new(MAX_ASKED),
            runtime,
            config,
        })))
    }

    /// Has its fullness known.
    pub fn watch(&self, bounded: &Bounded) {
        let inner = Arc::downgrade(&self.0);
        let register = |name, limit, used: fn(&Inner) -> usize| {
            let inner = inner.clone();
            bounded.register(name, limit, move || inner.upgrade().map(|inner| used(&inner)));
        };
        register(TOKENS, MAX_TOKENS, |inner| locked(&inner.known).len());
        register(REFUSALS, MAX_REFUSALS, |inner| locked(&inner.refused).len());
        register(QUESTIONS, MAX_QUESTIONS, |inner| locked(&inner.questions).len());
        register(ASKED, MAX_ASKED, |inner| MAX_ASKED - inner.asked.available_permits());
    }

    /// Logs in, for whoever wants to know whether it can be done: who Coffer is there, and whether its roles let it ask
    /// about the tokens of others (as Keystone's own policy has it).
    ///
    /// Errors: `Invalid` and `Unavailable`, with a detail that says what is wrong.
    pub async fn probe(&self) -> Result<(Principal, bool)> {
        let (_, known) = own_token::buy(&self.0.config, &self.0.client).await?;
        let may_ask = known.principal.roles.iter().any(|role| ASKING_ROLES.contains(&role.as_str()));
        Ok((known.principal, may_ask))
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Inner {
    fn remembered(&self, key: &Key) -> Option<Verdict> {
        let now = Instant::now();
        if let Some(known) = locked(&self.known).get(key, now) {
            return Some(Ok(known));
        }
        locked(&self.refused).get(key, now).map(Err)
    }

    /// The question about this token: the one that is under way, or a new one.
    fn question(self: &Arc<Self>, key: Key, token: HeaderValue) -> Result<Question> {
        let mut questions = locked(&self.questions);
        if let Some(question) = questions.get(&key) {
            return Ok(question.clone());
        }
        if questions.len() >= MAX_QUESTIONS {
            let words = format!("more than {MAX_QUESTIONS} tokens wait for Keystone");
            let error = Error::new(ErrorKind::Throttled, "keystone.too_many_questions", words);
            return Err(Error { retry_after: Some(Duration::from_secs(1)), ..error });
        }
        let inner = Arc::clone(self);
        let task = self.runtime.spawn(async move {
            // Made here, since a runtime that has ended drops the task at once, while the list is locked.
            let asking = Asking { inner, key };
            asking.inner.decide(key, &token).await
        });
        let ended = || unavailable("keystone.stopped", "the question was given up");
        let question = async move { task.await.unwrap_or_else(|_| Err(ended())) }.boxed().shared();
        questions.insert(key, question.clone());
        Ok(question)
    }

    /// Asks, and remembers what is said.
    async fn decide(&self, key: Key, token: &HeaderValue) -> Verdict {
        let ended = |_| unavailable("keystone.stopped", "nobody asks any more");
        let _slot = self.asked.acquire().await.map_err(ended)?;
        // What is revoked from now on may be missed by the answer.
        let asked_at = Instant::now();
        let verdict = self.look_up(token).await.map(Arc::new);
        let cache_time = self.config.cache_time();
        match &verdict {
            Ok(known) => {
                let left_ms = u64::try_from(known.expires_at_ms.saturating_sub(now_ms())).unwrap_or(0);
                let time = cache_time.min(Duration::from_millis(left_ms));
                locked(&self.known).insert(key, Arc::clone(known), asked_at + time);
            }
            Err(error) if error.kind == ErrorKind::Denied => {
                locked(&self.refused).insert(key, error.clone(), asked_at + cache_time.min(REFUSAL_TIME));
            }
            Err(_) => {}
        }
        verdict
    }

    async fn look_up(&self, token: &HeaderValue) -> Result<Known> {
        let mut is_first = true;
        loop {
            let own = self.own_token.get(&self.client).await?;
            let Answer { status, body, .. } = self.ask_about(token, &own).await?;
            return match status {
                StatusCode::OK => wire::read(&body),
                StatusCode::NOT_FOUND => Err(denied()),
                // That is ours, not the one that was asked about.
                StatusCode::UNAUTHORIZED => {
                    self.own_token.forget(&own).await;
                    if is_first {
                        is_first = false;
                        continue;
                    }
                    Err(unavailable("keystone.own_token", "it refuses the token that it has just given to Coffer"))
                }
                StatusCode::FORBIDDEN => Err(unavailable(
                    "keystone.role",
                    "Coffer's own user may not ask about tokens of others: give it the role service in its project",
                )),
                status => Err(unexpected(status)),
            };
        }
    }

    async fn ask_about(&self, token: &HeaderValue, own: &str) -> Result<Answer> {
        let url = format!("{}/auth/tokens?nocatalog", self.config.base());
        let mut own =
            HeaderValue::from_str(own).map_err(|_| unavailable("keystone.garbage", "its token is no text"))?;
        own.set_sensitive(true);
        self.client
            .ask(|http| http.get(&url).header("X-Auth-Token", own.clone()).header("X-Subject-Token", token.clone()))
            .await
    }
}

/// Takes a question out of the list when it has ended, in whatever way.
struct Asking {
    inner: Arc<Inner>,
    key: Key,
}

impl Drop for Asking {
    fn drop(&mut self) {
        locked(&self.inner.questions).remove(&self.key);
    }
}

#[async_trait]
impl Identity for Keystone {
    async fn authenticate(&self, credentials: &Credentials, project: Option<&NameOrId>) -> Result<IssuedToken> {
        let Inner { config, client, .. } = &*self.0;
        let body = wire::login(config, credentials, project);
        let url = format!("{}/auth/tokens?nocatalog", config.base());
        let answer = client.ask(|http| http.post(&url).json(&body)).await?;
        match (answer.status, answer.subject_token) {
            (StatusCode::CREATED, Some(token)) => Ok(issued(&wire::read(&answer.body)?, token)),
            (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND, _) => Err(denied()),
            (status, _) => Err(unexpected(status)),
        }
    }

    async fn validate(&self, token: &str) -> Result<IssuedToken> {
        let key: Key = Sha256::digest(token).into();
        let verdict = match self.0.remembered(&key) {
            Some(verdict) => verdict,
            None => self.0.question(key, subject(token)?)?.await,
        };
        Ok(issued(&*verdict?, token.to_owned()))
    }
}

/// A token as it is asked about. Errors: `Denied` for what can be none.
fn subject(token: &str) -> Result<HeaderValue> {
    if token.is_empty() || token.len() > MAX_TOKEN_BYTES {
        return Err(denied());
    }
    let mut value = HeaderValue::from_str(token).map_err(|_| denied())?;
    value.set_sensitive(true);
    Ok(value)
}

fn issued(known: &Known, token: String) -> IssuedToken {
    let Known { principal, issued_at_ms, expires_at_ms } = known.clone();
    IssuedToken { token, principal, issued_at_ms, expires_at_ms }
}

/// One answer for everything that is wrong with a token or with credentials.
fn denied() -> Error {
    Error::new(ErrorKind::Denied, "keystone.denied", "the credentials are wrong, have expired or were revoked")
}

//! Users from a file, and tokens that need no store: the `Identity` port for a Coffer without Keystone.
//!
//! The file is read again when it changes, so that a user can be added to a running Coffer. A token is sealed JSON:
//! it says whom it was issued to, until when, and a fingerprint of the password hash, so that it dies with its user
//! and with the password that it was bought with.

mod token;
mod users;
mod verify;

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use coffer_ports::{
    Error, ErrorKind, Result,
    identity::{Credentials, Identity, IssuedToken, NameOrId, Principal},
    telemetry::Bounded,
};

use token::{Claims, Opened, Sealer};
use users::{Snapshot, User};
use verify::Verifier;

pub use users::{add_user, set_password};

/// How long a token is valid unless said otherwise.
pub const TOKEN_LIFETIME: Duration = Duration::from_secs(3600);

/// Passwords being checked.
const LOGINS_CHECKED: &str = "logins_checked";
/// Logins that are checked or wait for it.
const LOGINS_WAITING: &str = "logins_waiting";
/// Tokens whose claims are remembered.
const TOKENS_REMEMBERED: &str = "tokens_remembered";
/// The things with a bound of the static identity, as they are registered.
pub const THINGS: [&str; 3] = [LOGINS_CHECKED, LOGINS_WAITING, TOKENS_REMEMBERED];

/// The `Identity` port on a users file.
pub struct StaticIdentity {
    path: PathBuf,
    users: Mutex<Arc<Snapshot>>,
    verifier: Verifier,
    sealer: Sealer,
    opened: Opened,
    token_lifetime: Duration,
    /// Unix time in ms.
    clock: Box<dyn Fn() -> i64 + Send + Sync>,
}

impl StaticIdentity {
    /// Reads the users file, which [`add_user`] makes. `token_key` seals the tokens: another key invalidates them all.
    ///
    /// Errors: `NotFound` without a file, `Invalid` when others may read it or it is damaged.
    pub fn open(path: &Path, token_key: [u8; 32]) -> Result<Self> {
        let users = Mutex::new(Arc::new(Snapshot::read(path)?));
        let (verifier, sealer) = (Verifier::new()?, Sealer::new(token_key));
        let clock = Box::new(host_time_ms);
        let opened = Opened::default();
        Ok(Self { path: path.to_owned(), users, verifier, sealer, opened, token_lifetime: TOKEN_LIFETIME, clock })
    }

    /// Has its fullness known.
    pub fn watch(&self, bounded: &Bounded) {
        self.verifier.watch(bounded);
        self.opened.watch(bounded);
    }

    /// Reads the time, in ms of Unix time, from `clock` instead of the host: whoever shifts a service's clock shifts the
    /// age of its tokens too.
    #[must_use]
    pub fn with_clock(mut self, clock: impl Fn() -> i64 + Send + Sync + 'static) -> Self {
        self.clock = Box::new(clock);
        self
    }

    /// Lets tokens live for this long.
    #[must_use]
    pub fn with_token_lifetime(mut self, token_lifetime: Duration) -> Self {
        self.token_lifetime = token_lifetime;
        self
    }

    /// The users as the file has them now. A file that cannot be read lets nobody in, rather than somebody who was
    /// removed from it.
    fn users(&self) -> Result<Arc<Snapshot>> {
        let mut users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
        if !users.is_current(&self.path) {
            let read = Snapshot::read(&self.path).map_err(|error| Error { kind: ErrorKind::Unavailable, ..error })?;
            *users = Arc::new(read);
            tracing::info!(file = %self.path.display(), "users file read again");
        }
        Ok(Arc::clone(&users))
    }

    async fn authenticate_password(&self, name: &NameOrId, password: &str) -> Result<User> {
        let users = self.users()?;
        let user = users.find(name);
        let matches = self.verifier.verify(password, user.map(|user| user.password_hash.clone())).await?;
        user.filter(|_| matches).cloned().ok_or_else(denied)
    }

    /// The claims of a token that is valid now, with their user.
    fn open_token(&self, token: &str) -> Result<(Arc<Claims>, User)> {
        let claims = self.opened.get_or_open(token, &self.sealer);
        let claims = claims.filter(|claims| claims.expires_at_ms > (self.clock)()).ok_or_else(denied)?;
        let users = self.users()?;
        let user = users.unchanged(&claims.user_id, &claims.fingerprint);
        let user = user.filter(|user| user.project_id == claims.project_id);
        let user = user.cloned().ok_or_else(denied)?;
        Ok((claims, user))
    }
}

#[async_trait]
impl Identity for StaticIdentity {
    async fn authenticate(&self, credentials: &Credentials, project: Option<&NameOrId>) -> Result<IssuedToken> {
        let issued_at_ms = (self.clock)();
        let (user, expires_at_ms) = match credentials {
            Credentials::Password { user, password } => {
                let lifetime_ms = i64::try_from(self.token_lifetime.as_millis()).unwrap_or(i64::MAX);
                (self.authenticate_password(user, password).await?, issued_at_ms.saturating_add(lifetime_ms))
            }
            // As with Keystone, a token that was bought with a token ends with it: a stolen one cannot live for ever.
            Credentials::Token(token) => {
                let (claims, user) = self.open_token(token)?;
                (user, claims.expires_at_ms)
            }
        };
        let in_scope = match project {
            None => true,
            Some(NameOrId::Id(id)) => *id == user.project_id,
            Some(NameOrId::Name(name)) => *name == user.project_name,
        };
        if !in_scope {
            return Err(denied());
        }
        let claims = Claims {
            user_id: user.id.clone(),
            project_id: user.project_id.clone(),
            fingerprint: user.fingerprint(),
            issued_at_ms,
            expires_at_ms,
        };
        let token = self.sealer.seal(&claims)?;
        Ok(IssuedToken { token, principal: principal(user), issued_at_ms, expires_at_ms })
    }

    async fn validate(&self, token: &str) -> Result<IssuedToken> {
        let (claims, user) = self.open_token(token)?;
        let Claims { issued_at_ms, expires_at_ms, .. } = *claims;
        Ok(IssuedToken { token: token.to_owned(), principal: principal(user), issued_at_ms, expires_at_ms })
    }
}

fn principal(user: User) -> Principal {
    let User { id, name, project_id, project_name, roles, .. } = user;
    Principal { user_id: id, user_name: name, project_id, project_name, roles }
}

/// One answer for everything that is wrong with credentials, so that it tells nothing.
fn denied() -> Error {
    Error::new(ErrorKind::Denied, "local.not_authenticated", "the credentials are wrong, have expired or were revoked")
}

fn host_time_ms() -> i64 {
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX)
}

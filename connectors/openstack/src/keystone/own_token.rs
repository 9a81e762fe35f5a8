//! The token that Coffer itself asks with.

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use coffer_ports::{Error, ErrorKind, Result};
use reqwest::StatusCode;
use tokio::sync::Mutex;

use super::{
    client::{Answer, Client, unavailable},
    config::Config,
    wire::{self, Known},
};

/// A new one is bought when the last tenth of its life begins: whoever asks with it then has its answer long before.
const LAST_PART: u32 = 10;
/// A token that Keystone's clock, or ours, calls expired when it is new is kept for so long all the same.
const SHORTEST: Duration = Duration::from_secs(5);

pub(super) struct OwnToken {
    config: Config,
    /// Whoever finds it missing buys it for all that wait.
    current: Mutex<Option<Current>>,
}

struct Current {
    token: Arc<str>,
    renew_at: Instant,
}

impl OwnToken {
    pub(super) fn new(config: Config) -> Self {
        Self { config, current: Mutex::default() }
    }

    /// One that counts, as far as is known here. Errors: `Invalid` when our secret cannot be read, `Unavailable` when
    /// Keystone gives none.
    pub(super) async fn get(&self, client: &Client) -> Result<Arc<str>> {
        let mut current = self.current.lock().await;
        if let Some(current) = current.as_ref().filter(|current| Instant::now() < current.renew_at) {
            return Ok(Arc::clone(&current.token));
        }
        let asked_at = Instant::now();
        let (token, known) = buy(&self.config, client).await?;
        let token = Arc::<str>::from(token);
        *current = Some(Current { token: Arc::clone(&token), renew_at: asked_at + usable(&known) });
        Ok(token)
    }

    /// Keystone does not take this one any more.
    pub(super) async fn forget(&self, refused: &str) {
        let mut current = self.current.lock().await;
        if current.as_ref().is_some_and(|current| *current.token == *refused) {
            *current = None;
        }
    }
}

/// Logs in. Errors: as [`OwnToken::get`].
pub(super) async fn buy(config: &Config, client: &Client) -> Result<(String, Known)> {
    let body = wire::own_login(config)?;
    let url = format!("{}/auth/tokens?nocatalog", config.base());
    let Answer { status, subject_token, body } = client.ask(|http| http.post(&url).json(&body)).await?;
    match (status, subject_token) {
        (StatusCode::CREATED, Some(token)) => {
            let known = wire::read(&body).map_err(|error| match error.kind {
                ErrorKind::Denied => unavailable("keystone.login", "Coffer's own user has no project"),
                _ => error,
            })?;
            Ok((token, known))
        }
        (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, _) => Err(unavailable(
            "keystone.login",
            format!("it refuses Coffer's own user ({status}): look at the table [identity.keystone] and its secret"),
        )),
        (status, _) => Err(unexpected(status)),
    }
}

/// An answer that no Keystone gives there.
pub(super) fn unexpected(status: StatusCode) -> Error {
    unavailable("keystone.unexpected", format!("it answers {status}, which is no answer of Keystone's v3 API"))
}

/// How long a new token is used.
fn usable(known: &Known) -> Duration {
    let left_ms = known.expires_at_ms.saturating_sub(now_ms());
    let left = Duration::from_millis(u64::try_from(left_ms).unwrap_or(0));
    (left - left / LAST_PART).max(SHORTEST)
}

/// Unix time in ms.
pub(super) fn now_ms() -> i64 {
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use coffer_ports::identity::Principal;

    use super::*;

    #[test]
    fn a_token_is_renewed_before_its_end_and_not_at_each_question() {
        let known = |life_ms| Known {
            principal: Principal {
                user_id: "u".into(),
                user_name: "coffer".into(),
                project_id: "p".into(),
                project_name: "service".into(),
                roles: Vec::new(),
            },
            issued_at_ms: 0,
            expires_at_ms: now_ms() + life_ms,
        };
        let hour = usable(&known(3_600_000));
        assert!(hour <= Duration::from_mins(54) && hour > Duration::from_mins(53), "{hour:?}");
        assert_eq!(usable(&known(-1)), SHORTEST);
    }
}

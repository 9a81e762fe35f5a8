//! Password hashes: Argon2id with the crate's default cost (19 MiB, 2 passes: the first choice of OWASP's password
//! storage recommendations).

use std::{sync::Arc, time::Duration};

use argon2::{
    Argon2,
    password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash},
};
use coffer_ports::{Error, ErrorKind, Result, telemetry::Bounded};
use tokio::sync::Semaphore;

use crate::{
    error::blocking,
    identity::{LOGINS_CHECKED, LOGINS_WAITING},
};

/// Verifications at a time: each takes a core for some ten milliseconds, and 19 MiB.
const CONCURRENT_VERIFICATIONS: usize = 2;
/// Verifications under way or waiting; more are turned away.
const MAX_VERIFICATIONS: usize = 64;

pub(super) struct Verifier {
    running: Arc<Semaphore>,
    admitted: Arc<Semaphore>,
    /// Of nobody's password: an unknown user costs as much as a wrong password.
    dummy_hash: String,
}

impl Verifier {
    pub(super) fn new() -> Result<Self> {
        let dummy_hash = hash(&random::<32>()?)?;
        let running = Arc::new(Semaphore::new(CONCURRENT_VERIFICATIONS));
        Ok(Self { running, admitted: Arc::new(Semaphore::new(MAX_VERIFICATIONS)), dummy_hash })
    }

    /// Has its fullness known.
    pub(super) fn watch(&self, bounded: &Bounded) {
        for (name, limit, slots) in [
            (LOGINS_CHECKED, CONCURRENT_VERIFICATIONS, &self.running),
            (LOGINS_WAITING, MAX_VERIFICATIONS, &self.admitted),
        ] {
            let slots = Arc::downgrade(slots);
            bounded.register(name, limit, move || Some(limit - slots.upgrade()?.available_permits()));
        }
    }

    /// Whether `password` is the one that `hash` was made from; never when there is no hash.
    pub(super) async fn verify(&self, password: &str, hash: Option<String>) -> Result<bool> {
        let Ok(_admitted) = self.admitted.try_acquire() else {
            let message = format!("more than {MAX_VERIFICATIONS} logins at a time");
            let retry_after = Some(Duration::from_secs(1));
            return Err(Error { retry_after, ..Error::new(ErrorKind::Throttled, "local.too_many_logins", message) });
        };
        let running = Arc::clone(&self.running).acquire_owned().await;
        let password = password.to_owned();
        let known = hash.is_some();
        let hash = hash.unwrap_or_else(|| self.dummy_hash.clone());
        let matches = blocking(move || {
            // Held until the work is done, also when nobody waits for it any more.
            let _running = running;
            Ok(matches(&password, &hash))
        });
        Ok(matches.await? && known)
    }
}

fn matches(password: &str, hash: &str) -> bool {
    PasswordHash::new(hash).is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok())
}

/// The PHC string of a password, with a random salt.
pub(super) fn hash(password: &[u8]) -> Result<String> {
    let hash = Argon2::default().hash_password_with_salt(password, &random::<16>()?);
    hash.map(|hash| hash.to_string())
        .map_err(|error| Error::new(ErrorKind::Internal, "local.hash_failed", format!("hash a password: {error}")))
}

/// Random bytes of the kernel.
pub(super) fn random<const COUNT: usize>() -> Result<[u8; COUNT]> {
    let mut bytes = [0; COUNT];
    getrandom::fill(&mut bytes).map_err(|error| {
        Error::new(ErrorKind::Internal, "local.no_randomness", format!("the kernel gives no random bytes: {error}"))
    })?;
    Ok(bytes)
}

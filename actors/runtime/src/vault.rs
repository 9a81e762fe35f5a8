//! Secrets at rest: sealed with the deployment key, opened only where they are used.
//!
//! The deployment key is a 32-byte key in a file that only the operator's user can read. Every sealed row names the
//! key that it was sealed with. Whoever loses the key loses the agents' keys with it: guests must then be rebuilt.

use coffer_domain::{
    ids::InstanceId,
    sealed::{Sealed, ServerKey},
};
use coffer_protocol::{
    seal::{Key, NONCE_BYTES, Nonce, OpenError},
    secret::Secret,
};

/// Purposes: each has a subkey of its own.
const PASSWORD: &str = "password";
const SERVER_KEY: &str = "server-key";
const MESSAGE: &str = "message";

/// Why a sealed secret could not be opened. It says nothing of the content.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VaultError {
    #[error("sealed with deployment key '{0}', which this process does not have")]
    UnknownKey(String),
    #[error("bound to '{found}', opened for '{wanted}'")]
    Context { found: String, wanted: String },
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error("the opened content has the wrong form")]
    Form,
}

/// Seals and opens with the deployment key.
#[derive(Debug, Clone)]
pub struct Vault {
    key_id: String,
    key: Key,
}

impl Vault {
    pub fn new(key_id: impl Into<String>, key: Key) -> Self {
        Self { key_id: key_id.into(), key }
    }

    /// Seals a password for whoever opens it with the same `context`.
    pub fn seal_password(&self, context: &str, password: &Secret) -> Sealed {
        self.seal(PASSWORD, context, password.expose().as_bytes())
    }

    pub fn open_password(&self, sealed: &Sealed, context: &str) -> Result<Secret, VaultError> {
        let bytes = self.open(PASSWORD, sealed, context)?;
        String::from_utf8(bytes).map(Secret::new).map_err(|_| VaultError::Form)
    }

    /// A fresh random key for the server incarnation `number` of an instance, wrapped.
    pub fn new_server_key(&self, instance: InstanceId, number: u32) -> ServerKey {
        let key_id = format!("{instance}.{number}");
        let wrapped = self.seal(SERVER_KEY, &key_id, &random::<32>());
        ServerKey { key_id, wrapped }
    }

    pub fn open_server_key(&self, server_key: &ServerKey) -> Result<Key, VaultError> {
        let bytes = self.open(SERVER_KEY, &server_key.wrapped, &server_key.key_id)?;
        <[u8; 32]>::try_from(bytes).map(Key::from_bytes).map_err(|_| VaultError::Form)
    }

    /// Seals what one node says to another on a topic.
    pub fn seal_message(&self, topic: &str, message: &[u8]) -> Sealed {
        self.seal(MESSAGE, topic, message)
    }

    pub fn open_message(&self, sealed: &Sealed, topic: &str) -> Result<Vec<u8>, VaultError> {
        self.open(MESSAGE, sealed, topic)
    }

    /// Whether this key opens a secret, whatever it is for.
    pub fn check(&self, sealed: &Sealed) -> Result<(), VaultError> {
        self.open(PASSWORD, sealed, &sealed.context)
            .or_else(|_| self.open(SERVER_KEY, sealed, &sealed.context))
            .map(|_| ())
    }

    fn seal(&self, purpose: &str, context: &str, plaintext: &[u8]) -> Sealed {
        let bytes = self.key.seal_bytes(purpose, context, plaintext, random_nonce());
        Sealed { key_id: self.key_id.clone(), context: context.to_owned(), bytes }
    }

    fn open(&self, purpose: &str, sealed: &Sealed, context: &str) -> Result<Vec<u8>, VaultError> {
        if sealed.key_id != self.key_id {
            return Err(VaultError::UnknownKey(sealed.key_id.clone()));
        }
        if sealed.context != context {
            return Err(VaultError::Context { found: sealed.context.clone(), wanted: context.to_owned() });
        }
        Ok(self.key.open_bytes(purpose, context, &sealed.bytes)?)
    }
}

/// The instance that a server key belongs to, from the key's id; `None` for an id that is not of our making.
pub fn instance_of_key(key_id: &str) -> Option<InstanceId> {
    let (instance, _number) = key_id.split_once('.')?;
    instance.parse().ok().map(InstanceId)
}

/// A nonce for one sealed message.
pub fn random_nonce() -> Nonce {
    random::<NONCE_BYTES>()
}

/// Bytes from the operating system's generator.
///
/// # Panics
/// When the operating system has no randomness to give: nothing secret can be made then.
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0_u8; N];
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vault() -> Vault {
        Vault::new("k1", Key::from_bytes([3; 32]))
    }

    #[test]
    fn a_password_comes_back_only_in_its_context() {
        let sealed = vault().seal_password("instance-1", &Secret::new("hunter2"));
        assert_eq!(vault().open_password(&sealed, "instance-1").unwrap().expose(), "hunter2");
        assert!(matches!(vault().open_password(&sealed, "instance-2"), Err(VaultError::Context { .. })));
        let elsewhere = Sealed { context: "instance-2".into(), ..sealed };
        assert_eq!(vault().open_password(&elsewhere, "instance-2"), Err(VaultError::Open(OpenError::Forged)));
    }

    #[test]
    fn server_keys_are_random_and_name_their_instance() {
        let instance = InstanceId(uuid::Uuid::from_u128(7));
        let (one, two) = (vault().new_server_key(instance, 1), vault().new_server_key(instance, 1));
        assert_ne!(vault().open_server_key(&one).unwrap(), vault().open_server_key(&two).unwrap());
        assert_eq!(instance_of_key(&one.key_id), Some(instance));
        assert_eq!(instance_of_key("nonsense"), None);
    }

    #[test]
    fn another_deployments_key_is_named() {
        let sealed = vault().seal_password("a", &Secret::new("hunter2"));
        let other = Vault::new("k2", Key::from_bytes([3; 32]));
        assert_eq!(other.open_password(&sealed, "a"), Err(VaultError::UnknownKey("k1".into())));
    }
}

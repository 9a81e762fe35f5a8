//! Who is calling: passwords for tokens, tokens for principals.

use async_trait::async_trait;

use crate::Result;

/// A caller with the scope of one tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    pub user_id: String,
    pub user_name: String,
    /// The tenant: an OpenStack project.
    pub project_id: String,
    pub project_name: String,
    /// Role names, for example `member` and `admin`.
    pub roles: Vec<String>,
}

/// What a client proves itself with.
#[derive(Clone)]
pub enum Credentials {
    Password {
        user: NameOrId,
        password: String,
    },
    /// A token that is still valid, to be exchanged for one of another scope or a later expiry.
    Token(String),
}

/// A thing that clients may name either way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NameOrId {
    Name(String),
    Id(String),
}

/// Code of the `Denied` for a token that is valid and for no project: without a scope, or with a domain or the system for
/// one.
pub const NO_PROJECT: &str = "identity.no_project";

/// A token and what it stands for.
#[derive(Clone)]
pub struct IssuedToken {
    /// The bearer secret.
    pub token: String,
    pub principal: Principal,
    pub issued_at_ms: i64,
    pub expires_at_ms: i64,
}

#[async_trait]
pub trait Identity: Send + Sync {
    /// A token for these credentials and this project; the user's own project when `project` is absent.
    /// Errors: `Denied` for wrong credentials, or a project that the user has no role in (one answer for both).
    async fn authenticate(&self, credentials: &Credentials, project: Option<&NameOrId>) -> Result<IssuedToken>;

    /// Whose token this is. Errors: `Denied` when it is unknown, expired or revoked, and with the code [`NO_PROJECT`]
    /// when it is valid and for no project; `Unavailable` or another kind when the identity service cannot say.
    async fn validate(&self, token: &str) -> Result<IssuedToken>;
}

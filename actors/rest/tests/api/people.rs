//! An identity service with a handful of fixed tokens.

use std::time::Duration;

use async_trait::async_trait;
use coffer_ports::{
    Error, ErrorKind, Result,
    identity::{Credentials, Identity, IssuedToken, NO_PROJECT, NameOrId, Principal},
};

pub const DEMO: &str = "token-demo";
pub const OTHER: &str = "token-other";
/// An admin of the tenant `demo`.
pub const OPERATOR: &str = "token-operator";
pub const ADMIN: &str = "token-admin";
/// The identity service is away when it is asked about this one.
pub const AWAY: &str = "token-away";

/// It asks to come back after 17 s.
pub const CROWDED: &str = "token-crowded";
/// Valid, and for no project.
pub const UNSCOPED: &str = "token-unscoped";

pub const PASSWORD: &str = "identity-Passw0rd";

pub struct People;

fn issued(token: &str, user: &str, project: &str, role: &str) -> IssuedToken {
    IssuedToken {
        token: token.into(),
        principal: Principal {
            user_id: format!("{user}-id"),
            user_name: user.into(),
            project_id: project.into(),
            project_name: format!("{project}-name"),
            roles: vec![role.into()],
        },
        issued_at_ms: 1_795_359_845_678,
        expires_at_ms: 1_795_363_445_678,
    }
}

#[async_trait]
impl Identity for People {
    async fn authenticate(&self, credentials: &Credentials, project: Option<&NameOrId>) -> Result<IssuedToken> {
        let is_known = match credentials {
            Credentials::Password { user, password } => {
                let user_is_known = *user == NameOrId::Name("demo".into()) || *user == NameOrId::Id("demo-id".into());
                user_is_known && password == PASSWORD
            }
            Credentials::Token(token) => token == DEMO,
        };
        let has_role = match project {
            None => true,
            Some(NameOrId::Name(name)) => name == "demo-name",
            Some(NameOrId::Id(id)) => id == "demo",
        };
        if is_known && has_role { self.validate(DEMO).await } else { Err(denied()) }
    }

    async fn validate(&self, token: &str) -> Result<IssuedToken> {
        match token {
            DEMO => Ok(issued(token, "demo", "demo", "member")),
            OTHER => Ok(issued(token, "other", "other", "member")),
            OPERATOR => Ok(issued(token, "operator", "demo", "admin")),
            ADMIN => Ok(issued(token, "admin", "admin", "admin")),
            AWAY => Err(Error::new(ErrorKind::Unavailable, "test.away", "it is away")),
            CROWDED => {
                let retry_after = Some(Duration::from_secs(17));
                Err(Error { retry_after, ..Error::new(ErrorKind::Throttled, "test.crowded", "slow down") })
            }
            UNSCOPED => Err(Error::new(ErrorKind::Denied, NO_PROJECT, "for no project")),
            _ => Err(denied()),
        }
    }
}

fn denied() -> Error {
    Error::new(ErrorKind::Denied, "test.denied", "no such token")
}

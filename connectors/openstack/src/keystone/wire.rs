//! Keystone's words: what a token is bought with, and what it stands for.

use std::borrow::Cow;

use coffer_ports::{
    Error, ErrorKind, Result,
    identity::{Credentials, NO_PROJECT, NameOrId, Principal},
};
use jiff::Timestamp;
use serde::{Deserialize, Deserializer, de::Error as _};
use serde_json::{Value, json};

use super::{
    client::unavailable,
    config::{Config, Login, read_secret},
};

/// A token's content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Known {
    pub principal: Principal,
    pub issued_at_ms: i64,
    pub expires_at_ms: i64,
}

#[derive(Deserialize)]
struct Body {
    token: Token,
}

#[derive(Deserialize)]
struct Token {
    user: Named,
    /// Absent from a token without a scope, or with a domain or the system for one.
    project: Option<Named>,
    #[serde(default)]
    roles: Vec<Named>,
    #[serde(deserialize_with = "time")]
    issued_at: i64,
    #[serde(deserialize_with = "time")]
    expires_at: i64,
}

/// ISO 8601 with a `Z`, as ms of Unix time.
fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    let text = Cow::<str>::deserialize(deserializer)?;
    text.parse::<Timestamp>().map(Timestamp::as_millisecond).map_err(D::Error::custom)
}

#[derive(Deserialize)]
struct Named {
    id: String,
    name: String,
}

/// Reads what Keystone says of a token. Errors: `Denied` with [`NO_PROJECT`] for one that is not for a project,
/// `Unavailable` for an answer that makes no sense.
pub(super) fn read(body: &[u8]) -> Result<Known> {
    let Body { token } = serde_json::from_slice(body)
        // The error names a line and a column, and what was expected there: no content.
        .map_err(|error| unavailable("keystone.garbage", format!("its answer is no token: {error}")))?;
    let project = token
        .project
        .filter(|project| !project.id.is_empty())
        .ok_or_else(|| Error::new(ErrorKind::Denied, NO_PROJECT, "the token is valid, and for no project"))?;
    let principal = Principal {
        user_id: token.user.id,
        user_name: token.user.name,
        project_id: project.id,
        project_name: project.name,
        roles: token.roles.into_iter().map(|role| role.name).collect(),
    };
    Ok(Known { principal, issued_at_ms: token.issued_at, expires_at_ms: token.expires_at })
}

/// The body that logs Coffer itself in. Errors: `Invalid` when its secret cannot be read.
pub(super) fn own_login(config: &Config) -> Result<Value> {
    let invalid = |words: String| Error::new(ErrorKind::Invalid, "keystone.config", words);
    Ok(match config.login().map_err(invalid)? {
        Login::Password { username, file } => {
            let user = by_name(username, &config.user_domain);
            let scope = by_name(&config.project, &config.project_domain);
            auth(password(user, &read_secret(file)?), Some(scope))
        }
        // It has a project of its own, and none may be asked for.
        Login::ApplicationCredential { id, file } => auth(
            json!({
                "methods": ["application_credential"],
                "application_credential": { "id": id, "secret": read_secret(file)? },
            }),
            None,
        ),
    })
}

/// The body that buys a token for somebody else.
pub(super) fn login(config: &Config, credentials: &Credentials, project: Option<&NameOrId>) -> Value {
    let identity = match credentials {
        Credentials::Password { user, password: secret } => password(thing(user, &config.user_domain), secret),
        Credentials::Token(token) => json!({ "methods": ["token"], "token": { "id": token } }),
    };
    auth(identity, project.map(|project| thing(project, &config.project_domain)))
}

fn auth(identity: Value, project: Option<Value>) -> Value {
    let mut auth = json!({ "identity": identity });
    if let Some(project) = project {
        auth["scope"] = json!({ "project": project });
    }
    json!({ "auth": auth })
}

fn password(mut user: Value, password: &str) -> Value {
    user["password"] = password.into();
    json!({ "methods": ["password"], "password": { "user": user } })
}

fn thing(named: &NameOrId, domain: &str) -> Value {
    match named {
        NameOrId::Id(id) => json!({ "id": id }),
        NameOrId::Name(name) => by_name(name, domain),
    }
}

fn by_name(name: &str, domain: &str) -> Value {
    json!({ "name": name, "domain": { "name": domain } })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(more: &str) -> Vec<u8> {
        format!(
            r#"{{"token": {{"user": {{"id": "u", "name": "alice", "domain": {{"id": "default", "name": "D"}}}},
                "issued_at": "2026-11-23T01:26:02.000000Z", "expires_at": "2026-11-23T02:26:02.000000Z"{more}}}}}"#
        )
        .into_bytes()
    }

    #[test]
    fn a_token_of_a_project_says_who_it_is_and_until_when() {
        let more = r#", "project": {"id": "p", "name": "shop"}, "roles": [{"id": "r", "name": "member"}], "new": 1"#;
        let known = read(&token(more)).unwrap();
        assert_eq!((&*known.principal.project_id, &*known.principal.user_name), ("p", "alice"));
        assert_eq!(known.principal.roles, ["member"]);
        assert_eq!(known.expires_at_ms - known.issued_at_ms, 3_600_000);
    }

    #[test]
    fn a_token_of_no_project_is_told_from_one_that_is_not_valid() {
        for more in ["", r#", "domain": {"id": "d", "name": "D"}"#, r#", "system": {"all": true}"#] {
            let error = read(&token(more)).unwrap_err();
            assert_eq!((error.kind, &*error.code), (ErrorKind::Denied, NO_PROJECT), "{more}");
        }
    }

    #[test]
    fn an_answer_without_sense_denies_nobody() {
        for garbage in ["", "<html>", "{}", r#"{"token": {}}"#, r#"{"token": {"user": 1}}"#] {
            let error = read(garbage.as_bytes()).unwrap_err();
            assert_eq!((error.kind, &*error.code), (ErrorKind::Unavailable, "keystone.garbage"), "{garbage}");
        }
    }
}

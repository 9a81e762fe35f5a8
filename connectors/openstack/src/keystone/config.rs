//! What an operator says about Keystone, and the secret that Coffer shows it.

use std::{
    fs,
    net::IpAddr,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::Duration,
};

use coffer_ports::{Error, ErrorKind, Result};
use reqwest::Url;
use serde::Deserialize;

/// The table `[identity.keystone]` of the configuration file. Coffer logs in as `username` with `password_file`, or with
/// an application credential; in its project the user needs the role `service` (or `admin`), which Keystone wants of
/// whoever asks about tokens of others.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Keystone's v3 API, for example `https://keystone.example.org:5000/v3`.
    pub auth_url: String,
    /// The same as clients reach it, which a 401 tells them; `auth_url` when absent.
    pub public_auth_url: Option<String>,
    /// Name of Coffer's own user.
    pub username: Option<String>,
    /// File with the user's password, mode 0600. Read at each login, so that it can be replaced.
    pub password_file: Option<PathBuf>,
    /// Name of the user's domain; also of users that are named without one.
    #[serde(default = "default_domain")]
    pub user_domain: String,
    /// Name of the project that the user works in.
    #[serde(default = "default_project")]
    pub project: String,
    /// Name of the project's domain; also of projects that are named without one.
    #[serde(default = "default_domain")]
    pub project_domain: String,
    /// Id of an application credential, in place of user and password.
    pub application_credential_id: Option<String>,
    /// File with its secret, mode 0600. Read at each login.
    pub application_credential_secret_file: Option<PathBuf>,
    /// PEM file with the authorities that may vouch for Keystone; the host's own when absent.
    pub ca_file: Option<PathBuf>,
    /// How long an answer about a token is taken for true, in seconds: a revoked token is refused after that at the
    /// latest. 0 asks each time.
    #[serde(default = "default_cache_s")]
    pub cache_s: u64,
    /// How long one answer may take, in seconds.
    #[serde(default = "default_timeout_s")]
    pub timeout_s: u64,
}

fn default_domain() -> String {
    "Default".into()
}

fn default_project() -> String {
    "service".into()
}

/// Short enough for whoever revokes a token, and one question in a minute for each token in use.
fn default_cache_s() -> u64 {
    60
}

fn default_timeout_s() -> u64 {
    5
}

/// Who Coffer is to Keystone.
pub(super) enum Login<'a> {
    Password { username: &'a str, file: &'a Path },
    ApplicationCredential { id: &'a str, file: &'a Path },
}

impl Config {
    /// Whether the settings agree with each other; nothing outside is looked at.
    ///
    /// # Errors
    /// A sentence for the operator, with the name of the setting.
    pub fn check(&self) -> Result<(), String> {
        for (name, url) in [("auth_url", Some(&self.auth_url)), ("public_auth_url", self.public_auth_url.as_ref())] {
            let Some(url) = url else { continue };
            let parsed = Url::parse(url).map_err(|error| format!("identity.keystone.{name}: {error}"))?;
            // It is shown in a header, and everything is appended to it.
            let is_plain = url.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"');
            if !matches!(parsed.scheme(), "http" | "https") || parsed.query().is_some() || !is_plain {
                return Err(format!("identity.keystone.{name}: it begins with http:// or https:// and has no query"));
            }
            if !url.trim_end_matches('/').ends_with("/v3") {
                return Err(format!("identity.keystone.{name}: it ends with /v3, the version that Coffer speaks"));
            }
            if !parsed.username().is_empty() || parsed.password().is_some() {
                return Err(format!("identity.keystone.{name}: no user and no password belong in it"));
            }
        }
        if self.timeout_s == 0 {
            return Err("identity.keystone.timeout_s: at least 1".into());
        }
        self.login().map(drop)
    }

    /// The way to log in that was chosen.
    pub(super) fn login(&self) -> Result<Login<'_>, String> {
        match (
            &self.username,
            &self.password_file,
            &self.application_credential_id,
            &self.application_credential_secret_file,
        ) {
            (Some(username), Some(file), None, None) => Ok(Login::Password { username, file }),
            (None, None, Some(id), Some(file)) => Ok(Login::ApplicationCredential { id, file }),
            _ => Err("identity.keystone: either username and password_file, or application_credential_id and \
                      application_credential_secret_file"
                .into()),
        }
    }

    /// Where clients get their tokens.
    pub fn clients_auth_url(&self) -> &str {
        self.public_auth_url.as_ref().unwrap_or(&self.auth_url)
    }

    /// Whether secrets leave this host unencrypted.
    pub fn is_in_the_clear(&self) -> bool {
        let Ok(url) = Url::parse(&self.auth_url) else { return false };
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
        let is_here = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
        url.scheme() == "http" && !is_here
    }

    /// The file with the secret that Coffer shows.
    pub fn secret_file(&self) -> Option<&Path> {
        match self.login().ok()? {
            Login::Password { file, .. } | Login::ApplicationCredential { file, .. } => Some(file),
        }
    }

    pub(super) fn base(&self) -> &str {
        self.auth_url.trim_end_matches('/')
    }

    pub(super) fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout_s)
    }

    pub(super) fn cache_time(&self) -> Duration {
        Duration::from_secs(self.cache_s)
    }
}

/// The secret in a file, without the line's end. Errors: `Invalid` when others may read it, or it cannot be read.
pub(super) fn read_secret(path: &Path) -> Result<String> {
    let fails = |what: String| {
        let words = "Coffer's own secret for Keystone cannot be read";
        Error::new(ErrorKind::Invalid, "keystone.secret_file", words).with_detail(what)
    };
    let metadata = fs::metadata(path).map_err(|error| fails(format!("{}: {error}", path.display())))?;
    if metadata.mode() & 0o077 != 0 {
        let mode = metadata.mode() & 0o7777;
        return Err(fails(format!("{} has mode {mode:04o}: it holds a secret and must be 0600", path.display())));
    }
    let text = fs::read_to_string(path).map_err(|error| fails(format!("{}: {error}", path.display())))?;
    let secret = text.trim_end_matches(['\r', '\n']);
    if secret.is_empty() {
        return Err(fails(format!("{} is empty", path.display())));
    }
    Ok(secret.to_owned())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const BY_PASSWORD: &str = r#"{"auth_url": "https://k:5000/v3", "username": "coffer", "password_file": "/p"}"#;

    fn parse(text: &str) -> Config {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn what_is_not_said_has_a_default_and_what_is_not_known_is_refused() {
        let config = parse(BY_PASSWORD);
        config.check().unwrap();
        assert_eq!((config.cache_s, config.timeout_s, config.project.as_str()), (60, 5, "service"));
        assert_eq!(config.clients_auth_url(), "https://k:5000/v3");
        assert!(serde_json::from_str::<Config>(r#"{"auth_url": "x", "password": "p"}"#).is_err());
    }

    #[test]
    fn there_is_one_way_to_log_in_and_it_is_whole() {
        let base = parse(BY_PASSWORD);
        let id = Some("ac".to_owned());
        for wrong in [
            Config { password_file: None, ..base.clone() },
            Config { username: None, ..base.clone() },
            Config { username: None, password_file: None, ..base.clone() },
            Config { application_credential_id: id.clone(), ..base.clone() },
            Config { username: None, password_file: None, application_credential_id: id.clone(), ..base.clone() },
        ] {
            let error = wrong.check().unwrap_err();
            assert!(error.contains("application_credential_secret_file"), "{error}");
        }
        let secret = Some("/s".into());
        let credential = Config {
            application_credential_id: id,
            application_credential_secret_file: secret,
            username: None,
            password_file: None,
            ..base
        };
        credential.check().unwrap();
    }

    #[test]
    fn an_address_that_cannot_be_keystones_is_refused_by_name() {
        for url in
            ["k:5000/v3", "ftp://k/v3", "https://k:5000", "https://k/v3?x=1", "https://u:p@k/v3", "http://k\"/v3"]
        {
            let error = Config { auth_url: url.into(), ..parse(BY_PASSWORD) }.check().unwrap_err();
            assert!(error.starts_with("identity.keystone.auth_url:"), "{url}: {error}");
            let public = Config { public_auth_url: Some(url.into()), ..parse(BY_PASSWORD) };
            assert!(public.check().unwrap_err().starts_with("identity.keystone.public_auth_url:"), "{url}");
        }
    }

    #[test]
    fn http_is_in_the_clear_unless_it_stays_on_this_host() {
        for (url, clear) in [
            ("http://keystone:5000/v3", true),
            ("http://192.0.2.1/v3", true),
            ("https://keystone:5000/v3", false),
            ("http://127.0.0.1:5000/v3", false),
            ("http://[::1]:5000/v3", false),
            ("http://localhost/v3", false),
        ] {
            assert_eq!(Config { auth_url: url.into(), ..parse(BY_PASSWORD) }.is_in_the_clear(), clear, "{url}");
        }
    }

    #[test]
    fn a_secret_is_read_from_a_file_that_only_its_owner_reads() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret");
        fs::write(&path, "s3cret word\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(read_secret(&path).unwrap_err().detail.contains("must be 0600"));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(read_secret(&path).unwrap(), "s3cret word");
        fs::write(&path, "\n").unwrap();
        assert!(read_secret(&path).unwrap_err().detail.contains("empty"));
        assert_eq!(read_secret(&directory.path().join("none")).unwrap_err().kind, ErrorKind::Invalid);
    }
}

//! What an operator may set about the REST API.

use std::{net::SocketAddr, num::NonZeroUsize, path::PathBuf, sync::Arc, thread, time::Duration};

use serde::Deserialize;

use crate::{policy::Policy, rates::Rates, tls::Certificates};

/// The table `[rest]` of the configuration file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Address and port to listen on; port 0 takes a free one. 8779 is Trove's.
    pub listen: SocketAddr,
    /// PEM file with the certificate and its chain; with it the API is served over TLS 1.2 and 1.3. Read again when it
    /// changes, and on SIGHUP.
    pub tls_certificate_file: Option<PathBuf>,
    /// PEM file with the certificate's key.
    pub tls_key_file: Option<PathBuf>,
    /// Says that clients reach the API through a proxy that ends TLS. Without it, and without a certificate, the API
    /// listens on loopback only.
    pub behind_tls_proxy: bool,
    /// Whether other hosts get `/metrics`, which names tenants and instances. What comes through a proxy on this host
    /// counts as this host: there the proxy has to keep it.
    pub metrics_for_other_hosts: bool,
    /// Threads that serve requests; 0 means one for each core.
    pub workers: usize,
    /// Connections open at the same time at most, over all workers.
    pub max_connections: usize,
    /// Bytes of a request's body at most; a longer one is answered with 413.
    pub body_limit_bytes: usize,
    /// How long a request may wait, in seconds, for its body, for the identity service, and for the commit of its
    /// command, each.
    pub request_timeout_s: u64,
    /// The region that instances and the catalogue show.
    pub region: String,
    /// Whether `/v3` answers as a small Keystone. For the static identity; with a real Keystone it stays off.
    pub serve_identity: bool,
    /// Rules of oslo.policy's kind, in place of those of the same names that Trove has.
    pub policy_file: Option<PathBuf>,
    /// How often a tenant may call.
    pub requests_per_minute: Rates,
    /// Where clients get tokens, as the 401 answer tells them. Absent: our own `/v3`.
    pub auth_url: Option<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8779)),
            tls_certificate_file: None,
            tls_key_file: None,
            behind_tls_proxy: false,
            metrics_for_other_hosts: false,
            workers: 0,
            max_connections: 10_000,
            body_limit_bytes: 1024 * 1024,
            request_timeout_s: 30,
            region: "RegionOne".into(),
            serve_identity: false,
            policy_file: None,
            requests_per_minute: Rates::default(),
            auth_url: None,
        }
    }
}

impl Config {
    /// Opens the certificate, where one is named, and refuses to serve others than this host in the clear.
    ///
    /// # Errors
    /// A sentence for the operator, with the name of the setting.
    pub fn certificates(&self) -> Result<Option<Arc<Certificates>>, String> {
        self.check()?;
        match (&self.tls_certificate_file, &self.tls_key_file) {
            (Some(certificate), Some(key)) => Certificates::open(certificate, key)
                .map(Some)
                .map_err(|error| format!("rest.tls_certificate_file, rest.tls_key_file: {error}")),
            _ => Ok(None),
        }
    }

    /// Whether the rules of the policy can be used.
    ///
    /// # Errors
    /// A sentence for the operator, with the file, the line and the rule.
    pub fn check_policy(&self) -> Result<(), String> {
        Policy::open(self.policy_file.as_deref()).map(drop).map_err(|error| format!("rest.policy_file: {error}"))
    }

    /// Whether the settings agree with each other.
    ///
    /// # Errors
    /// A sentence for the operator, with the name of the setting.
    pub fn check(&self) -> Result<(), String> {
        let has_tls = self.tls_certificate_file.is_some();
        if has_tls != self.tls_key_file.is_some() {
            return Err("rest.tls_certificate_file and rest.tls_key_file: the one needs the other".into());
        }
        if !self.listen.ip().is_loopback() && !has_tls && !self.behind_tls_proxy {
            return Err(
                "rest.listen: without TLS the API listens on loopback only; set rest.tls_certificate_file and \
                        rest.tls_key_file, or rest.behind_tls_proxy = true if a proxy ends TLS in front of it"
                    .into(),
            );
        }
        Ok(())
    }

    pub(crate) fn workers(&self) -> usize {
        match self.workers {
            0 => thread::available_parallelism().map_or(1, NonZeroUsize::get),
            count => count,
        }
    }

    pub(crate) fn request_timeout(&self) -> Duration {
        Duration::from_secs(self.request_timeout_s)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_keys_are_refused_and_absent_ones_have_defaults() {
        assert_eq!(serde_json::from_str::<Config>("{}").unwrap(), Config::default());
        assert!(serde_json::from_str::<Config>(r#"{"listne": "127.0.0.1:1"}"#).is_err());
    }

    #[test]
    fn there_is_at_least_one_worker() {
        assert!(Config::default().workers() >= 1);
        assert_eq!(Config { workers: 3, ..Config::default() }.workers(), 3);
    }
}

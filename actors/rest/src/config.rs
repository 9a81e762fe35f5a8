//! What an operator may set about the REST API.

use std::{net::SocketAddr, num::NonZeroUsize, thread, time::Duration};

use serde::Deserialize;

/// The table `[rest]` of the configuration file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Address and port to listen on; port 0 takes a free one. 8779 is Trove's.
    pub listen: SocketAddr,
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
    /// Where clients get tokens, as the 401 answer tells them. Absent: our own `/v3`.
    pub auth_url: Option<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8779)),
            workers: 0,
            max_connections: 10_000,
            body_limit_bytes: 1024 * 1024,
            request_timeout_s: 30,
            region: "RegionOne".into(),
            serve_identity: false,
            auth_url: None,
        }
    }
}

impl Config {
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

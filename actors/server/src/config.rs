//! The file of `coffer serve`. Each part's settings stand beside the part; here is only how they are put together.

use std::{
    fs,
    ops::RangeInclusive,
    path::{Path, PathBuf},
    time::Duration,
};

use coffer_domain::quota::Limits;
use serde::Deserialize;

/// The whole file. Unknown keys are refused.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where the store, the keys and the provider `local` keep their state.
    pub state_dir: PathBuf,
    #[serde(default)]
    pub rest: coffer_rest::config::Config,
    #[serde(default)]
    pub identity: Identity,
    #[serde(default)]
    pub broker: Broker,
    #[serde(default)]
    pub provider: Provider,
    #[serde(default)]
    pub catalogue: Catalogue,
    /// Quota of every tenant.
    #[serde(default)]
    pub quota: Limits,
}

/// The table `[identity]`: whose tokens count. Those of Coffer's own users, unless another service is named.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Identity {
    /// OpenStack's identity service.
    pub keystone: Option<coffer_openstack::keystone::Config>,
}

/// The table `[broker]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Broker {
    /// `bootstrap.servers` of a Kafka-protocol broker; topics that it lacks are made. The embedded broker when absent.
    pub bootstrap_servers: Option<String>,
    /// Where what is committed is kept.
    pub log: LogKind,
    /// With the log in Kafka: how long a node may be silent before its partitions go to others, in ms. Less than 6000 needs
    /// a `group.min.session.timeout.ms` of the brokers that allows it.
    pub session_timeout_ms: Option<u32>,
    /// What this node is called, for people; the host's name when absent.
    pub node: Option<String>,
    /// Whether commands are taken from the topic `coffer.commands` as they come. Only for a broker that nobody else
    /// can reach.
    pub open_intake: bool,
}

/// Where what is committed is kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogKind {
    /// In the store of this host.
    #[default]
    Local,
    /// In the topic `coffer.state` of an external broker, which the store follows.
    Kafka,
}

/// Shorter ones than these take a busy host for a dead one; longer ones keep tenants waiting.
const SESSION_TIMEOUTS_MS: RangeInclusive<u32> = 1_000..=60_000;

impl Broker {
    fn check(&self) -> Result<(), String> {
        if self.log == LogKind::Kafka && self.bootstrap_servers.is_none() {
            return Err("broker.log: \"kafka\" needs broker.bootstrap_servers, as the embedded broker forgets".into());
        }
        match self.session_timeout_ms {
            Some(timeout) if !SESSION_TIMEOUTS_MS.contains(&timeout) => Err(format!(
                "broker.session_timeout_ms: {timeout} is not between {} and {}",
                SESSION_TIMEOUTS_MS.start(),
                SESSION_TIMEOUTS_MS.end()
            )),
            _ => Ok(()),
        }
    }

    /// How long a node may be silent; nothing is said of it when absent.
    pub fn session_timeout(&self) -> Option<Duration> {
        self.session_timeout_ms.map(|timeout| Duration::from_millis(timeout.into()))
    }
}

/// The table `[provider]`: the host itself.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Provider {
    /// The program `coffer-agent`; the one beside `coffer` when absent.
    pub agent_program: Option<PathBuf>,
    /// Where instances are kept; `local` below `state_dir` when absent. Nodes on one host share it.
    pub directory: Option<PathBuf>,
}

/// The table `[catalogue]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Catalogue {
    /// A file in the form of the built-in catalogue; the built-in one when absent.
    pub file: Option<PathBuf>,
}

/// Reads and checks a file.
pub fn read(path: &Path) -> Result<Config, String> {
    let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    parse(&text).map_err(|error| format!("{}: {error}", path.display()))
}

/// Reads and checks the text of a file.
pub fn parse(text: &str) -> Result<Config, String> {
    let config: Config = toml::from_str(text).map_err(|error| explain(&error.to_string()))?;
    config.rest.check()?;
    config.broker.check()?;
    if let Some(keystone) = &config.identity.keystone {
        keystone.check()?;
    }
    Ok(config)
}

/// Adds the nearest known key to the refusal of an unknown one.
fn explain(error: &str) -> String {
    let words: Vec<&str> = error.split('`').skip(1).step_by(2).collect();
    let Some((unknown, known)) = words.split_first().filter(|_| error.contains("unknown field")) else {
        return error.to_owned();
    };
    let nearest = known
        .iter()
        .map(|known| (strsim::damerau_levenshtein(unknown, known), known))
        .filter(|(distance, known)| *distance <= known.len() / 2)
        .min();
    match nearest {
        Some((_, known)) => format!("{}\ndid you mean `{known}`?", error.trim_end()),
        None => error.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_file_names_the_state() {
        let config = parse("state_dir = '/var/lib/coffer'").unwrap();
        assert_eq!(config.rest, coffer_rest::config::Config::default());
        assert_eq!(config.quota, Limits::default());
        assert!(parse("").unwrap_err().contains("state_dir"));
    }

    #[test]
    fn an_unknown_key_is_refused_with_the_nearest_known_one() {
        let error = parse("state_dir = '/x'\n[rest]\nlistne = '127.0.0.1:1'").unwrap_err();
        assert!(error.contains("did you mean `listen`?"), "{error}");
        let error = parse("state_dir = '/x'\n[broker]\nzzzzzzzz = 1").unwrap_err();
        assert!(error.contains("zzzzzzzz") && !error.contains("did you mean"), "{error}");
    }

    #[test]
    fn a_log_in_kafka_needs_a_broker_that_remembers() {
        let error = parse("state_dir = '/x'\n[broker]\nlog = 'kafka'").unwrap_err();
        assert!(error.contains("broker.bootstrap_servers"), "{error}");
        let config = parse("state_dir = '/x'\n[broker]\nlog = 'kafka'\nbootstrap_servers = 'k:9092'").unwrap();
        assert_eq!(config.broker.log, LogKind::Kafka);
        let error = parse("state_dir = '/x'\n[broker]\nlog = 'files'").unwrap_err();
        assert!(error.contains("`local` or `kafka`"), "{error}");
    }

    #[test]
    fn a_session_timeout_is_neither_hasty_nor_endless() {
        let file = |timeout: &str| parse(&format!("state_dir = '/x'\n[broker]\nsession_timeout_ms = {timeout}"));
        for wrong in ["999", "60001"] {
            let error = file(wrong).unwrap_err();
            assert!(error.contains("broker.session_timeout_ms") && error.contains("between 1000 and 60000"), "{error}");
        }
        assert_eq!(file("2000").unwrap().broker.session_timeout(), Some(Duration::from_secs(2)));
    }

    #[test]
    fn keystone_is_named_whole_or_not_at_all() {
        let table = "state_dir = '/x'\n[identity.keystone]\nauth_url = 'https://k:5000/v3'\n";
        let error = parse(table).unwrap_err();
        assert!(error.contains("identity.keystone") && error.contains("password_file"), "{error}");
        let config = parse(&format!("{table}username = 'coffer'\npassword_file = '/p'")).unwrap();
        assert_eq!(config.identity.keystone.unwrap().cache_s, 60);
    }

    #[test]
    fn the_api_does_not_leave_loopback_without_tls() {
        let error = parse("state_dir = '/x'\n[rest]\nlisten = '0.0.0.0:8779'").unwrap_err();
        assert!(error.contains("rest.listen"), "{error}");
        parse("state_dir = '/x'\n[rest]\nlisten = '0.0.0.0:8779'\nbehind_tls_proxy = true").unwrap();
        let error = parse("state_dir = '/x'\n[rest]\nlisten = '0.0.0.0:1'\ntls_key_file = '/k'").unwrap_err();
        assert!(error.contains("rest.tls_certificate_file"), "{error}");
    }
}

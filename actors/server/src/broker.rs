//! The embedded broker, or the way to an external one. The choice is kept behind this file.
//!
//! The embedded broker is librdkafka's mock cluster: a transport that may forget. What matters is in the local log
//! and in the agents' journals, and is sent again.

use std::{io, path::PathBuf, sync::Arc};

use coffer_kafka::{
    Bootstrap as ClientBootstrap, EmbeddedBroker, KafkaChangelog, KafkaGroup, KafkaTransport, SESSION_TIMEOUT,
    prepare_topics, write_bootstrap_file,
};
use coffer_ports::{changelog::Changelog, telemetry::Bounded};
use coffer_protocol::{boot::Bootstrap as AgentBootstrap, topics};
use coffer_runtime::{
    nodes::{Cluster, Name},
    runtime,
};

use crate::{
    config::{self, LogKind},
    state_dir::StateDir,
};

/// What the broker's logs and quotas call us.
const CLIENT_ID: &str = "coffer";

/// Where records go.
pub enum Broker {
    Embedded { broker: Option<EmbeddedBroker>, file: PathBuf },
    External { servers: String, config: config::Broker },
}

impl Broker {
    /// Starts the embedded broker, or takes the external one as it is. Blocks for some milliseconds.
    pub fn start(config: &config::Broker, state: &StateDir) -> Result<Self, Box<dyn std::error::Error>> {
        match &config.bootstrap_servers {
            Some(servers) => Ok(Self::External { servers: servers.clone(), config: config.clone() }),
            None => {
                let file = state.bootstrap();
                let broker = start_embedded(&file)?;
                Ok(Self::Embedded { broker: Some(broker), file })
            }
        }
    }

    /// Sees to it that an external broker has the topics, and that they are as they must be. Takes as long as the broker
    /// takes to answer.
    pub async fn prepare(&self) -> Result<(), Box<dyn std::error::Error>> {
        match self {
            Self::External { servers, config } => prepare_all(servers, config.log).await,
            Self::Embedded { .. } => Ok(()),
        }
    }

    /// The nodes that share what the cluster keeps, when it keeps what is committed. `place`: where this one keeps what it
    /// makes outside.
    pub fn cluster(&self, place: String) -> Option<Cluster> {
        match self {
            Self::External { servers, config } if config.log == LogKind::Kafka => {
                let session = config.session_timeout().unwrap_or(SESSION_TIMEOUT);
                let group = Arc::new(KafkaGroup::new(servers, CLIENT_ID, topics::NODES, topics::COMMANDS, session));
                let changelog = KafkaChangelog::new(servers, CLIENT_ID, topics::STATE).in_group(group.clone());
                let node = config.node.clone().unwrap_or_else(host_name);
                Some(Cluster { changelog: Arc::new(changelog), membership: group, name: Name { node, place } })
            }
            Self::External { .. } | Self::Embedded { .. } => None,
        }
    }

    /// The control plane's own client.
    pub fn connect(&self, bounded: Bounded) -> coffer_ports::Result<KafkaTransport> {
        let bootstrap = match self {
            Self::Embedded { file, .. } => ClientBootstrap::File(file.clone()),
            Self::External { servers, .. } => ClientBootstrap::Servers(servers.clone()),
        };
        Ok(KafkaTransport::connect(bootstrap, CLIENT_ID)?.watched_by(bounded))
    }

    /// What agents are told at first boot.
    pub fn agent_bootstrap(&self) -> AgentBootstrap {
        match self {
            Self::Embedded { file, .. } => AgentBootstrap::File(file.display().to_string()),
            Self::External { servers, .. } => AgentBootstrap::Servers(servers.clone()),
        }
    }

    /// `bootstrap.servers` as of now.
    pub fn servers(&self) -> String {
        match self {
            Self::Embedded { broker, .. } => {
                broker.as_ref().map_or_else(String::new, |broker| broker.bootstrap_servers().into())
            }
            Self::External { servers, .. } => servers.clone(),
        }
    }

    /// Drops the embedded broker with all that it holds and starts an empty one: a drill. Nothing for an external one.
    pub fn recreate(&mut self) -> Result<(), Box<dyn std::error::Error>> {
        if let Self::Embedded { broker, file } = self {
            *broker = None;
            *broker = Some(start_embedded(file)?);
        }
        Ok(())
    }
}

/// What the kernel calls this host.
pub fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// The changelog of the cluster at `servers`, for whoever works on it while no node does.
pub fn changelog_at(servers: &str) -> Arc<dyn Changelog> {
    Arc::new(KafkaChangelog::new(servers, CLIENT_ID, topics::STATE))
}

/// Sees to it that the cluster has the topics, and that they are as they must be.
pub async fn prepare_all(servers: &str, log: LogKind) -> Result<(), Box<dyn std::error::Error>> {
    let mut topics = runtime::topics();
    if log == LogKind::Kafka {
        topics.extend(runtime::cluster_topics());
    }
    let servers = servers.to_owned();
    let made = tokio::task::spawn_blocking(move || prepare_topics(&servers, CLIENT_ID, &topics)).await??;
    if !made.is_empty() {
        tracing::info!(topics = made.join(" "), "topics made");
    }
    Ok(())
}

fn start_embedded(file: &std::path::Path) -> Result<EmbeddedBroker, Box<dyn std::error::Error>> {
    let topics: Vec<_> = runtime::topics().into_iter().map(|topic| (topic.name, topic.partitions)).collect();
    let broker = EmbeddedBroker::start(&topics)?;
    write_bootstrap_file(file, broker.bootstrap_servers())
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", file.display())))?;
    Ok(broker)
}

//! Puts the parts together and runs them.

use std::{io, path::Path, sync::Arc, time::Duration};

use coffer_ports::transport::{Delivery, Start, Transport};
use coffer_protocol::{
    VERSION,
    boot::FirstBoot,
    command::{AgentCommand, ToAgent},
    topics,
};
use tokio::{sync::mpsc, task::JoinSet, time::sleep};

use crate::{
    datastores::{self, Datastore},
    executor::{self, Intake, Order},
    identity::Identity,
    inbox::{Inbox, Opened},
    journal::Journal,
    metrics::Collector,
    outbox::{Outbox, now_ms},
    questions::Questions,
    reporter::{Reporter, Session},
    supervisor::{Pace, Supervisor},
    volume::{Volume, VolumeError},
};

/// Between two attempts to read the agent's topic.
const SUBSCRIBE_RETRY: Duration = Duration::from_secs(1);

/// Why an agent does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("the first-boot data are of version {0}; this agent reads version {VERSION}")]
    Version(u16),
    #[error(transparent)]
    Volume(#[from] VolumeError),
    #[error("the agent's state cannot be used: {0}")]
    State(#[from] io::Error),
}

/// An agent whose engine is supervised already, before there is a broker to talk to.
pub struct Agent {
    boot: FirstBoot,
    volume: Arc<Volume>,
    identity: Arc<Identity>,
    journal: Journal,
    datastore: Arc<dyn Datastore>,
    supervisor: Arc<Supervisor>,
}

impl Agent {
    /// Takes the volume mounted at `data` and starts, or adopts, the engine that was prepared on it.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn start(boot: FirstBoot, data: &Path, pace: Pace) -> Result<Self, StartError> {
        if boot.version != VERSION {
            return Err(StartError::Version(boot.version));
        }
        let volume = Arc::new(Volume::open(data)?);
        let identity = Arc::new(Identity::open(&volume, &boot)?);
        let journal = Journal::open(&volume.journal(), now_ms())?;
        let datastore = datastores::open(&boot.datastore, &volume, &boot.listen_address)?;
        let supervisor = Arc::new(Supervisor::start(Arc::clone(&volume), Arc::clone(&datastore), pace)?);
        tracing::info!(instance = boot.instance_id, data = %volume.root().display(), "the agent is up");
        Ok(Self { boot, volume, identity, journal, datastore, supervisor })
    }

    /// Serves the control plane. Dropped, it leaves the engine running.
    ///
    /// Returns only when one of the agent's tasks has ended, which none does unless it panicked: the program should
    /// end too, and be started again.
    pub async fn run(self, transport: Arc<dyn Transport>) -> io::Error {
        let Self { boot, volume, identity, journal, datastore, supervisor } = self;
        let session = Arc::new(Session::default());
        let outbox = Arc::new(Outbox::new(Arc::clone(&transport), Arc::clone(&identity), &boot));
        let inbox = Inbox::new(boot.cell.clone(), Arc::clone(&identity));
        let collector = Collector::new(volume, Arc::clone(&supervisor));
        let reporter =
            Reporter::new(Arc::clone(&session), Arc::clone(&outbox), Arc::clone(&datastore), &supervisor, collector);
        let questions = Questions::new(Arc::clone(&supervisor), Arc::clone(&outbox), Arc::clone(&session));
        let (intake, executor) = executor::new(journal, identity, datastore, supervisor, outbox, Arc::clone(&session));
        let mut tasks = JoinSet::new();
        tasks.spawn(reporter.run());
        tasks.spawn(executor.run());

        let hears = Hears { session, intake, questions };
        tasks.spawn(listen(transport, topics::agents(&boot.cell), inbox, hears));
        match tasks.join_next().await {
            Some(Err(error)) => io::Error::other(error),
            Some(Ok(())) | None => io::Error::other("a task of the agent has ended"),
        }
    }
}

/// Reads the agent's topic for ever; never waits for what a message asks for.
async fn listen(transport: Arc<dyn Transport>, topic: String, mut inbox: Inbox, hears: Hears) {
    let topics = [topic];
    loop {
        let mut deliveries = subscribe(transport.as_ref(), &topics).await;
        // Only now: the answer would be missed before.
        hears.session.enrol();
        while let Some(delivery) = deliveries.recv().await {
            match delivery {
                Delivery::Reconnected => hears.session.enrol(),
                Delivery::Begun { .. } => {}
                Delivery::Record(record) => {
                    if let Some(opened) = inbox.receive(&record) {
                        hears.dispatch(opened);
                    }
                }
            }
        }
        tracing::warn!("the agent's topic has ended: it is read anew");
    }
}

async fn subscribe(transport: &dyn Transport, topics: &[String]) -> mpsc::Receiver<Delivery> {
    loop {
        match transport.subscribe(topics, Start::Latest).await {
            Ok(deliveries) => return deliveries,
            Err(error) => tracing::warn!(%error, "the agent's topic cannot be read yet"),
        }
        sleep(SUBSCRIBE_RETRY).await;
    }
}

/// Those that messages are for.
struct Hears {
    session: Arc<Session>,
    intake: Intake,
    questions: Questions,
}

impl Hears {
    fn dispatch(&self, opened: Opened) {
        match opened {
            Opened::Message(ToAgent::Challenge { session: id }) => self.session.open(id),
            Opened::Message(ToAgent::Command { command_id, command: AgentCommand::Tell { question }, .. }) => {
                self.questions.take(command_id, question);
            }
            Opened::Message(ToAgent::Command { command_id, issued_at_ms, converge, command }) => {
                self.intake.take(Order { command_id, issued_at_ms, converge, command });
            }
            Opened::Unknown { command_id } => self.intake.refuse_unknown(command_id),
        }
    }
}

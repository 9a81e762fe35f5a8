//! Executes commands: one at a time, in order, each once.

use std::{
    collections::{BTreeMap, HashSet},
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use coffer_protocol::{
    command::{AgentCommand, Configure},
    report::{Failure, Report},
};
use tokio::sync::mpsc;

use crate::{
    datastores::Datastore,
    failure,
    host::files,
    identity::Identity,
    journal::{Journal, Known, Outcome, WINDOW_MS},
    outbox::{Outbox, now_ms},
    reporter::Session,
    supervisor::Supervisor,
};

/// Commands and answers that wait at most. What finds no place is dropped: the control plane repeats it.
const QUEUE: usize = 64;
/// Times that an outcome is sent before it waits for the command to be repeated.
const OUTCOME_ATTEMPTS: u32 = 5;
const OUTCOME_RETRY: Duration = Duration::from_secs(1);

/// A command as it arrived.
#[derive(Debug)]
pub struct Order {
    pub command_id: String,
    /// The control plane's clock, Unix time in ms.
    pub issued_at_ms: i64,
    /// An attempt under another id came before: what is already there, or already gone, counts as done.
    pub converge: bool,
    pub command: AgentCommand,
}

enum Job {
    Execute(Order),
    /// Say again, or at once, how a command ended.
    Answer {
        command_id: String,
        outcome: Outcome,
    },
}

/// What the receiving side and the executing task share.
struct Ledger {
    journal: Mutex<Journal>,
    /// Commands that wait or are being executed: their repeats are not answered, as the answer will come.
    in_progress: Mutex<HashSet<String>>,
}

/// Takes commands in, in the order of their arrival, without ever waiting.
pub struct Intake {
    ledger: Arc<Ledger>,
    identity: Arc<Identity>,
    jobs: mpsc::Sender<Job>,
}

/// The executing task.
pub struct Executor {
    ledger: Arc<Ledger>,
    jobs: mpsc::Receiver<Job>,
    datastore: Arc<dyn Datastore>,
    supervisor: Arc<Supervisor>,
    outbox: Arc<Outbox>,
    session: Arc<Session>,
}

/// An executor and the way in to it.
pub fn new(
    journal: Journal,
    identity: Arc<Identity>,
    datastore: Arc<dyn Datastore>,
    supervisor: Arc<Supervisor>,
    outbox: Arc<Outbox>,
    session: Arc<Session>,
) -> (Intake, Executor) {
    let ledger = Arc::new(Ledger { journal: Mutex::new(journal), in_progress: Mutex::default() });
    let (sender, jobs) = mpsc::channel(QUEUE);
    let intake = Intake { ledger: Arc::clone(&ledger), identity, jobs: sender };
    (intake, Executor { ledger, jobs, datastore, supervisor, outbox, session })
}

impl Intake {
    /// Has the command executed, answered from its record, or refused.
    pub fn take(&self, order: Order) {
        let known = self.ledger.journal().look_up(&order.command_id, order.issued_at_ms, now_ms());
        match known {
            Known::New | Known::Begun => self.execute(order),
            Known::Finished(outcome) => self.answer(order.command_id, outcome),
            Known::Expired => {
                let hours = WINDOW_MS / 3_600_000;
                let reason = format!("the command is older than the journal, which reaches back {hours} h at most");
                self.answer(order.command_id, Err(failure::expired(reason)));
            }
        }
    }

    /// Answers a command of a kind that this build does not know.
    pub fn refuse_unknown(&self, command_id: String) {
        self.answer(command_id, Err(failure::unsupported("this agent does not know the verb")));
    }

    fn execute(&self, order: Order) {
        if let AgentCommand::Rotate { key_id, key } = &order.command {
            // At once, as the next message will be sealed with the new key.
            let rotated = self.ledger.begin(&order).and_then(|()| {
                let stored = self.identity.rotate(key_id, key);
                self.ledger.finish(&order, stored.map_err(|error| unwritable(&error)))
            });
            self.answer(order.command_id, rotated);
            return;
        }
        let command_id = order.command_id.clone();
        if !self.ledger.in_progress().insert(command_id.clone()) {
            return;
        }
        if self.jobs.try_send(Job::Execute(order)).is_err() {
            tracing::warn!(command_id, "too many commands wait: this one is left to be repeated");
            self.ledger.in_progress().remove(&command_id);
        }
    }

    fn answer(&self, command_id: String, outcome: Outcome) {
        if self.jobs.try_send(Job::Answer { command_id, outcome }).is_err() {
            tracing::warn!("too many commands wait: an answer is left to be asked for again");
        }
    }
}

impl Executor {
    /// Runs until the intake is dropped.
    pub async fn run(mut self) {
        while let Some(job) = self.jobs.recv().await {
            match job {
                Job::Answer { command_id, outcome } => self.tell(&command_id, outcome).await,
                Job::Execute(order) => {
                    let verb = order.command.verb();
                    tracing::info!(command_id = order.command_id, verb, "a command begins");
                    let outcome = self.session.execute(self.once(&order)).await;
                    match &outcome {
                        Ok(()) => tracing::info!(command_id = order.command_id, verb, "a command is done"),
                        Err(failed) => {
                            let Failure { code, message, .. } = failed;
                            tracing::warn!(command_id = order.command_id, verb, code, message, "a command failed");
                        }
                    }
                    self.ledger.in_progress().remove(&order.command_id);
                    self.tell(&order.command_id, outcome).await;
                    self.session.tell_soon();
                }
            }
        }
    }

    /// Executes a command that was not executed before, or not to its end.
    async fn once(&self, order: &Order) -> Outcome {
        let known = self.ledger.journal().look_up(&order.command_id, order.issued_at_ms, now_ms());
        let admitted = match known {
            // The checks were passed before it was begun, and might now find what it made itself.
            Known::Begun => Ok(()),
            _ => self.admit(order).await,
        };
        if let Err(refused) = admitted {
            // Not begun: were the agent to crash now, the repeat must be checked again.
            return self.ledger.finish(order, Err(refused));
        }
        self.ledger.begin(order)?;
        self.ledger.finish(order, self.act(&order.command).await)
    }

    /// Checks a command before its first execution; changes nothing.
    async fn admit(&self, order: &Order) -> Outcome {
        let command = &order.command;
        if !self.datastore.capabilities().allow(command) {
            return Err(failure::unsupported(format!("this datastore does not know {}", command.verb())));
        }
        self.datastore.validate(command)?;
        if order.converge { Ok(()) } else { self.check_names(command).await }
    }

    /// What is to be made is not there yet, and what is to go is there.
    async fn check_names(&self, command: &AgentCommand) -> Outcome {
        match command {
            AgentCommand::CreateDatabases { databases } => {
                for database in databases {
                    if self.datastore.has_database(&database.name).await? {
                        return Err(failure::already_exists(format!("database {:?} exists already", database.name)));
                    }
                }
                Ok(())
            }
            AgentCommand::DropDatabase { name } => self.check_database(name).await,
            AgentCommand::CreateUsers { users } => {
                for user in users {
                    if self.datastore.has_user(&user.name, &user.host).await? {
                        let (name, host) = (&user.name, &user.host);
                        return Err(failure::already_exists(format!("user {name:?} at {host:?} exists already")));
                    }
                }
                Ok(())
            }
            AgentCommand::DropUser { name, host } => self.check_user(name, host).await,
            AgentCommand::Grant { name, host, databases } => {
                self.check_user(name, host).await?;
                for database in databases {
                    self.check_database(database).await?;
                }
                Ok(())
            }
            AgentCommand::Revoke { name, host, .. } => self.check_user(name, host).await,
            AgentCommand::ChangePasswords { users } => {
                for user in users {
                    self.check_user(&user.name, &user.host).await?;
                }
                Ok(())
            }
            AgentCommand::ChangeUser(change) => {
                self.check_user(&change.name, &change.host).await?;
                let (name, host) = change.account();
                if change.is_renaming() && self.datastore.has_user(name, host).await? {
                    return Err(failure::already_exists(format!("user {name:?} at {host:?} exists already")));
                }
                Ok(())
            }
            AgentCommand::Prepare(_)
            | AgentCommand::Restart
            | AgentCommand::Stop
            | AgentCommand::Resize { .. }
            | AgentCommand::GrowVolume { .. }
            | AgentCommand::EnableRoot { .. }
            | AgentCommand::DisableRoot
            | AgentCommand::Configure(_)
            | AgentCommand::Rotate { .. }
            | AgentCommand::Tell { .. } => Ok(()),
        }
    }

    async fn check_database(&self, name: &str) -> Outcome {
        match self.datastore.has_database(name).await? {
            true => Ok(()),
            false => Err(failure::not_found(format!("there is no database {name:?}"))),
        }
    }

    async fn check_user(&self, name: &str, host: &str) -> Outcome {
        match self.datastore.has_user(name, host).await? {
            true => Ok(()),
            false => Err(failure::not_found(format!("there is no user {name:?} at {host:?}"))),
        }
    }

    /// Does what the command asks. Done twice, it ends the same.
    async fn act(&self, command: &AgentCommand) -> Outcome {
        match command {
            AgentCommand::Prepare(prepare) => {
                self.supervisor.prepare(prepare.into()).await?;
                self.configure_first(&prepare.values).await?;
                self.datastore.create_databases(&prepare.databases).await?;
                self.datastore.create_users(&prepare.users).await
            }
            AgentCommand::Restart => self.supervisor.restart().await,
            AgentCommand::Stop => self.supervisor.stop().await,
            AgentCommand::Resize { memory_mib, vcpus } => self.supervisor.resize(*memory_mib, *vcpus).await,
            AgentCommand::GrowVolume { volume_gib } => self.supervisor.grow_volume(*volume_gib).await,
            AgentCommand::CreateDatabases { databases } => self.datastore.create_databases(databases).await,
            AgentCommand::DropDatabase { name } => self.datastore.drop_database(name).await,
            AgentCommand::CreateUsers { users } => self.datastore.create_users(users).await,
            AgentCommand::DropUser { name, host } => self.datastore.drop_user(name, host).await,
            AgentCommand::EnableRoot { password } => self.datastore.enable_root(password).await,
            AgentCommand::DisableRoot => self.datastore.disable_root().await,
            AgentCommand::Grant { name, host, databases } => self.datastore.grant(name, host, databases).await,
            AgentCommand::Revoke { name, host, database } => self.datastore.revoke(name, host, database).await,
            AgentCommand::ChangeUser(change) => self.datastore.change_user(change).await,
            AgentCommand::ChangePasswords { users } => self.datastore.change_passwords(users).await,
            AgentCommand::Configure(Configure { number, values }) => self.supervisor.configure(*number, values).await,
            AgentCommand::Rotate { .. } => Err(failure::agent_failed("a rotation is not the engine's matter")),
            AgentCommand::Tell { .. } => Err(failure::agent_failed("a question is not to be executed")),
        }
    }

    /// A new engine is started anew at once for values that need it: nobody works with it yet. Values that it does not take
    /// are told of by whoever orders them again, when the instance is there.
    async fn configure_first(&self, values: &BTreeMap<String, String>) -> Outcome {
        if values.is_empty() {
            return Ok(());
        }
        if let Err(refused) = self.supervisor.configure(0, values).await {
            tracing::warn!(code = refused.code, reason = refused.message, "the first configuration is not applied");
        }
        if self.datastore.restart_required()
            && let Err(refused) = self.supervisor.restart().await
            && refused.code != failure::CONFIGURATION_REFUSED
        {
            return Err(refused);
        }
        Ok(())
    }

    async fn tell(&self, command_id: &str, outcome: Outcome) {
        for attempt in 1..=OUTCOME_ATTEMPTS {
            let report = Report::Outcome {
                command_id: command_id.to_owned(),
                result: outcome.clone(),
                restart_required: self.datastore.restart_required(),
            };
            match self.outbox.send(self.session.id(), report).await {
                Ok(()) => return,
                Err(error) => tracing::warn!(%error, command_id, attempt, "an outcome was not sent"),
            }
            tokio::time::sleep(OUTCOME_RETRY).await;
        }
    }
}

impl Ledger {
    fn begin(&self, order: &Order) -> Outcome {
        let begun = self.journal().begin(&order.command_id, order.command.verb(), order.issued_at_ms, now_ms());
        begun.map_err(|error| unwritable(&error))
    }

    /// Records a final outcome. One that a repeat may overcome is left open.
    fn finish(&self, order: &Order, outcome: Outcome) -> Outcome {
        let is_final = !matches!(&outcome, Err(failed) if failed.retryable);
        if is_final {
            let Order { command_id, issued_at_ms, command, .. } = order;
            let verb = command.verb();
            let recorded = self.journal().finish(command_id, verb, *issued_at_ms, now_ms(), outcome.clone());
            if let Err(error) = recorded {
                tracing::error!(%error, command_id, "the end of a command cannot be recorded");
            }
        }
        outcome
    }

    /// No code that could panic runs under this lock in a way that leaves the journal half-changed.
    fn journal(&self) -> MutexGuard<'_, Journal> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn in_progress(&self) -> MutexGuard<'_, HashSet<String>> {
        self.in_progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn unwritable(error: &io::Error) -> Failure {
    if files::is_full(error) {
        return failure::volume_full(
            "the data volume is full: nothing can be done to the engine until there is room on it",
        );
    }
    failure::agent_failed(format!("the agent cannot write to its volume: {error}"))
}

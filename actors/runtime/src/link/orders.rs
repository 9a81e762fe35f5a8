//! Orders for an agent: their secrets opened, their words put into the wire's, their repeats timed.

use coffer_domain::{
    command::{NewDatabase, NewUser},
    ids::EffectId,
    instance::effect::{AgentOrder, AgentVerb},
    time::{Millis, SECOND, Timestamp},
};
use coffer_protocol::command::{AgentCommand, Configure, Database, NewPassword, Prepare, ToAgent, User, UserChange};

use crate::vault::{Vault, VaultError};

/// Between two sendings of one order: the first and the longest wait.
const FIRST_WAIT: Millis = 2 * SECOND;
const LONGEST_WAIT: Millis = 10 * SECOND;

/// An order that waits for its outcome, with its secrets in clear: it lives in memory only.
pub struct Pending {
    message: ToAgent,
    send_at: Timestamp,
    wait: Millis,
}

impl Pending {
    /// `context` is what the order's passwords are bound to.
    pub fn new(
        id: &EffectId,
        order: &AgentOrder,
        context: &str,
        vault: &Vault,
        now: Timestamp,
    ) -> Result<Self, VaultError> {
        let message = ToAgent::Command {
            command_id: id.0.clone(),
            issued_at_ms: order.issued_at.0,
            converge: order.converge,
            command: command(&order.verb, context, vault)?,
        };
        Ok(Self { message, send_at: now, wait: FIRST_WAIT })
    }

    /// Whether its outcome says something of the engine's configuration.
    pub fn configures(&self) -> bool {
        matches!(&self.message, ToAgent::Command { command: AgentCommand::Configure(_), .. })
    }

    /// Sends it (again) at `time`.
    pub fn send_at(&mut self, time: Timestamp) {
        self.send_at = time;
        self.wait = FIRST_WAIT;
    }

    /// The message, when it is time to send it; the next time is set.
    pub fn take_due(&mut self, now: Timestamp) -> Option<ToAgent> {
        if now < self.send_at {
            return None;
        }
        self.send_at = now + self.wait;
        self.wait = (self.wait * 2).min(LONGEST_WAIT);
        Some(self.message.clone())
    }
}

fn command(verb: &AgentVerb, context: &str, vault: &Vault) -> Result<AgentCommand, VaultError> {
    Ok(match verb {
        AgentVerb::Prepare {
            datastore_version,
            memory_mib,
            vcpus,
            volume_gib,
            databases: ordered,
            users: accounts,
            values,
        } => AgentCommand::Prepare(Prepare {
            datastore_version: datastore_version.clone(),
            memory_mib: *memory_mib,
            vcpus: *vcpus,
            volume_gib: *volume_gib,
            databases: databases(ordered),
            users: users(accounts, context, vault)?,
            values: values.clone(),
        }),
        AgentVerb::Restart => AgentCommand::Restart,
        AgentVerb::Stop => AgentCommand::Stop,
        AgentVerb::Resize { memory_mib, vcpus } => AgentCommand::Resize { memory_mib: *memory_mib, vcpus: *vcpus },
        AgentVerb::GrowVolume { volume_gib } => AgentCommand::GrowVolume { volume_gib: *volume_gib },
        AgentVerb::CreateDatabases { databases: ordered } => {
            AgentCommand::CreateDatabases { databases: databases(ordered) }
        }
        AgentVerb::DropDatabase { name } => AgentCommand::DropDatabase { name: name.clone() },
        AgentVerb::CreateUsers { users: accounts } => {
            AgentCommand::CreateUsers { users: users(accounts, context, vault)? }
        }
        AgentVerb::DropUser { user } => AgentCommand::DropUser { name: user.name.clone(), host: user.host.clone() },
        AgentVerb::EnableRoot { password } => {
            AgentCommand::EnableRoot { password: vault.open_password(password, context)? }
        }
        AgentVerb::DisableRoot => AgentCommand::DisableRoot,
        AgentVerb::Grant { user, databases } => AgentCommand::Grant {
            name: user.name.clone(),
            host: user.host.clone(),
            databases: databases.iter().cloned().collect(),
        },
        AgentVerb::Revoke { user, database } => {
            AgentCommand::Revoke { name: user.name.clone(), host: user.host.clone(), database: database.clone() }
        }
        AgentVerb::ChangeUser { user, change } => AgentCommand::ChangeUser(UserChange {
            name: user.name.clone(),
            host: user.host.clone(),
            new_name: change.name.clone(),
            new_host: change.host.clone(),
            new_password: change.password.as_ref().map(|sealed| vault.open_password(sealed, context)).transpose()?,
        }),
        AgentVerb::ChangePasswords { users } => {
            let opened = users.iter().map(|user| {
                let password = vault.open_password(&user.password, context)?;
                Ok(NewPassword { name: user.name.clone(), host: user.host.clone(), password })
            });
            AgentCommand::ChangePasswords { users: opened.collect::<Result<_, VaultError>>()? }
        }
        AgentVerb::Configure { number, values } => {
            AgentCommand::Configure(Configure { number: *number, values: values.clone() })
        }
    })
}

fn databases(ordered: &[NewDatabase]) -> Vec<Database> {
    ordered
        .iter()
        .map(|database| Database {
            name: database.name.clone(),
            character_set: database.character_set.clone(),
            collate: database.collate.clone(),
        })
        .collect()
}

fn users(ordered: &[NewUser], context: &str, vault: &Vault) -> Result<Vec<User>, VaultError> {
    ordered
        .iter()
        .map(|user| {
            Ok(User {
                name: user.name.clone(),
                host: user.host.clone(),
                password: vault.open_password(&user.password, context)?,
                databases: user.databases.iter().cloned().collect(),
            })
        })
        .collect()
}

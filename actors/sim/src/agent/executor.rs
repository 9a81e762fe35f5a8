//! Executes commands: one at a time, in order, each once.

use coffer_domain::time::{MINUTE, SECOND};
use coffer_ports::transport::Outgoing;
use coffer_protocol::{
    command::{AgentCommand, Configure},
    report::{EngineState, Failure},
};

use super::{Disk, Guest, Order, Record, Timer};
use crate::{desk::Desk, faults::Fault, plan::Way};

/// Commands that wait at most; what finds no place is repeated by the control plane.
const QUEUE: usize = 64;

impl Guest {
    /// Has the command executed, or answers it from the journal.
    pub(super) fn take(&mut self, order: Order, disk: &mut Disk, desk: &mut Desk) -> Vec<Outgoing> {
        let known = disk.journal.get(&order.id);
        if known.is_some_and(|record| record.order != order.text) {
            desk.violated(format!("{} stands for two different orders", order.id));
        }
        if desk.plan.is_muted(&order.id) {
            return Vec::new();
        }
        if let Some(outcome) = known.and_then(|record| record.outcome.clone()) {
            return vec![self.say_outcome(order.id, outcome, disk, desk)];
        }
        let Some(process) = &mut self.process else { return Vec::new() };
        let waits = process.queue.iter().chain(&process.executing).any(|waiting| waiting.id == order.id);
        if !waits && process.queue.len() < QUEUE {
            process.queue.push_back(order);
        }
        self.start_next(disk, desk)
    }

    fn start_next(&mut self, disk: &mut Disk, desk: &mut Desk) -> Vec<Outgoing> {
        let mut said = Vec::new();
        while let Some(process) = self.process.as_mut().filter(|process| process.executing.is_none()) {
            let Some(order) = process.queue.pop_front() else { break };
            let is_begun = disk.journal.contains_key(&order.id);
            if let Err(refused) = if is_begun { Ok(()) } else { admit(&order, disk) } {
                said.push(self.end(&order, Err(refused), disk, desk));
                continue;
            }
            if let Some(record) = disk.journal.get(&order.id)
                && record.outcome.is_some()
            {
                desk.violated(format!("{} is executed a second time", order.id));
            }
            disk.journal.entry(order.id.clone()).or_insert_with(|| record(&order));
            desk.tell(&self.name, format_args!("begins {} ({})", order.id, order.command.verb()));
            let starts_engine = starts_engine(&order.command);
            let longest = if starts_engine { 20 * SECOND } else { 2 * SECOND };
            let mut takes = desk.dice.mostly_short(50, longest);
            if desk.strikes(Fault::AgentSlow) {
                takes = desk.dice.span(longest, 4 * MINUTE);
            }
            if starts_engine {
                self.engine = EngineState::Starting;
            }
            if let Some(process) = &mut self.process {
                process.executing = Some(order);
            }
            self.later(desk, takes, Timer::Executed);
        }
        said
    }

    /// The command at work has come to its end.
    pub(super) fn executed(&mut self, disk: &mut Disk, desk: &mut Desk) -> Vec<Outgoing> {
        let Some(order) = self.process.as_mut().and_then(|process| process.executing.take()) else {
            return Vec::new();
        };
        let starts_engine = starts_engine(&order.command);
        let planned = desk.plan.of_agent(self.instance, step_of(&order.id));
        let fails_for_now = matches!(planned, Some(Way::FailsOnce | Way::FailsAlways));
        let outcome = if planned == Some(Way::DoneTwice) {
            // It dies before it has noted that it was done.
            self.apply(&order.command, disk);
            self.die(disk, desk);
            return Vec::new();
        } else if fails_for_now || desk.strikes(Fault::AgentFailsForNow) {
            Err(failure(true, "agent_failed", "the simulated agent says so"))
        } else if planned == Some(Way::FailsForGood) || desk.strikes(Fault::AgentFailsForGood) {
            // Half done, perhaps.
            if desk.dice.chance(300) {
                self.apply(&order.command, disk);
            }
            Err(failure(false, "engine_failed", "the simulated engine says so"))
        } else if needs_engine(&order.command) && self.engine != EngineState::Running {
            Err(failure(true, "engine_unavailable", "the engine is not up"))
        } else {
            self.apply(&order.command, disk);
            Ok(())
        };
        if starts_engine {
            self.engine = if disk.is_prepared { EngineState::Running } else { EngineState::Absent };
        }
        if disk.is_stopped && !starts_engine {
            self.engine = EngineState::Stopped;
        }
        let mut said = vec![self.end(&order, outcome, disk, desk)];
        if planned == Some(Way::TimesOut) {
            desk.plan.mute(&order.id);
            said.clear();
        }
        said.extend(self.start_next(disk, desk));
        said.extend(self.beat(disk, desk));
        said
    }

    /// Records a final outcome and says it. One that a repeat may overcome is left open.
    fn end(&mut self, order: &Order, outcome: Result<(), Failure>, disk: &mut Disk, desk: &mut Desk) -> Outgoing {
        let is_final = !matches!(&outcome, Err(failure) if failure.retryable);
        if is_final {
            let record = disk.journal.entry(order.id.clone()).or_insert_with(|| record(order));
            record.done += u32::from(outcome.is_ok());
            record.outcome = Some(outcome.clone());
            if record.done > 1 {
                desk.violated(format!("{} was done twice", order.id));
            }
        }
        self.say_outcome(order.id.clone(), outcome, disk, desk)
    }

    /// Does what a command asks. Done twice, it ends the same.
    pub(super) fn apply(&mut self, command: &AgentCommand, disk: &mut Disk) {
        if starts_engine(command) {
            disk.is_stopped = false;
        }
        match command {
            AgentCommand::Prepare(prepare) => {
                disk.is_prepared = true;
                disk.memory_mib = prepare.memory_mib;
                disk.databases.extend(prepare.databases.iter().map(|database| database.name.clone()));
                add_users(&prepare.users, disk);
            }
            AgentCommand::CreateDatabases { databases } => {
                disk.databases.extend(databases.iter().map(|database| database.name.clone()));
            }
            AgentCommand::DropDatabase { name } => {
                disk.databases.remove(name);
                for databases in disk.users.values_mut() {
                    databases.remove(name);
                }
            }
            AgentCommand::CreateUsers { users } => add_users(users, disk),
            AgentCommand::DropUser { name, host } => drop(disk.users.remove(&(name.clone(), host.clone()))),
            AgentCommand::Grant { name, host, databases } => {
                if let Some(rights) = disk.users.get_mut(&(name.clone(), host.clone())) {
                    rights.extend(databases.iter().cloned());
                }
            }
            AgentCommand::Revoke { name, host, database } => {
                if let Some(rights) = disk.users.get_mut(&(name.clone(), host.clone())) {
                    rights.remove(database);
                }
            }
            AgentCommand::ChangeUser(change) => {
                let (name, host) = change.account();
                if let Some(rights) = disk.users.remove(&(change.name.clone(), change.host.clone())) {
                    disk.users.insert((name.to_owned(), host.to_owned()), rights);
                }
            }
            AgentCommand::EnableRoot { .. } => disk.is_root_enabled = true,
            AgentCommand::DisableRoot => disk.is_root_enabled = false,
            AgentCommand::Resize { memory_mib, .. } => disk.memory_mib = *memory_mib,
            AgentCommand::Configure(Configure { number, values }) if *number >= disk.configuration.0 => {
                disk.configuration = (*number, values.clone());
            }
            AgentCommand::Stop => disk.is_stopped = true,
            AgentCommand::Restart
            | AgentCommand::GrowVolume { .. }
            | AgentCommand::ChangePasswords { .. }
            | AgentCommand::Configure(_)
            | AgentCommand::Rotate { .. }
            | AgentCommand::Tell { .. } => {}
        }
    }
}

fn starts_engine(command: &AgentCommand) -> bool {
    matches!(command, AgentCommand::Prepare(_) | AgentCommand::Restart | AgentCommand::Resize { .. })
}

fn needs_engine(command: &AgentCommand) -> bool {
    !starts_engine(command) && !matches!(command, AgentCommand::GrowVolume { .. } | AgentCommand::Stop)
}

fn add_users(users: &[coffer_protocol::command::User], disk: &mut Disk) {
    for user in users {
        let databases = user.databases.iter().cloned().collect();
        disk.users.insert((user.name.clone(), user.host.clone()), databases);
    }
}

/// What is to be made is not there yet, and what is to go is there; unless an earlier attempt may have been at it.
fn admit(order: &Order, disk: &Disk) -> Result<(), Failure> {
    if order.converge {
        return Ok(());
    }
    let has_user = |name: &str, host: &str| disk.users.contains_key(&(name.to_owned(), host.to_owned()));
    let (is_there, is_to_be) = match &order.command {
        AgentCommand::CreateDatabases { databases } => {
            (databases.iter().any(|database| disk.databases.contains(&database.name)), false)
        }
        AgentCommand::DropDatabase { name } => (disk.databases.contains(name), true),
        AgentCommand::CreateUsers { users } => (users.iter().any(|user| has_user(&user.name, &user.host)), false),
        AgentCommand::DropUser { name, host } | AgentCommand::Revoke { name, host, .. } => (has_user(name, host), true),
        AgentCommand::Grant { name, host, databases } => {
            let are_there = databases.iter().all(|database| disk.databases.contains(database));
            (has_user(name, host) && are_there, true)
        }
        AgentCommand::ChangePasswords { users } => (users.iter().all(|user| has_user(&user.name, &user.host)), true),
        AgentCommand::ChangeUser(change) => {
            let (name, host) = change.account();
            let is_free = !change.is_renaming() || !has_user(name, host);
            (has_user(&change.name, &change.host) && is_free, true)
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
        | AgentCommand::Tell { .. } => return Ok(()),
    };
    match (is_there, is_to_be) {
        (true, false) => Err(failure(false, "already_exists", "it exists already")),
        (false, true) => Err(failure(false, "not_found", "it does not exist")),
        _ => Ok(()),
    }
}

/// The step or task that an effect's id names.
fn step_of(effect: &str) -> &str {
    effect.split('/').nth(1).unwrap_or_default()
}

fn record(order: &Order) -> Record {
    Record { order: order.text.clone(), outcome: None, done: 0 }
}

fn failure(retryable: bool, code: &str, message: &str) -> Failure {
    Failure { retryable, code: code.into(), message: message.into() }
}

//! Which names of databases and users a tenant may use.

use std::collections::HashSet;

use coffer_protocol::{
    command::{AgentCommand, Database, NewPassword, User, UserChange},
    report::Failure,
    secret::Secret,
};

use super::configuration;
use crate::failure;

/// Characters of a database name at most ("Identifier Names" in MariaDB's manual).
const MAX_DATABASE_CHARS: usize = 64;
/// Characters of a user name at most, as the engine says when it refuses a longer one (error 1470).
const MAX_USER_CHARS: usize = 128;
/// Characters of a host pattern at most (the same error).
const MAX_HOST_CHARS: usize = 255;

/// Schemas of the engine itself. They are not in the inventory and cannot be made or dropped.
pub(super) const SYSTEM_DATABASES: &[&str] = &["information_schema", "mysql", "performance_schema", "sys"];
/// Accounts of the engine itself, of the agent, and the superuser, which has a verb of its own.
pub(super) const SYSTEM_USERS: &[&str] = &[super::accounts::ADMIN, "mariadb.sys", "mysql", "root"];

/// Checks the names in a command.
pub(super) fn validate(command: &AgentCommand) -> Result<(), Failure> {
    match command {
        AgentCommand::Prepare(prepare) => {
            new_databases(&prepare.databases)?;
            new_users(&prepare.users)?;
            configuration::validate(&prepare.values)
        }
        AgentCommand::Configure(configure) => configuration::validate(&configure.values),
        AgentCommand::CreateDatabases { databases } => new_databases(databases),
        AgentCommand::CreateUsers { users } => new_users(users),
        AgentCommand::DropDatabase { name } if is_system_database(name) => {
            Err(failure::not_found(format!("there is no database {name:?} that could be dropped")))
        }
        AgentCommand::DropUser { name, .. } if is_system_user(name) => {
            Err(failure::not_found(format!("there is no user {name:?} that could be dropped")))
        }
        AgentCommand::ChangeUser(UserChange { name, .. })
        | AgentCommand::Grant { name, .. }
        | AgentCommand::Revoke { name, .. }
            if is_system_user(name) =>
        {
            Err(failure::not_found(format!("there is no user {name:?} that could be changed")))
        }
        AgentCommand::Grant { databases, .. } => databases.iter().try_for_each(|name| granted(name)),
        AgentCommand::ChangeUser(change) => changed_user(change),
        AgentCommand::ChangePasswords { users } => users.iter().try_for_each(changed_password),
        AgentCommand::EnableRoot { password } if password.expose().is_empty() => {
            Err(failure::invalid("the superuser needs a password"))
        }
        AgentCommand::DropDatabase { .. }
        | AgentCommand::DropUser { .. }
        | AgentCommand::EnableRoot { .. }
        | AgentCommand::DisableRoot
        | AgentCommand::Revoke { .. }
        | AgentCommand::Restart
        | AgentCommand::Stop
        | AgentCommand::Resize { .. }
        | AgentCommand::GrowVolume { .. }
        | AgentCommand::Rotate { .. }
        | AgentCommand::Tell { .. } => Ok(()),
    }
}

fn new_databases(databases: &[Database]) -> Result<(), Failure> {
    let mut seen = HashSet::new();
    for Database { name, .. } in databases {
        database(name)?;
        if is_system_database(name) {
            return Err(failure::invalid(format!("database name {name:?} is the engine's own")));
        }
        if !seen.insert(name) {
            return Err(failure::invalid(format!("database {name:?} is named twice")));
        }
    }
    Ok(())
}

fn new_users(users: &[User]) -> Result<(), Failure> {
    let mut seen = HashSet::new();
    for user in users {
        let (name, host) = (&user.name, &user.host);
        account(name, host)?;
        needs_password(name, &user.password)?;
        if !seen.insert((name, host)) {
            return Err(failure::invalid(format!("user {name:?} at {host:?} is named twice")));
        }
        user.databases.iter().try_for_each(|name| granted(name))?;
    }
    Ok(())
}

fn granted(name: &str) -> Result<(), Failure> {
    database(name)?;
    if is_system_database(name) {
        return Err(failure::invalid(format!("no user may be given rights on {name:?}")));
    }
    Ok(())
}

fn changed_user(change: &UserChange) -> Result<(), Failure> {
    let (name, host) = change.account();
    account(name, host)?;
    match &change.new_password {
        Some(password) => needs_password(name, password),
        None => Ok(()),
    }
}

fn changed_password(user: &NewPassword) -> Result<(), Failure> {
    if is_system_user(&user.name) {
        return Err(failure::not_found(format!("there is no user {:?} that could be changed", user.name)));
    }
    needs_password(&user.name, &user.password)
}

fn account(name: &str, host: &str) -> Result<(), Failure> {
    text("user name", name, MAX_USER_CHARS)?;
    text("host", host, MAX_HOST_CHARS)?;
    if is_system_user(name) {
        return Err(failure::invalid(format!("user name {name:?} is the engine's own")));
    }
    Ok(())
}

fn needs_password(name: &str, password: &Secret) -> Result<(), Failure> {
    if password.expose().is_empty() {
        return Err(failure::invalid(format!("user {name:?} needs a password")));
    }
    Ok(())
}

fn database(name: &str) -> Result<(), Failure> {
    /// Names with this prefix are taken as file names, unencoded.
    const FILE_NAME_PREFIX: &str = "#mysql50#";
    text("database name", name, MAX_DATABASE_CHARS)?;
    if name.ends_with(' ') || name.starts_with(FILE_NAME_PREFIX) {
        return Err(failure::invalid(format!(
            "database name {name:?} ends with a space or starts with {FILE_NAME_PREFIX}"
        )));
    }
    Ok(())
}

fn text(what: &str, value: &str, max_chars: usize) -> Result<(), Failure> {
    let chars = value.chars().count();
    if chars == 0 || chars > max_chars {
        return Err(failure::invalid(format!("{what} {value:?} has {chars} characters: 1 to {max_chars} are allowed")));
    }
    // The engine's identifiers are of Unicode's first plane and without control characters.
    if let Some(wrong) = value.chars().find(|char| char.is_control() || u32::from(*char) > 0xffff) {
        return Err(failure::invalid(format!("{what} {value:?} has the character {wrong:?}, which is not allowed")));
    }
    Ok(())
}

fn is_system_database(name: &str) -> bool {
    SYSTEM_DATABASES.iter().any(|system| system.eq_ignore_ascii_case(name))
}

fn is_system_user(name: &str) -> bool {
    SYSTEM_USERS.contains(&name)
}

#[cfg(test)]
mod tests {
    use coffer_protocol::secret::Secret;

    use super::*;

    fn create_database(name: &str) -> AgentCommand {
        AgentCommand::CreateDatabases {
            databases: vec![Database { name: name.into(), character_set: None, collate: None }],
        }
    }

    fn create_user(name: &str, host: &str, password: &str, databases: &[&str]) -> AgentCommand {
        let databases = databases.iter().map(|name| (*name).to_owned()).collect();
        let password = Secret::new(password);
        AgentCommand::CreateUsers { users: vec![User { name: name.into(), host: host.into(), password, databases }] }
    }

    #[test]
    fn ordinary_and_odd_names_are_allowed() {
        for name in ["app", "my-app_1", "with space", "ünïcode", "a`b'c\"d", "%", &"x".repeat(64)] {
            assert_eq!(validate(&create_database(name)), Ok(()), "{name}");
        }
        assert_eq!(validate(&create_user("o'neil", "10.%", "p", &["app"])), Ok(()));
    }

    #[test]
    fn what_the_engine_cannot_hold_or_keeps_for_itself_is_invalid() {
        for name in ["", "mysql", "SYS", "trailing ", "#mysql50#x", "nul\0", "tab\t", "💾", &"x".repeat(65)] {
            assert_eq!(validate(&create_database(name)).unwrap_err().code, "invalid", "{name:?}");
        }
        for (name, host, password, database) in [
            ("", "%", "p", "app"),
            ("root", "%", "p", "app"),
            ("os_admin", "%", "p", "app"),
            ("u", "", "p", "app"),
            ("u", "%", "", "app"),
            ("u", "%", "p", "mysql"),
        ] {
            let command = create_user(name, host, password, &[database]);
            assert_eq!(validate(&command).unwrap_err().code, "invalid", "{name} {host} {password} {database}");
        }
    }

    #[test]
    fn what_is_hidden_is_not_found() {
        let database = AgentCommand::DropDatabase { name: "mysql".into() };
        assert_eq!(validate(&database).unwrap_err().code, "not_found");
        let user = AgentCommand::DropUser { name: "os_admin".into(), host: "localhost".into() };
        assert_eq!(validate(&user).unwrap_err().code, "not_found");
    }

    #[test]
    fn a_name_given_twice_is_invalid() {
        let twice = vec![Database { name: "a".into(), character_set: None, collate: None }; 2];
        assert_eq!(validate(&AgentCommand::CreateDatabases { databases: twice }).unwrap_err().code, "invalid");
    }
}

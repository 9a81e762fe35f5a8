//! The agent's connection to the engine: through the socket, as the agent's own account.

use std::{collections::BTreeSet, io, os::fd::AsRawFd, path::PathBuf, time::Duration};

use coffer_protocol::{
    report::{Failure, Inventory, MAX_INVENTORY, UserEntry},
    secret::Secret,
};
use mysql_async::{Conn, Error, Opts, OptsBuilder, ServerError, prelude::Queryable};
use rustix::fs::{Mode, OFlags, open};
use tokio::time::timeout;

use super::{accounts, names, server, sql};
use crate::{
    datastores::{NotReady, Vitals},
    failure,
};

/// Grants that an inventory names at most, over all users: with names of full length it still fits into a record.
const MAX_GRANTS: usize = 4 * MAX_INVENTORY;
/// How long one call may take. Above the sessions' lock wait, so that the engine's own word comes first.
const CALL_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a statement waits for a tenant's locks before it fails.
const LOCK_WAIT_S: u32 = 20;
/// A grant to a user that is not there fails: it would make one that needs no password.
const SQL_MODE: &str = "NO_AUTO_CREATE_USER";
/// What a tenant may have set for all sessions, and would hinder ours.
const SESSION_OF_OUR_OWN: &str = "autocommit = 1, tx_read_only = 0, max_statement_time = 0, sql_big_selects = 1, \
                                  sql_safe_updates = 0, sql_select_limit = 18446744073709551615, \
                                  max_session_mem_used = 9223372036854775807, sql_quote_show_create = 1";
/// Larger than any statement of ours; given so that it is not asked of the server.
const MAX_PACKET_BYTES: usize = 4 << 20;
/// As in the server's default; given so that it is not asked of the server.
const IDLE_TIMEOUT_S: usize = 28_800;

/// Codes of "MariaDB Error Codes" in its manual.
mod code {
    pub(super) const DATABASE_EXISTS: u16 = 1007;
    pub(super) const SYNTAX: u16 = 1064;
    /// No such user in a grant, in an account statement.
    pub(super) const NO_USER: &[u16] = &[1133, 1396];
    /// Wrong database name, unknown character set, string too long, unknown collation, collation of another set.
    pub(super) const INVALID: &[u16] = &[1102, 1115, 1253, 1273, 1470];
    /// Too many connections, shutdown in progress, lock wait timeout, deadlock.
    pub(super) const PASSING: &[u16] = &[1040, 1053, 1205, 1213];
}

/// A variable of the engine, as it says itself.
#[derive(Debug, Clone)]
pub(super) struct Variable {
    /// In small letters.
    pub(super) name: String,
    pub(super) kind: String,
    /// For the whole engine.
    pub(super) value: String,
    /// The engine's own default.
    pub(super) default: String,
    /// Numbers are rounded to a multiple of it; 0 and 1 round nothing.
    pub(super) block_size: i128,
    /// It cannot be set while the engine runs.
    pub(super) is_read_only: bool,
    /// The option file may have it.
    pub(super) is_option: bool,
}

/// Access to the engine whose data directory this is.
#[derive(Debug)]
pub(super) struct Admin {
    data: PathBuf,
    password: Secret,
}

impl Admin {
    pub(super) fn new(data: PathBuf, password: Secret) -> Self {
        Self { data, password }
    }

    pub(super) fn password(&self) -> &Secret {
        &self.password
    }

    /// Whether the engine answers. One that refuses us does answer: a tenant with root may have changed our account,
    /// and a full house is no sickness.
    pub(super) async fn probe(&self) -> Result<Vitals, NotReady> {
        match self.vitals().await {
            Ok(vitals) => Ok(vitals),
            Err(Error::Server(refusal)) => {
                tracing::warn!(code = refusal.code, "the engine answers a probe with an error");
                Ok(Vitals::default())
            }
            Err(error) => Err(NotReady(error.to_string())),
        }
    }

    /// Executes the statements in order, up to the first that fails.
    pub(super) async fn execute(&self, statements: Vec<String>) -> Result<(), Failure> {
        self.call(async |connection| {
            for statement in &statements {
                connection.query_drop(statement).await?;
            }
            Ok(())
        })
        .await
    }

    pub(super) async fn has_database(&self, name: &str) -> Result<bool, Failure> {
        // In this comparison case and trailing spaces count, as they do in the names of directories.
        let query =
            format!("SELECT 1 FROM information_schema.schemata WHERE BINARY schema_name = {}", sql::string(name));
        self.call(async |connection| Ok(connection.query_first::<u8, _>(query).await?.is_some())).await
    }

    pub(super) async fn has_user(&self, name: &str, host: &str) -> Result<bool, Failure> {
        let query = format!(
            "SELECT 1 FROM mysql.global_priv WHERE User = {} AND Host = {}",
            sql::string(name),
            sql::string(host)
        );
        self.call(async |connection| Ok(connection.query_first::<u8, _>(query).await?.is_some())).await
    }

    /// The rows of a query for one column.
    pub(super) async fn texts(&self, query: String) -> Result<Vec<String>, Failure> {
        self.call(async |connection| connection.query(query).await).await
    }

    /// What the engine says of these variables; those that it does not have are missing.
    pub(super) async fn variables(&self, names: &BTreeSet<String>) -> Result<Vec<Variable>, Failure> {
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let query = format!(
            "SELECT LOWER(variable_name), variable_type, global_value, default_value, numeric_block_size, \
             read_only = 'YES', command_line_argument IS NOT NULL FROM information_schema.system_variables \
             WHERE variable_scope <> 'SESSION ONLY' AND variable_name IN ({})",
            list(&names)
        );
        type Row = (String, String, Option<String>, Option<String>, Option<String>, bool, bool);
        let rows: Vec<Row> = self.call(async |connection| connection.query(query).await).await?;
        let variable = |(name, kind, value, default, block_size, is_read_only, is_option): Row| Variable {
            name,
            kind,
            value: value.unwrap_or_default(),
            default: default.unwrap_or_default(),
            block_size: block_size.and_then(|size| size.parse().ok()).unwrap_or(0),
            is_read_only,
            is_option,
        };
        Ok(rows.into_iter().map(variable).collect())
    }

    pub(super) async fn inventory(&self) -> Result<Inventory, Failure> {
        let system_databases = list(names::SYSTEM_DATABASES);
        let system_users = list(names::SYSTEM_USERS);
        let databases = format!(
            "SELECT schema_name FROM information_schema.schemata WHERE schema_name NOT IN ({system_databases}) \
             ORDER BY BINARY schema_name LIMIT {MAX_INVENTORY}"
        );
        let users = format!(
            "SELECT User, Host FROM mysql.user WHERE is_role = 'N' AND User NOT IN ({system_users}) \
             ORDER BY BINARY User, BINARY Host LIMIT {MAX_INVENTORY}"
        );
        // What is granted is a pattern: the databases that are there and match it are named.
        let grants = format!(
            "SELECT DISTINCT granted.User, granted.Host, there.schema_name FROM mysql.db AS granted \
             JOIN information_schema.schemata AS there ON there.schema_name LIKE granted.Db \
             WHERE there.schema_name NOT IN ({system_databases}) LIMIT {MAX_GRANTS}"
        );
        self.call(async |connection| {
            let databases: Vec<String> = connection.query(databases).await?;
            let users: Vec<(String, String)> = connection.query(users).await?;
            let grants: Vec<(String, String, String)> = connection.query(grants).await?;
            Ok(Inventory { databases, users: entries(users, grants) })
        })
        .await
    }

    async fn vitals(&self) -> Result<Vitals, Error> {
        let mut connection = self.connect().await?;
        let agent_and_engine = list(&[accounts::ADMIN, "system user", "event_scheduler"]);
        let clients =
            format!("SELECT COUNT(*) FROM information_schema.processlist WHERE User NOT IN ({agent_and_engine})");
        let connections: Option<u64> = connection.query_first(clients).await?;
        let queries: Option<(String, u64)> = connection.query_first("SHOW GLOBAL STATUS LIKE 'Queries'").await?;
        connection.disconnect().await?;
        Ok(Vitals { connections, queries_total: queries.map(|(_, count)| count) })
    }

    async fn call<T>(&self, work: impl AsyncFnOnce(&mut Conn) -> Result<T, Error>) -> Result<T, Failure> {
        let call = async {
            let mut connection = self.connect().await?;
            let result = work(&mut connection).await?;
            connection.disconnect().await?;
            Ok(result)
        };
        match timeout(CALL_TIMEOUT, call).await {
            Ok(result) => result.map_err(|error| failure_of(&error)),
            Err(_) => {
                Err(failure::engine_unavailable(format!("no answer from the engine in {} s", CALL_TIMEOUT.as_secs())))
            }
        }
    }

    async fn connect(&self) -> Result<Conn, Error> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = open(&self.data, flags, Mode::empty()).map_err(io::Error::from)?;
        // A path of any length is reached through the open directory: a socket address has 107 bytes.
        let socket = format!("/proc/self/fd/{}/{}", directory.as_raw_fd(), server::SOCKET);
        let options: Opts = OptsBuilder::default()
            .socket(Some(socket))
            .user(Some(accounts::ADMIN))
            .pass(Some(self.password.expose()))
            .prefer_socket(false)
            .max_allowed_packet(Some(MAX_PACKET_BYTES))
            .wait_timeout(Some(IDLE_TIMEOUT_S))
            .setup(vec![format!(
                "SET SESSION sql_mode = '{SQL_MODE}', lock_wait_timeout = {LOCK_WAIT_S}, {SESSION_OF_OUR_OWN}"
            )])
            .into();
        let connection = Conn::new(options).await?;
        drop(directory);
        Ok(connection)
    }
}

fn entries(users: Vec<(String, String)>, grants: Vec<(String, String, String)>) -> Vec<UserEntry> {
    let entry = |(name, host): (String, String)| {
        let mut databases: Vec<String> = grants
            .iter()
            .filter(|(user, at, _)| *user == name && *at == host)
            .map(|(_, _, database)| database.clone())
            .collect();
        databases.sort_unstable();
        UserEntry { name, host, databases }
    };
    users.into_iter().map(entry).collect()
}

fn list(names: &[&str]) -> String {
    names.iter().map(|name| sql::string(name)).collect::<Vec<_>>().join(", ")
}

/// What an error of the engine means to the command. A statement is never quoted: it may hold a password's hash.
fn failure_of(error: &Error) -> Failure {
    let Error::Server(ServerError { code, message, .. }) = error else {
        return failure::engine_unavailable(format!("the engine cannot be reached: {error}"));
    };
    match *code {
        code::DATABASE_EXISTS => failure::already_exists(message),
        code::SYNTAX => failure::engine_failed("the engine does not understand the statement (1064)"),
        number if code::NO_USER.contains(&number) => failure::not_found(message),
        number if code::INVALID.contains(&number) => failure::invalid(message),
        number if code::PASSING.contains(&number) => failure::engine_unavailable(message),
        number => failure::engine_failed(format!("{message} ({number})")),
    }
}

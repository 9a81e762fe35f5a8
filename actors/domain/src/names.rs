//! The rules for names of instances, databases, users and hosts, and for passwords.
//!
//! They are Trove 26's: the shapes of its API schemas, and on top of them the rules that its guest agent applies only
//! after the client was told 202. Here a name is refused at once, with the field and the rule in the message. The
//! REST shim asks them for a quick answer, and `decide` asks them again for whatever comes over a topic.

use std::collections::BTreeSet;

use crate::{
    command::{Create, NewDatabase, NewUser},
    instance::policy::MAX_CONTENTS,
    rejection::{Rejection, RejectionKind},
};

mod charsets;
#[cfg(test)]
mod tests;

/// Characters of an instance's name, and of any other string of Trove's API schemas, at most.
pub const MAX_STRING: usize = 255;
/// Characters of a MySQL database's name at most (`NAME_LEN` of both servers).
pub const MAX_MYSQL_DATABASE: usize = 64;
/// Characters of a MySQL user's name at most. Trove's 16 is the bound of MySQL 5.6, and MariaDB allows 80; 32 is what
/// every server since MySQL 5.7 and MariaDB 10.0 takes, so that a dump moves between all of them.
pub const MAX_MYSQL_USER: usize = 32;
/// Bytes of a PostgreSQL name at most (`NAMEDATALEN` - 1).
pub const MAX_POSTGRESQL_NAME: usize = 63;

const MYSQL_DATABASES: [&str; 4] = ["mysql", "information_schema", "performance_schema", "sys"];
/// Trove's `ignore_users`, and what MariaDB keeps for itself.
const MYSQL_USERS: [&str; 4] = ["os_admin", "root", "mariadb.sys", "PUBLIC"];
/// Trove's list for users and databases alike, and the templates that PostgreSQL makes new databases from.
const POSTGRESQL_NAMES: [&str; 4] = ["os_admin", "postgres", "template0", "template1"];

/// The rules of one family of engines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    Mysql,
    Postgresql,
}

impl Family {
    /// # Errors
    /// `WrongState` when the manager has no databases and users to speak of: Trove's answer is 422.
    fn of(manager: &str) -> Result<Self, Rejection> {
        match manager {
            "mysql" | "mariadb" => Ok(Self::Mysql),
            "postgresql" => Ok(Self::Postgresql),
            _ => Err(Rejection::wrong_state(format!("Operation not supported for datastore {manager}."))),
        }
    }

    fn reserved_databases(self) -> &'static [&'static str] {
        match self {
            Self::Mysql => &MYSQL_DATABASES,
            Self::Postgresql => &POSTGRESQL_NAMES,
        }
    }

    fn reserved_users(self) -> &'static [&'static str] {
        match self {
            Self::Mysql => &MYSQL_USERS,
            Self::Postgresql => &POSTGRESQL_NAMES,
        }
    }
}

/// An instance's name: 1 to 255 characters, one of them an ASCII letter or digit, no control characters.
pub fn check_instance_name(name: &str) -> Result<(), Rejection> {
    check_text("Instance name", name)?;
    no_control("Instance name", name)
}

/// Name and description of a configuration group.
pub fn check_group(name: &str, description: Option<&str>) -> Result<(), Rejection> {
    check_text("Configuration group name", name)?;
    no_control("Configuration group name", name)?;
    let description = description.unwrap_or_default();
    if description.chars().count() > MAX_STRING {
        return Err(Rejection::invalid(format!("Configuration group description: at most {MAX_STRING} characters.")));
    }
    no_control("Configuration group description", description)
}

/// All names in an order for an instance: each one's own rule, no two alike, users only on ordered databases.
pub fn check_create(order: &Create, manager: &str) -> Result<(), Rejection> {
    check_instance_name(&order.name)?;
    if order.databases.len().max(order.users.len()) > MAX_CONTENTS {
        return Err(Rejection::new(
            RejectionKind::OverLimit,
            format!("An instance holds at most {MAX_CONTENTS} databases and {MAX_CONTENTS} users."),
        ));
    }
    if !order.databases.is_empty() {
        check_databases(manager, &order.databases)?;
    }
    if !order.users.is_empty() {
        check_users(manager, &order.users)?;
    }
    let ordered: BTreeSet<&str> = order.databases.iter().map(|database| database.name.as_str()).collect();
    for user in &order.users {
        if let Some(missing) = user.databases.iter().find(|name| !ordered.contains(name.as_str())) {
            return Err(Rejection::invalid(format!(
                "Database {missing} listed for user {} is not among the databases of the request.",
                user.name
            )));
        }
    }
    Ok(())
}

/// Databases to be created: shape and reserved list of each, no two alike.
pub fn check_databases(manager: &str, databases: &[NewDatabase]) -> Result<(), Rejection> {
    let mut seen = BTreeSet::new();
    for database in databases {
        check_database_name(manager, &database.name)?;
        check_charset(manager, database)?;
        // MySQL on a case-folding file system would see one database in `Db` and `db`; ours never folds.
        if !seen.insert(&database.name) {
            return Err(Rejection::invalid(format!("Database name '{}' occurs twice in the request.", database.name)));
        }
    }
    Ok(())
}

/// Users to be created: shape and reserved list of each, no two alike. Passwords are sealed here: whoever still sees
/// one in clear asks [`check_password`].
pub fn check_users(manager: &str, users: &[NewUser]) -> Result<(), Rejection> {
    let mut seen = BTreeSet::new();
    for user in users {
        check_user_name(manager, &user.name)?;
        check_host(manager, &user.host)?;
        for database in &user.databases {
            check_database_name(manager, database)?;
        }
        if !seen.insert((&user.name, &user.host)) {
            return Err(Rejection::invalid(format!("User '{}@{}' occurs twice in the request.", user.name, user.host)));
        }
    }
    Ok(())
}

/// A database's name: its shape, and that it is not the engine's own.
pub fn check_database_name(manager: &str, name: &str) -> Result<(), Rejection> {
    match Family::of(manager)? {
        Family::Mysql => check_mysql_database(name)?,
        Family::Postgresql => check_postgresql("Database name", name)?,
    }
    check_database_not_reserved(manager, name)
}

/// That a database, existing or not, is not the engine's own.
pub fn check_database_not_reserved(manager: &str, name: &str) -> Result<(), Rejection> {
    not_reserved("Database name", name, Family::of(manager)?.reserved_databases())
}

/// A user's name: its shape, and that it is not the engine's or the operator's own.
pub fn check_user_name(manager: &str, name: &str) -> Result<(), Rejection> {
    match Family::of(manager)? {
        Family::Mysql => {
            at_most("User name", name, name.chars().count(), MAX_MYSQL_USER)?;
            check_text("User name", name)?;
            check_mysql_text("User name", name)?;
        }
        Family::Postgresql => check_postgresql("User name", name)?,
    }
    check_user_not_reserved(manager, name)
}

/// That a user, existing or not, is not the engine's or the operator's own.
pub fn check_user_not_reserved(manager: &str, name: &str) -> Result<(), Rejection> {
    not_reserved("User name", name, Family::of(manager)?.reserved_users())
}

/// The host that a user may come from: `%` for anywhere, or an IPv4 address whose first or last part may be, or begin
/// or end with, the wildcard `%` (`10.0.0.%`, `10.%`).
pub fn check_host(manager: &str, host: &str) -> Result<(), Rejection> {
    // PostgreSQL has no hosts in its users: Trove keeps `%` there.
    let fits = match Family::of(manager)? {
        Family::Mysql => host == "%" || is_ipv4_pattern(host),
        Family::Postgresql => host == "%",
    };
    if fits {
        return Ok(());
    }
    Err(Rejection::invalid(format!(
        "Host '{}' is not valid: it must be '%' or an IPv4 address with '%' as a wildcard at either end.",
        shown(host)
    )))
}

/// A password in clear: 1 to 255 characters, one of them a letter or digit, and nothing that Trove's guest refuses.
/// The message never holds it.
pub fn check_password(manager: &str, password: &str) -> Result<(), Rejection> {
    let length = password.chars().count();
    if length == 0 || length > MAX_STRING || !password.chars().any(|c| c.is_ascii_alphanumeric()) {
        return Err(Rejection::invalid(format!(
            "Password is not valid: it must have 1 to {MAX_STRING} characters, at least one of them a letter or digit."
        )));
    }
    let refused = match Family::of(manager)? {
        Family::Mysql => has_refused_character(password),
        Family::Postgresql => password.chars().any(char::is_control),
    };
    if refused {
        return Err(Rejection::invalid(format!("Password is not valid: it must not {REFUSED}.")));
    }
    Ok(())
}

/// `^[A-Za-z0-9_-]+[\s?#@]*[A-Za-z0-9_-]+$`, where the only blank that Trove's guest lets through is the space.
fn check_mysql_database(name: &str) -> Result<(), Rejection> {
    at_most("Database name", name, name.chars().count(), MAX_MYSQL_DATABASE)?;
    check_text("Database name", name)?;
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let without_tail = name.trim_end_matches(is_word);
    let head = without_tail.trim_end_matches([' ', '?', '#', '@']);
    let fits = if without_tail.is_empty() {
        name.len() >= 2
    } else {
        without_tail.len() < name.len() && !head.is_empty() && head.chars().all(is_word)
    };
    if fits {
        return Ok(());
    }
    Err(Rejection::invalid(format!(
        "Database name '{}' is not valid: it must have at least 2 characters, be made of letters, digits, '_' and '-', \
         and may have one run of blanks, '?', '#' or '@' inside.",
        shown(name)
    )))
}

const REFUSED: &str = "begin or end with a blank or contain a control character or any of ' \" ; ` , / \\";

fn check_mysql_text(field: &str, text: &str) -> Result<(), Rejection> {
    if has_refused_character(text) {
        return Err(Rejection::invalid(format!("{field} '{}' is not valid: it must not {REFUSED}.", shown(text))));
    }
    Ok(())
}

fn has_refused_character(text: &str) -> bool {
    text.starts_with(char::is_whitespace)
        || text.ends_with(char::is_whitespace)
        || text.contains(|c: char| c.is_control() || "'\";`,/\\".contains(c))
}

fn check_postgresql(field: &str, name: &str) -> Result<(), Rejection> {
    at_most(field, name, name.len(), MAX_POSTGRESQL_NAME)?;
    check_text(field, name)?;
    no_control(field, name)?;
    if name.ends_with(char::is_whitespace) {
        return Err(Rejection::invalid(format!(
            "{field} '{}' is not valid: it must not end with a blank.",
            shown(name)
        )));
    }
    Ok(())
}

/// Character set and collation must be known, and belong together.
fn check_charset(manager: &str, database: &NewDatabase) -> Result<(), Rejection> {
    let charset = database.character_set.as_deref();
    let collate = database.collate.as_deref();
    if charset.is_none() && collate.is_none() {
        return Ok(());
    }
    match Family::of(manager)? {
        Family::Mysql => charsets::check(charset, collate),
        Family::Postgresql => {
            for text in [charset, collate].into_iter().flatten() {
                let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-.@".contains(c);
                at_most("Character set or collation", text, text.len(), MAX_POSTGRESQL_NAME)?;
                if text.is_empty() || !text.chars().all(is_plain) {
                    return Err(Rejection::invalid(format!(
                        "'{}' is not a valid character set or collation.",
                        shown(text)
                    )));
                }
            }
            Ok(())
        }
    }
}

/// Trove's `non_empty_string`: 1 to 255 characters, at least one of them an ASCII letter or digit.
fn check_text(field: &str, text: &str) -> Result<(), Rejection> {
    if text.is_empty() {
        return Err(Rejection::invalid(format!("{field} must not be empty.")));
    }
    at_most(field, text, text.chars().count(), MAX_STRING)?;
    if !text.chars().any(|c| c.is_ascii_alphanumeric()) {
        return Err(Rejection::invalid(format!(
            "{field} '{}' is not valid: it needs at least one letter or digit.",
            shown(text)
        )));
    }
    Ok(())
}

fn no_control(field: &str, text: &str) -> Result<(), Rejection> {
    if text.contains(char::is_control) {
        return Err(Rejection::invalid(format!("{field} must not contain a control character.")));
    }
    Ok(())
}

fn at_most(field: &str, text: &str, length: usize, maximum: usize) -> Result<(), Rejection> {
    if length > maximum {
        return Err(Rejection::invalid(format!(
            "{field} '{}' is too long: {length}, maximum is {maximum}.",
            shown(text)
        )));
    }
    Ok(())
}

/// Without regard to case: MySQL folds `INFORMATION_SCHEMA`, and nobody is served by a user `Root`.
fn not_reserved(field: &str, name: &str, reserved: &[&str]) -> Result<(), Rejection> {
    if reserved.iter().any(|word| word.eq_ignore_ascii_case(name)) {
        let list = reserved.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(", ");
        return Err(Rejection::invalid(format!("{field} \"{name}\" is on the reserved list: [{list}].")));
    }
    Ok(())
}

fn is_ipv4_pattern(host: &str) -> bool {
    let inner = host.strip_prefix('%').unwrap_or(host);
    let inner = inner.strip_suffix('%').unwrap_or(inner);
    if inner.contains('%') {
        return false;
    }
    let has_wildcard = inner.len() < host.len();
    let parts: Vec<&str> = host.split('.').collect();
    let is_part = |part: &&str| {
        let digits = part.trim_matches('%');
        let wildcard = digits.len() < part.len();
        (wildcard && digits.is_empty()) || (is_digits(digits) && digits.parse::<u8>().is_ok())
    };
    parts.iter().all(is_part) && (parts.len() == 4 || (has_wildcard && (2..4).contains(&parts.len())))
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The beginning of a text, safe for a message: as long as any valid name, control characters escaped.
fn shown(text: &str) -> String {
    const SHOWN: usize = 64;
    let mut start: String = text.chars().take(SHOWN).flat_map(escaped).collect();
    if text.chars().nth(SHOWN).is_some() {
        start.push('…');
    }
    start
}

fn escaped(c: char) -> impl Iterator<Item = char> {
    let plain = (!c.is_control()).then_some(c);
    let code = c.is_control().then(|| c.escape_default());
    plain.into_iter().chain(code.into_iter().flatten())
}

//! SQL text: every name and string that comes from outside is quoted here and nowhere else.
//!
//! The agent's sessions run with an empty `sql_mode`, so that a backslash escapes in strings.

use coffer_protocol::{
    command::{Database, User},
    secret::Secret,
};
use sha1::{Digest, Sha1};

/// Character set of a database for which none is asked.
const DEFAULT_CHARACTER_SET: &str = "utf8mb4";

/// A name as a quoted identifier.
pub(super) fn identifier(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// A text as a string literal.
pub(super) fn string(text: &str) -> String {
    format!("'{}'", text.replace('\\', r"\\").replace('\'', "''"))
}

/// An account: name and host pattern.
fn account(name: &str, host: &str) -> String {
    format!("{}@{}", string(name), string(host))
}

/// A database name where `GRANT` takes a pattern: its `_` and `%` stand for themselves.
fn exact_pattern(name: &str) -> String {
    identifier(&pattern_text(name))
}

/// What `mysql_native_password` stores: `*` and SHA1(SHA1(password)) in upper-case hex. The clear text is never sent
/// to the engine, whose logs and process list show statements.
pub(super) fn password_hash(password: &Secret) -> String {
    let twice = Sha1::digest(Sha1::digest(password.expose().as_bytes()));
    let hex: String = twice.iter().map(|byte| format!("{byte:02X}")).collect();
    format!("*{hex}")
}

pub(super) fn create_database(database: &Database) -> String {
    let name = identifier(&database.name);
    let mut statement = format!("CREATE DATABASE IF NOT EXISTS {name}");
    match (&database.character_set, &database.collate) {
        (Some(character_set), _) => statement += &format!(" CHARACTER SET {}", string(character_set)),
        // The collation names its character set.
        (None, Some(_)) => {}
        (None, None) => statement += &format!(" CHARACTER SET {}", string(DEFAULT_CHARACTER_SET)),
    }
    if let Some(collate) = &database.collate {
        statement += &format!(" COLLATE {}", string(collate));
    }
    statement
}

pub(super) fn drop_database(name: &str) -> String {
    format!("DROP DATABASE IF EXISTS {}", identifier(name))
}

/// The statements that make a user with this password and all rights on these databases.
pub(super) fn create_user(user: &User) -> Vec<String> {
    let account = account(&user.name, &user.host);
    let create =
        format!("CREATE OR REPLACE USER {account} IDENTIFIED BY PASSWORD {}", string(&password_hash(&user.password)));
    let grants = user.databases.iter().map(|database| grant(&user.name, &user.host, database));
    std::iter::once(create).chain(grants).collect()
}

pub(super) fn grant(name: &str, host: &str, database: &str) -> String {
    format!("GRANT ALL PRIVILEGES ON {}.* TO {}", exact_pattern(database), account(name, host))
}

/// Fails when nothing is granted on exactly this database.
pub(super) fn revoke(privileges: &str, name: &str, host: &str, database: &str) -> String {
    format!("REVOKE {privileges} ON {}.* FROM {}", exact_pattern(database), account(name, host))
}

/// The pattern of every grant to the user that this database matches, as text. The one that is exactly for it is
/// [`pattern_text`].
pub(super) fn grants_that_match(name: &str, host: &str, database: &str) -> String {
    let (name, host, database) = (string(name), string(host), string(database));
    format!("SELECT Db FROM mysql.db WHERE User = {name} AND Host = {host} AND {database} LIKE Db")
}

/// The database's own pattern, as the grant tables hold it.
pub(super) fn pattern_text(name: &str) -> String {
    name.replace('\\', r"\\").replace('_', r"\_").replace('%', r"\%")
}

pub(super) fn rename_user(from: (&str, &str), to: (&str, &str)) -> String {
    format!("RENAME USER {} TO {}", account(from.0, from.1), account(to.0, to.1))
}

pub(super) fn set_password(name: &str, host: &str, password: &Secret) -> String {
    format!("ALTER USER {} IDENTIFIED BY PASSWORD {}", account(name, host), string(&password_hash(password)))
}

pub(super) fn lock(name: &str, host: &str) -> String {
    format!("ALTER USER IF EXISTS {} ACCOUNT LOCK", account(name, host))
}

/// Ends every connection of a user, from wherever it came.
pub(super) fn kill(name: &str) -> String {
    format!("KILL USER {}", string(name))
}

pub(super) fn hosts_of(name: &str) -> String {
    format!("SELECT Host FROM mysql.global_priv WHERE User = {}", string(name))
}

pub(super) fn drop_user(name: &str, host: &str) -> String {
    format!("DROP USER IF EXISTS {}", account(name, host))
}

/// The statements that make a user with all rights and the right to hand them on.
pub(super) fn superuser(name: &str, host: &str, password: &Secret) -> Vec<String> {
    let account = account(name, host);
    vec![
        format!("CREATE OR REPLACE USER {account} IDENTIFIED BY PASSWORD {}", string(&password_hash(password))),
        format!("GRANT ALL PRIVILEGES ON *.* TO {account} WITH GRANT OPTION"),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_the_engines() {
        // SELECT PASSWORD('password') of MariaDB 10.11.
        assert_eq!(password_hash(&Secret::new("password")), "*2470C0C06DEE42FD1618BB99005ADCA2EC9D1E19");
    }

    #[test]
    fn names_and_strings_cannot_end_their_quotes() {
        assert_eq!(identifier("a`; DROP DATABASE `b"), "`a``; DROP DATABASE ``b`");
        assert_eq!(string(r"it's \' -- "), r"'it''s \\'' -- '");
        assert_eq!(account("o'neil", "10.0.%"), "'o''neil'@'10.0.%'");
    }

    #[test]
    fn a_grant_is_for_this_database_and_not_for_those_that_its_name_would_match() {
        assert_eq!(exact_pattern("my_app%"), r"`my\_app\%`");
        let user = User {
            name: "u".into(),
            host: "%".into(),
            password: Secret::new("password"),
            databases: vec!["a_b".into(), "c".into()],
        };
        assert_eq!(
            create_user(&user),
            [
                "CREATE OR REPLACE USER 'u'@'%' IDENTIFIED BY PASSWORD '*2470C0C06DEE42FD1618BB99005ADCA2EC9D1E19'",
                r"GRANT ALL PRIVILEGES ON `a\_b`.* TO 'u'@'%'",
                "GRANT ALL PRIVILEGES ON `c`.* TO 'u'@'%'",
            ]
        );
    }

    #[test]
    fn a_database_is_utf8_unless_told_otherwise() {
        let database = |character_set: Option<&str>, collate: Option<&str>| {
            create_database(&Database {
                name: "d".into(),
                character_set: character_set.map(Into::into),
                collate: collate.map(Into::into),
            })
        };
        assert_eq!(database(None, None), "CREATE DATABASE IF NOT EXISTS `d` CHARACTER SET 'utf8mb4'");
        assert_eq!(database(Some("latin1"), None), "CREATE DATABASE IF NOT EXISTS `d` CHARACTER SET 'latin1'");
        assert_eq!(database(None, Some("utf8_bin")), "CREATE DATABASE IF NOT EXISTS `d` COLLATE 'utf8_bin'");
        assert_eq!(
            database(Some("utf8"), Some("utf8_bin")),
            "CREATE DATABASE IF NOT EXISTS `d` CHARACTER SET 'utf8' COLLATE 'utf8_bin'"
        );
    }
}

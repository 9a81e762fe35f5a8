use super::*;
use crate::{command::Access, sealed::Sealed};

fn database(name: &str) -> NewDatabase {
    NewDatabase { name: name.into(), character_set: None, collate: None }
}

fn user(name: &str, host: &str, databases: &[&str]) -> NewUser {
    NewUser {
        name: name.into(),
        host: host.into(),
        password: Sealed { key_id: "k".into(), context: "c".into(), bytes: vec![1] },
        databases: databases.iter().map(|name| (*name).to_owned()).collect(),
    }
}

fn order(databases: Vec<NewDatabase>, users: Vec<NewUser>) -> Create {
    Create {
        name: "orders".into(),
        flavor: "1".into(),
        volume_gib: 1,
        volume_type: None,
        datastore_version: None,
        databases,
        users,
        access: Access::default(),
        region: None,
        configuration: None,
        server_key: None,
    }
}

/// Asserts that `check` takes all of `good` and refuses all of `bad`.
fn table(check: impl Fn(&str) -> Result<(), Rejection>, good: &[&str], bad: &[&str]) {
    for name in good {
        assert_eq!(check(name), Ok(()), "{name:?}");
    }
    for name in bad {
        let rejection = check(name).expect_err(name);
        assert_eq!(rejection.kind, RejectionKind::Invalid, "{name:?}: {rejection}");
    }
}

#[test]
fn instance_names() {
    let long = "x".repeat(255);
    let too_long = "x".repeat(256);
    table(check_instance_name, &["a", "orders db", "Zoë 1", "$$9", &long], &["", " ", "äö", "--", "a\nb", &too_long]);
}

#[test]
fn mysql_database_names() {
    let long = "d".repeat(64);
    let too_long = "d".repeat(65);
    table(
        |name| check_database_name("mysql", name),
        &["db", "Orders_2-x", "a b", "a?#@ b", "10", "--a", &long],
        &["", "a", "a b c", " ab", "ab ", "a.b", "a/b", "a`b", "a\tb", "dä", "a@", "__", &too_long],
    );
}

#[test]
fn postgresql_names() {
    let long = "d".repeat(63);
    let too_long = "d".repeat(64);
    table(|name| check_database_name("postgresql", name), &["d", "a.b", "ä1", &long], &["", "a ", "a\0", &too_long]);
    table(|name| check_user_name("postgresql", name), &["u", "root"], &["postgres", "os_admin", &too_long]);
}

#[test]
fn mysql_user_names() {
    let long = "u".repeat(32);
    let too_long = "u".repeat(33);
    table(
        |name| check_user_name("mariadb", name),
        &["u", "u.dot", "a@b", "o%", "Zoë", &long],
        &["", " u", "u ", "u'x", "u\"x", "u;x", "u`x", "u,x", "u/x", "u\\x", "u\nx", "@@", &too_long],
    );
}

#[test]
fn reserved_names_are_refused_in_any_case_and_listed() {
    table(|name| check_database_name("mysql", name), &["mysql2"], &["mysql", "sys", "Information_Schema"]);
    table(|name| check_user_name("mysql", name), &["admin"], &["root", "ROOT", "os_admin", "mariadb.sys", "public"]);
    table(|name| check_database_name("postgresql", name), &["mysql"], &["postgres", "template1"]);
    assert_eq!(
        check_database_name("mysql", "sys").unwrap_err().message,
        "Database name \"sys\" is on the reserved list: ['mysql', 'information_schema', 'performance_schema', 'sys']."
    );
}

#[test]
fn hosts() {
    table(
        |host| check_host("mysql", host),
        &["%", "10.0.0.1", "10.0.0.%", "10.0.0.1%", "10.%", "%.0.0.1", "%.1"],
        &[
            "",
            "localhost",
            "10",
            "10.0.0",
            "10.0.0.256",
            "10..0.1",
            "10.0.0.1.2",
            "%%",
            "1%0.0.0.1",
            "::1",
            "10.0.0.0/8",
        ],
    );
    table(|host| check_host("postgresql", host), &["%"], &["10.0.0.1", ""]);
}

#[test]
fn passwords_are_never_repeated() {
    let long = "p".repeat(255);
    let too_long = "p".repeat(256);
    let bad =
        ["", "…", " secret", "secret ", "sec'ret", "sec\"ret", "sec;ret", "sec`ret", "sec,ret", "sec/ret", "s\\t"];
    table(|password| check_password("mysql", password), &["s", "S3cret!=+$%", "a b", &long], &bad);
    for password in bad.into_iter().chain([too_long.as_str()]).filter(|password| password.len() > 1) {
        let message = check_password("mysql", password).unwrap_err().message;
        assert!(!message.contains(password), "{message}");
    }
}

#[test]
fn charsets_and_collations_must_exist_and_match() {
    let check = |charset: Option<&str>, collate: Option<&str>| {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        let database = NewDatabase { character_set: owned(charset), collate: owned(collate), ..database("db") };
        check_databases("mysql", &[database])
    };
    for (charset, collate) in [
        (None, None),
        (Some("utf8mb4"), None),
        (None, Some("utf8mb4_unicode_ci")),
        (Some("utf8"), Some("utf8_general_ci")),
        (Some("utf8"), Some("utf8mb3_bin")),
        (Some("latin1"), Some("latin1_swedish_ci")),
        (Some("binary"), Some("binary")),
    ] {
        assert_eq!(check(charset, collate), Ok(()), "{charset:?} {collate:?}");
    }
    for (charset, collate) in [
        (Some("klingon"), None),
        (Some(""), None),
        (Some("utf8mb4; DROP"), None),
        (None, Some("utf8mb4_klingon_ci")),
        (None, Some("utf8mb4")),
        (Some("latin1"), Some("utf8_general_ci")),
        (Some("utf8mb4"), Some("utf8_general_ci")),
        (Some("utf8"), Some("binary")),
    ] {
        assert_eq!(check(charset, collate).unwrap_err().kind, RejectionKind::Invalid, "{charset:?} {collate:?}");
    }
}

#[test]
fn nothing_occurs_twice() {
    assert!(check_databases("mysql", &[database("db1"), database("db2")]).is_ok());
    assert!(check_databases("mysql", &[database("db1"), database("db1")]).is_err());
    assert!(check_users("mysql", &[user("u", "%", &[]), user("u", "10.0.0.1", &[])]).is_ok());
    assert!(check_users("mysql", &[user("u", "%", &[]), user("u", "%", &[])]).is_err());
}

#[test]
fn an_orders_users_belong_to_its_databases() {
    check_create(&order(vec![database("db1")], vec![user("u", "%", &["db1"])]), "mysql").unwrap();
    let rejection = check_create(&order(vec![database("db1")], vec![user("u", "%", &["db2"])]), "mysql").unwrap_err();
    assert_eq!(rejection.message, "Database db2 listed for user u is not among the databases of the request.");
}

#[test]
fn an_order_is_bounded() {
    let databases = (0..=MAX_CONTENTS).map(|number| database(&format!("db{number}"))).collect();
    assert_eq!(check_create(&order(databases, vec![]), "mysql").unwrap_err().kind, RejectionKind::OverLimit);
}

#[test]
fn managers_without_databases_and_users_answer_so() {
    check_create(&order(vec![], vec![]), "redis").unwrap();
    let rejection = check_create(&order(vec![database("db1")], vec![]), "redis").unwrap_err();
    assert_eq!(rejection.kind, RejectionKind::WrongState);
    assert_eq!(rejection.message, "Operation not supported for datastore redis.");
}

#[test]
fn messages_stay_short_and_printable() {
    let message = check_instance_name(&"\u{7}".repeat(300)).unwrap_err().message;
    assert!(message.chars().count() < 500 && !message.contains('\u{7}'), "{message}");
}

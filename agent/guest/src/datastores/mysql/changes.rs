//! Changes of accounts that take more than statements in a row: what is there decides what is to be done, so that a
//! change done twice, or half done before, ends the same.

use coffer_protocol::{command::UserChange, report::Failure};

use super::{accounts, admin::Admin, sql};
use crate::failure;

/// Takes the user's grant on exactly this database. A wider grant, which somebody with root made, is not ours to take:
/// the user would lose other databases with it.
pub(super) async fn revoke(admin: &Admin, name: &str, host: &str, database: &str) -> Result<(), Failure> {
    let exact = sql::pattern_text(database);
    let patterns = || admin.texts(sql::grants_that_match(name, host, database));
    for privileges in ["ALL PRIVILEGES", "GRANT OPTION"] {
        if patterns().await?.contains(&exact) {
            admin.execute(vec![sql::revoke(privileges, name, host, database)]).await?;
        }
    }
    match patterns().await?.first() {
        None => Ok(()),
        Some(pattern) => Err(failure::invalid(format!(
            "user {name:?} at {host:?} has rights on {database:?} by a grant on {pattern:?}, which only root can take"
        ))),
    }
}

pub(super) async fn change_user(admin: &Admin, change: &UserChange) -> Result<(), Failure> {
    let (old, new) = ((change.name.as_str(), change.host.as_str()), change.account());
    if change.is_renaming() {
        let (is_old_there, is_new_there) = (admin.has_user(old.0, old.1).await?, admin.has_user(new.0, new.1).await?);
        match (is_old_there, is_new_there) {
            (true, false) => admin.execute(vec![sql::rename_user(old, new)]).await?,
            // An earlier attempt has come this far.
            (false, true) => {}
            (true, true) => {
                return Err(failure::already_exists(format!("user {:?} at {:?} exists already", new.0, new.1)));
            }
            (false, false) => return Err(failure::not_found(format!("there is no user {:?} at {:?}", old.0, old.1))),
        }
    }
    match &change.new_password {
        Some(password) => admin.execute(vec![sql::set_password(new.0, new.1, password)]).await,
        None => Ok(()),
    }
}

/// Drops every account of the superuser's name but the engine's own, which is locked as at each start, and ends what
/// is connected. Other accounts that somebody made as root stay: they are the tenant's.
pub(super) async fn disable_root(admin: &Admin) -> Result<(), Failure> {
    let hosts = admin.texts(sql::hosts_of(accounts::ROOT)).await?;
    let from_outside = hosts.iter().filter(|host| *host != accounts::ROOT_HOST);
    let mut statements: Vec<String> = from_outside.map(|host| sql::drop_user(accounts::ROOT, host)).collect();
    statements.push(sql::lock(accounts::ROOT, accounts::ROOT_HOST));
    statements.push(sql::kill(accounts::ROOT));
    admin.execute(statements).await
}

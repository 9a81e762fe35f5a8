//! The agent's own account in the engine, and the engine's superuser.

use std::{io, path::Path};

use coffer_protocol::secret::Secret;

use super::sql;
use crate::host::{files, random};

/// The agent's account; it can log in through the engine's socket only, as `localhost` is nothing else without name
/// resolution.
pub(super) const ADMIN: &str = "os_admin";
const ADMIN_HOST: &str = "localhost";
/// The engine's superuser.
pub(super) const ROOT: &str = "root";
/// Its account of the engine's own, behind the socket.
pub(super) const ROOT_HOST: &str = "localhost";

/// The agent's password: read from its file (0600), or made and stored there.
pub(super) fn admin_password(path: &Path) -> io::Result<Secret> {
    if let Some(stored) = files::read_if_there(path)? {
        let text = String::from_utf8(stored).map_err(io::Error::other)?;
        return Ok(Secret::new(text));
    }
    let text: String = random::bytes::<32>()?.iter().map(|byte| format!("{byte:02x}")).collect();
    let password = Secret::new(text);
    files::write_durably(path, password.expose().as_bytes())?;
    Ok(password)
}

/// What the engine executes at each start, before it takes connections: the agent's account is as it should be,
/// whatever a tenant with root did to it, and nobody logs in as the superuser without a password.
pub(super) fn init_statements(password: &Secret) -> String {
    let lock_superuser = sql::lock(ROOT, ROOT_HOST);
    let statements = sql::superuser(ADMIN, ADMIN_HOST, password).into_iter().chain([lock_superuser]);
    statements.map(|statement| statement + ";\n").collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_password_is_made_once_and_kept_private() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("mysql-admin");
        let first = admin_password(&path).unwrap();
        assert_eq!(admin_password(&path).unwrap(), first);
        assert_eq!(first.expose().len(), 64);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(!init_statements(&first).contains(first.expose()));
    }
}

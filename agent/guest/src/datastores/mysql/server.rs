//! How the engine is started, and found again.

use std::{
    ffi::{OsStr, OsString},
    path::Path,
    process::Command,
};

use super::Layout;
use crate::host::process;

/// Debian's path of the server.
pub(super) const PROGRAM: &str = "/usr/sbin/mariadbd";
/// Name of the socket in the data directory. The server goes there before it makes the socket, so that the length of
/// the directory's path does not count against the 107 bytes of a socket address.
pub(super) const SOCKET: &str = "mariadbd.sock";

/// The server's command line. Paths stand here and not in the option file, which has its own ideas of quoting.
pub(super) fn command(layout: &Layout) -> Command {
    let mut command = process::command(PROGRAM);
    command
        // Must be the first: no other option file is read.
        .arg(option("defaults-file", &layout.config))
        .arg(option("datadir", &layout.data))
        .arg(option("tmpdir", &layout.temporary))
        .arg(option("secure-file-priv", &layout.exchange))
        .arg(option("pid-file", &layout.pid_file))
        .arg(option("init-file", &layout.init_file))
        .arg(format!("--socket={SOCKET}"))
        .current_dir(&layout.home);
    command
}

/// Whether these are the arguments of a server (not of a bootstrap) on this data directory.
pub(super) fn serves(arguments: &[OsString], data: &Path) -> bool {
    works_on(arguments, data) && arguments.first().is_some_and(|program| program == PROGRAM)
}

/// Whether these are the arguments of any program that was told to work on this data directory.
pub(super) fn works_on(arguments: &[OsString], data: &Path) -> bool {
    arguments.contains(&option("datadir", data))
}

/// `--name=path`.
pub(super) fn option(name: &str, path: impl AsRef<OsStr>) -> OsString {
    let mut option = OsString::from(format!("--{name}="));
    option.push(path);
    option
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_is_known_by_program_and_data_directory() {
        let arguments = |line: &[&str]| line.iter().map(OsString::from).collect::<Vec<_>>();
        let data = Path::new("/v/mysql/data");
        assert!(serves(&arguments(&[PROGRAM, "--defaults-file=x", "--datadir=/v/mysql/data"]), data));
        assert!(!serves(&arguments(&[PROGRAM, "--datadir=/v/mysql/data.new"]), data));
        assert!(!serves(&arguments(&["/usr/bin/less", "--datadir=/v/mysql/data"]), data));
        assert!(works_on(&arguments(&["sh", "mariadb-install-db", "--datadir=/v/mysql/data"]), data));
    }
}

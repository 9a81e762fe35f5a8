//! What the host has to offer: programs, open files, the port.

use std::{
    env, io,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use rustix::process::{Resource, getrlimit};

use super::Patient;
use crate::{check::Finding, cli};

/// What guests find their programs by, and the Debian package of each program.
const GUEST_PATH: &str = coffer_local::supervisor::GUEST_PATH;
const PROGRAMS: [(&str, &str); 2] =
    [("mariadbd", "mariadb-server-core"), ("mariadb-install-db", "mariadb-server-core")];
/// What the built-in catalogue offers.
const MARIADB: &str = "10.11.";
/// Half of the open files are for connections; the store, the broker and the guests need the rest.
const LEAST_FILES: u64 = 4096;

pub fn examine(patient: &Patient) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (program, package) in PROGRAMS {
        if find(program).is_none() {
            let what = format!("{program} is not in {GUEST_PATH}: no database can be made");
            let mend = format!("apt-get install --no-install-recommends {package}");
            findings.push(Finding::new("host.program", what, mend));
        }
    }
    findings.extend(engine());
    let named = patient.config.as_ref().and_then(|config| config.provider.agent_program.clone());
    let beside = env::current_exe().map(|program| program.with_file_name("coffer-agent")).unwrap_or_default();
    let agent = named.unwrap_or(beside);
    if !agent.is_file() {
        let what = format!("the program of the agents, {}, is not there", agent.display());
        findings.push(Finding::new("host.agent_program", what, "install coffer-agent beside coffer"));
    }
    let files = getrlimit(Resource::Nofile).maximum;
    if let Some(files) = files.filter(|files| *files < LEAST_FILES) {
        let what = format!("this user may open {files} files at a time; {LEAST_FILES} is the least");
        findings.push(Finding::new(
            "host.files",
            what,
            format!("ulimit -Hn {LEAST_FILES}    # or LimitNOFILE= in the unit"),
        ));
    }
    findings.extend(port(patient));
    findings
}

fn find(program: &str) -> Option<PathBuf> {
    env::split_paths(GUEST_PATH).map(|directory| directory.join(program)).find(|path| path.is_file())
}

fn engine() -> Option<Finding> {
    let program = find("mariadbd")?;
    let asked = Command::new(&program).arg("--version").stdin(Stdio::null()).output();
    let version = asked.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default();
    if version.contains(MARIADB) {
        return None;
    }
    let what = format!("{} says it is {version:?}; the catalogue offers {MARIADB}x", program.display());
    Some(Finding::new("host.engine_version", what, "apt-get install --no-install-recommends mariadb-server-core"))
}

/// Whether a stopped Coffer could listen where it would.
fn port(patient: &Patient) -> Option<Finding> {
    if !Path::new(patient.state.path()).exists() || patient.state.lock_existing().ok()?.is_none() {
        return None;
    }
    let default: SocketAddr = cli::DEFAULT_LISTEN.parse().ok()?;
    let address = patient.config.as_ref().map_or(default, |config| config.rest.listen);
    match TcpListener::bind(address) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            let what = format!("somebody else listens on {address}");
            let mend =
                format!("ss --listening --tcp --processes 'sport = :{}'    # or --listen another", address.port());
            Some(Finding::new("host.port", what, mend))
        }
        Err(error) => {
            let what = format!("{address} cannot be listened on: {error}");
            Some(Finding::new("host.port", what, "name another address in rest.listen or --listen"))
        }
        Ok(_) => None,
    }
}

//! The running service: is it there, does it answer, does it reach its broker.

use std::{
    net::{TcpStream, ToSocketAddrs},
    path::Path,
    time::Duration,
};

use super::{Patient, http};
use crate::{
    check::Finding,
    local_api::{Request, Status, ask},
    state_dir::Endpoints,
};

const CONNECT_LIMIT: Duration = Duration::from_secs(3);

pub fn examine(patient: &Patient) -> Vec<Finding> {
    let state = &patient.state;
    let is_free = match state.lock_existing() {
        Ok(lock) => lock.is_some(),
        // Told with the state directory.
        Err(_) => return Vec::new(),
    };
    let published = state.published();
    let restart = start_words(patient);
    match (is_free, published) {
        (true, None) => Vec::new(),
        (true, Some(endpoints)) => {
            let what = format!("coffer (process {}) ended without stopping in order", endpoints.pid);
            vec![Finding::new("service.crashed", what, format!("{restart}    # and see the end of its log for why"))]
        }
        (false, None) => {
            let what = "coffer runs and has not said where: it is starting, stopping, or hangs";
            vec![Finding::new("service.starting", what, "look at its log, and again in a minute")]
        }
        (false, Some(endpoints)) => running(patient, &endpoints, &restart),
    }
}

fn running(patient: &Patient, endpoints: &Endpoints, restart: &str) -> Vec<Finding> {
    let pid = endpoints.pid;
    let again = format!("kill {pid}; {restart}");
    let mut findings = Vec::new();
    if !Path::new("/proc").join(pid.to_string()).exists() {
        let what = format!("endpoints.json names process {pid}, which is gone, and another process holds the lock");
        findings.push(Finding::new("service.lock", what, format!("fuser {}/lock", patient.state.path().display())));
        return findings;
    }
    match ask::<Status>(patient.state.path(), &Request::Status) {
        Ok(status) if !status.is_ready => {
            let what = format!("coffer (process {pid}) is not ready to take commands");
            findings.push(Finding::new("service.not_ready", what, "look at its log, and again in a minute"));
        }
        Ok(_) => {}
        Err(error) => findings.push(Finding::new("service.local_api", error.to_string(), again.clone())),
    }
    for probe in ["/healthz", "/readyz"] {
        if let Err(reason) = http::get(&endpoints.api, probe) {
            let what = format!("{}{probe}: {reason}", endpoints.api);
            findings.push(Finding::new("service.api", what, again.clone()));
        }
    }
    let servers: Vec<&str> = endpoints.kafka.split(',').filter(|server| !server.is_empty()).collect();
    if !servers.iter().any(|server| is_reachable(server)) {
        let what =
            format!("the broker does not answer on {}: agents can be neither commanded nor heard", endpoints.kafka);
        findings.push(Finding::new(
            "service.broker",
            what,
            "start the broker; if it is the embedded one: ".to_owned() + &again,
        ));
    }
    findings
}

fn start_words(patient: &Patient) -> String {
    match &patient.config {
        Some(_) => "systemctl restart coffer".into(),
        None => format!("coffer dev {}", patient.state.words()),
    }
}

/// Whether somebody listens there.
fn is_reachable(server: &str) -> bool {
    let Ok(addresses) = server.to_socket_addrs() else { return false };
    addresses.into_iter().any(|address| TcpStream::connect_timeout(&address, CONNECT_LIMIT).is_ok())
}

//! Keystone, where tokens are its: whether Coffer can log in there, and may ask what it has to ask.

use coffer_openstack::keystone::{Config, Keystone};
use coffer_ports::{Error, ErrorKind};
use tokio::runtime::Builder;

use super::Patient;
use crate::check::{Finding, Severity};

pub fn examine(patient: &Patient) -> Vec<Finding> {
    let keystone = patient.config.as_ref().and_then(|config| config.identity.keystone.as_ref());
    keystone.map(look).unwrap_or_default()
}

fn look(config: &Config) -> Vec<Finding> {
    let mut findings = Vec::new();
    let warning =
        |code, what: String, mend: &str| Finding { severity: Severity::Warning, ..Finding::new(code, what, mend) };
    if config.is_in_the_clear() {
        let what = format!("Coffer's password and all tokens travel to {} in the clear", config.auth_url);
        findings.push(warning("identity.in_the_clear", what, "give Keystone a certificate, and name it with https://"));
    }
    match probe(config) {
        Ok((_, true)) => {}
        Ok((user, false)) => {
            let what = format!(
                "Coffer's user has neither the role service nor admin in its project at {}: Keystone's own policy lets \
                 it ask about no token but its own",
                config.auth_url
            );
            let mend = format!("openstack role add --user {} --project {} service", user.user_id, user.project_id);
            findings.push(warning("identity.role", what, &mend));
        }
        Err(error) => findings.push(Finding::new("identity.keystone", error.to_string(), mend(config, &error))),
    }
    findings
}

fn probe(config: &Config) -> Result<(coffer_ports::identity::Principal, bool), Error> {
    let runtime = Builder::new_current_thread().enable_all().build().map_err(|error| {
        Error::new(ErrorKind::Internal, "keystone.runtime", format!("nothing can be asked: {error}"))
    })?;
    runtime.block_on(Keystone::open(config.clone(), runtime.handle().clone())?.probe())
}

fn mend(config: &Config, error: &Error) -> String {
    match (&*error.code, config.secret_file()) {
        ("keystone.secret_file", Some(file)) => {
            format!("put Coffer's secret for Keystone into {0}; chmod 0600 {0}", file.display())
        }
        ("keystone.login", Some(file)) => format!(
            "correct the table [identity.keystone], or put the secret that Keystone knows into {}: it is read at the next \
             login",
            file.display()
        ),
        ("keystone.ca_file", _) => "put the authority's certificate, as PEM, into the ca_file".into(),
        _ => format!("curl {}    # and start Keystone, or correct identity.keystone.auth_url", config.auth_url),
    }
}

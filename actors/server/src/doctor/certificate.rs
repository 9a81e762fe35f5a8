//! The certificate that the API shows: whether it fits its key, and when it ends.
//!
//! The files are looked at where the configuration names them, else what the running service shows.

use std::{
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use coffer_rest::tls::{Certificates, TlsError, ends_at};
use jiff::Timestamp;

use super::{Patient, http};
use crate::check::{Finding, Severity};

/// So long before its end a certificate is told of: time to order another one where people sign them.
const SOON: Duration = Duration::from_hours(30 * 24);
const RENEW: &str =
    "have another one signed, and put it and its key in place of the old ones: coffer reads them again within seconds";

pub fn examine(patient: &Patient) -> Vec<Finding> {
    let rest = patient.config.as_ref().map(|config| &config.rest);
    let files = rest.and_then(|rest| Some((rest.tls_certificate_file.as_ref()?, rest.tls_key_file.as_ref()?)));
    let found = match (files, patient.state.published()) {
        (Some((certificate, key)), _) => pair(certificate, key),
        (None, Some(endpoints)) if endpoints.api.starts_with("https://") => shown(&endpoints.api),
        (None, _) => None,
    };
    found.into_iter().collect()
}

fn pair(certificate: &Path, key: &Path) -> Option<Finding> {
    match Certificates::open(certificate, key) {
        Err(error) => Some(Finding::new("tls.pair", error.to_string(), mend(&error))),
        Ok(pair) => judge(&format!("the certificate in {}", certificate.display()), pair.ends_at(), now()),
    }
}

/// What a service that does not answer shows is not looked for: that it does not is told elsewhere.
fn shown(api: &str) -> Option<Finding> {
    let chain = http::shown_chain(api).ok()?;
    judge(&format!("the certificate of {api}"), ends_at(&chain), now())
}

/// Why a pair cannot be used, as what to do about it.
fn mend(error: &TlsError) -> String {
    match error {
        TlsError::Open(key, _) => format!("chmod o-rwx {}", key.display()),
        TlsError::Pair(certificate, key, _) => format!(
            "put the key there that the certificate was made for: openssl x509 -noout -pubkey -in {} and \
             openssl pkey -pubout -in {} say the same then",
            certificate.display(),
            key.display()
        ),
        TlsError::File(..) | TlsError::Pem(..) | TlsError::Empty(_) | TlsError::Rustls(_) => {
            "put a PEM file there that the user of coffer may read: the certificate, then its chain; its key".into()
        }
    }
}

/// Seconds since 1970.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

fn judge(what: &str, ends_at: Result<u64, rustls::Error>, now: u64) -> Option<Finding> {
    let end = match ends_at {
        Ok(end) => end,
        Err(error) => {
            let what = format!("{what} does not say until when it counts: {error}");
            return Some(Finding::new("tls.unreadable", what, RENEW));
        }
    };
    let date = i64::try_from(end).ok().and_then(|end| Timestamp::from_second(end).ok()).unwrap_or(Timestamp::MAX);
    let date = date.strftime("%Y-%m-%d %H:%M UTC");
    if end <= now {
        let what = format!("{what}, or of its chain, has ended on {date}: no client takes it");
        return Some(Finding::new("tls.ended", what, RENEW));
    }
    let left = Duration::from_secs(end - now);
    (left < SOON).then(|| {
        let what = format!("{what}, or of its chain, ends on {date}, in {} days", left.as_secs() / 86_400);
        Finding { severity: Severity::Warning, ..Finding::new("tls.ends_soon", what, RENEW) }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 86_400;

    #[test]
    fn an_end_is_a_warning_for_thirty_days_and_a_fault_from_then_on() {
        let found = |now| judge("it", Ok(100 * DAY), now).map(|found| (found.code, found.severity));
        assert_eq!(found(70 * DAY), None);
        assert_eq!(found(70 * DAY + 1), Some(("tls.ends_soon".into(), Severity::Warning)));
        assert_eq!(found(100 * DAY - 1), Some(("tls.ends_soon".into(), Severity::Warning)));
        assert_eq!(found(100 * DAY), Some(("tls.ended".into(), Severity::Fault)));
        let words = judge("it", Ok(100 * DAY), 97 * DAY).unwrap().what;
        assert!(words.ends_with("ends on 1970-04-11 00:00 UTC, in 3 days"), "{words}");
    }

    #[test]
    fn what_cannot_be_read_is_a_fault() {
        let error = rustls::Error::InvalidCertificate(rustls::CertificateError::BadEncoding);
        assert_eq!(judge("it", Err(error), 0).unwrap().severity, Severity::Fault);
    }
}

//! HTTP to Keystone: one question, a bounded answer, and another try where the first one did not arrive.

use std::{
    fs, io,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use coffer_ports::{Error, ErrorKind, Result};
use reqwest::{RequestBuilder, Response, StatusCode, header, redirect::Policy};
use rustls::{ClientConfig, RootCertStore, crypto::ring, pki_types::CertificateDer, pki_types::pem::PemObject};

use super::config::Config;

/// How often a question is asked at most, when Keystone cannot be reached or answers with a fault of its own.
const ATTEMPTS: u32 = 3;
/// The pause before the second try; twice that before the third, and up to half of it more.
const PAUSE: Duration = Duration::from_millis(100);
/// After Keystone could not be reached nobody else tries for so long: a crowd that waits for it, one after the other,
/// would have no answer in time.
const REST: Duration = Duration::from_secs(1);
/// Bytes of an answer at most. A token with all its roles, and no catalogue, has some thousand.
const ANSWER_LIMIT: usize = 256 * 1024;
/// Connections that wait for their next question.
const IDLE_CONNECTIONS: usize = 8;

pub(super) struct Client {
    http: reqwest::Client,
    timeout: Duration,
    /// Until when nobody tries, and why.
    rest: Mutex<Option<(Instant, Error)>>,
}

/// What Keystone said.
pub(super) struct Answer {
    pub status: StatusCode,
    /// The token that it issued.
    pub subject_token: Option<String>,
    pub body: Vec<u8>,
}

impl Client {
    /// Errors: `Invalid` when the authorities cannot be read.
    pub(super) fn new(config: &Config) -> Result<Self> {
        let roots = roots(config).map_err(|error| {
            Error::new(ErrorKind::Invalid, "keystone.ca_file", "Keystone's authorities cannot be read")
                .with_detail(error.to_string())
        })?;
        let internal = |error: &dyn std::error::Error| {
            Error::new(ErrorKind::Internal, "keystone.client", "no client can be made").with_detail(error.to_string())
        };
        let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| internal(&error))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            // Somewhere else nobody may see our tokens, nor those of others.
            .redirect(Policy::none())
            .no_proxy()
            .connect_timeout(config.timeout())
            .timeout(config.timeout())
            .pool_max_idle_per_host(IDLE_CONNECTIONS)
            .user_agent(concat!("coffer/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| internal(&error))?;
        Ok(Self { http, timeout: config.timeout(), rest: Mutex::default() })
    }

    /// Asks a question, which may be asked twice. Statuses below 500 are answers.
    ///
    /// Errors: `Unavailable`, `Timeout` and `Throttled`, when there is none.
    pub(super) async fn ask(&self, question: impl Fn(&reqwest::Client) -> RequestBuilder) -> Result<Answer> {
        self.is_resting()?;
        let mut attempt = 1;
        loop {
            let failed = match self.ask_once(question(&self.http)).await {
                Ok(answer) => return Ok(answer),
                Err(failed) => failed,
            };
            if failed.may_be_repeated && attempt < ATTEMPTS {
                tokio::time::sleep(pause(attempt)).await;
                attempt += 1;
                continue;
            }
            if failed.is_absence {
                *self.rest.lock().unwrap_or_else(PoisonError::into_inner) =
                    Some((Instant::now() + REST, failed.error.clone()));
            }
            return Err(failed.error);
        }
    }

    fn is_resting(&self) -> Result<()> {
        match &*self.rest.lock().unwrap_or_else(PoisonError::into_inner) {
            Some((until, error)) if Instant::now() < *until => Err(error.clone()),
            _ => Ok(()),
        }
    }

    async fn ask_once(&self, question: RequestBuilder) -> Result<Answer, Failed> {
        let response = question.send().await.map_err(|error| self.not_arrived(&error))?;
        let status = response.status();
        if status == StatusCode::TOO_MANY_REQUESTS {
            let retry_after = response.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok());
            let retry_after = retry_after.and_then(|text| text.parse().ok()).map(Duration::from_secs);
            let error = Error::new(ErrorKind::Throttled, "keystone.throttled", "Keystone asks to slow down");
            return Err(Failed { error: Error { retry_after, ..error }, may_be_repeated: false, is_absence: false });
        }
        if status.is_server_error() {
            let error = unavailable("keystone.fault", format!("it answers {status}"));
            return Err(Failed { error, may_be_repeated: true, is_absence: false });
        }
        let subject_token = response.headers().get("X-Subject-Token").and_then(|value| value.to_str().ok());
        let subject_token = subject_token.map(str::to_owned);
        let body = self.read(response).await?;
        Ok(Answer { status, subject_token, body })
    }

    async fn read(&self, mut response: Response) -> Result<Vec<u8>, Failed> {
        let mut body = Vec::new();
        while let Some(part) = response.chunk().await.map_err(|error| self.not_arrived(&error))? {
            if body.len() + part.len() > ANSWER_LIMIT {
                let error = unavailable("keystone.long_answer", format!("it is longer than {ANSWER_LIMIT} bytes"));
                return Err(Failed { error, may_be_repeated: false, is_absence: false });
            }
            body.extend_from_slice(&part);
        }
        Ok(body)
    }

    fn not_arrived(&self, error: &reqwest::Error) -> Failed {
        // Whoever waited for so long already does not wait again.
        if error.is_timeout() {
            let error = Error::new(ErrorKind::Timeout, "keystone.timeout", "Keystone does not answer in time")
                .with_detail(format!("nothing came within {:?}", self.timeout));
            return Failed { error, may_be_repeated: false, is_absence: true };
        }
        let error = unavailable("keystone.away", causes(error));
        Failed { error, may_be_repeated: true, is_absence: true }
    }
}

struct Failed {
    error: Error,
    may_be_repeated: bool,
    /// It says something about Keystone, and not about this question.
    is_absence: bool,
}

/// An answer that says nothing, or none.
pub(super) fn unavailable(code: &'static str, detail: impl Into<String>) -> Error {
    Error::new(ErrorKind::Unavailable, code, "Keystone cannot be asked").with_detail(detail)
}

/// An error with what caused it. The address is left out: it is in the configuration.
fn causes(error: &reqwest::Error) -> String {
    let mut words = Vec::new();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        words.push(error.to_string());
        cause = error.source();
    }
    if words.is_empty() { "the connection broke".into() } else { words.join(": ") }
}

fn pause(attempt: u32) -> Duration {
    let pause = PAUSE * attempt;
    let mut random = [0];
    // Without randomness all come back at once, which is no reason to fail.
    let _ = getrandom::fill(&mut random);
    pause + pause / 2 * u32::from(random[0]) / 255
}

/// Who may vouch for Keystone.
fn roots(config: &Config) -> io::Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    if let Some(file) = &config.ca_file {
        let named = |error: String| io::Error::other(format!("{}: {error}", file.display()));
        let text = fs::read(file).map_err(|error| named(error.to_string()))?;
        for certificate in CertificateDer::pem_slice_iter(&text) {
            let certificate = certificate.map_err(|error| named(error.to_string()))?;
            roots.add(certificate).map_err(|error| named(error.to_string()))?;
        }
        if roots.is_empty() {
            return Err(named("it holds no certificate".into()));
        }
        return Ok(roots);
    }
    if config.auth_url.starts_with("https://") {
        let found = rustls_native_certs::load_native_certs();
        roots.add_parsable_certificates(found.certs);
        if roots.is_empty() {
            return Err(io::Error::other("this host has none: install ca-certificates, or name a ca_file"));
        }
    }
    Ok(roots)
}

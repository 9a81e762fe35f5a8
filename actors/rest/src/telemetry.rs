//! What happens at the API and is worth telling: one type each, that counts and logs together. Lines stand within the
//! request's span (`observe`), which names its id and method.

use std::time::Duration;

use actix_web::http::StatusCode;
use coffer_ports::telemetry::{Described, Happening, Meter, Throttles};
use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, IntGauge, Opts, Registry};
use uuid::Uuid;

/// Seconds; from a read of the local store up to a command that waits for the guest.
const BUCKETS: [f64; 11] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0];

const DURATIONS: Described = Described::histogram(
    "coffer_rest_request_duration_seconds",
    &["method", "route", "status"],
    "Time from a request's head to its answer, by method, route pattern and status.",
);

const TENANTS_COUNTED: Described = Described::gauge(
    "coffer_rest_tenants_counted",
    &[],
    "Tenants whose requests are counted for `[rest.requests_per_minute]`; 10,000 at most, beyond which others are let through.",
);

const IDENTITY_UNAVAILABLE: Described = Described::counter(
    "coffer_rest_identity_unavailable_total",
    &["code"],
    "Requests that were answered with 503, since nobody could say whose their token is, by the identity service's code.",
);

const REPEATED: Described = Described::counter(
    "coffer_rest_repeated_requests_total",
    &["result"],
    "Requests whose Idempotency-Key had an answer already: `answered` with it, or `refused`, as it was another request's, or the first one had failed in the guest.",
);

/// The names of all happenings.
pub const HAPPENINGS: &[&str] =
    &[RequestAnswered::NAME, RequestFailed::NAME, ProbeAnswered::NAME, IdentityUnavailable::NAME];

/// Every metric of this component.
pub fn described() -> Vec<Described> {
    vec![DURATIONS, TENANTS_COUNTED, IDENTITY_UNAVAILABLE, REPEATED]
}

pub(crate) struct Metrics {
    durations: HistogramVec,
    pub tenants_counted: IntGauge,
    identity_unavailable: IntCounterVec,
    repeated: IntCounterVec,
    throttles: Throttles,
}

impl Metrics {
    pub fn register(registry: &Registry) -> prometheus::Result<Self> {
        let options = HistogramOpts::new(DURATIONS.name, DURATIONS.help).buckets(BUCKETS.to_vec());
        let durations = HistogramVec::new(options, DURATIONS.labels)?;
        registry.register(Box::new(durations.clone()))?;
        let tenants_counted = IntGauge::new(TENANTS_COUNTED.name, TENANTS_COUNTED.help)?;
        registry.register(Box::new(tenants_counted.clone()))?;
        let options = Opts::new(IDENTITY_UNAVAILABLE.name, IDENTITY_UNAVAILABLE.help);
        let identity_unavailable = IntCounterVec::new(options, IDENTITY_UNAVAILABLE.labels)?;
        registry.register(Box::new(identity_unavailable.clone()))?;
        let repeated = IntCounterVec::new(Opts::new(REPEATED.name, REPEATED.help), REPEATED.labels)?;
        registry.register(Box::new(repeated.clone()))?;
        let throttles = Throttles::new(HAPPENINGS);
        Ok(Self { durations, tenants_counted, identity_unavailable, repeated, throttles })
    }

    pub fn repeated(&self, is_answered: bool) {
        self.repeated.with_label_values(&[if is_answered { "answered" } else { "refused" }]).inc();
    }
}

impl Meter for Metrics {
    fn throttles(&self) -> &Throttles {
        &self.throttles
    }
}

/// What every answer is counted by, and what its line says.
#[derive(Clone, Copy)]
pub(crate) struct Answer<'a> {
    pub method: &'static str,
    pub route: &'a str,
    pub tenant: Option<&'a str>,
    pub instance: Option<Uuid>,
    pub status: StatusCode,
    pub elapsed: Duration,
}

impl Answer<'_> {
    fn count(&self, metrics: &Metrics) {
        let labels = [self.method, self.route, self.status.as_str()];
        metrics.durations.with_label_values(&labels).observe(self.elapsed.as_secs_f64());
    }
}

/// Writes the line of an answer, with what is said besides.
macro_rules! line {
    ($level:ident, $name:expr, $answer:expr, $suppressed:expr, $($words:tt)+) => {
        tracing::$level!(
            happening = $name,
            route = $answer.route,
            tenant = $answer.tenant,
            instance = $answer.instance.map(tracing::field::display),
            status = $answer.status.as_u16(),
            elapsed_ms = $answer.elapsed.as_micros() as f64 / 1000.0,
            suppressed = $suppressed,
            $($words)+
        )
    };
}

/// A request of a client has its answer.
pub(crate) struct RequestAnswered<'a>(pub Answer<'a>);

impl Happening<Metrics> for RequestAnswered<'_> {
    const NAME: &'static str = "request_answered";

    fn count(&self, metrics: &Metrics) {
        self.0.count(metrics);
    }

    fn log(&self, suppressed: u64) {
        line!(info, Self::NAME, self.0, suppressed, "answered");
    }
}

/// A request was answered with a fault of ours, or of what is behind us.
pub(crate) struct RequestFailed<'a> {
    pub answer: Answer<'a>,
    pub error: &'a actix_web::Error,
}

impl Happening<Metrics> for RequestFailed<'_> {
    const NAME: &'static str = "request_failed";

    fn count(&self, metrics: &Metrics) {
        self.answer.count(metrics);
    }

    fn log(&self, suppressed: u64) {
        line!(error, Self::NAME, self.answer, suppressed, "answered: {}", self.error);
    }
}

/// A machine that watches has its answer; it asks every few seconds.
pub(crate) struct ProbeAnswered<'a>(pub Answer<'a>);

impl Happening<Metrics> for ProbeAnswered<'_> {
    const NAME: &'static str = "probe_answered";

    fn count(&self, metrics: &Metrics) {
        self.0.count(metrics);
    }

    fn log(&self, suppressed: u64) {
        line!(debug, Self::NAME, self.0, suppressed, "answered");
    }
}

/// Nobody could say whose a token is.
pub(crate) struct IdentityUnavailable<'a> {
    /// The identity service's own, or `timeout`.
    pub code: &'a str,
    pub reason: &'a str,
}

impl Happening<Metrics> for IdentityUnavailable<'_> {
    const NAME: &'static str = "identity_unavailable";

    fn count(&self, metrics: &Metrics) {
        metrics.identity_unavailable.with_label_values(&[self.code]).inc();
    }

    fn log(&self, suppressed: u64) {
        let Self { code, reason } = self;
        tracing::warn!(happening = Self::NAME, code, suppressed, "a token could not be validated: {reason}");
    }
}

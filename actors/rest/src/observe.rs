//! Around every request: its id, one span for all that is logged meanwhile, one line and one observation at its end.
//!
//! Neither bodies nor headers are ever logged, nor anything of the path but the route's pattern, the caller's tenant
//! and an instance's id.

use std::time::Instant;

use actix_web::{
    HttpMessage,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    http::{Method, StatusCode, header::HeaderValue},
    middleware::Next,
    web,
};
use prometheus::{HistogramOpts, HistogramVec, Registry};
use tracing::{Instrument, Span, field};

use crate::{
    Shim,
    caller::Caller,
    request_id::{self, RequestId, uuid_of},
};

/// Seconds; from a read of the local store up to a command that waits for the guest.
const BUCKETS: [f64; 11] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0];

/// Label of all paths that are no route, so that strangers cannot grow the metric.
const UNMATCHED: &str = "unmatched";

pub(crate) struct Metrics {
    durations: HistogramVec,
}

impl Metrics {
    pub fn register(registry: &Registry) -> prometheus::Result<Self> {
        let options = HistogramOpts::new(
            "coffer_rest_request_duration_seconds",
            "Time from a request's head to its answer, by method, route pattern and status.",
        );
        let durations = HistogramVec::new(options.buckets(BUCKETS.to_vec()), &["method", "route", "status"])?;
        registry.register(Box::new(durations.clone()))?;
        Ok(Self { durations })
    }
}

/// The outermost middleware.
pub(crate) async fn observe(
    shim: web::Data<Shim>,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    let started = Instant::now();
    let method = method_label(request.method());
    let request_id = RequestId::of(request.headers());
    let header = HeaderValue::from_str(&request_id.0);
    let span = tracing::info_span!(
        "request",
        request_id = %request_id.0,
        method,
        route = field::Empty,
        tenant = field::Empty,
        instance = field::Empty,
        status = field::Empty,
        elapsed_ms = field::Empty,
    );
    request.extensions_mut().insert(request_id);

    let mut response = next.call(request).instrument(span.clone()).await?;

    if let Ok(value) = header {
        response.headers_mut().insert(request_id::HEADER, value);
    }
    let route = response.request().match_pattern().unwrap_or_else(|| UNMATCHED.into());
    let elapsed = started.elapsed();
    let status = response.status();
    shim.metrics.durations.with_label_values(&[method, &route, status.as_str()]).observe(elapsed.as_secs_f64());
    span.record("route", route.as_str());
    span.record("status", status.as_u16());
    span.record("elapsed_ms", elapsed.as_micros() as f64 / 1000.0);
    record_subject(&span, &response);
    span.in_scope(|| log_end(&response, &route));
    Ok(response)
}

fn record_subject<B>(span: &Span, response: &ServiceResponse<B>) {
    let request = response.request();
    if let Some(caller) = request.extensions().get::<Caller>() {
        span.record("tenant", caller.tenant().0.as_str());
    }
    if let Some(instance) = request.match_info().get("instance").and_then(uuid_of) {
        span.record("instance", field::display(instance));
    }
}

fn log_end<B>(response: &ServiceResponse<B>, route: &str) {
    let status = response.status();
    let is_failure = status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED;
    match response.response().error() {
        Some(error) if is_failure => tracing::error!("answered: {error}"),
        _ if is_probe(route) => tracing::debug!("answered"),
        _ => tracing::info!("answered"),
    }
}

/// Asked every few seconds by machines.
fn is_probe(route: &str) -> bool {
    matches!(route, "/metrics" | "/healthz" | "/readyz" | "/healthcheck")
}

fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        _ => "other",
    }
}

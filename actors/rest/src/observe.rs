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
use coffer_ports::telemetry::Happening;
use tracing::Instrument;

use crate::{
    Shim,
    caller::Caller,
    request_id::{self, RequestId, uuid_of},
    telemetry::{Answer, Metrics, ProbeAnswered, RequestAnswered, RequestFailed},
};

/// Label of all paths that are no route, so that strangers cannot grow the metric.
const UNMATCHED: &str = "unmatched";

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
    let span = tracing::info_span!("request", request_id = %request_id.0, method);
    request.extensions_mut().insert(request_id);

    let mut response = next.call(request).instrument(span.clone()).await?;

    if let Ok(value) = header {
        response.headers_mut().insert(request_id::HEADER, value);
    }
    let request = response.request();
    let route = request.match_pattern().unwrap_or_else(|| UNMATCHED.into());
    let caller = request.extensions().get::<Caller>().cloned();
    let answer = Answer {
        method,
        route: &route,
        tenant: caller.as_ref().map(|caller| caller.tenant().0.as_str()),
        instance: request.match_info().get("instance").and_then(uuid_of),
        status: response.status(),
        elapsed: started.elapsed(),
    };
    span.in_scope(|| tell(&shim.metrics, answer, response.response().error()));
    Ok(response)
}

fn tell(metrics: &Metrics, answer: Answer<'_>, error: Option<&actix_web::Error>) {
    let is_failure = answer.status.is_server_error() && answer.status != StatusCode::NOT_IMPLEMENTED;
    match error {
        Some(error) if is_failure => RequestFailed { answer, error }.emit(metrics),
        _ if is_probe(answer.route) => ProbeAnswered(answer).emit(metrics),
        _ => RequestAnswered(answer).emit(metrics),
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

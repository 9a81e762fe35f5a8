//! For machines that watch: is the process up, can it serve, how does it fare. No token wanted.

use actix_web::{HttpRequest, HttpResponse, body::MessageBody, http::StatusCode, web::Data};
use prometheus::TextEncoder;

use crate::{
    Shim,
    error::{Error, Result},
};

/// Content type of Prometheus' text format.
const TEXT_FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Trove's own health check.
pub(crate) async fn healthcheck() -> HttpResponse {
    text(StatusCode::OK, "OK")
}

/// Answers as long as the process does.
pub(crate) async fn healthz() -> HttpResponse {
    text(StatusCode::OK, "OK")
}

/// 503 with the reason while commands cannot be taken or reads are not current.
pub(crate) async fn readyz(shim: Data<Shim>) -> HttpResponse {
    match shim.control.readiness() {
        Ok(()) => text(StatusCode::OK, "OK"),
        Err(reason) => text(StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {reason}")),
    }
}

fn text(status: StatusCode, body: impl MessageBody + 'static) -> HttpResponse {
    HttpResponse::build(status).content_type("text/plain; charset=UTF-8").body(body)
}

/// For this host, unless the operator says otherwise: the metrics name tenants and instances.
pub(crate) async fn metrics(shim: Data<Shim>, request: HttpRequest) -> Result<HttpResponse> {
    let is_local = request.peer_addr().is_some_and(|peer| peer.ip().to_canonical().is_loopback());
    if !is_local && !shim.config.metrics_for_other_hosts {
        return Err(Error::no_route());
    }
    let body = TextEncoder::new()
        .encode_to_string(&shim.registry.gather())
        .map_err(|error| Error::internal(format!("The metrics cannot be written out: {error}.")))?;
    Ok(HttpResponse::Ok().content_type(TEXT_FORMAT).body(body))
}

//! The token of a request, and whether it may enter the tenant that its path names.
//!
//! The order is Trove's pipeline: no valid token, 401, whatever the path; another tenant's path, 403, for admins too;
//! too many requests, 413; only then is there an answer that was given before, a route, or none.

use std::time::Instant;

use actix_web::{
    HttpMessage,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    http::header::HeaderName,
    middleware::Next,
    web,
};
use coffer_domain::ids::TenantId;
use coffer_ports::{
    ErrorKind,
    identity::{IssuedToken, NO_PROJECT},
    telemetry::Happening,
};
use tokio::time::timeout;

use crate::{
    Shim,
    caller::{Authenticated, Caller},
    error::{Error, Result, wants_html},
    idempotency,
    links::{Base, Links},
    request_id::RequestId,
    telemetry::IdentityUnavailable,
};

const TOKEN: HeaderName = HeaderName::from_static("x-auth-token");

/// The middleware of everything below `/v1.0/{tenant}`.
pub(crate) async fn authenticate(
    shim: web::Data<Shim>,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse, actix_web::Error> {
    match admit(&shim, &request).await {
        Ok(caller) => {
            let is_mgmt = request.match_info().unprocessed().starts_with("/mgmt/");
            let admitted = shim.limiter.admit(&caller.links.tenant, request.method(), is_mgmt, Instant::now());
            // Operators are shown what all tenants have; the catalogue is nobody's.
            let fresh = match request.match_info().unprocessed() {
                _ if admitted.is_err() => Ok(()),
                path if path.starts_with("/flavors") || path.starts_with("/datastores") => Ok(()),
                _ => shim.control.fresh((!is_mgmt).then_some(&caller.links.tenant)).await,
            };
            match admitted.map_err(Error::rate_limited).and(fresh.map_err(Error::from)) {
                Ok(()) => idempotency::serve(&shim, caller, request, next).await,
                Err(error) => {
                    request.extensions_mut().insert(Caller::from(caller));
                    Ok(request.error_response(error))
                }
            }
        }
        Err(error) => Ok(request.error_response(error)),
    }
}

async fn admit(shim: &Shim, request: &ServiceRequest) -> Result<Authenticated> {
    let base = Base::of(request.request());
    let issued = validate(shim, request, &base).await?;
    let tenant = issued.principal.project_id.clone();
    if request.match_info().get("tenant") != Some(tenant.as_str()) {
        return Err(Error::other_tenant(&tenant, wants_html(request.request())));
    }
    let request_id = request.extensions().get::<RequestId>().map(|id| id.0.clone()).unwrap_or_default();
    let links = Links { base, tenant: TenantId(tenant) };
    let is_admin = shim.policy.is_admin(&issued.principal);
    Ok(Authenticated { principal: issued.principal, is_admin, request_id, links, keyed: None })
}

async fn validate(shim: &Shim, request: &ServiceRequest, base: &Base) -> Result<IssuedToken> {
    let no_token = || match &shim.config.auth_url {
        Some(url) => Error::no_token(url),
        None => Error::no_token(&base.join("/v3")),
    };
    let token = request.headers().get(TOKEN).and_then(|value| value.to_str().ok()).ok_or_else(no_token)?;
    let answer = timeout(shim.config.request_timeout(), shim.identity.validate(token)).await;
    match answer {
        Ok(Ok(issued)) => Ok(issued),
        // Trove's tenant of such a token is Python's `None`.
        Ok(Err(error)) if error.code == NO_PROJECT => Err(Error::other_tenant("None", wants_html(request.request()))),
        Ok(Err(error)) if matches!(error.kind, ErrorKind::Denied | ErrorKind::NotFound | ErrorKind::Invalid) => {
            Err(no_token())
        }
        Ok(Err(error)) => {
            let reason = error.to_string();
            IdentityUnavailable { code: &error.code, reason: &reason }.emit(&shim.metrics);
            Err(identity_away().after(error.retry_after))
        }
        Err(_) => {
            IdentityUnavailable { code: "timeout", reason: "no answer in time" }.emit(&shim.metrics);
            Err(identity_away())
        }
    }
}

pub(crate) fn identity_away() -> Error {
    Error::unavailable("The identity service cannot be reached; try again later.")
}

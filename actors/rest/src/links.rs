//! Absolute addresses in answers, built from the request that asked: its scheme (a proxy's `X-Forwarded-Proto`
//! counts) and its host. Trove always says `https`, which breaks clients that follow a link of a plain-http service.

use actix_web::HttpRequest;
use coffer_domain::ids::TenantId;
use serde::Serialize;

/// `scheme://host` of a request.
#[derive(Debug, Clone)]
pub(crate) struct Base(String);

impl Base {
    pub fn of(request: &HttpRequest) -> Self {
        let connection = request.connection_info();
        let scheme = if connection.scheme().eq_ignore_ascii_case("https") { "https" } else { "http" };
        Self(format!("{scheme}://{}", connection.host()))
    }

    pub fn join(&self, path: &str) -> String {
        format!("{}{path}", self.0)
    }
}

/// The addresses of a tenant's resources.
#[derive(Debug, Clone)]
pub(crate) struct Links {
    pub base: Base,
    pub tenant: TenantId,
}

#[derive(Debug, Serialize)]
pub(crate) struct Link {
    pub href: String,
    pub rel: &'static str,
}

impl Links {
    /// The two links that every resource has; `collection` may have several segments.
    pub fn to(&self, collection: &str, id: &str) -> [Link; 2] {
        let (base, tenant) = (self.base.0.as_str(), self.tenant.0.as_str());
        [
            Link { href: [base, "/v1.0/", tenant, "/", collection, "/", id].concat(), rel: "self" },
            Link { href: [base, "/", collection, "/", id].concat(), rel: "bookmark" },
        ]
    }
}

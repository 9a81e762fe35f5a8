//! Version documents, for everyone: `GET /`, `GET /v1.0` and `GET /v1.0/`.
//!
//! Trove refuses the latter two for want of a tenant; clients that discover versions give up on that.

use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;

use crate::links::Base;

#[derive(Serialize)]
struct Versions {
    versions: [Version; 1],
}

#[derive(Serialize)]
struct OneVersion {
    version: Version,
}

#[derive(Serialize)]
struct Version {
    id: &'static str,
    status: &'static str,
    updated: &'static str,
    links: [VersionLink; 1],
}

#[derive(Serialize)]
struct VersionLink {
    rel: &'static str,
    href: String,
}

pub(crate) async fn list(request: HttpRequest) -> HttpResponse {
    HttpResponse::Ok().json(Versions { versions: [version(&request)] })
}

pub(crate) async fn show(request: HttpRequest) -> HttpResponse {
    HttpResponse::Ok().json(OneVersion { version: version(&request) })
}

fn version(request: &HttpRequest) -> Version {
    let href = Base::of(request).join("/v1.0/");
    Version {
        id: "v1.0",
        status: "CURRENT",
        updated: "2012-08-01T00:00:00Z",
        links: [VersionLink { rel: "self", href }],
    }
}

//! Every path of the API.
//!
//! A route is a path with a method: a known path with another method is no route, and both get 404, as with Trove.

use actix_web::{
    HttpResponse,
    middleware::from_fn,
    web::{self, ServiceConfig, delete, get, patch, post, put},
};

use crate::{
    auth, databases, datastores, error::Error, flavors, grants, instances, keystone, limits, probes, quotas, root,
    user_changes, users, versions,
};

pub(crate) fn configure(services: &mut ServiceConfig, serve_identity: bool) {
    services
        .route("/", get().to(versions::list))
        .route("/v1.0", get().to(versions::show))
        .route("/v1.0/", get().to(versions::show))
        .route("/healthcheck", get().to(probes::healthcheck))
        .route("/healthz", get().to(probes::healthz))
        .route("/readyz", get().to(probes::readyz))
        .route("/metrics", get().to(probes::metrics));
    if serve_identity {
        services
            .route("/v3", get().to(keystone::version))
            .route("/v3/", get().to(keystone::version))
            .route("/v3/auth/tokens", post().to(keystone::issue_token));
    }
    services.service(
        web::scope("/v1.0/{tenant}")
            .wrap(from_fn(auth::authenticate))
            .configure(tenant_routes)
            .default_service(web::to(not_found)),
    );
}

/// Looked through one after the other for each request, each with a pattern to match: what is asked most stands first.
fn tenant_routes(services: &mut ServiceConfig) {
    services
        .route("/instances", get().to(instances::list))
        .route("/instances", post().to(instances::create::create))
        .route("/instances/detail", get().to(instances::list_detailed))
        .route("/instances/{instance}", get().to(instances::show))
        .route("/instances/{instance}", delete().to(instances::delete))
        .route("/instances/{instance}", put().to(instances::update::update))
        .route("/instances/{instance}", patch().to(instances::update::update))
        .route("/instances/{instance}/action", post().to(instances::action::act))
        .route("/instances/{instance}/journal", get().to(instances::journal::list))
        .route("/instances/{instance}/databases", get().to(databases::list))
        .route("/instances/{instance}/databases", post().to(databases::create))
        .route("/instances/{instance}/databases/{database}", get().to(databases::show))
        .route("/instances/{instance}/databases/{database}", delete().to(databases::delete))
        .route("/instances/{instance}/users", get().to(users::list))
        .route("/instances/{instance}/users", post().to(users::create))
        .route("/instances/{instance}/users", put().to(user_changes::change_passwords))
        .route("/instances/{instance}/users/{user}", get().to(users::show))
        .route("/instances/{instance}/users/{user}", put().to(user_changes::change))
        .route("/instances/{instance}/users/{user}", delete().to(users::delete))
        .route("/instances/{instance}/users/{user}/databases", get().to(grants::list))
        .route("/instances/{instance}/users/{user}/databases", put().to(grants::grant))
        .route("/instances/{instance}/users/{user}/databases/{database}", delete().to(grants::revoke))
        .route("/instances/{instance}/root", get().to(root::show))
        .route("/instances/{instance}/root", post().to(root::enable))
        .route("/instances/{instance}/root", delete().to(root::disable))
        .route("/flavors", get().to(flavors::list))
        .route("/flavors/{flavor}", get().to(flavors::show))
        .route("/datastores", get().to(datastores::list))
        .route("/datastores/versions/{version}", get().to(datastores::show_version_by_id))
        .route("/datastores/{datastore}", get().to(datastores::show))
        .route("/datastores/{datastore}/versions", get().to(datastores::list_versions))
        .route("/datastores/{datastore}/versions/{version}", get().to(datastores::show_version))
        .route("/datastores/{datastore}/versions/{version}/flavors", get().to(flavors::list_of_version))
        .route("/limits", get().to(limits::list))
        .route("/mgmt/quotas/{id}", get().to(quotas::show));
}

/// The answer to all that is no route.
pub(crate) async fn not_found() -> Result<HttpResponse, Error> {
    Err(Error::no_route())
}

/// 202 with an empty body, which Trove calls JSON all the same.
pub(crate) fn accepted() -> HttpResponse {
    HttpResponse::Accepted().content_type("application/json").body(Vec::new())
}

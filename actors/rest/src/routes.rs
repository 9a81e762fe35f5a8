//! Every path of the API.
//!
//! A route is a path with a method: a known path with another method is no route, and both get 404, as with Trove.

use actix_web::{
    HttpResponse, Resource, Route,
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

/// Looked through one after the other for each request, each with a pattern to match: what is asked most stands first,
/// and what is of one instance is matched below one pattern.
fn tenant_routes(services: &mut ServiceConfig) {
    services
        .service(resource("/instances", [get().to(instances::list), post().to(instances::create::create)]))
        .route("/instances/detail", get().to(instances::list_detailed))
        .service(web::scope("/instances/{instance}").configure(instance_routes).default_service(web::to(not_found)))
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

fn instance_routes(services: &mut ServiceConfig) {
    services
        .service(resource(
            "",
            [
                get().to(instances::show),
                delete().to(instances::delete),
                put().to(instances::update::update),
                patch().to(instances::update::update),
            ],
        ))
        .route("/action", post().to(instances::action::act))
        .route("/journal", get().to(instances::journal::list))
        .service(resource("/databases", [get().to(databases::list), post().to(databases::create)]))
        .service(resource("/databases/{database}", [get().to(databases::show), delete().to(databases::delete)]))
        .service(resource(
            "/users",
            [get().to(users::list), post().to(users::create), put().to(user_changes::change_passwords)],
        ))
        .service(resource(
            "/users/{user}",
            [get().to(users::show), put().to(user_changes::change), delete().to(users::delete)],
        ))
        .service(resource("/users/{user}/databases", [get().to(grants::list), put().to(grants::grant)]))
        .route("/users/{user}/databases/{database}", delete().to(grants::revoke))
        .service(resource("/root", [get().to(root::show), post().to(root::enable), delete().to(root::disable)]));
}

/// A path with several methods.
fn resource<const N: usize>(path: &str, methods: [Route; N]) -> Resource {
    let resource = methods.into_iter().fold(web::resource(path), Resource::route);
    resource.default_service(web::to(not_found))
}

/// The answer to all that is no route.
pub(crate) async fn not_found() -> Result<HttpResponse, Error> {
    Err(Error::no_route())
}

/// 202 with an empty body, which Trove calls JSON all the same.
pub(crate) fn accepted() -> HttpResponse {
    HttpResponse::Accepted().content_type("application/json").body(Vec::new())
}

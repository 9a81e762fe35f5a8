//! Every path of the API.
//!
//! A route is a path with a method: a known path with another method is no route, and both get 404, as with Trove.
//! Paths are kept as data, [`At`], so that [`routes`] can tell them to the tests that hold documents and other lists
//! against the code.

use actix_web::{
    FromRequest, Handler, HttpResponse, Responder, Route,
    http::Method,
    middleware::from_fn,
    web::{self, ServiceConfig},
};

use crate::{
    auth, configurations, databases, datastores,
    error::Error,
    flavors, grants, instances, keystone, limits, mgmt,
    openapi::{
        self,
        arguments::{Arguments, TakenBody, Takes},
    },
    parameters,
    policy::routes::{Asks, ask, asks},
    probes, quotas, root, unbuilt, user_changes, users, versions,
};

const GET: Method = Method::GET;
const POST: Method = Method::POST;
const PUT: Method = Method::PUT;
const PATCH: Method = Method::PATCH;
const DELETE: Method = Method::DELETE;

/// A path with the methods that it has.
pub(crate) struct At {
    path: &'static str,
    methods: Vec<Served>,
}

struct Served {
    method: Method,
    route: Route,
    takes: Takes,
    unbuilt: Option<&'static unbuilt::Answer>,
}

/// A path without methods yet.
fn at(path: &'static str) -> At {
    At { path, methods: Vec::new() }
}

impl At {
    fn on<F, Args>(mut self, method: Method, handler: F) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + Arguments + 'static,
        F::Output: Responder + 'static,
    {
        let route = web::method(method.clone()).to(handler);
        self.methods.push(Served { method, route, takes: Args::takes(), unbuilt: None });
        self
    }
}

/// `paths` with the routes that only check.
fn and_unbuilt(mut paths: Vec<At>, rows: &'static [unbuilt::Row]) -> Vec<At> {
    for row in rows {
        let index = paths.iter().position(|at| at.path == row.path).unwrap_or_else(|| {
            paths.push(at(row.path));
            paths.len() - 1
        });
        let route = web::method(row.method.clone()).to(row.handler());
        let takes = Takes {
            body: row.body.as_ref().map(|shape| TakenBody { shape, is_optional: false }),
            is_paged: matches!(row.answer, unbuilt::Answer::Empty(_)),
        };
        let unbuilt = Some(&row.answer);
        paths[index].methods.push(Served { method: row.method.clone(), route, takes, unbuilt });
    }
    paths
}

pub(crate) fn configure(services: &mut ServiceConfig, serve_identity: bool) {
    register(services, without_tenant(serve_identity));
    services.service(
        web::scope("/v1.0/{tenant}")
            .wrap(from_fn(auth::authenticate))
            .configure(tenant_routes)
            .default_service(web::to(not_found)),
    );
}

/// A route of this API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    pub method: Method,
    /// With names in braces, which are the same for the same thing.
    pub path: String,
    /// Whether it does what it is for; else it checks the request and says that it cannot.
    pub is_built: bool,
    /// What it asks of the policy; nothing, where there is no tenant.
    pub asks: Option<Asks>,
}

/// Every route that is served, in no particular order.
pub fn routes() -> Vec<Listed> {
    let listed = |Described { method, path, unbuilt, .. }| {
        let asks = path.strip_prefix(TENANT).map(|path| asks(&method, path));
        Listed { method, path, is_built: unbuilt.is_none(), asks }
    };
    described(true).into_iter().map(listed).collect()
}

/// A route as its document needs it.
pub(crate) struct Described {
    pub method: Method,
    pub path: String,
    pub takes: Takes,
    /// What it answers when it only checks.
    pub unbuilt: Option<&'static unbuilt::Answer>,
}

/// As [`routes`], for the document.
pub(crate) fn described(serve_identity: bool) -> Vec<Described> {
    let below = |prefix: &'static str, paths: Vec<At>| {
        paths.into_iter().flat_map(move |at| {
            at.methods.into_iter().map(move |Served { method, takes, unbuilt, .. }| {
                let path = format!("{prefix}{}", at.path);
                Described { method, path, takes, unbuilt }
            })
        })
    };
    below("", without_tenant(serve_identity))
        .chain(below(TENANT, often_asked()))
        .chain(below(INSTANCE, of_an_instance()))
        .chain(below(TENANT, of_a_tenant()))
        .collect()
}

pub(crate) const TENANT: &str = "/v1.0/{tenant}";
const INSTANCE: &str = "/v1.0/{tenant}/instances/{instance}";
const ONE_INSTANCE: &str = "/instances/{instance}";

/// Looked through one after the other for each request, each with a pattern to match: what is asked most stands first,
/// and what is of one instance is matched below one pattern.
fn tenant_routes(services: &mut ServiceConfig) {
    register_ruled(services, "", often_asked());
    let of_one =
        web::scope(ONE_INSTANCE).configure(|services| register_ruled(services, ONE_INSTANCE, of_an_instance()));
    services.service(of_one.default_service(web::to(not_found)));
    register_ruled(services, "", of_a_tenant());
}

fn register(services: &mut ServiceConfig, paths: Vec<At>) {
    register_with(services, paths, |_, served| served.route);
}

/// Routes below `/v1.0/{tenant}` and this prefix: each asks its rule before it is served.
fn register_ruled(services: &mut ServiceConfig, prefix: &str, paths: Vec<At>) {
    register_with(services, paths, |path, served| match asks(&served.method, &format!("{prefix}{path}")) {
        Asks::Rule(rule) => served.route.wrap(from_fn(move |request, next| ask(rule, request, next))),
        // The handler asks.
        Asks::OneOf(_) | Asks::Admin | Asks::OwnerOrAdmin => served.route,
    });
}

fn register_with(services: &mut ServiceConfig, paths: Vec<At>, route: impl Fn(&str, Served) -> Route) {
    for at in paths {
        let routes = at.methods.into_iter().map(|served| route(at.path, served));
        let resource = routes.fold(web::resource(at.path), actix_web::Resource::route);
        services.service(resource.default_service(web::to(not_found)));
    }
}

fn without_tenant(serve_identity: bool) -> Vec<At> {
    let mut paths = vec![
        at("/").on(GET, versions::list),
        at("/v1.0").on(GET, versions::show),
        at("/v1.0/").on(GET, versions::show),
        at("/openapi.json").on(GET, openapi::show),
        at("/healthcheck").on(GET, probes::healthcheck),
        at("/healthz").on(GET, probes::healthz),
        at("/readyz").on(GET, probes::readyz),
        at("/metrics").on(GET, probes::metrics),
    ];
    if serve_identity {
        paths.extend([
            at("/v3").on(GET, keystone::version),
            at("/v3/").on(GET, keystone::version),
            at("/v3/auth/tokens").on(POST, keystone::issue_token),
        ]);
    }
    paths
}

fn often_asked() -> Vec<At> {
    vec![
        at("/instances").on(GET, instances::list).on(POST, instances::create::create),
        at("/instances/detail").on(GET, instances::list_detailed),
    ]
}

fn of_a_tenant() -> Vec<At> {
    let paths = vec![
        at("/flavors").on(GET, flavors::list),
        at("/flavors/{flavor}").on(GET, flavors::show),
        at("/datastores").on(GET, datastores::list),
        at("/datastores/versions/{version}").on(GET, datastores::show_version_by_id),
        at("/datastores/{datastore}").on(GET, datastores::show),
        at("/datastores/{datastore}/versions").on(GET, datastores::list_versions),
        at("/datastores/{datastore}/versions/{version}").on(GET, datastores::show_version),
        at("/datastores/{datastore}/versions/{version}/flavors").on(GET, flavors::list_of_version),
        at("/datastores/{datastore}/versions/{version}/volume-types").on(GET, datastores::list_volume_types),
        at("/datastores/versions/{version}/parameters").on(GET, parameters::list_by_id),
        at("/datastores/versions/{version}/parameters/{name}").on(GET, parameters::show_by_id),
        at("/datastores/{datastore}/versions/{version}/parameters").on(GET, parameters::list),
        at("/datastores/{datastore}/versions/{version}/parameters/{name}").on(GET, parameters::show),
        at("/configurations").on(GET, configurations::list).on(POST, configurations::create),
        at("/configurations/{group}")
            .on(GET, configurations::show)
            .on(PATCH, configurations::patch)
            .on(PUT, configurations::replace)
            .on(DELETE, configurations::delete),
        at("/configurations/{group}/instances").on(GET, configurations::list_instances),
        at("/limits").on(GET, limits::list),
        at("/mgmt/quotas/{id}").on(GET, quotas::show).on(PUT, quotas::set),
        at("/mgmt/instances").on(GET, mgmt::instances::list),
        at("/mgmt/instances/{instance}").on(GET, mgmt::instances::show),
        at("/mgmt/instances/{instance}/action").on(POST, mgmt::instances::act),
        at("/mgmt/instances/{instance}/root").on(GET, mgmt::instances::root),
        at("/mgmt/instances/{instance}/diagnostics").on(GET, mgmt::questions::diagnostics),
        at("/mgmt/instances/{instance}/hwinfo").on(GET, mgmt::questions::hardware),
        at("/mgmt/instances/{instance}/rpc_ping").on(GET, mgmt::questions::ping),
        at("/mgmt/datastore-versions").on(GET, mgmt::datastore_versions::list),
        at("/mgmt/datastore-versions/{version}").on(GET, mgmt::datastore_versions::show),
    ];
    and_unbuilt(paths, unbuilt::table::OF_A_TENANT)
}

fn of_an_instance() -> Vec<At> {
    let paths = vec![
        at("")
            .on(GET, instances::show)
            .on(DELETE, instances::delete)
            .on(PUT, instances::update::update)
            .on(PATCH, instances::update::update),
        at("/action").on(POST, instances::action::act),
        at("/journal").on(GET, instances::journal::list),
        at("/configuration").on(GET, configurations::show_defaults),
        at("/databases").on(GET, databases::list).on(POST, databases::create),
        at("/databases/{database}").on(GET, databases::show).on(DELETE, databases::delete),
        at("/users").on(GET, users::list).on(POST, users::create).on(PUT, user_changes::change_passwords),
        at("/users/{user}").on(GET, users::show).on(PUT, user_changes::change).on(DELETE, users::delete),
        at("/users/{user}/databases").on(GET, grants::list).on(PUT, grants::grant),
        at("/users/{user}/databases/{database}").on(DELETE, grants::revoke),
        at("/root").on(GET, root::show).on(POST, root::enable).on(DELETE, root::disable),
    ];
    and_unbuilt(paths, unbuilt::table::OF_AN_INSTANCE)
}

/// The answer to all that is no route.
pub(crate) async fn not_found() -> Result<HttpResponse, Error> {
    Err(Error::no_route())
}

/// 202 with an empty body, which Trove calls JSON all the same.
pub(crate) fn accepted() -> HttpResponse {
    HttpResponse::Accepted().content_type("application/json").body(Vec::new())
}

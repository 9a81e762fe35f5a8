//! The REST API: OpenStack Trove v1.0 at `/v1.0/{tenant}`, and beside it what the clients and operators of such a
//! service expect (version documents, a Keystone v3 subset, metrics and probes).
//!
//! A shim: it checks shapes, resolves names against the catalogue, hands a command to the [`control::ControlPlane`]
//! and renders view rows. What may be done when is decided by the domain; nothing is kept here between two requests.
//!
//! * [`config`], [`control`] – what the server crate hands in;
//! * `routes` – every path that exists;
//! * [`telemetry`] – what is counted and logged of requests;
//! * `observe`, `request_id`, `auth`, `caller` – around each request: log, metrics, correlation, who calls;
//! * `shape`, `schema`, `body`, `bodies` – what requests must look like;
//! * `paging`, `links`, `quoting`, `times`, `random`, `error` – what all resources share;
//! * `policy` – who may do what; [`rates`] – how often;
//! * `commands` – from a request to a committed command; `idempotency` – requests that are sent again;
//! * [`tls`] – the certificate, where the API is served over TLS;
//! * one file (or directory) per resource: `versions`, `flavors`, `datastores`, `parameters`, `configurations`,
//!   `instances`, `databases`, `users`, `root`, `limits`, `quotas`, `keystone`, `probes`, and `mgmt` for admins;
//! * `openapi` – the API in a document for machines, made from all of these;
//! * `unbuilt` – the routes of powers that are not built, which check and refuse.

use std::{io, net::TcpListener, sync::Arc, time::Duration};

use actix_web::{
    App, HttpServer,
    body::MessageBody,
    dev::{Server, ServiceFactory, ServiceRequest, ServiceResponse},
    middleware::from_fn,
    web,
};
use coffer_ports::identity::Identity;
use prometheus::Registry;

use crate::{
    config::Config, control::ControlPlane, policy::Policy, rates::Limiter, telemetry::Metrics, tls::Certificates,
};
pub use crate::{
    policy::routes::Asks,
    routes::{Listed, routes},
};

mod auth;
mod bodies;
mod body;
mod caller;
mod commands;
pub mod config;
mod configurations;
pub mod control;
mod databases;
mod datastores;
mod error;
mod flavors;
mod grants;
mod idempotency;
mod instances;
mod keystone;
mod limits;
mod links;
mod mgmt;
mod observe;
mod openapi;
mod paging;
mod parameters;
mod policy;
mod probes;
mod quotas;
mod quoting;
mod random;
pub mod rates;
mod request_id;
mod root;
mod routes;
mod schema;
mod shape;
pub mod telemetry;
mod times;
pub mod tls;
mod unbuilt;
mod user_changes;
mod users;
mod versions;

/// What every handler can reach.
pub(crate) struct Shim {
    config: Config,
    control: Arc<dyn ControlPlane>,
    identity: Arc<dyn Identity>,
    registry: Registry,
    metrics: Metrics,
    policy: Policy,
    limiter: Limiter,
    /// The API's own description.
    openapi: String,
}

/// The API without a socket: what every worker's [`application`] shares.
#[derive(Clone)]
pub struct Api(web::Data<Shim>);

impl Api {
    /// # Errors
    /// When `registry` has metrics of these names already, or the policy cannot be read.
    pub fn new(
        config: Config,
        control: Arc<dyn ControlPlane>,
        identity: Arc<dyn Identity>,
        registry: Registry,
    ) -> io::Result<Self> {
        let metrics = Metrics::register(&registry).map_err(io::Error::other)?;
        let policy = Policy::open(config.policy_file.as_deref()).map_err(io::Error::other)?;
        let limiter = Limiter::new(&config.requests_per_minute, metrics.tenants_counted.clone());
        let openapi = openapi::document(&routes::described(config.serve_identity)).to_string();
        Ok(Self(web::Data::new(Shim { config, control, identity, registry, metrics, policy, limiter, openapi })))
    }
}

/// The application that each worker runs.
pub fn application(
    api: Api,
) -> App<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<impl MessageBody>,
        Error = actix_web::Error,
        InitError = (),
    >,
> {
    let shim = api.0;
    App::new()
        .app_data(shim.clone())
        .wrap(from_fn(observe::observe))
        .configure(|services| routes::configure(services, shim.config.serve_identity))
        .default_service(web::to(routes::not_found))
}

/// A client may take this long to send the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// A client may take this long for its TLS handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// TLS handshakes under way at the same time at most, for each worker; further connections wait.
const HANDSHAKES: usize = 256;
/// Requests under way get this long to end when the server is stopped, in seconds.
const SHUTDOWN_TIMEOUT_S: u64 = 15;

/// Serves the API on `listener`, over TLS where there are `certificates`, until the returned server's handle stops it. Signals are left to the caller. The
/// metrics of the API are registered in `registry`, and `GET /metrics` shows all of `registry`.
///
/// # Errors
/// When the listener cannot be used, or `registry` has metrics of these names already.
pub fn serve(
    config: Config,
    listener: TcpListener,
    control: Arc<dyn ControlPlane>,
    identity: Arc<dyn Identity>,
    registry: Registry,
    certificates: Option<&Arc<Certificates>>,
) -> io::Result<Server> {
    let workers = config.workers();
    let max_connections = config.max_connections;
    let api = Api::new(config, control, identity, registry)?;
    let server = HttpServer::new(move || application(api.clone()))
        .workers(workers)
        .max_connections(max_connections.div_ceil(workers))
        .max_connection_rate(HANDSHAKES)
        .tls_handshake_timeout(HANDSHAKE_TIMEOUT)
        .client_request_timeout(HEAD_TIMEOUT)
        .shutdown_timeout(SHUTDOWN_TIMEOUT_S)
        .disable_signals();
    let server = match certificates {
        Some(certificates) => {
            server.listen_rustls_0_23(listener, certificates.server_config().map_err(io::Error::other)?)?
        }
        None => server.listen(listener)?,
    };
    Ok(server.run())
}

//! What each route is for and what it answers, where its code does not say so by its types.

use super::answers::{self as a};
use crate::shape::Shape;

/// The answer of a route that does what it is for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Answer {
    /// With JSON.
    Json(u16, &'static Shape),
    /// Without a body, and called JSON all the same.
    Empty(u16),
    /// For people and programs outside OpenStack, with its media type.
    Text(&'static str),
    /// The document itself.
    Document,
    /// None: it is said to be impossible.
    None,
    /// As the table of what is not built says.
    Unbuilt,
}

use Answer::{Document, Empty, Json, None, Text, Unbuilt};

#[derive(Debug, Clone, Copy)]
pub(super) struct Operation {
    pub method: &'static str,
    pub path: &'static str,
    /// In words.
    pub summary: &'static str,
    pub answer: Answer,
    /// Statuses of refusals that follow neither from the path nor from what the route takes.
    pub refusals: &'static [u16],
    /// What it looks at in the query besides the page.
    pub query: &'static [&'static str],
}

impl Operation {
    const fn refusing(self, refusals: &'static [u16]) -> Self {
        Self { refusals, ..self }
    }

    const fn asking(self, query: &'static [&'static str]) -> Self {
        Self { query, ..self }
    }
}

const fn op(method: &'static str, path: &'static str, summary: &'static str, answer: Answer) -> Operation {
    Operation { method, path, summary, answer, refusals: &[], query: &[] }
}

const PLAIN: &str = "text/plain";

/// Not below `/v1.0/{tenant}`.
pub(super) const WITHOUT_TENANT: &[Operation] = &[
    op("GET", "/", "List the versions of the API", Json(200, &a::VERSIONS)),
    op("GET", "/v1.0", "Show this version of the API", Json(200, &a::ONE_VERSION)),
    op("GET", "/v1.0/", "Show this version of the API", Json(200, &a::ONE_VERSION)),
    op("GET", "/openapi.json", "This document", Document),
    op("GET", "/healthcheck", "Whether the process lives, as Trove has it", Text(PLAIN)),
    op("GET", "/healthz", "Whether the process lives", Text(PLAIN)),
    op("GET", "/readyz", "Whether orders are taken", Text(PLAIN)).refusing(&[503]),
    op("GET", "/metrics", "Metrics for Prometheus, for this host", Text(PLAIN)).refusing(&[404]),
    op("GET", "/v3", "Show the version of the identity API", Json(200, &a::KEYSTONE)),
    op("GET", "/v3/", "Show the version of the identity API", Json(200, &a::KEYSTONE)),
    op("POST", "/v3/auth/tokens", "Get a token", Json(201, &a::TOKEN)).refusing(&[401, 503]),
];

/// What an agent is asked: without an engine, and by an agent that is too old.
const UNANSWERED: &[u16] = &[422, 501];
/// What can be asked only of an engine that runs.
const UNHEALTHY: &[u16] = &[422];

/// Below `/v1.0/{tenant}`.
pub(super) const OF_A_TENANT: &[Operation] = &[
    op("GET", "/flavors", "List flavors", Json(200, &a::FLAVORS)),
    op("GET", "/flavors/{flavor}", "Show a flavor", Json(200, &a::ONE_FLAVOR)),
    op("GET", "/datastores", "List datastores", Json(200, &a::DATASTORES)),
    op("GET", "/datastores/{datastore}", "Show a datastore", Json(200, &a::ONE_DATASTORE)),
    op("DELETE", "/datastores/{datastore}", "Delete a datastore", Unbuilt),
    op("GET", "/datastores/{datastore}/versions", "List versions of a datastore", Json(200, &a::DATASTORE_VERSIONS)),
    op(
        "GET",
        "/datastores/{datastore}/versions/{version}",
        "Show a version of a datastore",
        Json(200, &a::ONE_DATASTORE_VERSION),
    ),
    op("GET", "/datastores/versions/{version}", "Show a version by its id", Json(200, &a::ONE_DATASTORE_VERSION)),
    op(
        "GET",
        "/datastores/{datastore}/versions/{version}/flavors",
        "List flavors for a version",
        Json(200, &a::FLAVORS),
    ),
    op(
        "GET",
        "/datastores/{datastore}/versions/{version}/volume-types",
        "List volume types for a version",
        Json(200, &a::VOLUME_TYPES),
    ),
    op(
        "GET",
        "/datastores/{datastore}/versions/{version}/parameters",
        "List parameters of a version",
        Json(200, &a::PARAMETERS),
    ),
    op(
        "GET",
        "/datastores/{datastore}/versions/{version}/parameters/{name}",
        "Show a parameter of a version",
        Json(200, &a::PARAMETER),
    ),
    op(
        "GET",
        "/datastores/versions/{version}/parameters",
        "List parameters of a version by its id",
        Json(200, &a::PARAMETERS),
    ),
    op(
        "GET",
        "/datastores/versions/{version}/parameters/{name}",
        "Show a parameter of a version by its id",
        Json(200, &a::PARAMETER),
    ),
    op("GET", "/instances", "List instances", Json(200, &a::INSTANCES)).asking(&["include_clustered"]),
    op("POST", "/instances", "Order an instance", Json(200, &a::ONE_INSTANCE)),
    op("GET", "/instances/detail", "List instances in detail", Json(200, &a::INSTANCES)),
    op("GET", "/instances/{instance}", "Show an instance", Json(200, &a::ONE_INSTANCE)),
    op("DELETE", "/instances/{instance}", "Delete an instance", Empty(202)),
    op("PUT", "/instances/{instance}", "Change an instance", Empty(202)),
    op("PATCH", "/instances/{instance}", "Change an instance", Empty(202)),
    op("POST", "/instances/{instance}/action", "Restart, resize or reset an instance", Empty(202)),
    op("GET", "/instances/{instance}/journal", "Tell what was done to an instance", Json(200, &a::JOURNAL)),
    op("GET", "/instances/{instance}/backups", "List backups of an instance", Unbuilt),
    op("GET", "/instances/{instance}/configuration", "Show an engine's default values", Json(200, &a::DEFAULTS)),
    op("GET", "/instances/{instance}/log", "List logs of an instance", Unbuilt),
    op("POST", "/instances/{instance}/log", "Change a log of an instance", Unbuilt),
    op("GET", "/instances/{instance}/ssl", "Show the TLS of an instance", Unbuilt),
    op("POST", "/instances/{instance}/ssl", "Change the TLS of an instance", Unbuilt),
    op("GET", "/instances/{instance}/modules", "List modules of an instance", Unbuilt),
    op("POST", "/instances/{instance}/modules", "Apply modules to an instance", Unbuilt),
    op("DELETE", "/instances/{instance}/modules/{module}", "Remove a module from an instance", Unbuilt),
    op("GET", "/instances/{instance}/databases", "List databases", Json(200, &a::DATABASES)).refusing(UNHEALTHY),
    op("POST", "/instances/{instance}/databases", "Create databases", Empty(202)),
    op("GET", "/instances/{instance}/databases/{database}", "Refused, as by Trove", None).refusing(&[501]),
    op("DELETE", "/instances/{instance}/databases/{database}", "Delete a database", Empty(202)),
    op("GET", "/instances/{instance}/users", "List users", Json(200, &a::USERS)).refusing(UNHEALTHY),
    op("POST", "/instances/{instance}/users", "Create users", Empty(202)),
    op("PUT", "/instances/{instance}/users", "Change passwords of users", Empty(202)),
    op("GET", "/instances/{instance}/users/{user}", "Show a user", Json(200, &a::ONE_USER)).refusing(&[400, 422]),
    op("PUT", "/instances/{instance}/users/{user}", "Change a user", Empty(202)),
    op("DELETE", "/instances/{instance}/users/{user}", "Delete a user", Empty(202)),
    op(
        "GET",
        "/instances/{instance}/users/{user}/databases",
        "List databases that a user may work on",
        Json(200, &a::DATABASES),
    )
    .refusing(&[400, 422]),
    op("PUT", "/instances/{instance}/users/{user}/databases", "Let a user work on databases", Empty(202)),
    op(
        "DELETE",
        "/instances/{instance}/users/{user}/databases/{database}",
        "Do not let a user work on a database",
        Empty(202),
    ),
    op("GET", "/instances/{instance}/root", "Show whether root is enabled", Json(200, &a::ROOT)).refusing(UNHEALTHY),
    op("POST", "/instances/{instance}/root", "Enable root", Json(200, &a::ROOT_USER)),
    op("DELETE", "/instances/{instance}/root", "Disable root", Empty(204)),
    op("GET", "/configurations", "List configuration groups", Json(200, &a::GROUPS)),
    op("POST", "/configurations", "Create a configuration group", Json(200, &a::ONE_GROUP)),
    op("GET", "/configurations/{group}", "Show a configuration group", Json(200, &a::ONE_GROUP)),
    op("PATCH", "/configurations/{group}", "Set some values of a configuration group", Empty(200)),
    op("PUT", "/configurations/{group}", "Set all values of a configuration group", Empty(202)),
    op("DELETE", "/configurations/{group}", "Delete a configuration group", Empty(202)),
    op("GET", "/configurations/{group}/instances", "List instances with a configuration group", Json(200, &a::MEMBERS)),
    op("GET", "/backups", "List backups", Unbuilt).asking(&["all_projects", "project_id"]),
    op("POST", "/backups", "Order a backup", Unbuilt),
    op("GET", "/backups/{backup}", "Show a backup", Unbuilt),
    op("DELETE", "/backups/{backup}", "Delete a backup", Unbuilt),
    op("GET", "/backup_strategies", "List backup strategies", Unbuilt).asking(&["project_id"]),
    op("POST", "/backup_strategies", "Create a backup strategy", Unbuilt),
    op("DELETE", "/backup_strategies", "Delete a backup strategy", Unbuilt).asking(&["project_id"]),
    op("GET", "/clusters", "List clusters", Unbuilt),
    op("POST", "/clusters", "Order a cluster", Unbuilt),
    op("GET", "/clusters/{cluster}", "Show a cluster", Unbuilt),
    op("POST", "/clusters/{cluster}", "Grow, shrink, upgrade or restart a cluster", Unbuilt),
    op("DELETE", "/clusters/{cluster}", "Delete a cluster", Unbuilt),
    op("GET", "/clusters/{cluster}/instances/{instance}", "Show an instance of a cluster", Unbuilt),
    op("GET", "/clusters/{cluster}/root", "Show whether root of a cluster is enabled", Unbuilt),
    op("POST", "/clusters/{cluster}/root", "Enable root of a cluster", Unbuilt),
    op("DELETE", "/clusters/{cluster}/root/{dummy}", "Disable root of a cluster", Unbuilt),
    op("GET", "/modules", "List modules", Unbuilt),
    op("POST", "/modules", "Create a module", Unbuilt),
    op("GET", "/modules/{module}", "Show a module", Unbuilt),
    op("PUT", "/modules/{module}", "Change a module", Unbuilt),
    op("DELETE", "/modules/{module}", "Delete a module", Unbuilt),
    op("GET", "/modules/{module}/instances", "List instances with a module", Unbuilt),
    op("PUT", "/modules/{module}/instances", "Apply a module again", Unbuilt),
    op("GET", "/limits", "Show limits", Json(200, &a::LIMITS)),
    op("GET", "/mgmt/quotas/{id}", "Show the quota of a tenant", Json(200, &a::QUOTAS)),
    op("PUT", "/mgmt/quotas/{id}", "Set the quota of a tenant", Json(200, &a::QUOTA_CHANGES)),
    op("GET", "/mgmt/instances", "List instances of all tenants", Json(200, &a::INSTANCES)).asking(&[
        "deleted",
        "include_clustered",
        "project_id",
    ]),
    op("GET", "/mgmt/instances/{instance}", "Show an instance of any tenant", Json(200, &a::ONE_INSTANCE))
        .asking(&["deleted"]),
    op("POST", "/mgmt/instances/{instance}/action", "Reboot, stop or reset an instance", Empty(202)),
    op("GET", "/mgmt/instances/{instance}/root", "Show who enabled root", Json(200, &a::ROOT_HISTORY)),
    op("GET", "/mgmt/instances/{instance}/diagnostics", "Show what an engine uses", Json(200, &a::DIAGNOSTICS))
        .refusing(UNANSWERED),
    op("GET", "/mgmt/instances/{instance}/hwinfo", "Show the hardware of an instance", Json(200, &a::HARDWARE))
        .refusing(UNANSWERED),
    op("GET", "/mgmt/instances/{instance}/rpc_ping", "Ask an agent whether it is there", Empty(204))
        .refusing(UNANSWERED),
    op("POST", "/mgmt/instances/{instance}/upgrade", "Upgrade an agent", Unbuilt),
    op("GET", "/mgmt/clusters", "List clusters of all tenants", Unbuilt),
    op("GET", "/mgmt/clusters/{cluster}", "Show a cluster of any tenant", Unbuilt),
    op("POST", "/mgmt/clusters/{cluster}/action", "Reset a cluster", Unbuilt),
    op("GET", "/mgmt/datastore-versions", "List all versions of datastores", Json(200, &a::CATALOGUE_VERSIONS)),
    op("POST", "/mgmt/datastore-versions", "Create a version of a datastore", Unbuilt),
    op(
        "GET",
        "/mgmt/datastore-versions/{version}",
        "Show a version of a datastore, active or not",
        Json(200, &a::ONE_CATALOGUE_VERSION),
    ),
    op("PATCH", "/mgmt/datastore-versions/{version}", "Change a version of a datastore", Unbuilt),
    op("DELETE", "/mgmt/datastore-versions/{version}", "Delete a version of a datastore", Unbuilt),
    op("GET", "/mgmt/datastores/versions/{version}/parameters", "List parameters set by hand", Unbuilt),
    op("POST", "/mgmt/datastores/versions/{version}/parameters", "Create a parameter", Unbuilt),
    op("GET", "/mgmt/datastores/versions/{version}/parameters/{name}", "Show a parameter set by hand", Unbuilt),
    op("PUT", "/mgmt/datastores/versions/{version}/parameters/{name}", "Change a parameter", Unbuilt),
    op("DELETE", "/mgmt/datastores/versions/{version}/parameters/{name}", "Delete a parameter", Unbuilt),
];

//! The rows: which route is checked how, and what it is answered.

use actix_web::http::Method;

use super::{
    Answer::{self, Absent, Done, Empty, Refused},
    Check, Row, bodies, checks,
};
use crate::shape::Shape;

const NO_BACKUPS: &str = "Backups are not supported yet.";
const NO_STRATEGIES: &str = "Backup strategies are not supported yet.";
const NO_GROUPS: &str = "Configuration groups are not supported yet.";
const NO_MODULES: &str = "Modules are not supported yet.";
const NO_LOGS: &str = "Log actions are not supported.";
const NO_TLS: &str = "SSL of an instance is not supported yet.";
const FIXED_CATALOGUE: &str = "The catalogue of datastores cannot be changed over the API yet.";
const NO_UPGRADES: &str = "Agents cannot be upgraded over the API yet.";

/// An admin asks of any tenant's instance.
const OF_ANYBODYS: &[Check] = &[checks::admin, checks::anybodys_instance];

/// An admin asks of any version.
const OF_A_VERSION: &[Check] = &[checks::admin, checks::version];

const RESOURCE: &str = "Resource {} cannot be found.";
const CLUSTER: &str = "Cluster '{}' cannot be found.";

/// Below `/v1.0/{tenant}`.
pub(crate) static OF_A_TENANT: &[Row] = &[
    get("/backups", &[checks::own_project_or_admin], Empty("backups")),
    taking(Method::POST, "/backups", bodies::BACKUP, &[checks::backup], Refused(NO_BACKUPS)),
    get("/backups/{backup}", &[], Absent("backup", RESOURCE)),
    delete("/backups/{backup}", &[], Absent("backup", RESOURCE)),
    get("/backup_strategies", &[checks::own_strategies_or_admin], Empty("backup_strategies")),
    taking(Method::POST, "/backup_strategies", bodies::STRATEGY, &[], Refused(NO_STRATEGIES)),
    delete("/backup_strategies", &[checks::own_strategies_or_admin], Done),
    delete("/datastores/{datastore}", &[checks::datastore_is_unused], Refused(FIXED_CATALOGUE)),
    get("/clusters", &[], Empty("clusters")),
    taking(
        Method::POST,
        "/clusters",
        bodies::CLUSTER,
        &[checks::clusters_of_a_datastore],
        Refused("Clusters are not supported yet."),
    ),
    get("/clusters/{cluster}", &[], Absent("cluster", CLUSTER)),
    taking(Method::POST, "/clusters/{cluster}", bodies::CLUSTER_ACTION, &[], Absent("cluster", CLUSTER)),
    delete("/clusters/{cluster}", &[], Absent("cluster", CLUSTER)),
    get("/clusters/{cluster}/instances/{instance}", &[], Absent("cluster", CLUSTER)),
    get("/clusters/{cluster}/root", &[], Absent("cluster", CLUSTER)),
    // Its body is optional, and there is nothing that it could be for.
    Row {
        method: Method::POST,
        path: "/clusters/{cluster}/root",
        body: None,
        checks: &[],
        answer: Absent("cluster", CLUSTER),
    },
    delete("/clusters/{cluster}/root/{dummy}", &[], Absent("cluster", CLUSTER)),
    get("/modules", &[], Empty("modules")),
    taking(Method::POST, "/modules", bodies::NEW_MODULE, &[checks::module], Refused(NO_MODULES)),
    get("/modules/{module}", &[], Absent("module", RESOURCE)),
    taking(Method::PUT, "/modules/{module}", bodies::MODULE, &[], Absent("module", RESOURCE)),
    delete("/modules/{module}", &[], Absent("module", RESOURCE)),
    get("/modules/{module}/instances", &[], Absent("module", RESOURCE)),
    taking(Method::PUT, "/modules/{module}/instances", bodies::REAPPLY, &[], Absent("module", RESOURCE)),
    taking(Method::POST, "/mgmt/instances/{instance}/upgrade", bodies::UPGRADE, OF_ANYBODYS, Refused(NO_UPGRADES)),
    get("/mgmt/clusters", &[checks::admin], Empty("clusters")),
    get("/mgmt/clusters/{cluster}", &[checks::admin], Absent("cluster", CLUSTER)),
    taking(
        Method::POST,
        "/mgmt/clusters/{cluster}/action",
        bodies::RESET_TASK,
        &[checks::admin],
        Absent("cluster", CLUSTER),
    ),
    taking(
        Method::POST,
        "/mgmt/datastore-versions",
        bodies::NEW_VERSION,
        &[checks::admin, checks::image],
        Refused(FIXED_CATALOGUE),
    ),
    taking(
        Method::PATCH,
        "/mgmt/datastore-versions/{version}",
        bodies::VERSION,
        OF_A_VERSION,
        Refused(FIXED_CATALOGUE),
    ),
    delete("/mgmt/datastore-versions/{version}", OF_A_VERSION, Refused(FIXED_CATALOGUE)),
    get("/mgmt/datastores/versions/{version}/parameters", OF_A_VERSION, Empty("configuration-parameters")),
    taking(
        Method::POST,
        "/mgmt/datastores/versions/{version}/parameters",
        bodies::PARAMETER,
        OF_A_VERSION,
        Refused(NO_GROUPS),
    ),
    get("/mgmt/datastores/versions/{version}/parameters/{name}", OF_A_VERSION, Absent("name", RESOURCE)),
    taking(
        Method::PUT,
        "/mgmt/datastores/versions/{version}/parameters/{name}",
        bodies::PARAMETER,
        OF_A_VERSION,
        Absent("name", RESOURCE),
    ),
    delete("/mgmt/datastores/versions/{version}/parameters/{name}", OF_A_VERSION, Absent("name", RESOURCE)),
];

/// Below `/v1.0/{tenant}/instances/{instance}`.
pub(crate) static OF_AN_INSTANCE: &[Row] = &[
    get("/backups", &[checks::instance], Empty("backups")),
    get("/log", &[checks::instance], Refused(NO_LOGS)),
    taking(Method::POST, "/log", bodies::LOG, &[checks::log_action, checks::instance], Refused(NO_LOGS)),
    get("/modules", &[checks::instance], Empty("modules")),
    taking(Method::POST, "/modules", bodies::MODULES, &[checks::instance], Refused(NO_MODULES)),
    delete("/modules/{module}", &[checks::instance], Absent("module", RESOURCE)),
    get("/ssl", &[checks::instance], Refused(NO_TLS)),
    taking(Method::POST, "/ssl", bodies::SSL, &[checks::instance, checks::ssl_action], Refused(NO_TLS)),
];

const fn get(path: &'static str, checks: &'static [Check], answer: Answer) -> Row {
    Row { method: Method::GET, path, body: None, checks, answer }
}

const fn delete(path: &'static str, checks: &'static [Check], answer: Answer) -> Row {
    Row { method: Method::DELETE, path, body: None, checks, answer }
}

const fn taking(method: Method, path: &'static str, body: Shape, checks: &'static [Check], answer: Answer) -> Row {
    Row { method, path, body: Some(body), checks, answer }
}

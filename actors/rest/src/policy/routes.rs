//! Which route asks which rule, with the names that Trove has for them.
//!
//! A rule is asked before the handler, as soon as caller and tenant are known: what a route can name is its own tenant's.
//! Where it depends on the body, the handler asks.

use actix_web::{
    HttpMessage,
    body::BoxBody,
    dev::{ServiceRequest, ServiceResponse},
    http::Method,
    middleware::Next,
    web::Data,
};

use crate::{Shim, caller::Caller, error::Error};

/// What a route asks of the policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asks {
    /// This rule: 403 else.
    Rule(&'static str),
    /// One of these rules, depending on the body or the query: 403 else.
    OneOf(&'static [&'static str]),
    /// `context_is_admin`: 401 else, as Trove answers there.
    Admin,
    /// The tenant itself, or `context_is_admin`: 403 else.
    OwnerOrAdmin,
}

use Asks::{Admin, OneOf, OwnerOrAdmin, Rule};

/// A route that is not in the table asks this one, as an unknown rule does in Trove.
const DEFAULT: Asks = Rule("default");

/// What a route below `/v1.0/{tenant}` asks.
pub(crate) fn asks(method: &Method, path: &str) -> Asks {
    let found = TABLE.iter().find(|(known, pattern, _)| method.as_str() == *known && path == *pattern);
    found.map_or(DEFAULT, |(_, _, asks)| *asks)
}

/// The middleware of a route that asks one rule.
pub(crate) async fn ask(
    rule: &'static str,
    request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let caller = request.extensions().get::<Caller>().cloned();
    let shim = request.app_data::<Data<Shim>>().cloned();
    let answer = match (shim, caller) {
        (Some(shim), Some(caller)) => shim.policy.check(&caller, rule),
        _ => Err(Error::internal("This route is served without authentication.")),
    };
    match answer {
        Ok(()) => next.call(request).await,
        Err(error) => Ok(request.error_response(error)),
    }
}

const TABLE: &[(&str, &str, Asks)] = &[
    ("GET", "/instances", Rule("instance:index")),
    (
        "POST",
        "/instances",
        OneOf(&["instance:create", "instance:extension:database:create", "instance:extension:user:create"]),
    ),
    ("GET", "/instances/detail", Rule("instance:detail")),
    ("GET", "/instances/{instance}", Rule("instance:show")),
    ("DELETE", "/instances/{instance}", Rule("instance:delete")),
    ("PUT", "/instances/{instance}", Rule("instance:update")),
    ("PATCH", "/instances/{instance}", Rule("instance:edit")),
    (
        "POST",
        "/instances/{instance}/action",
        OneOf(&[
            "instance:restart",
            "instance:resize_volume",
            "instance:resize_flavor",
            "instance:reset_status",
            "instance:force_delete",
            "instance:promote_to_replica_source",
            "instance:eject_replica_source",
        ]),
    ),
    ("GET", "/instances/{instance}/journal", Rule("instance:show")),
    ("GET", "/instances/{instance}/backups", Rule("instance:backups")),
    ("GET", "/instances/{instance}/configuration", Rule("instance:configuration")),
    ("GET", "/instances/{instance}/log", Rule("instance:guest_log_list")),
    // Trove has no rule of its own for the next three and asks `default`.
    ("POST", "/instances/{instance}/log", DEFAULT),
    ("GET", "/instances/{instance}/ssl", DEFAULT),
    ("POST", "/instances/{instance}/ssl", DEFAULT),
    ("GET", "/instances/{instance}/modules", Rule("instance:module_list")),
    ("POST", "/instances/{instance}/modules", Rule("instance:module_apply")),
    ("DELETE", "/instances/{instance}/modules/{module}", Rule("instance:module_remove")),
    ("GET", "/instances/{instance}/databases", Rule("instance:extension:database:index")),
    ("POST", "/instances/{instance}/databases", Rule("instance:extension:database:create")),
    ("GET", "/instances/{instance}/databases/{database}", Rule("instance:extension:database:show")),
    ("DELETE", "/instances/{instance}/databases/{database}", Rule("instance:extension:database:delete")),
    ("GET", "/instances/{instance}/users", Rule("instance:extension:user:index")),
    ("POST", "/instances/{instance}/users", Rule("instance:extension:user:create")),
    ("PUT", "/instances/{instance}/users", Rule("instance:extension:user:update_all")),
    ("GET", "/instances/{instance}/users/{user}", Rule("instance:extension:user:show")),
    ("PUT", "/instances/{instance}/users/{user}", Rule("instance:extension:user:update")),
    ("DELETE", "/instances/{instance}/users/{user}", Rule("instance:extension:user:delete")),
    ("GET", "/instances/{instance}/users/{user}/databases", Rule("instance:extension:user_access:index")),
    ("PUT", "/instances/{instance}/users/{user}/databases", Rule("instance:extension:user_access:update")),
    (
        "DELETE",
        "/instances/{instance}/users/{user}/databases/{database}",
        Rule("instance:extension:user_access:delete"),
    ),
    ("GET", "/instances/{instance}/root", Rule("instance:extension:root:index")),
    ("POST", "/instances/{instance}/root", Rule("instance:extension:root:create")),
    ("DELETE", "/instances/{instance}/root", Rule("instance:extension:root:delete")),
    ("GET", "/flavors", Rule("flavor:index")),
    ("GET", "/flavors/{flavor}", Rule("flavor:show")),
    ("GET", "/datastores", Rule("datastore:index")),
    ("GET", "/datastores/{datastore}", Rule("datastore:show")),
    ("DELETE", "/datastores/{datastore}", Rule("datastore:delete")),
    ("GET", "/datastores/{datastore}/versions", Rule("datastore:version_index")),
    ("GET", "/datastores/{datastore}/versions/{version}", Rule("datastore:version_show")),
    ("GET", "/datastores/versions/{version}", Rule("datastore:version_show_by_uuid")),
    ("GET", "/datastores/{datastore}/versions/{version}/flavors", Rule("datastore:list_associated_flavors")),
    ("GET", "/datastores/{datastore}/versions/{version}/volume-types", Rule("datastore:list_associated_volume_types")),
    ("GET", "/datastores/{datastore}/versions/{version}/parameters", Rule("configuration-parameter:index")),
    ("GET", "/datastores/{datastore}/versions/{version}/parameters/{name}", Rule("configuration-parameter:show")),
    ("GET", "/datastores/versions/{version}/parameters", Rule("configuration-parameter:index_by_version")),
    ("GET", "/datastores/versions/{version}/parameters/{name}", Rule("configuration-parameter:show_by_version")),
    ("GET", "/configurations", Rule("configuration:index")),
    ("POST", "/configurations", Rule("configuration:create")),
    ("GET", "/configurations/{group}", Rule("configuration:show")),
    ("PATCH", "/configurations/{group}", Rule("configuration:edit")),
    ("PUT", "/configurations/{group}", Rule("configuration:update")),
    ("DELETE", "/configurations/{group}", Rule("configuration:delete")),
    ("GET", "/configurations/{group}/instances", Rule("configuration:instances")),
    ("GET", "/backups", OneOf(&["backup:index", "backup:index:all_projects"])),
    ("POST", "/backups", Rule("backup:create")),
    ("GET", "/backups/{backup}", Rule("backup:show")),
    ("DELETE", "/backups/{backup}", Rule("backup:delete")),
    ("GET", "/backup_strategies", Rule("backup_strategy:index")),
    ("POST", "/backup_strategies", Rule("backup_strategy:create")),
    ("DELETE", "/backup_strategies", Rule("backup_strategy:delete")),
    ("GET", "/clusters", Rule("cluster:index")),
    ("POST", "/clusters", Rule("cluster:create")),
    ("GET", "/clusters/{cluster}", Rule("cluster:show")),
    ("POST", "/clusters/{cluster}", Rule("cluster:action")),
    ("DELETE", "/clusters/{cluster}", Rule("cluster:delete")),
    ("GET", "/clusters/{cluster}/instances/{instance}", Rule("cluster:show_instance")),
    ("GET", "/clusters/{cluster}/root", Rule("cluster:extension:root:index")),
    ("POST", "/clusters/{cluster}/root", Rule("cluster:extension:root:create")),
    ("DELETE", "/clusters/{cluster}/root/{dummy}", Rule("cluster:extension:root:delete")),
    ("GET", "/modules", Rule("module:index")),
    ("POST", "/modules", Rule("module:create")),
    ("GET", "/modules/{module}", Rule("module:show")),
    ("PUT", "/modules/{module}", Rule("module:update")),
    ("DELETE", "/modules/{module}", Rule("module:delete")),
    ("GET", "/modules/{module}/instances", Rule("module:instances")),
    ("PUT", "/modules/{module}/instances", Rule("module:reapply")),
    ("GET", "/limits", Rule("limits:index")),
    ("GET", "/mgmt/quotas/{id}", OwnerOrAdmin),
    ("PUT", "/mgmt/quotas/{id}", Admin),
    ("GET", "/mgmt/instances", Admin),
    ("GET", "/mgmt/instances/{instance}", Admin),
    ("POST", "/mgmt/instances/{instance}/action", Admin),
    ("GET", "/mgmt/instances/{instance}/root", Admin),
    ("GET", "/mgmt/instances/{instance}/diagnostics", Admin),
    ("GET", "/mgmt/instances/{instance}/hwinfo", Admin),
    ("GET", "/mgmt/instances/{instance}/rpc_ping", Admin),
    ("POST", "/mgmt/instances/{instance}/upgrade", Admin),
    ("GET", "/mgmt/clusters", Admin),
    ("GET", "/mgmt/clusters/{cluster}", Admin),
    ("POST", "/mgmt/clusters/{cluster}/action", Admin),
    ("GET", "/mgmt/datastore-versions", Admin),
    ("POST", "/mgmt/datastore-versions", Admin),
    ("GET", "/mgmt/datastore-versions/{version}", Admin),
    ("PATCH", "/mgmt/datastore-versions/{version}", Admin),
    ("DELETE", "/mgmt/datastore-versions/{version}", Admin),
    ("GET", "/mgmt/datastores/versions/{version}/parameters", Admin),
    ("POST", "/mgmt/datastores/versions/{version}/parameters", Admin),
    ("GET", "/mgmt/datastores/versions/{version}/parameters/{name}", Admin),
    ("PUT", "/mgmt/datastores/versions/{version}/parameters/{name}", Admin),
    ("DELETE", "/mgmt/datastores/versions/{version}/parameters/{name}", Admin),
];

#[cfg(test)]
pub(super) fn table() -> &'static [(&'static str, &'static str, Asks)] {
    TABLE
}

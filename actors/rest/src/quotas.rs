//! `/mgmt/quotas/{tenant}`: what a tenant has and may have. For itself and for admins; set by admins.

use actix_web::{
    HttpResponse,
    web::{Data, Path},
};
use coffer_domain::{
    command::Command,
    ids::{InstanceId, TenantId},
    quota::{Limit, OwnLimits},
};
use serde::Serialize;
use serde_json::json;
use uuid::Uuid;

use crate::{
    Shim,
    bodies::QuotaChange,
    body::Body,
    caller::Caller,
    commands::submit_for,
    error::{Error, Result},
    idempotency::Answer,
    limits::number,
    schema::Node,
};

#[derive(Serialize)]
struct QuotaList {
    quotas: [Quota; 4],
}

#[derive(Serialize)]
struct Quota {
    resource: &'static str,
    in_use: u64,
    /// Charged and refunded in the batch of its instance: nothing is ever merely reserved.
    reserved: u64,
    limit: i64,
}

pub(crate) async fn show(shim: Data<Shim>, caller: Caller, path: Path<(String, String)>) -> Result<HttpResponse> {
    let (_, tenant) = path.into_inner();
    let tenant = TenantId(tenant);
    if tenant != *caller.tenant() && !caller.is_admin {
        return Err(Error::forbidden(format!("Operation not allowed for tenant {}.", caller.tenant())));
    }
    let usage = shim.control.usage(&tenant)?;
    let limits = shim.control.limits(&tenant)?;
    let quota = |resource, in_use, limit: Option<u64>| Quota { resource, in_use, reserved: 0, limit: number(limit) };
    let quotas = [
        quota("instances", usage.instances, limits.instances),
        quota("volumes", usage.volume_gib, limits.volume_gib),
        quota("ram", usage.memory_mib, limits.memory_mib),
        // There are no backups yet.
        quota("backups", 0, limits.backups),
    ];
    Ok(HttpResponse::Ok().json(QuotaList { quotas }))
}

/// Sets some limits of a tenant; `null` is none to set, -1 none at all. What the tenant has beyond them it keeps.
pub(crate) async fn set(
    shim: Data<Shim>,
    caller: Caller,
    path: Path<(String, String)>,
    body: Body<QuotaChange>,
) -> Result<HttpResponse> {
    caller.require_admin()?;
    let wanted = Node::root(body.required()?, "quotas")?;
    let unknown: Vec<String> =
        wanted.keys()?.filter(|key| !RESOURCES.contains(key)).map(|key| format!("'{}'", key.escape_debug())).collect();
    if !unknown.is_empty() {
        return Err(Error::not_found(format!("Unknown quota resources [{}].", unknown.join(", "))));
    }
    let tenant = tenant_id(&path.1)?;
    let mut own = OwnLimits::default();
    let mut echo = serde_json::Map::new();
    for resource in RESOURCES {
        let Some(number) = wanted.non_null(resource)?.map(|node| limit(&node)).transpose()? else { continue };
        let limit = Some(Limit::from(number));
        match resource {
            "instances" => own.instances = limit,
            "volumes" => own.volume_gib = limit,
            "ram" => own.memory_mib = limit,
            _ => own.backups = limit,
        }
        echo.insert(resource.to_owned(), number.into());
    }
    let answer = Answer::ok(&json!({ "quotas": echo }))?;
    if own != OwnLimits::default() {
        let nobody = InstanceId(Uuid::nil());
        let command = Command::SetQuota { limits: own };
        submit_for(&shim, &caller, &tenant, nobody, command, Some(&answer)).await?;
    }
    Ok(answer.respond())
}

const RESOURCES: [&str; 4] = ["instances", "volumes", "ram", "backups"];
/// Characters of a project's id at most.
const MAX_TENANT: usize = 64;

/// The legacy shell sends text.
pub(crate) fn limit(node: &Node<'_>) -> Result<i64> {
    let number = node.whole().or_else(|| node.value().as_str()?.parse().ok());
    let number = number.ok_or_else(|| node.mistyped("integer"))?;
    let number = i64::try_from(number).ok().filter(|number| *number >= -1);
    number.ok_or_else(|| node.fails("must be at least '-1', and fit into 64 bits"))
}

/// A project that nobody has heard of may have limits before its first order, so that only the form of its id is checked.
fn tenant_id(text: &str) -> Result<TenantId> {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.');
    if text.is_empty() || text.len() > MAX_TENANT || !text.chars().all(is_plain) {
        return Err(Error::bad_request(format!(
            "Project '{}' has no id: 1 to {MAX_TENANT} ASCII letters, digits, '-', '_' and '.'.",
            text.escape_debug()
        )));
    }
    Ok(TenantId(text.to_owned()))
}

//! `GET /mgmt/quotas/{tenant}`: what a tenant has and may have. For itself and for admins.

use actix_web::{
    HttpResponse,
    web::{Data, Path},
};
use coffer_domain::ids::TenantId;
use serde::Serialize;

use crate::{
    Shim,
    caller::Caller,
    error::{Error, Result},
    limits::number,
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
    let limits = shim.control.limits(&tenant);
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

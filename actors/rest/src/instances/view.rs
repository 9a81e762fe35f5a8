//! An instance as clients see it: the short row of a list and the detailed one.

use coffer_domain::{
    command::Access,
    instance::{
        InstanceView,
        view::{OperatingStatus, Status},
    },
};
use serde::Serialize;

use crate::{Shim, caller::Caller, links::Link, times};

#[derive(Serialize)]
pub(crate) struct InstanceRow<'a> {
    id: String,
    name: &'a str,
    status: Status,
    operating_status: OperatingStatus,
    links: [Link; 2],
    flavor: FlavorRef<'a>,
    datastore: DatastoreRef<'a>,
    region: &'a str,
    access: AccessRow<'a>,
    /// For admins.
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant_id: Option<&'a str>,
    volume: Volume,
    #[serde(skip_serializing_if = "Option::is_none")]
    ip: Option<[&'a str; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    addresses: Option<[Address<'a>; 1]>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    detail: Option<Detail<'a>>,
}

#[derive(Serialize)]
struct FlavorRef<'a> {
    id: &'a str,
    links: [Link; 2],
}

#[derive(Serialize)]
struct DatastoreRef<'a> {
    #[serde(rename = "type")]
    name: &'a str,
    version: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    version_number: Option<&'a str>,
}

#[derive(Serialize)]
struct AccessRow<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    is_public: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    allowed_cidrs: Option<&'a [String]>,
}

#[derive(Serialize)]
struct Volume {
    /// GiB.
    size: u32,
    /// GiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    used: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    used_percent: Option<f64>,
}

#[derive(Serialize)]
struct Address<'a> {
    address: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    network: Option<&'a str>,
}

#[derive(Serialize)]
struct Detail<'a> {
    created: String,
    updated: String,
    service_status_updated: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<Fault<'a>>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    for_admins: Option<AdminColumns<'a>>,
}

#[derive(Serialize)]
struct Fault<'a> {
    message: &'a str,
    created: String,
    details: &'a str,
}

#[derive(Serialize)]
struct AdminColumns<'a> {
    server_id: Option<&'a str>,
    volume_id: Option<&'a str>,
    encrypted_rpc_messaging: bool,
}

/// What a row needs besides the view.
pub(crate) struct Render<'a> {
    caller: &'a Caller,
    region: &'a str,
}

impl<'a> Render<'a> {
    pub fn new(shim: &'a Shim, caller: &'a Caller) -> Self {
        Self { caller, region: &shim.config.region }
    }

    pub fn brief(&self, view: &'a InstanceView) -> InstanceRow<'a> {
        let links = &self.caller.links;
        let id = view.id.to_string();
        let address = view.address.as_deref();
        InstanceRow {
            links: links.to("instances", &id),
            id,
            name: &view.name,
            status: view.status,
            operating_status: view.operating_status,
            flavor: FlavorRef { id: &view.flavor_id, links: links.to("flavors", &view.flavor_id) },
            datastore: DatastoreRef {
                name: &view.datastore_name,
                version: &view.datastore_version_name,
                version_number: None,
            },
            region: view.region.as_deref().unwrap_or(self.region),
            access: access(&view.access, address),
            tenant_id: self.caller.principal.is_admin().then_some(view.tenant.0.as_str()),
            volume: Volume { size: view.volume_gib, used: None, used_percent: None },
            ip: address.map(|address| [address]),
            addresses: address
                .map(|address| [Address { address, kind: "private", network: view.network_id.as_deref() }]),
            detail: None,
        }
    }

    pub fn detailed(&self, view: &'a InstanceView) -> InstanceRow<'a> {
        let mut row = self.brief(view);
        row.datastore.version_number = Some(&view.datastore_version_number);
        if let Some(used_bytes) = view.volume_used_bytes {
            let (used, used_percent) = usage(used_bytes, view.volume_gib);
            row.volume.used = Some(used);
            row.volume.used_percent = Some(used_percent);
        }
        row.detail = Some(Detail {
            created: times::trove(view.created_at),
            updated: times::trove(view.updated_at),
            service_status_updated: times::trove(view.service_status_updated_at),
            fault: view.fault.as_ref().map(|fault| Fault {
                message: &fault.message,
                created: times::trove(fault.created_at),
                details: &fault.details,
            }),
            for_admins: self.caller.principal.is_admin().then_some(AdminColumns {
                server_id: view.server_id.as_deref(),
                volume_id: view.volume_id.as_deref(),
                encrypted_rpc_messaging: true,
            }),
        });
        row
    }
}

/// What the client said. If it said nothing: not public once there is an address, which is always a private one.
fn access<'a>(access: &'a Access, address: Option<&str>) -> AccessRow<'a> {
    let is_unsaid = access.is_public.is_none() && access.allowed_cidrs.is_none();
    AccessRow {
        is_public: if is_unsaid { address.map(|_| false) } else { access.is_public },
        allowed_cidrs: access.allowed_cidrs.as_deref(),
    }
}

/// Used GiB and per cent of the size, both with two decimals.
fn usage(used_bytes: u64, size_gib: u32) -> (f64, f64) {
    const GIB: f64 = 1_073_741_824.0;
    let rounded = |value: f64| (value * 100.0).round() / 100.0;
    let used_gib = used_bytes as f64 / GIB;
    (rounded(used_gib), rounded(used_gib / f64::from(size_gib.max(1)) * 100.0))
}

#[cfg(test)]
mod tests {
    #[test]
    fn usage_is_rounded() {
        assert_eq!(super::usage(0, 5), (0.0, 0.0));
        assert_eq!(super::usage(1_073_741_824, 4), (1.0, 25.0));
        assert_eq!(super::usage(145_000_000, 5), (0.14, 2.7));
        assert_eq!(super::usage(1, 0), (0.0, 0.0));
    }
}

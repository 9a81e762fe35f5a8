//! What a GET shows of an instance, as text: JSON members that a reader puts together with no parsing, so that showing
//! an instance costs little more than copying it. Only addresses of the service itself are left to the reader, who knows
//! how it was reached.
//!
//! A row is lines of text, which no JSON text without layout can break:
//!
//! ```text
//! 3 1795359845678                          version, and when the instance was created, in ms of Unix time
//! "1"                                      the flavor's id
//! "region":"north"                         nothing where the service's own region counts
//! "id":"…","name":"…",…                    what each reader sees
//! "datastore":{…},"volume":{…}             in a list
//! "datastore":{…},"volume":{…},…           in detail
//! "tenant_id":"…"                          for admins
//! "server_id":"…",…                        for admins, in detail
//! 6f1a9f0e-… "utf8"                        the configuration group's id and name, or nothing
//! ```

use serde::Serialize;

use super::view::{InstanceView, OperatingStatus, Status};
use crate::{command::Access, time::Timestamp};

/// Version of the rows that this build writes. Rows of another are written anew from the state by whoever reads them.
const VERSION: &str = "3";

/// What most rows need.
const USUAL_BYTES: usize = 1024;

/// Whether this build has written the row; one that begins as it should and is damaged further on counts as such.
pub fn is_current(row: &[u8]) -> bool {
    row.strip_prefix(VERSION.as_bytes()).is_some_and(|rest| rest.starts_with(b" "))
}

/// A row taken apart. The parts are JSON members without the braces around them, joined by commas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shown<'a> {
    pub created_at: Timestamp,
    /// The id as it stands between the quotes of a JSON string.
    pub flavor_id: &'a str,
    /// Empty where the service's own region counts.
    pub region: &'a str,
    pub common: &'a str,
    pub listed: &'a str,
    pub detailed: &'a str,
    pub for_admins: &'a str,
    pub for_admins_detailed: &'a str,
    /// Id of the configuration group, and its name as a JSON string.
    pub configuration: Option<(&'a str, &'a str)>,
}

impl<'a> Shown<'a> {
    /// `None` when the row is of another version than this build's, or damaged.
    pub fn read(row: &'a [u8]) -> Option<Self> {
        let mut lines = std::str::from_utf8(row).ok()?.split('\n');
        let created_at = lines.next()?.strip_prefix(VERSION)?.strip_prefix(' ')?.parse().ok()?;
        let shown = Self {
            created_at: Timestamp(created_at),
            flavor_id: lines.next()?.strip_prefix('"')?.strip_suffix('"')?,
            region: lines.next()?,
            common: lines.next()?,
            listed: lines.next()?,
            detailed: lines.next()?,
            for_admins: lines.next()?,
            for_admins_detailed: lines.next()?,
            configuration: lines.next()?.split_once(' '),
        };
        lines.next().is_none().then_some(shown)
    }
}

/// The row of a view.
///
/// # Panics
/// Never: strings, numbers and flags always serialise.
pub fn row(view: &InstanceView) -> Vec<u8> {
    let mut row = Vec::with_capacity(USUAL_BYTES);
    row.extend_from_slice(format!("{VERSION} {}\n", view.created_at.0).as_bytes());
    json(&mut row, &view.flavor_id);
    let address = view.address.as_deref();
    let datastore = |version_number| Datastore {
        name: &view.datastore_name,
        version: &view.datastore_version_name,
        version_number,
    };
    members(&mut row, &Region { region: view.region.as_deref() });
    members(
        &mut row,
        &Common {
            id: view.id.to_string(),
            name: &view.name,
            status: view.status,
            operating_status: view.operating_status,
            access: access(&view.access, address),
            ip: address.map(|address| [address]),
            addresses: address
                .map(|address| [Address { address, kind: "private", network: view.network_id.as_deref() }]),
        },
    );
    let size = view.volume_gib;
    let volume = Volume { size, used: None, used_percent: None };
    members(&mut row, &Listed { datastore: datastore(None), volume });
    let usage = view.volume_used_bytes.map(|bytes| usage(bytes, size));
    let volume = Volume { size, used: usage.map(|usage| usage.0), used_percent: usage.map(|usage| usage.1) };
    members(
        &mut row,
        &Detailed {
            datastore: datastore(Some(&view.datastore_version_number)),
            volume,
            created: view.created_at.iso(),
            updated: view.updated_at.iso(),
            service_status_updated: view.service_status_updated_at.iso(),
            fault: view.fault.as_ref().map(|fault| Fault {
                message: &fault.message,
                created: fault.created_at.iso(),
                details: &fault.details,
            }),
        },
    );
    members(&mut row, &ForAdmins { tenant_id: &view.tenant.0 });
    members(
        &mut row,
        &ForAdminsDetailed {
            server_id: view.server_id.as_deref(),
            volume_id: view.volume_id.as_deref(),
            encrypted_rpc_messaging: true,
        },
    );
    row.push(b'\n');
    if let Some(group) = &view.configuration {
        row.extend_from_slice(format!("{} ", group.id).as_bytes());
        json(&mut row, &group.name);
    }
    row
}

/// Appends an object's members as a line of their own: the line's end stands where the brace was.
fn members(row: &mut Vec<u8>, object: &impl Serialize) {
    let start = row.len();
    json(row, object);
    row[start] = b'\n';
    row.pop();
}

fn json(row: &mut Vec<u8>, value: &impl Serialize) {
    serde_json::to_writer(row, value).expect("strings, numbers and flags serialise to JSON");
}

#[derive(Serialize)]
struct Region<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<&'a str>,
}

#[derive(Serialize)]
struct Common<'a> {
    id: String,
    name: &'a str,
    status: Status,
    operating_status: OperatingStatus,
    access: ShownAccess<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ip: Option<[&'a str; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    addresses: Option<[Address<'a>; 1]>,
}

#[derive(Serialize)]
struct Listed<'a> {
    datastore: Datastore<'a>,
    volume: Volume,
}

#[derive(Serialize)]
struct Detailed<'a> {
    datastore: Datastore<'a>,
    volume: Volume,
    created: String,
    updated: String,
    service_status_updated: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<Fault<'a>>,
}

#[derive(Serialize)]
struct ForAdmins<'a> {
    tenant_id: &'a str,
}

#[derive(Serialize)]
struct ForAdminsDetailed<'a> {
    server_id: Option<&'a str>,
    volume_id: Option<&'a str>,
    encrypted_rpc_messaging: bool,
}

#[derive(Serialize)]
struct Datastore<'a> {
    #[serde(rename = "type")]
    name: &'a str,
    version: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    version_number: Option<&'a str>,
}

#[derive(Serialize)]
struct ShownAccess<'a> {
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
struct Fault<'a> {
    message: &'a str,
    created: String,
    details: &'a str,
}

/// What the client said. If it said nothing: not public once there is an address, which is always a private one.
fn access<'a>(access: &'a Access, address: Option<&str>) -> ShownAccess<'a> {
    let is_unsaid = access.is_public.is_none() && access.allowed_cidrs.is_none();
    ShownAccess {
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

//! Flavors: all, one, and those of a datastore version (all again: nothing restricts them).

use actix_web::{
    HttpResponse,
    web::{Data, Path},
};
use coffer_domain::catalogue::Flavor;
use serde::Serialize;

use crate::{
    Shim,
    caller::Caller,
    datastores,
    error::{Error, Result},
    links::{Link, Links},
};

#[derive(Serialize)]
struct FlavorRow<'a> {
    /// Absent where the id is not a plain integer: clients then take `str_id`.
    id: Option<u64>,
    links: [Link; 2],
    name: &'a str,
    ram: u64,
    vcpus: u32,
    disk: u32,
    ephemeral: u32,
    str_id: &'a str,
}

#[derive(Serialize)]
struct FlavorList<'a> {
    flavors: Vec<FlavorRow<'a>>,
}

#[derive(Serialize)]
struct OneFlavor<'a> {
    flavor: FlavorRow<'a>,
}

pub(crate) async fn list(shim: Data<Shim>, caller: Caller) -> HttpResponse {
    let catalogue = shim.control.catalogue();
    answer(&catalogue.flavors, &caller.links)
}

pub(crate) async fn list_of_version(
    shim: Data<Shim>,
    caller: Caller,
    path: Path<(String, String, String)>,
) -> Result<HttpResponse> {
    let (_, datastore, version) = path.into_inner();
    let catalogue = shim.control.catalogue();
    datastores::find_named(&catalogue, &caller, &datastore, &version)?;
    Ok(answer(&catalogue.flavors, &caller.links))
}

pub(crate) async fn show(shim: Data<Shim>, caller: Caller, path: Path<(String, String)>) -> Result<HttpResponse> {
    let (_, id) = path.into_inner();
    let catalogue = shim.control.catalogue();
    let flavor = catalogue.flavor(&id).ok_or_else(|| Error::no_resource(&id))?;
    Ok(HttpResponse::Ok().json(OneFlavor { flavor: row(flavor, &caller.links) }))
}

fn answer(flavors: &[Flavor], links: &Links) -> HttpResponse {
    HttpResponse::Ok().json(FlavorList { flavors: flavors.iter().map(|flavor| row(flavor, links)).collect() })
}

fn row<'a>(flavor: &'a Flavor, links: &Links) -> FlavorRow<'a> {
    FlavorRow {
        id: integer(&flavor.id),
        links: links.to("flavors", &flavor.id),
        name: &flavor.name,
        ram: flavor.memory_mib,
        vcpus: flavor.vcpus,
        disk: flavor.disk_gib,
        ephemeral: flavor.ephemeral_gib,
        str_id: &flavor.id,
    }
}

/// Digits only, and no leading zero, which an integer would lose.
fn integer(id: &str) -> Option<u64> {
    let is_plain = id.bytes().all(|byte| byte.is_ascii_digit()) && !id.starts_with('0');
    is_plain.then(|| id.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    #[test]
    fn only_plain_integers_are_integers() {
        for (id, expected) in
            [("1", Some(1)), ("42", Some(42)), ("01", None), ("0", None), ("m1.small", None), ("+1", None), ("", None)]
        {
            assert_eq!(super::integer(id), expected, "{id}");
        }
    }
}

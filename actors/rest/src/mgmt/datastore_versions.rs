//! Every datastore version, active or not, with all that is known of it.

use actix_web::{
    HttpResponse,
    web::{Data, Path},
};
use coffer_domain::catalogue::{Datastore, DatastoreVersion};
use serde::Serialize;
use uuid::Uuid;

use crate::{Shim, caller::Caller, datastores::find_version_by_id, error::Result};

/// An engine comes with the guest and not in an image: what tells of images is empty, which Trove writes as one empty
/// string.
#[derive(Serialize)]
struct VersionRow<'a> {
    id: Uuid,
    name: &'a str,
    version: &'a str,
    datastore_id: Uuid,
    datastore_name: &'a str,
    datastore_manager: &'a str,
    image: Option<&'a str>,
    image_tags: [&'a str; 1],
    packages: [&'a str; 1],
    active: bool,
    registry_ext: Option<&'a str>,
    repl_strategy: Option<&'a str>,
    default: bool,
}

#[derive(Serialize)]
struct VersionList<'a> {
    versions: Vec<VersionRow<'a>>,
}

#[derive(Serialize)]
struct OneVersion<'a> {
    version: VersionRow<'a>,
}

pub(crate) async fn list(shim: Data<Shim>, caller: Caller) -> Result<HttpResponse> {
    caller.require_admin()?;
    let catalogue = shim.control.catalogue();
    let mut versions = Vec::new();
    for datastore in &catalogue.datastores {
        versions.extend(datastore.versions.iter().map(|version| row(datastore, version)));
    }
    Ok(HttpResponse::Ok().json(VersionList { versions }))
}

pub(crate) async fn show(shim: Data<Shim>, caller: Caller, path: Path<(String, String)>) -> Result<HttpResponse> {
    caller.require_admin()?;
    let (_, id) = path.into_inner();
    let catalogue = shim.control.catalogue();
    let (datastore, version) = find_version_by_id(&catalogue, &caller, &id)?;
    Ok(HttpResponse::Ok().json(OneVersion { version: row(datastore, version) }))
}

fn row<'a>(datastore: &'a Datastore, version: &'a DatastoreVersion) -> VersionRow<'a> {
    VersionRow {
        id: version.id,
        name: &version.name,
        version: &version.number,
        datastore_id: datastore.id,
        datastore_name: &datastore.name,
        datastore_manager: &version.manager,
        image: None,
        image_tags: [""],
        packages: [""],
        active: version.active,
        registry_ext: None,
        repl_strategy: None,
        default: datastore.default_version == Some(version.id),
    }
}

//! Datastores and their versions, by id or by name. Members see active versions, and datastores that have one.

use actix_web::{
    HttpResponse,
    web::{Data, Path},
};
use coffer_domain::catalogue::{Catalogue, Datastore, DatastoreVersion};
use serde::Serialize;
use uuid::Uuid;

use crate::{
    Shim,
    caller::Caller,
    error::{Error, Result},
    links::Link,
    request_id::uuid_of,
};

#[derive(Serialize)]
struct DatastoreRow<'a> {
    id: Uuid,
    name: &'a str,
    links: [Link; 2],
    versions: Vec<VersionRow<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    default_version: Option<Uuid>,
}

#[derive(Serialize)]
struct VersionRow<'a> {
    id: Uuid,
    name: &'a str,
    version: &'a str,
    links: [Link; 2],
    #[serde(skip_serializing_if = "Option::is_none")]
    datastore: Option<Uuid>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    for_admins: Option<AdminColumns>,
}

/// What an image-based Trove tells its admins. Of these Coffer knows only whether the version is active.
#[derive(Serialize)]
struct AdminColumns {
    active: u8,
    packages: &'static str,
    image: Option<&'static str>,
    registry_ext: Option<&'static str>,
    repl_strategy: Option<&'static str>,
    image_tags: [&'static str; 0],
}

#[derive(Serialize)]
struct DatastoreList<'a> {
    datastores: Vec<DatastoreRow<'a>>,
}

#[derive(Serialize)]
struct OneDatastore<'a> {
    datastore: DatastoreRow<'a>,
}

#[derive(Serialize)]
struct VersionList<'a> {
    versions: Vec<VersionRow<'a>>,
}

#[derive(Serialize)]
struct OneVersion<'a> {
    version: VersionRow<'a>,
}

/// The provider knows its volume types by name.
#[derive(Serialize)]
struct VolumeTypeRow<'a> {
    id: &'a str,
    name: &'a str,
    is_public: bool,
    description: Option<&'a str>,
}

#[derive(Serialize)]
struct VolumeTypeList<'a> {
    volume_types: Vec<VolumeTypeRow<'a>>,
}

pub(crate) async fn list(shim: Data<Shim>, caller: Caller) -> HttpResponse {
    let catalogue = shim.control.catalogue();
    let visible = catalogue.datastores.iter().filter(|datastore| is_visible(datastore, &caller));
    let datastores = visible.map(|datastore| datastore_row(datastore, &caller)).collect();
    HttpResponse::Ok().json(DatastoreList { datastores })
}

pub(crate) async fn show(shim: Data<Shim>, caller: Caller, path: Path<(String, String)>) -> Result<HttpResponse> {
    let (_, datastore) = path.into_inner();
    let catalogue = shim.control.catalogue();
    let datastore = find(&catalogue, &caller, &datastore)?;
    Ok(HttpResponse::Ok().json(OneDatastore { datastore: datastore_row(datastore, &caller) }))
}

pub(crate) async fn list_versions(
    shim: Data<Shim>,
    caller: Caller,
    path: Path<(String, String)>,
) -> Result<HttpResponse> {
    let (_, datastore) = path.into_inner();
    let catalogue = shim.control.catalogue();
    let datastore = find(&catalogue, &caller, &datastore)?;
    let versions = visible_versions(datastore, &caller);
    let versions = versions.map(|version| version_row(version, &caller, Some(datastore.id))).collect();
    Ok(HttpResponse::Ok().json(VersionList { versions }))
}

pub(crate) async fn show_version(
    shim: Data<Shim>,
    caller: Caller,
    path: Path<(String, String, String)>,
) -> Result<HttpResponse> {
    let (_, datastore, version) = path.into_inner();
    let catalogue = shim.control.catalogue();
    let (datastore, version) = find_named(&catalogue, &caller, &datastore, &version)?;
    Ok(answer(version, &caller, datastore))
}

pub(crate) async fn show_version_by_id(
    shim: Data<Shim>,
    caller: Caller,
    path: Path<(String, String)>,
) -> Result<HttpResponse> {
    let (_, id) = path.into_inner();
    let catalogue = shim.control.catalogue();
    let (datastore, version) = find_version_by_id(&catalogue, &caller, &id)?;
    Ok(answer(version, &caller, datastore))
}

/// All of them: nothing restricts a version's volume types.
pub(crate) async fn list_volume_types(
    shim: Data<Shim>,
    caller: Caller,
    path: Path<(String, String, String)>,
) -> Result<HttpResponse> {
    let (_, datastore, version) = path.into_inner();
    let catalogue = shim.control.catalogue();
    find_named(&catalogue, &caller, &datastore, &version)?;
    let types = catalogue.volume_types.iter();
    let volume_types = types.map(|name| VolumeTypeRow { id: name, name, is_public: true, description: None }).collect();
    Ok(HttpResponse::Ok().json(VolumeTypeList { volume_types }))
}

/// A datastore that the caller may see, by id or name. Errors: 404.
pub(crate) fn find<'a>(catalogue: &'a Catalogue, caller: &Caller, id_or_name: &str) -> Result<&'a Datastore> {
    catalogue
        .datastore(id_or_name)
        .filter(|datastore| is_visible(datastore, caller))
        .ok_or_else(|| Error::not_found(format!("Datastore '{id_or_name}' cannot be found.")))
}

/// A datastore and a version of it that the caller may see, each by id or name. Errors: 404 for the datastore, 400 for
/// the version, which is what Trove has for it.
pub(crate) fn find_named<'a>(
    catalogue: &'a Catalogue,
    caller: &Caller,
    datastore: &str,
    version: &str,
) -> Result<(&'a Datastore, &'a DatastoreVersion)> {
    let datastore = find(catalogue, caller, datastore)?;
    let found = datastore.version(version).filter(|version| version.active || caller.is_admin);
    Ok((datastore, found.ok_or_else(|| no_version(version))?))
}

/// A version that the caller may see, by its id alone. Errors: as [`find_named`].
pub(crate) fn find_version_by_id<'a>(
    catalogue: &'a Catalogue,
    caller: &Caller,
    id: &str,
) -> Result<(&'a Datastore, &'a DatastoreVersion)> {
    uuid_of(id)
        .and_then(|uuid| catalogue.version_by_id(uuid))
        .filter(|(_, version)| version.active || caller.is_admin)
        .ok_or_else(|| no_version(id))
}

pub(crate) fn no_version(id_or_name: &str) -> Error {
    Error::bad_request(format!("Datastore version '{id_or_name}' cannot be found."))
}

fn is_visible(datastore: &Datastore, caller: &Caller) -> bool {
    caller.is_admin || datastore.versions.iter().any(|version| version.active)
}

fn visible_versions<'a>(
    datastore: &'a Datastore,
    caller: &Caller,
) -> impl Iterator<Item = &'a DatastoreVersion> + use<'a> {
    let is_admin = caller.is_admin;
    datastore.versions.iter().filter(move |version| version.active || is_admin)
}

fn answer(version: &DatastoreVersion, caller: &Caller, datastore: &Datastore) -> HttpResponse {
    HttpResponse::Ok().json(OneVersion { version: version_row(version, caller, Some(datastore.id)) })
}

fn datastore_row<'a>(datastore: &'a Datastore, caller: &Caller) -> DatastoreRow<'a> {
    DatastoreRow {
        id: datastore.id,
        name: &datastore.name,
        links: caller.links.to("datastores", &datastore.id.to_string()),
        versions: visible_versions(datastore, caller).map(|version| version_row(version, caller, None)).collect(),
        default_version: datastore.default_version,
    }
}

fn version_row<'a>(version: &'a DatastoreVersion, caller: &Caller, datastore: Option<Uuid>) -> VersionRow<'a> {
    let for_admins = caller.is_admin.then(|| AdminColumns {
        active: u8::from(version.active),
        packages: "",
        image: None,
        registry_ext: None,
        repl_strategy: None,
        image_tags: [],
    });
    VersionRow {
        id: version.id,
        name: &version.name,
        version: &version.number,
        links: caller.links.to("datastores/versions", &version.id.to_string()),
        datastore,
        for_admins,
    }
}

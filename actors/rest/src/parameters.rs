//! Parameters of a version that configuration groups may set, as its engine tells them.

use actix_web::{
    HttpResponse,
    web::{Data, Path},
};
use coffer_domain::{
    catalogue::DatastoreVersion,
    configuration::parameters::{self, Parameter},
};
use serde::Serialize;
use serde_json::{Number, json};
use uuid::Uuid;

use crate::{
    Shim,
    caller::Caller,
    datastores,
    error::{Error, Result},
};

#[derive(Serialize)]
struct Row<'a> {
    name: &'a str,
    datastore_version_id: Uuid,
    restart_required: bool,
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    max: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    min: Option<Number>,
}

pub(crate) async fn list(
    shim: Data<Shim>,
    caller: Caller,
    path: Path<(String, String, String)>,
) -> Result<HttpResponse> {
    let (_, datastore, version) = path.into_inner();
    let catalogue = shim.control.catalogue();
    Ok(all(datastores::find_named(&catalogue, &caller, &datastore, &version)?.1))
}

pub(crate) async fn list_by_id(shim: Data<Shim>, caller: Caller, path: Path<(String, String)>) -> Result<HttpResponse> {
    let (_, version) = path.into_inner();
    let catalogue = shim.control.catalogue();
    Ok(all(datastores::find_version_by_id(&catalogue, &caller, &version)?.1))
}

pub(crate) async fn show(
    shim: Data<Shim>,
    caller: Caller,
    path: Path<(String, String, String, String)>,
) -> Result<HttpResponse> {
    let (_, datastore, version, name) = path.into_inner();
    let catalogue = shim.control.catalogue();
    one(datastores::find_named(&catalogue, &caller, &datastore, &version)?.1, &name)
}

pub(crate) async fn show_by_id(
    shim: Data<Shim>,
    caller: Caller,
    path: Path<(String, String, String)>,
) -> Result<HttpResponse> {
    let (_, version, name) = path.into_inner();
    let catalogue = shim.control.catalogue();
    one(datastores::find_version_by_id(&catalogue, &caller, &version)?.1, &name)
}

fn of(version: &DatastoreVersion) -> &'static [Parameter] {
    parameters::of(&version.manager, &version.number).map_or(&[], |parameters| parameters.all())
}

fn all(version: &DatastoreVersion) -> HttpResponse {
    let rows: Vec<Row<'_>> = of(version).iter().map(|parameter| row(parameter, version)).collect();
    HttpResponse::Ok().json(json!({ "configuration-parameters": rows }))
}

fn one(version: &DatastoreVersion, name: &str) -> Result<HttpResponse> {
    let found = of(version).iter().find(|parameter| parameter.name == name);
    let found = found.ok_or_else(|| Error::no_resource(name))?;
    Ok(HttpResponse::Ok().json(row(found, version)))
}

/// A bound of zero is not shown, as in Trove.
fn row<'a>(parameter: &'a Parameter, version: &DatastoreVersion) -> Row<'a> {
    let is_shown = |number: &Number| number.as_f64() != Some(0.0);
    let (min, max) = parameter.kind.range().unzip();
    Row {
        name: &parameter.name,
        datastore_version_id: version.id,
        restart_required: parameter.restart_required,
        kind: parameter.kind.as_str(),
        max: max.filter(is_shown),
        min: min.filter(is_shown),
    }
}

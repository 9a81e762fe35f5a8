//! `POST /instances`: an order for an instance.
//!
//! What a body may hold is in [`super::order`]; here its words are resolved against the catalogue.

use actix_web::{HttpResponse, http::StatusCode, web::Data};
use coffer_domain::{
    catalogue::{Catalogue, Datastore, DatastoreVersion},
    command::{Command, Create},
    ids::InstanceId,
    names,
};

use super::{
    json,
    order::{DatastoreChoice, Order},
    view::Render,
};
use crate::{
    Shim,
    bodies::NewInstance,
    body::Body,
    caller::Caller,
    commands::submit_for,
    datastores::{find, no_version},
    error::{Error, Result},
    idempotency::Answer,
    random,
    schema::Node,
    users,
};

pub(crate) async fn create(shim: Data<Shim>, caller: Caller, body: Body<NewInstance>) -> Result<HttpResponse> {
    let order = Order::parse(&Node::root(body.required()?, "instance")?)?;
    shim.policy.check(&caller, "instance:create")?;
    // What may not be done to an instance may not be ordered with one.
    for (is_ordered, rule) in [
        (!order.databases.is_empty(), "instance:extension:database:create"),
        (!order.users.is_empty(), "instance:extension:user:create"),
    ] {
        if is_ordered {
            shim.policy.check(&caller, rule)?;
        }
    }
    let id = InstanceId(random::uuid()?);
    let order = resolve(&shim, &caller, order, id)?;
    let (command, made) = (Command::Create(Box::new(order)), Answer::empty(StatusCode::OK));
    submit_for(&shim, &caller, caller.tenant(), id, command, Some(&made)).await?;
    let row = shim.control.shown(caller.tenant(), id)?;
    let row = row.ok_or_else(|| Error::internal(format!("Instance {id} was committed and cannot be read.")))?;
    Ok(json(Render::new(&shim, &caller).one(id, &row)?))
}

fn resolve(shim: &Shim, caller: &Caller, order: Order<'_>, id: InstanceId) -> Result<Create> {
    let catalogue = shim.control.catalogue();
    let version = choose_version(&catalogue, caller, &order.datastore)?;
    check_region(order.region, &shim.config.region)?;
    if catalogue.flavor(&order.flavor).is_none() {
        // In a path this is a 404, in an order a 400.
        return Err(Error::bad_request(format!("Resource {} cannot be found.", order.flavor)));
    }
    let volume = order.volume.ok_or_else(|| Error::bad_request("Volume size was not specified."))?;
    let size_gib = volume.within(shim.control.limits(caller.tenant())?.max_volume_gib)?;
    let create = Create {
        name: order.name.to_owned(),
        flavor: order.flavor,
        volume_gib: size_gib,
        volume_type: volume.kind.map(str::to_owned),
        datastore_version: Some(version.id),
        databases: order.databases,
        users: users::seal(order.users, &*shim.control, id, &version.manager)?,
        access: order.access,
        region: order.region.map(str::to_owned),
        configuration: order.configuration,
        server_key: Some(shim.control.new_server_key(id)),
    };
    names::check_create(&create, &version.manager)?;
    Ok(create)
}

/// The named version, or the defaults: of the catalogue for the datastore, of the datastore for its version.
pub(crate) fn choose_version<'a>(
    catalogue: &'a Catalogue,
    caller: &Caller,
    choice: &DatastoreChoice<'_>,
) -> Result<&'a DatastoreVersion> {
    let datastore = match choice.datastore {
        Some(id_or_name) => find(catalogue, caller, id_or_name)?,
        None => catalogue
            .default_datastore()
            .ok_or_else(|| Error::bad_request("Please specify datastore. No default datastore is defined."))?,
    };
    let version = match (choice.version, choice.number) {
        (Some(id_or_name), _) => datastore.version(id_or_name).ok_or_else(|| no_version(id_or_name))?,
        (None, _) => default_version(datastore)?,
    };
    if let Some(number) = choice.number.filter(|number| *number != version.number) {
        return Err(no_version(number));
    }
    if !version.active {
        return Err(Error::bad_request(format!("Datastore version '{}' is not active.", version.name)));
    }
    Ok(version)
}

fn default_version(datastore: &Datastore) -> Result<&DatastoreVersion> {
    datastore
        .default_version()
        .ok_or_else(|| Error::bad_request(format!("Default version for datastore '{}' not found.", datastore.name)))
}

/// There is one region: to name it changes nothing, and another one cannot be served.
fn check_region(wanted: Option<&str>, ours: &str) -> Result<()> {
    match wanted {
        Some(region) if region != ours => {
            Err(Error::bad_request(format!("Region '{region}' cannot be found; this is region '{ours}'.")))
        }
        _ => Ok(()),
    }
}

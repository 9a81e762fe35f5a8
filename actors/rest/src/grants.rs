//! What a user may work on: list, give, take.

use std::collections::BTreeSet;

use actix_web::{
    HttpResponse,
    web::{Data, Path},
};
use coffer_domain::{command::Command, instance::view::UserView, names};
use serde::Serialize;

use crate::{
    Shim,
    bodies::Granted,
    body::Body,
    caller::Caller,
    commands::{carry_out, find_healthy},
    databases::Named,
    error::Result,
    quoting::unquote,
    routes::accepted,
    schema::Node,
    users::existing_user,
};

#[derive(Serialize)]
struct Access {
    databases: Vec<Named>,
}

pub(crate) async fn list(
    shim: Data<Shim>,
    caller: Caller,
    path: Path<(String, String, String)>,
) -> Result<HttpResponse> {
    let (_, instance, segment) = path.into_inner();
    let user = existing_user(find_healthy(&shim, &caller, &instance)?, &segment)?;
    let databases = user.databases.into_iter().map(|name| Named { name }).collect();
    Ok(HttpResponse::Ok().json(Access { databases }))
}

/// Besides what the user has: a database that it has already is no error.
pub(crate) async fn grant(
    shim: Data<Shim>,
    caller: Caller,
    path: Path<(String, String, String)>,
    body: Body<Granted>,
) -> Result<HttpResponse> {
    let (_, instance, segment) = path.into_inner();
    let list = Node::root(body.required()?, "databases")?;
    let named = |item: &Node<'_>| -> Result<String> { Ok(item.required("name")?.non_empty()?.to_owned()) };
    let databases = list.items()?.iter().map(named).collect::<Result<BTreeSet<String>>>()?;
    let view = find_healthy(&shim, &caller, &instance)?;
    for database in &databases {
        names::check_database_not_reserved(&view.datastore_manager, database)?;
    }
    let id = view.id;
    let UserView { name, host, .. } = existing_user(view, &segment)?;
    if !databases.is_empty() {
        carry_out(&shim, &caller, id, Command::Grant { name, host, databases }).await?;
    }
    Ok(accepted())
}

pub(crate) async fn revoke(
    shim: Data<Shim>,
    caller: Caller,
    path: Path<(String, String, String, String)>,
) -> Result<HttpResponse> {
    let (_, instance, user, segment) = path.into_inner();
    let view = find_healthy(&shim, &caller, &instance)?;
    let id = view.id;
    let UserView { name, host, databases } = existing_user(view, &user)?;
    let twice = unquote(&segment);
    let database = if databases.contains(&segment) { segment } else { twice };
    carry_out(&shim, &caller, id, Command::Revoke { name, host, database }).await?;
    Ok(accepted())
}

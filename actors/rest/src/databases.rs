//! Databases of an instance: create, list, delete.

use actix_web::{
    HttpResponse,
    web::{Data, Path},
};
use coffer_domain::{
    command::{Command, NewDatabase},
    names,
};
use serde::Serialize;

use crate::{
    Shim,
    bodies::NewDatabases,
    body::Body,
    caller::Caller,
    commands::{carry_out, find_healthy},
    error::{Error, Result},
    paging::{Next, Page},
    quoting::unquote,
    routes::accepted,
    schema::Node,
};

#[derive(Serialize)]
pub(crate) struct Named {
    pub name: String,
}

#[derive(Serialize)]
struct DatabaseList {
    databases: Vec<Named>,
    #[serde(skip_serializing_if = "Option::is_none")]
    links: Next,
}

pub(crate) async fn list(
    shim: Data<Shim>,
    caller: Caller,
    path: Path<(String, String)>,
    page: Page,
) -> Result<HttpResponse> {
    let (_, instance) = path.into_inner();
    let view = find_healthy(&shim, &caller, &instance)?;
    let (names, links) = page.cut(view.databases, String::clone);
    let databases = names.into_iter().map(|name| Named { name }).collect();
    Ok(HttpResponse::Ok().json(DatabaseList { databases, links }))
}

pub(crate) async fn create(
    shim: Data<Shim>,
    caller: Caller,
    path: Path<(String, String)>,
    body: Body<NewDatabases>,
) -> Result<HttpResponse> {
    let (_, instance) = path.into_inner();
    let databases = parse(&Node::root(body.required()?, "databases")?)?;
    let view = find_healthy(&shim, &caller, &instance)?;
    names::check_databases(&view.datastore_manager, &databases)?;
    if !databases.is_empty() {
        carry_out(&shim, &caller, view.id, Command::CreateDatabases { databases }).await?;
    }
    Ok(accepted())
}

/// Trove has the route and no answer for it.
pub(crate) async fn show(_: Caller) -> Result<HttpResponse> {
    Err(Error::not_implemented("One database cannot be shown; list the databases instead."))
}

pub(crate) async fn delete(
    shim: Data<Shim>,
    caller: Caller,
    path: Path<(String, String, String)>,
) -> Result<HttpResponse> {
    let (_, instance, segment) = path.into_inner();
    let view = find_healthy(&shim, &caller, &instance)?;
    let twice = unquote(&segment);
    let name = if view.databases.contains(&segment) { segment } else { twice };
    names::check_database_not_reserved(&view.datastore_manager, &name)?;
    carry_out(&shim, &caller, view.id, Command::DropDatabase { name }).await?;
    Ok(accepted())
}

/// Databases to be created, by Trove's schema; [`names`] knows more about them.
pub(crate) fn parse(list: &Node<'_>) -> Result<Vec<NewDatabase>> {
    let owned = |node: &Node<'_>| node.non_empty().map(str::to_owned);
    let parse_one = |item: &Node<'_>| -> Result<NewDatabase> {
        Ok(NewDatabase {
            name: owned(&item.required("name")?)?,
            character_set: item.parsed("character_set", owned)?,
            collate: item.parsed("collate", owned)?,
        })
    };
    list.items()?.iter().map(parse_one).collect()
}

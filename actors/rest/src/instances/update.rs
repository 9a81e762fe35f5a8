//! `PUT` and `PATCH /instances/{id}`: another name, and what Coffer cannot change yet.

use actix_web::{
    HttpResponse,
    web::{Data, Path},
};
use coffer_domain::{command::Command, names};

use crate::{
    Shim,
    body::Body,
    caller::Caller,
    commands::{find_id, submit},
    error::{Error, Result},
    routes::accepted,
    schema::Node,
    shape::{Key, Shape},
};

/// What else can be named: at most one of them besides the name. `slave_of` is the old word for `replica_of`.
const CHANGES: [Key; 5] = [
    ("configuration", Shape::UuidOrNull),
    ("replica_of", Shape::Any),
    ("datastore_version", Shape::Name),
    ("access", Shape::Closed(&[], &[("is_public", Shape::Boolean), ("allowed_cidrs", Shape::Cidrs)])),
    ("slave_of", Shape::Any),
];

/// No change at all detaches the configuration, as `null` does. As long as none can be attached, that is nothing to do.
pub(crate) async fn update(
    shim: Data<Shim>,
    caller: Caller,
    path: Path<(String, String)>,
    body: Body,
) -> Result<HttpResponse> {
    let (_, id) = path.into_inner();
    let wanted = Node::root(body.required()?, "instance")?;
    let name = wanted.parsed("name", |node| node.non_empty().map(str::to_owned))?;
    let changes: Vec<&str> = wanted.keys()?.filter(|key| *key != "name").collect();
    if let Some(key) = changes.iter().find(|key| !CHANGES.iter().any(|(known, _)| known == *key)) {
        return Err(wanted.unexpected(key));
    }
    for (key, shape) in &CHANGES {
        wanted.parsed(key, |node| shape.check(node))?;
    }
    if changes.len() > 1 {
        return Err(wanted.fails(format!("only one change can be made besides the name, not {}", changes.join(", "))));
    }
    let id = find_id(&shim, &caller, &id)?;
    let detaches = wanted.optional("configuration")?.is_some_and(|node| node.value().is_null());
    if let Some(change) = changes.first().filter(|_| !detaches) {
        return Err(Error::not_implemented(format!("A change of '{change}' is not supported yet.")));
    }
    if let Some(name) = name {
        names::check_instance_name(&name)?;
        submit(&shim, &caller, id, Command::Rename { name }).await?;
    }
    Ok(accepted())
}

//! `PUT` and `PATCH /instances/{id}`: another name, a configuration group, and what Coffer cannot change yet.

use actix_web::{
    HttpResponse,
    http::StatusCode,
    web::{Data, Path},
};
use coffer_domain::{command::Command, names};

use crate::{
    Shim,
    bodies::InstanceChange,
    body::Body,
    caller::Caller,
    commands::{SETTLE_LIMIT, find, submit, submit_for},
    error::{Error, Result},
    idempotency::Answer,
    instances::order,
    routes::accepted,
    schema::Node,
};

/// No change at all detaches the configuration, as `null` does.
pub(crate) async fn update(
    shim: Data<Shim>,
    caller: Caller,
    path: Path<(String, String)>,
    body: Body<InstanceChange>,
) -> Result<HttpResponse> {
    let (_, id) = path.into_inner();
    let wanted = Node::root(body.required()?, "instance")?;
    let name = wanted.parsed("name", |node| node.non_empty().map(str::to_owned))?;
    let changes: Vec<&str> = wanted.keys()?.filter(|key| *key != "name").collect();
    if changes.len() > 1 {
        let changes = changes.join(", ");
        return Err(Error::bad_request(format!("Only one change can be made besides the name, not {changes}.")));
    }
    let view = find(&shim, &caller, &id)?;
    let id = view.id;
    let configuration = match changes.first() {
        Some(&"configuration") => Some(configuration(&wanted.required("configuration")?)?),
        Some(change) => return Err(Error::not_implemented(format!("A change of '{change}' is not supported yet."))),
        None => name.is_none().then_some(Command::DetachConfiguration),
    };
    let is_nothing = |command: &Command| *command == Command::DetachConfiguration && view.configuration.is_none();
    let configuration = configuration.filter(|command| !is_nothing(command));
    if let Some(name) = name {
        names::check_instance_name(&name)?;
        // Before another change it is done again with it when the request is repeated, which makes no difference.
        let answer = configuration.is_none().then_some(Answer::empty(StatusCode::ACCEPTED));
        submit_for(&shim, &caller, caller.tenant(), id, Command::Rename { name }, answer.as_ref()).await?;
    }
    if let Some(command) = configuration {
        let command = submit(&shim, &caller, id, command).await?;
        // What the engine makes of it is told by the instance: a value that it refuses is a fault.
        shim.control.settled(caller.tenant(), id, command, SETTLE_LIMIT).await;
    }
    Ok(accepted())
}

fn configuration(node: &Node<'_>) -> Result<Command> {
    if node.value().is_null() {
        return Ok(Command::DetachConfiguration);
    }
    Ok(Command::AttachConfiguration { group: order::group_id(node)? })
}

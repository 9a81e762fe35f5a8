//! `POST /instances/{id}/action`: a body with one key that names what is to be done.

use actix_web::{
    HttpResponse,
    web::{Data, Path},
};
use coffer_domain::command::Command;

use crate::{
    Shim,
    body::Body,
    caller::Caller,
    commands::{find_id, submit},
    error::{Error, Result},
    instances::order,
    routes::accepted,
    schema::Node,
};

/// Actions that Trove has and Coffer does not carry out yet.
const ABSENT: [&str; 2] = ["promote_to_replica_source", "eject_replica_source"];

pub(crate) async fn act(
    shim: Data<Shim>,
    caller: Caller,
    path: Path<(String, String)>,
    body: Body,
) -> Result<HttpResponse> {
    let (_, id) = path.into_inner();
    let body = Node::body(body.required()?);
    let action = named_action(&body)?;
    let id = find_id(&shim, &caller, &id)?;
    match action {
        "restart" => {
            body.required(action)?.check_object()?;
            shim.policy.check(&caller, "instance:restart")?;
            submit(&shim, &caller, id, Command::Restart).await?;
            Ok(accepted())
        }
        "reset_status" => {
            let force_delete = forces_delete(&body.required(action)?)?;
            shim.policy.check(&caller, if force_delete { "instance:force_delete" } else { "instance:reset_status" })?;
            submit(&shim, &caller, id, Command::ResetStatus { force_delete }).await?;
            Ok(accepted())
        }
        "resize" => {
            let command = resize(&shim, &caller, &body.required(action)?)?;
            let is_flavor = matches!(command, Command::ResizeFlavor { .. });
            shim.policy.check(&caller, if is_flavor { "instance:resize_flavor" } else { "instance:resize_volume" })?;
            submit(&shim, &caller, id, command).await?;
            Ok(accepted())
        }
        _ if ABSENT.contains(&action) => {
            body.required(action)?.check_object()?;
            shim.policy.check(&caller, &format!("instance:{action}"))?;
            Err(Error::not_implemented(format!("The action '{action}' is not supported yet.")))
        }
        _ => Err(Error::bad_request(format!("Invalid instance action: {}", action.escape_debug()))),
    }
}

/// The one key of a body.
pub(crate) fn named_action<'a>(body: &Node<'a>) -> Result<&'a str> {
    let keys: Vec<&str> = body.keys()?.collect();
    match keys[..] {
        [action] => Ok(action),
        _ => Err(Error::bad_request("Invalid request body: it must have exactly one key, the action.")),
    }
}

/// A reset is for operators; an owner may ask for one to delete the instance by force.
fn forces_delete(reset: &Node<'_>) -> Result<bool> {
    if let Some(key) = reset.keys()?.find(|key| *key != "force_delete") {
        return Err(reset.unexpected(key));
    }
    Ok(reset.parsed("force_delete", Node::boolean)?.unwrap_or(false))
}

/// `{"volume": {"size": N}}` or `{"flavorRef": F}`.
fn resize(shim: &Shim, caller: &Caller, node: &Node<'_>) -> Result<Command> {
    match (node.optional("volume")?, node.optional("flavorRef")?) {
        (Some(node), None) => {
            let volume = order::volume(&node)?;
            let maximum = shim.control.limits(caller.tenant())?.max_volume_gib;
            Ok(Command::ResizeVolume { volume_gib: volume.within(maximum)? })
        }
        (None, Some(node)) => Ok(Command::ResizeFlavor { flavor: order::flavor_id(&node)? }),
        _ => Err(node.fails("must have exactly one of 'volume' and 'flavorRef'")),
    }
}

//! `POST /instances/{id}/action`: a body with one key that names what is to be done.

use actix_web::{
    HttpResponse,
    web::{Data, Path},
};
use coffer_domain::command::Command;

use crate::{
    Shim,
    bodies::InstanceAction,
    body::Body,
    caller::Caller,
    commands::{find_id, submit},
    error::{Error, Result},
    instances::order,
    routes::accepted,
    schema::Node,
};

pub(crate) async fn act(
    shim: Data<Shim>,
    caller: Caller,
    path: Path<(String, String)>,
    body: Body<InstanceAction>,
) -> Result<HttpResponse> {
    let (_, id) = path.into_inner();
    let body = Node::body(body.required()?);
    let action = body.only_key()?;
    let id = find_id(&shim, &caller, &id)?;
    match action {
        "restart" => {
            shim.policy.check(&caller, "instance:restart")?;
            submit(&shim, &caller, id, Command::Restart).await?;
            Ok(accepted())
        }
        "reset_status" => {
            // A reset is for operators; an owner may ask for one to delete the instance by force.
            let force_delete = body.required(action)?.parsed("force_delete", Node::boolean)?.unwrap_or(false);
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
        // Actions that Trove has and Coffer does not carry out yet.
        _ => {
            shim.policy.check(&caller, &format!("instance:{action}"))?;
            Err(Error::not_implemented(format!("The action '{action}' is not supported yet.")))
        }
    }
}

/// `{"volume": {"size": N}}` or `{"flavorRef": F}`.
fn resize(shim: &Shim, caller: &Caller, node: &Node<'_>) -> Result<Command> {
    if let Some(volume) = node.optional("volume")? {
        let maximum = shim.control.limits(caller.tenant())?.max_volume_gib;
        return Ok(Command::ResizeVolume { volume_gib: order::volume(&volume)?.within(maximum)? });
    }
    Ok(Command::ResizeFlavor { flavor: order::flavor_id(&node.required("flavorRef")?)? })
}

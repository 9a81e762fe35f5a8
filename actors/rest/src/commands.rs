//! From a request to a committed command, and how long its effect in the guest is waited for.

use std::time::Duration;

use coffer_domain::{
    command::{Command, ENVELOPE_VERSION, Envelope},
    ids::{CommandId, InstanceId, TenantId},
    instance::view::InstanceView,
};
use serde::Serialize;
use serde_json::Value;
use tokio::time::timeout;

use crate::{
    Shim,
    caller::Caller,
    error::{Error, Result},
    random,
    request_id::uuid_of,
};

/// Trove asks the guest about databases, users and root before it answers. So long is waited for ours; a client is
/// told 202 all the same when it takes longer.
pub(crate) const SETTLE_LIMIT: Duration = Duration::from_secs(10);

/// The caller's instance with this id, as a path names it.
pub(crate) fn find(shim: &Shim, caller: &Caller, id: &str) -> Result<InstanceView> {
    shim.control.instance(caller.tenant(), instance_id(id)?)?.ok_or_else(|| Error::no_resource(id))
}

/// An id as a path names it; what is none names nothing.
pub(crate) fn instance_id(id: &str) -> Result<InstanceId> {
    uuid_of(id).map(InstanceId).ok_or_else(|| Error::no_resource(id))
}

/// As [`find`], when only its id is needed.
pub(crate) fn find_id(shim: &Shim, caller: &Caller, id: &str) -> Result<InstanceId> {
    Ok(find_shown(shim, caller, id)?.0)
}

/// As [`find`], as a row for [`coffer_domain::instance::shown::Shown`].
pub(crate) fn find_shown(shim: &Shim, caller: &Caller, id: &str) -> Result<(InstanceId, Vec<u8>)> {
    let instance = instance_id(id)?;
    let row = shim.control.shown(caller.tenant(), instance)?.ok_or_else(|| Error::no_resource(id))?;
    Ok((instance, row))
}

/// As [`find`], for what only a healthy engine can be asked.
pub(crate) fn find_healthy(shim: &Shim, caller: &Caller, id: &str) -> Result<InstanceView> {
    let view = find(shim, caller, id)?;
    if view.is_healthy() {
        return Ok(view);
    }
    let (status, operating_status) = (word(view.status), word(view.operating_status));
    Err(Error::wrong_state(format!(
        "Instance {id} is not ready, status: {status}, operating status: '{operating_status}'."
    )))
}

/// A status as clients know it.
fn word(status: impl Serialize) -> String {
    match serde_json::to_value(status) {
        Ok(Value::String(word)) => word,
        _ => String::new(),
    }
}

/// Commits a command; returns the id that it has got.
pub(crate) async fn submit(shim: &Shim, caller: &Caller, instance: InstanceId, command: Command) -> Result<CommandId> {
    submit_for(shim, caller, caller.tenant(), instance, command).await
}

/// As [`submit`], for an instance of any tenant: for operators.
pub(crate) async fn submit_for(
    shim: &Shim,
    caller: &Caller,
    tenant: &TenantId,
    instance: InstanceId,
    command: Command,
) -> Result<CommandId> {
    let command_id = CommandId(random::uuid()?);
    let envelope = Envelope {
        version: ENVELOPE_VERSION,
        command_id,
        tenant: tenant.clone(),
        principal: caller.principal.user_id.clone(),
        request_id: caller.request_id.clone(),
        issued_at: shim.control.now(),
        instance,
        command,
    };
    timeout(shim.config.request_timeout(), shim.control.submit(envelope))
        .await
        .map_err(|_| Error::unavailable("The control plane did not take the command in time; it may still do so."))?
        .map_err(Error::from)?;
    Ok(command_id)
}

/// Commits a command and waits until it is done in the guest, or [`SETTLE_LIMIT`] has passed.
pub(crate) async fn carry_out(shim: &Shim, caller: &Caller, instance: InstanceId, command: Command) -> Result<()> {
    let command = submit(shim, caller, instance, command).await?;
    match shim.control.settled(caller.tenant(), instance, command, SETTLE_LIMIT).await {
        None | Some(Ok(())) => Ok(()),
        // Trove's GuestError is not in its table of statuses, which makes it a 400.
        Some(Err(message)) => {
            Err(Error::bad_request(format!("An error occurred communicating with the guest: {message}")))
        }
    }
}

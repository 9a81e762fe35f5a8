//! From a request to a committed command, and how long its effect in the guest is waited for.

use std::time::Duration;

use actix_web::{HttpResponse, http::StatusCode};
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
    control::Taken,
    error::{Error, Result},
    idempotency::Answer,
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

/// Commits a command whose request is answered with an empty 202; returns the id that it has got.
pub(crate) async fn submit(shim: &Shim, caller: &Caller, instance: InstanceId, command: Command) -> Result<CommandId> {
    let answer = Answer::empty(StatusCode::ACCEPTED);
    submit_for(shim, caller, caller.tenant(), instance, command, Some(&answer)).await
}

/// Commits a command for an instance of any tenant. The last command of a request comes with its `answer`.
pub(crate) async fn submit_for(
    shim: &Shim,
    caller: &Caller,
    tenant: &TenantId,
    instance: InstanceId,
    command: Command,
    answer: Option<&Answer>,
) -> Result<CommandId> {
    let keyed = caller.keyed.as_ref().zip(answer);
    let (command_id, answer) = match keyed {
        Some((keyed, answer)) => (keyed.command, Some(keyed.seal(shim, answer)?)),
        None => (CommandId(random::uuid()?), None),
    };
    let envelope = Envelope {
        version: ENVELOPE_VERSION,
        command_id,
        tenant: tenant.clone(),
        principal: caller.principal.user_id.clone(),
        request_id: caller.request_id.clone(),
        issued_at: shim.control.now(),
        instance,
        command,
        answer,
    };
    let taken = timeout(shim.config.request_timeout(), shim.control.submit(envelope))
        .await
        .map_err(|_| Error::unavailable("The control plane did not take the command in time; it may still do so."))?
        .map_err(Error::from)?;
    if let (Taken::Before, Some((keyed, _))) = (taken, keyed) {
        keyed.repeated();
    }
    Ok(command_id)
}

/// Commits a command and waits until it is done in the guest, or [`SETTLE_LIMIT`] has passed; then the answer is an empty 202.
pub(crate) async fn carry_out(shim: &Shim, caller: &Caller, instance: InstanceId, command: Command) -> Result<()> {
    carry_out_with(shim, caller, instance, command, Answer::empty(StatusCode::ACCEPTED)).await.map(drop)
}

/// As [`carry_out`], with this answer.
pub(crate) async fn carry_out_with(
    shim: &Shim,
    caller: &Caller,
    instance: InstanceId,
    command: Command,
    answer: Answer,
) -> Result<HttpResponse> {
    let answer = answer.awaiting_guest();
    let command = submit_for(shim, caller, caller.tenant(), instance, command, Some(&answer)).await?;
    match shim.control.settled(caller.tenant(), instance, command, SETTLE_LIMIT).await {
        None | Some(Ok(())) => Ok(answer.respond()),
        Some(Err(message)) => Err(guest_failed(&message)),
    }
}

/// Trove's GuestError is not in its table of statuses, which makes it a 400.
pub(crate) fn guest_failed(message: &str) -> Error {
    Error::bad_request(format!("An error occurred communicating with the guest: {message}"))
}

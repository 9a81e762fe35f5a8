//! The engine's superuser: whether it was enabled and not disabled since, enabling and disabling it.

use actix_web::{
    HttpResponse,
    http::StatusCode,
    web::{Data, Path},
};
use coffer_domain::{command::Command, names};
use serde::Serialize;
use serde_json::Value;

use crate::{
    Shim,
    bodies::RootPassword,
    body::Body,
    caller::Caller,
    commands::{carry_out_with, find_healthy},
    error::Result,
    idempotency::Answer,
    random,
    schema::Node,
};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RootEnabled {
    root_enabled: bool,
}

/// The only answer with a password in it: nobody can read it again, but who sends the same request again with its
/// `Idempotency-Key`.
#[derive(Serialize)]
struct RootUser {
    user: RootCredentials,
}

#[derive(Serialize)]
struct RootCredentials {
    name: &'static str,
    password: String,
}

pub(crate) async fn show(shim: Data<Shim>, caller: Caller, path: Path<(String, String)>) -> Result<HttpResponse> {
    let (_, instance) = path.into_inner();
    let view = find_healthy(&shim, &caller, &instance)?;
    Ok(HttpResponse::Ok().json(RootEnabled { root_enabled: view.root_enabled }))
}

pub(crate) async fn enable(
    shim: Data<Shim>,
    caller: Caller,
    path: Path<(String, String)>,
    body: Body<RootPassword>,
) -> Result<HttpResponse> {
    let (_, instance) = path.into_inner();
    let wanted = wanted_password(body.0.as_ref())?;
    let view = find_healthy(&shim, &caller, &instance)?;
    let password = match wanted {
        Some(password) => {
            names::check_password(&view.datastore_manager, &password)?;
            password
        }
        None => random::password()?,
    };
    let sealed = shim.control.seal(&view.id.to_string(), &password);
    let name = if view.datastore_manager == "postgresql" { "postgres" } else { "root" };
    let answer = Answer::ok(&RootUser { user: RootCredentials { name, password } })?;
    carry_out_with(&shim, &caller, view.id, Command::EnableRoot { password: sealed }, answer).await
}

/// 204, where other deletes answer 202.
pub(crate) async fn disable(shim: Data<Shim>, caller: Caller, path: Path<(String, String)>) -> Result<HttpResponse> {
    let (_, instance) = path.into_inner();
    let view = find_healthy(&shim, &caller, &instance)?;
    carry_out_with(&shim, &caller, view.id, Command::DisableRoot, Answer::empty(StatusCode::NO_CONTENT)).await
}

/// No body, `{}` and `{"password": null}` leave the choice to us.
fn wanted_password(body: Option<&Value>) -> Result<Option<String>> {
    let Some(body) = body.filter(|body| !body.is_null()) else { return Ok(None) };
    let password = Node::body(body).non_null("password")?;
    password.map(|node| node.non_empty().map(str::to_owned)).transpose()
}

//! Changes of users: name, host and password of one, passwords of several.

use actix_web::{
    HttpResponse,
    web::{Data, Path},
};
use coffer_domain::{
    command::{Command, NewPassword, UserChange},
    ids::InstanceId,
    instance::view::UserView,
    names,
    sealed::Sealed,
};

use crate::{
    Shim,
    bodies::{self, NewPasswords},
    body::Body,
    caller::Caller,
    commands::{carry_out, find_healthy},
    error::Result,
    routes::accepted,
    schema::Node,
    users::{ANY_HOST, existing_user},
};

pub(crate) async fn change(
    shim: Data<Shim>,
    caller: Caller,
    path: Path<(String, String, String)>,
    body: Body<bodies::UserChange>,
) -> Result<HttpResponse> {
    let (_, instance, segment) = path.into_inner();
    let wanted = Node::root(body.required()?, "user")?;
    let name = wanted.parsed("name", |node| node.non_empty().map(str::to_owned))?;
    let host = wanted.parsed("host", |node| node.text().map(str::to_owned))?;
    let password = wanted.parsed("password", Node::non_empty)?;

    let view = find_healthy(&shim, &caller, &instance)?;
    let manager = &view.datastore_manager;
    if let Some(name) = &name {
        names::check_user_name(manager, name)?;
    }
    if let Some(host) = &host {
        names::check_host(manager, host)?;
    }
    let password = password.map(|password| sealed(&shim, view.id, manager, password)).transpose()?;
    let change = UserChange { name, host, password };
    let id = view.id;
    let UserView { name, host, .. } = existing_user(view, &segment)?;
    carry_out(&shim, &caller, id, Command::ChangeUser { name, host, change }).await?;
    Ok(accepted())
}

pub(crate) async fn change_passwords(
    shim: Data<Shim>,
    caller: Caller,
    path: Path<(String, String)>,
    body: Body<NewPasswords>,
) -> Result<HttpResponse> {
    let (_, instance) = path.into_inner();
    let list = Node::root(body.required()?, "users")?.items()?;
    let mut wanted = Vec::new();
    for item in &list {
        let host = item.parsed("host", Node::text)?.unwrap_or(ANY_HOST);
        wanted.push((item.required("name")?.non_empty()?, host, item.required("password")?.non_empty()?));
    }
    let view = find_healthy(&shim, &caller, &instance)?;
    let manager = &view.datastore_manager;
    let mut users = Vec::new();
    for (name, host, password) in wanted {
        names::check_user_not_reserved(manager, name)?;
        let password = sealed(&shim, view.id, manager, password)?;
        users.push(NewPassword { name: name.to_owned(), host: host.to_owned(), password });
    }
    if !users.is_empty() {
        carry_out(&shim, &caller, view.id, Command::ChangePasswords { users }).await?;
    }
    Ok(accepted())
}

/// A password that is fit, sealed for this instance.
fn sealed(shim: &Shim, instance: InstanceId, manager: &str, password: &str) -> Result<Sealed> {
    names::check_password(manager, password)?;
    Ok(shim.control.seal(&instance.to_string(), password))
}

//! Users of an instance: create, list, show, delete.
//!
//! A path names a user as `name` (from anywhere) or `name@host`, percent-encoded once or twice.

use std::collections::BTreeSet;

use actix_web::{
    HttpResponse,
    web::{Data, Path},
};
use coffer_domain::{
    command::{Command, NewUser},
    ids::InstanceId,
    instance::view::{InstanceView, UserView},
    names,
};
use serde::Serialize;

use crate::{
    Shim,
    bodies::NewUsers,
    body::Body,
    caller::Caller,
    commands::{carry_out, find_healthy},
    control::ControlPlane,
    databases::Named,
    error::{Error, Result},
    paging::{Next, Page},
    quoting::unquote,
    routes::accepted,
    schema::Node,
};

/// The host of a user that may come from anywhere.
pub(crate) const ANY_HOST: &str = "%";

#[derive(Serialize)]
struct UserRow {
    name: String,
    host: String,
    databases: Vec<Named>,
}

#[derive(Serialize)]
struct UserList {
    users: Vec<UserRow>,
    #[serde(skip_serializing_if = "Option::is_none")]
    links: Next,
}

#[derive(Serialize)]
struct OneUser {
    user: UserRow,
}

pub(crate) async fn list(
    shim: Data<Shim>,
    caller: Caller,
    path: Path<(String, String)>,
    page: Page,
) -> Result<HttpResponse> {
    let (_, instance) = path.into_inner();
    let view = find_healthy(&shim, &caller, &instance)?;
    let marker = |user: &UserView| format!("{}@{}", user.name, user.host);
    let mut users = view.users;
    // The row is sorted by name and then host, a page by its markers: `u@h` stands before `u.x@h` only here.
    users.sort_by_cached_key(marker);
    let (users, links) = page.cut(users, marker);
    Ok(HttpResponse::Ok().json(UserList { users: users.into_iter().map(row).collect(), links }))
}

pub(crate) async fn create(
    shim: Data<Shim>,
    caller: Caller,
    path: Path<(String, String)>,
    body: Body<NewUsers>,
) -> Result<HttpResponse> {
    let (_, instance) = path.into_inner();
    let users = parse(&Node::root(body.required()?, "users")?)?;
    let view = find_healthy(&shim, &caller, &instance)?;
    let users = seal(users, &*shim.control, view.id, &view.datastore_manager)?;
    names::check_users(&view.datastore_manager, &users)?;
    if !users.is_empty() {
        carry_out(&shim, &caller, view.id, Command::CreateUsers { users }).await?;
    }
    Ok(accepted())
}

pub(crate) async fn show(
    shim: Data<Shim>,
    caller: Caller,
    path: Path<(String, String, String)>,
) -> Result<HttpResponse> {
    let (_, instance, segment) = path.into_inner();
    let user = existing_user(find_healthy(&shim, &caller, &instance)?, &segment)?;
    Ok(HttpResponse::Ok().json(OneUser { user: row(user) }))
}

pub(crate) async fn delete(
    shim: Data<Shim>,
    caller: Caller,
    path: Path<(String, String, String)>,
) -> Result<HttpResponse> {
    let (_, instance, segment) = path.into_inner();
    let view = find_healthy(&shim, &caller, &instance)?;
    let (name, host) = named_user(&view, &segment);
    names::check_user_not_reserved(&view.datastore_manager, &name)?;
    carry_out(&shim, &caller, view.id, Command::DropUser { name, host }).await?;
    Ok(accepted())
}

/// A user to be created, its password still in clear: hence no `Debug`.
pub(crate) struct UserRequest<'a> {
    name: &'a str,
    host: &'a str,
    password: &'a str,
    databases: BTreeSet<String>,
}

/// Users to be created, by Trove's schema; [`names`] knows more about them.
pub(crate) fn parse<'a>(list: &Node<'a>) -> Result<Vec<UserRequest<'a>>> {
    list.items()?.iter().map(parse_one).collect()
}

fn parse_one<'a>(item: &Node<'a>) -> Result<UserRequest<'a>> {
    let mut databases = BTreeSet::new();
    if let Some(list) = item.optional("databases")? {
        for database in list.items()? {
            databases.insert(database.required("name")?.non_empty()?.to_owned());
        }
    }
    Ok(UserRequest {
        name: item.required("name")?.non_empty()?,
        host: item.parsed("host", Node::text)?.unwrap_or(ANY_HOST),
        password: item.required("password")?.non_empty()?,
        databases,
    })
}

/// Checks the passwords and seals them for this instance: from here on nobody sees them in clear.
pub(crate) fn seal(
    users: Vec<UserRequest<'_>>,
    control: &dyn ControlPlane,
    instance: InstanceId,
    manager: &str,
) -> Result<Vec<NewUser>> {
    let context = instance.to_string();
    let seal_one = |user: UserRequest<'_>| {
        names::check_password(manager, user.password)?;
        Ok(NewUser {
            name: user.name.to_owned(),
            host: user.host.to_owned(),
            password: control.seal(&context, user.password),
            databases: user.databases,
        })
    };
    users.into_iter().map(seal_one).collect()
}

/// The user that a path means, if there is one.
pub(crate) fn existing_user(view: InstanceView, segment: &str) -> Result<UserView> {
    let (name, host) = named_user(&view, segment);
    names::check_user_not_reserved(&view.datastore_manager, &name)?;
    let mut users = view.users.into_iter();
    users
        .find(|user| user.name == name && user.host == host)
        .ok_or_else(|| Error::not_found(format!("User {} cannot be found on the instance.", unquote(segment))))
}

/// The user that a path means: decoded once if there is such a user, decoded twice otherwise.
fn named_user(view: &InstanceView, segment: &str) -> (String, String) {
    let once = split(segment);
    if view.users.iter().any(|user| user.name == once.0 && user.host == once.1) {
        return once;
    }
    split(&unquote(segment))
}

/// At the last `@`; one at the end belongs to the name.
fn split(text: &str) -> (String, String) {
    match text.rsplit_once('@') {
        Some((name, host)) if !host.is_empty() => (name.to_owned(), host.to_owned()),
        _ => (text.to_owned(), ANY_HOST.to_owned()),
    }
}

fn row(user: UserView) -> UserRow {
    let databases = user.databases.into_iter().map(|name| Named { name }).collect();
    UserRow { name: user.name, host: user.host, databases }
}

#[cfg(test)]
mod tests {
    #[test]
    fn users_are_split_at_the_last_at_sign() {
        for (text, name, host) in [
            ("u", "u", "%"),
            ("u@10.0.0.%", "u", "10.0.0.%"),
            ("a@b@10.0.0.1", "a@b", "10.0.0.1"),
            ("u@", "u@", "%"),
            ("u.dot", "u.dot", "%"),
        ] {
            assert_eq!(super::split(text), (name.to_owned(), host.to_owned()), "{text}");
        }
    }
}

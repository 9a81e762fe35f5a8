//! Configuration groups: values for the parameters of engines, kept under a name, attached to instances.

use std::collections::BTreeSet;

use actix_web::{
    HttpResponse,
    http::StatusCode,
    web::{Data, Path},
};
use coffer_domain::{
    command::{Command, NewConfiguration},
    configuration::{self, Group, Values},
    ids::{CommandId, GroupId, InstanceId},
};
use futures_util::future::join_all;
use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    Shim,
    bodies::{GroupPatch, GroupReplacement, NewGroup},
    body::Body,
    caller::Caller,
    commands::{SETTLE_LIMIT, find, submit, submit_for},
    error::{Error, Result},
    idempotency::Answer,
    instances::{create::choose_version, order},
    paging::{Next, Page},
    random,
    request_id::uuid_of,
    routes::accepted,
    schema::Node,
};

#[derive(Serialize)]
struct List<'a> {
    configurations: Vec<Row<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    links: Next,
}

#[derive(Serialize)]
struct Row<'a> {
    id: GroupId,
    name: &'a str,
    description: Option<&'a str>,
    created: String,
    updated: String,
    datastore_version_id: Uuid,
    datastore_name: &'a str,
    datastore_version_name: &'a str,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    detail: Option<Detail<'a>>,
}

#[derive(Serialize)]
struct Detail<'a> {
    values: &'a Values,
    instance_count: usize,
    datastore_version_number: &'a str,
}

pub(crate) async fn list(shim: Data<Shim>, caller: Caller, page: Page) -> Result<HttpResponse> {
    let after = page.id_marker().map(|id| GroupId(id.0));
    let groups = shim.control.groups_after(caller.tenant(), after, page.limit + 1)?;
    let links = match groups.get(..page.limit) {
        Some([.., last]) if groups.len() > page.limit => Some(page.next(&last.id.to_string())),
        _ => None,
    };
    let configurations = groups.iter().take(page.limit).map(|group| row(group, false)).collect();
    Ok(HttpResponse::Ok().json(List { configurations, links }))
}

pub(crate) async fn show(shim: Data<Shim>, caller: Caller, path: Path<(String, String)>) -> Result<HttpResponse> {
    let group = find_group(&shim, &caller, &path.into_inner().1)?;
    Ok(answer(&group))
}

pub(crate) async fn create(shim: Data<Shim>, caller: Caller, body: Body<NewGroup>) -> Result<HttpResponse> {
    let wanted = Node::root(body.required()?, "configuration")?;
    let name = wanted.required("name")?.non_empty()?.to_owned();
    let values = values(&wanted.required("values")?)?;
    let description = wanted.parsed("description", description)?.flatten();
    let choice = wanted.parsed("datastore", order::datastore)?.unwrap_or_default();
    let version = choose_version(&shim.control.catalogue(), &caller, &choice)?.id;
    let id = GroupId(random::uuid()?);
    let order = NewConfiguration { name, description, datastore_version: Some(version), values };
    let command = Command::CreateConfiguration(Box::new(order));
    let made = Answer::empty(StatusCode::OK);
    submit_for(&shim, &caller, caller.tenant(), InstanceId(id.0), command, Some(&made)).await?;
    let group = shim.control.group(caller.tenant(), id)?;
    let group = group.ok_or_else(|| Error::internal(format!("Group {id} was committed and cannot be read.")))?;
    Ok(answer(&group))
}

pub(crate) async fn patch(
    shim: Data<Shim>,
    caller: Caller,
    path: Path<(String, String)>,
    body: Body<GroupPatch>,
) -> Result<HttpResponse> {
    let wanted = Node::root(body.required()?, "configuration")?;
    let values = wanted.parsed("values", values)?.unwrap_or_default();
    let group = find_group(&shim, &caller, &path.into_inner().1)?;
    change(&shim, &caller, &group, Command::PatchConfiguration { values }, StatusCode::OK).await
}

/// All values are replaced; without values they stay.
pub(crate) async fn replace(
    shim: Data<Shim>,
    caller: Caller,
    path: Path<(String, String)>,
    body: Body<GroupReplacement>,
) -> Result<HttpResponse> {
    let wanted = Node::root(body.required()?, "configuration")?;
    let command = Command::ReplaceConfiguration {
        name: wanted.parsed("name", |node| node.non_empty().map(str::to_owned))?,
        description: wanted.parsed("description", description)?.flatten(),
        values: wanted.parsed("values", values)?,
    };
    let group = find_group(&shim, &caller, &path.into_inner().1)?;
    change(&shim, &caller, &group, command, StatusCode::ACCEPTED).await
}

pub(crate) async fn delete(shim: Data<Shim>, caller: Caller, path: Path<(String, String)>) -> Result<HttpResponse> {
    let group = find_group(&shim, &caller, &path.into_inner().1)?;
    submit(&shim, &caller, InstanceId(group.id.0), Command::DeleteConfiguration).await?;
    Ok(accepted())
}

pub(crate) async fn list_instances(
    shim: Data<Shim>,
    caller: Caller,
    page: Page,
    path: Path<(String, String)>,
) -> Result<HttpResponse> {
    let group = find_group(&shim, &caller, &path.into_inner().1)?;
    let ids: Vec<InstanceId> = group.instances.into_iter().collect();
    let (ids, links) = page.cut(ids, InstanceId::to_string);
    let mut instances = Vec::new();
    for id in ids {
        // One that has gone since the group was read is no member any more.
        if let Some(view) = shim.control.instance(caller.tenant(), id)? {
            instances.push(json!({ "id": id, "name": view.name }));
        }
    }
    let mut list = json!({ "instances": instances });
    if let (Some(links), Some(list)) = (links, list.as_object_mut()) {
        list.insert("links".into(), json!(links));
    }
    Ok(HttpResponse::Ok().json(list))
}

/// `GET /instances/{id}/configuration`: what the engine has where no group says anything.
pub(crate) async fn show_defaults(
    shim: Data<Shim>,
    caller: Caller,
    path: Path<(String, String)>,
) -> Result<HttpResponse> {
    let view = find(&shim, &caller, &path.into_inner().1)?;
    let catalogue = shim.control.catalogue();
    let flavor = catalogue.flavor(&view.flavor_id).ok_or_else(|| Error::no_resource(&view.flavor_id))?;
    let defaults = configuration::defaults(&view.datastore_manager, flavor.memory_mib, view.volume_gib);
    Ok(HttpResponse::Ok().json(json!({ "instance": { "configuration": defaults } })))
}

/// Waits until these instances have heard of a change, or [`SETTLE_LIMIT`] has passed.
async fn wait(shim: &Shim, caller: &Caller, instances: &BTreeSet<InstanceId>, command: CommandId) {
    let waits = instances.iter().map(|id| {
        let told = command.told_to(*id);
        shim.control.settled(caller.tenant(), *id, told, SETTLE_LIMIT)
    });
    join_all(waits).await;
}

/// Commits a change of a group. The answer comes when its instances have it, as far as they have it soon.
async fn change(
    shim: &Shim,
    caller: &Caller,
    group: &Group,
    command: Command,
    status: StatusCode,
) -> Result<HttpResponse> {
    let answer = Answer::empty(status);
    let command = submit_for(shim, caller, caller.tenant(), InstanceId(group.id.0), command, Some(&answer)).await?;
    wait(shim, caller, &group.instances, command).await;
    Ok(answer.respond())
}

fn find_group(shim: &Shim, caller: &Caller, id: &str) -> Result<Group> {
    let absent = || Error::not_found(format!("Configuration group with ID {id} could not be found."));
    let group = uuid_of(id).map(GroupId).ok_or_else(absent)?;
    shim.control.group(caller.tenant(), group)?.ok_or_else(absent)
}

/// One group, in detail.
pub(crate) fn answer(group: &Group) -> HttpResponse {
    HttpResponse::Ok().json(json!({ "configuration": row(group, true) }))
}

fn row(group: &Group, is_detailed: bool) -> Row<'_> {
    Row {
        id: group.id,
        name: &group.name,
        description: group.description.as_deref(),
        created: group.created_at.iso(),
        updated: group.updated_at.iso(),
        datastore_version_id: group.datastore.version_id,
        datastore_name: &group.datastore.name,
        datastore_version_name: &group.datastore.version_name,
        detail: is_detailed.then(|| Detail {
            values: &group.values,
            instance_count: group.instances.len(),
            datastore_version_number: &group.datastore.version_number,
        }),
    }
}

/// Text, or nothing.
fn description(node: &Node<'_>) -> Result<Option<String>> {
    if node.value().is_null() { Ok(None) } else { node.text().map(|text| Some(text.to_owned())) }
}

/// What they may be is the domain's matter: here they are only of a kind that can be a value at all.
fn values(node: &Node<'_>) -> Result<Values> {
    let mut values = Values::new();
    for key in node.keys()? {
        let value = node.required(key)?;
        let parsed = match value.value() {
            Value::Bool(_) | Value::Number(_) | Value::String(_) => serde_json::from_value(value.value().clone()).ok(),
            _ => None,
        };
        let wrong =
            || Error::wrong_state(format!("The value provided for the configuration parameter {key} is no value."));
        values.insert(key.to_owned(), parsed.ok_or_else(wrong)?);
    }
    Ok(values)
}

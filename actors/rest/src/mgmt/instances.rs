//! The instances of all tenants.
//!
//! Pages go by a fixed order of tenants and ids. Trove's marker is an offset, which misses instances when others go.

use std::cmp::Reverse;

use actix_web::{
    HttpResponse,
    http::StatusCode,
    web::{Data, Path},
};
use coffer_domain::{
    command::Command,
    ids::{InstanceId, TenantId},
    instance::{
        shown,
        view::{InstanceView, OperatingStatus, Status},
    },
    time::Timestamp,
};
use serde::Serialize;
use uuid::Uuid;

use crate::{
    Shim,
    bodies::OperatorsAction,
    body::Body,
    caller::Caller,
    commands::{instance_id, submit_for},
    control::Removed,
    error::{Error, Result},
    idempotency::Answer,
    instances::view::{Extent, Render, read},
    paging::{Next, Page},
    request_id::uuid_of,
    schema::Node,
    shape::Shape,
    times,
};

/// Entries of a page at most.
const PAGE_SIZE: usize = 1000;

/// What an instance has here besides what its tenant's admin sees.
#[derive(Serialize)]
struct ForOperators<'a> {
    server: Option<Server<'a>>,
    service_status: OperatingStatus,
    deleted: bool,
    deleted_at: Option<String>,
    task_description: &'static str,
}

/// What is known of it here: its host and status are the provider's to tell.
#[derive(Serialize)]
struct Server<'a> {
    id: &'a str,
    name: &'a str,
    status: Option<&'a str>,
    tenant_id: &'a str,
    host: Option<&'a str>,
}

/// What one instance alone has besides.
#[derive(Serialize)]
struct Alone<'a> {
    #[serde(flatten)]
    for_operators: ForOperators<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    root_enabled: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    root_enabled_by: Option<&'a str>,
    guest_status: GuestStatus,
}

#[derive(Serialize)]
struct GuestStatus {
    state_description: OperatingStatus,
}

#[derive(Serialize)]
struct OneRootHistory<'a> {
    root_history: RootHistory<'a>,
}

#[derive(Serialize)]
struct RootHistory<'a> {
    id: InstanceId,
    enabled: String,
    user: &'a str,
}

/// `?project_id=` names one tenant; `?deleted=true` asks for those that are gone, and no others.
pub(crate) async fn list(shim: Data<Shim>, caller: Caller, page: Page) -> Result<HttpResponse> {
    caller.require_admin()?;
    if asks_for_deleted(&page) {
        return list_deleted(&shim, &caller, &page);
    }
    let limit = page.wanted.min(PAGE_SIZE);
    let mut found = after_marker(&shim, &page, limit + 1)?;
    let more = found.len() > limit;
    found.truncate(limit);
    let next = found.last().filter(|_| more).map(|last| page.next(&format!("{}/{}", last.tenant, last.id)));
    found.sort_by_key(|view| Reverse(view.created_at));
    let render = Render::new(&shim, &caller);
    let instances =
        found.iter().map(|view| rendered(&render, view, &for_operators(view, None))).collect::<Result<Vec<_>>>()?;
    listed(&instances, &next)
}

fn asks_for_deleted(page: &Page) -> bool {
    page.queried("deleted").is_some_and(|word| word.eq_ignore_ascii_case("true"))
}

/// Those that were removed last come last, within a page and of each partition.
fn list_deleted(shim: &Shim, caller: &Caller, page: &Page) -> Result<HttpResponse> {
    let limit = page.wanted.min(PAGE_SIZE);
    let project = page.queried("project_id").filter(|project| !project.is_empty());
    let mut marker = page.text_marker().as_deref().and_then(end);
    let mut found: Vec<Removed> = Vec::new();
    // Those of other projects are passed over.
    loop {
        let some = shim.control.removed_after(marker.as_ref(), limit + 1)?;
        let is_last = some.len() <= limit;
        marker = some.last().map(|removed| (removed.last.tenant.clone(), removed.at, removed.last.id));
        found.extend(some.into_iter().filter(|removed| project.is_none_or(|project| removed.last.tenant.0 == project)));
        if is_last || found.len() > limit {
            break;
        }
    }
    let more = found.len() > limit;
    found.truncate(limit);
    let next = found
        .last()
        .filter(|_| more)
        .map(|Removed { at, last }| page.next(&format!("{}/{}/{}", at.0, last.tenant, last.id)));
    let render = Render::new(shim, caller);
    let rows = found.iter().map(|Removed { at, last }| rendered(&render, last, &for_operators(last, Some(*at))));
    listed(&rows.collect::<Result<Vec<_>>>()?, &next)
}

/// A marker among those that are gone; any other text is none.
fn end(marker: &str) -> Option<(TenantId, Timestamp, InstanceId)> {
    let (at, rest) = marker.split_once('/')?;
    let (tenant, id) = place(rest)?;
    Some((tenant, Timestamp(at.parse().ok()?), id))
}

fn listed(instances: &[String], next: &Next) -> Result<HttpResponse> {
    let links = match next {
        Some(_) => format!(",\"links\":{}", text(next)?),
        None => String::new(),
    };
    Ok(answer(format!("{{\"instances\":[{}]{links}}}", instances.join(","))))
}

/// Of all tenants, or of the one that the query names, whose instances stand together.
fn after_marker(shim: &Shim, page: &Page, limit: usize) -> Result<Vec<InstanceView>> {
    let project = page.queried("project_id").filter(|project| !project.is_empty());
    let first = project.map(|project| (TenantId(project.to_owned()), InstanceId(Uuid::nil())));
    let marker = page.text_marker().as_deref().and_then(place).or(first);
    let mut found = shim.control.everyones_after(marker.as_ref(), limit)?;
    found.retain(|view| project.is_none_or(|project| view.tenant.0 == project));
    Ok(found)
}

/// A marker as a place in the order; any other text is none.
fn place(marker: &str) -> Option<(TenantId, InstanceId)> {
    let (tenant, id) = marker.rsplit_once('/')?;
    Some((TenantId(tenant.to_owned()), InstanceId(uuid_of(id)?)))
}

/// `?deleted=true` asks for one that may be gone.
pub(crate) async fn show(
    shim: Data<Shim>,
    caller: Caller,
    path: Path<(String, String)>,
    page: Page,
) -> Result<HttpResponse> {
    caller.require_admin()?;
    let (view, deleted_at) = match find(&shim, &path.1) {
        Err(absent) if asks_for_deleted(&page) => {
            let removed = instance_id(&path.1).ok().map(|id| shim.control.removed(id)).transpose()?.flatten();
            let removed = removed.ok_or(absent)?;
            (removed.last, Some(removed.at))
        }
        found => (found?, None),
    };
    let last = view.root_last_enabled.as_ref();
    let alone = Alone {
        for_operators: for_operators(&view, deleted_at),
        root_enabled: last.map(|root| times::trove(root.enabled_at)),
        root_enabled_by: last.map(|root| root.user.as_str()),
        guest_status: GuestStatus { state_description: view.operating_status },
    };
    let instance = rendered(&Render::new(&shim, &caller), &view, &alone)?;
    Ok(answer(format!("{{\"instance\":{instance}}}")))
}

/// Who enabled root last, and when.
pub(crate) async fn root(shim: Data<Shim>, caller: Caller, path: Path<(String, String)>) -> Result<HttpResponse> {
    caller.require_admin()?;
    let view = find(&shim, &path.1)?;
    let last = view.root_last_enabled.as_ref();
    let root_history = RootHistory {
        id: view.id,
        enabled: last.map_or("Never".into(), |root| times::trove(root.enabled_at)),
        user: last.map_or("Nobody", |root| &root.user),
    };
    Ok(HttpResponse::Ok().json(OneRootHistory { root_history }))
}

/// A reboot restarts the engine: that is what of a server can be rebooted without asking where it runs.
pub(crate) async fn act(
    shim: Data<Shim>,
    caller: Caller,
    path: Path<(String, String)>,
    body: Body<OperatorsAction>,
) -> Result<HttpResponse> {
    caller.require_admin()?;
    let body = Node::body(body.required()?);
    let action = body.only_key()?;
    let wanted = body.required(action)?;
    let command = match action {
        "reboot" => Ok(Command::Restart),
        "reset-task-status" => Ok(Command::ResetStatus { force_delete: false }),
        "stop" => Ok(Command::Stop),
        "migrate" => {
            wanted.parsed("host", |node| Shape::Name.check(node))?;
            Err("Instances cannot be moved: there is one host.")
        }
        "rebuild" => {
            if let Some(key) = wanted.keys()?.find(|key| *key != "image_id") {
                return Err(wanted.unexpected(key));
            }
            wanted.required("image_id")?.uuid()?;
            Err("The action 'rebuild' is not supported yet.")
        }
        _ => return Err(Error::bad_request(format!("Invalid instance action: {}", action.escape_debug()))),
    };
    wanted.check_object()?;
    let view = find(&shim, &path.1)?;
    let command = command.map_err(Error::not_implemented)?;
    let answer = Answer::empty(StatusCode::ACCEPTED);
    submit_for(&shim, &caller, &view.tenant, view.id, command, Some(&answer)).await?;
    Ok(answer.respond())
}

/// An instance of any tenant.
pub(crate) fn find(shim: &Shim, id: &str) -> Result<InstanceView> {
    let absent = || Error::no_resource(id);
    let instance = instance_id(id)?;
    let tenant = shim.control.owner(instance)?.ok_or_else(absent)?;
    shim.control.instance(&tenant, instance)?.ok_or_else(absent)
}

fn for_operators(view: &InstanceView, deleted_at: Option<Timestamp>) -> ForOperators<'_> {
    let server = |id| Server { id, name: &view.name, status: None, tenant_id: &view.tenant.0, host: None };
    ForOperators {
        server: view.server_id.as_deref().filter(|_| deleted_at.is_none()).map(server),
        service_status: view.operating_status,
        deleted: deleted_at.is_some(),
        deleted_at: deleted_at.map(times::trove),
        task_description: match view.status {
            _ if deleted_at.is_some() => "No tasks for the instance.",
            Status::Build => "The instance is building.",
            Status::Reboot => "Rebooting the instance.",
            Status::Resize => "Resizing the instance.",
            Status::Shutdown if view.is_being_deleted => "Deleting the instance.",
            Status::RestartRequired => "Instance requires a restart.",
            Status::Active | Status::Error | Status::Shutdown => "No tasks for the instance.",
        },
    }
}

/// The instance in detail as a JSON object, with more members.
fn rendered(render: &Render, view: &InstanceView, more: &impl Serialize) -> Result<String> {
    let row = shown::row(view);
    let mut out = String::new();
    render.write(&mut out, view.id, &read(&row)?, Extent::Detailed);
    out.pop();
    out.push(',');
    out.push_str(text(more)?.split_at(1).1);
    Ok(out)
}

fn text(value: &impl Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(|error| Error::internal(error.to_string()))
}

fn answer(body: String) -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").body(body)
}

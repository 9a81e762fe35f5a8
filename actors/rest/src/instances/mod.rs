//! Instances: list, show, delete here; ordering one in [`create`], changes in [`update`], actions in [`action`], rows in
//! [`view`], what was done in [`journal`].

use actix_web::{
    HttpResponse,
    web::{Data, Path},
};
use coffer_domain::{command::Command, instance::InstanceView};
use serde::Serialize;

use crate::{
    Shim,
    caller::Caller,
    commands::{find, submit},
    error::Result,
    instances::view::{InstanceRow, Render},
    paging::{Next, Page},
    routes::accepted,
};

pub(crate) mod action;
pub(crate) mod create;
pub(crate) mod journal;
pub(crate) mod order;
pub(crate) mod update;
pub(crate) mod view;

#[derive(Serialize)]
struct InstanceList<'a> {
    instances: Vec<InstanceRow<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    links: Next,
}

#[derive(Serialize)]
pub(crate) struct OneInstance<'a> {
    pub instance: InstanceRow<'a>,
}

/// `?include_clustered=` makes no difference: there are no clusters.
pub(crate) async fn list(shim: Data<Shim>, caller: Caller, page: Page) -> Result<HttpResponse> {
    answer_page(&shim, &caller, &page, |render, view| render.brief(view))
}

pub(crate) async fn list_detailed(shim: Data<Shim>, caller: Caller, page: Page) -> Result<HttpResponse> {
    answer_page(&shim, &caller, &page, |render, view| render.detailed(view))
}

/// Pages go by id, and each page is sorted by age, the youngest first: Trove's order.
fn answer_page(
    shim: &Shim,
    caller: &Caller,
    page: &Page,
    row: impl for<'a> Fn(&Render<'a>, &'a InstanceView) -> InstanceRow<'a>,
) -> Result<HttpResponse> {
    let mut views = shim.control.instances(caller.tenant(), page.id_marker(), page.limit + 1)?;
    let more = views.len() > page.limit;
    views.truncate(page.limit);
    let links = views.last().filter(|_| more).map(|last| page.next(&last.id.to_string()));
    views.sort_by_key(|view| std::cmp::Reverse(view.created_at));
    let render = Render::new(shim, caller);
    let instances = views.iter().map(|view| row(&render, view)).collect();
    Ok(HttpResponse::Ok().json(InstanceList { instances, links }))
}

pub(crate) async fn show(shim: Data<Shim>, caller: Caller, path: Path<(String, String)>) -> Result<HttpResponse> {
    let (_, id) = path.into_inner();
    let view = find(&shim, &caller, &id)?;
    Ok(HttpResponse::Ok().json(OneInstance { instance: Render::new(&shim, &caller).detailed(&view) }))
}

/// At any time, also while the instance is being built: Trove's 422 has no reason here.
pub(crate) async fn delete(shim: Data<Shim>, caller: Caller, path: Path<(String, String)>) -> Result<HttpResponse> {
    let (_, id) = path.into_inner();
    let view = find(&shim, &caller, &id)?;
    submit(&shim, &caller, view.id, Command::Delete).await?;
    Ok(accepted())
}

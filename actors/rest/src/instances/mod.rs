//! Instances: list, show, delete here; ordering one in [`create`], changes in [`update`], actions in [`action`], rows in
//! [`view`], what was done in [`journal`].

use std::cmp::Reverse;

use actix_web::{
    HttpResponse,
    web::{Data, Path},
};
use coffer_domain::command::Command;

use crate::{
    Shim,
    caller::Caller,
    commands::{find_id, find_shown, submit},
    error::{Error, Result},
    instances::view::{Extent, Render, read},
    paging::Page,
    routes::accepted,
};

pub(crate) mod action;
pub(crate) mod create;
pub(crate) mod journal;
pub(crate) mod order;
pub(crate) mod update;
pub(crate) mod view;

/// Bytes that an instance takes in a list, about.
const LISTED_BYTES: usize = 1024;

/// `?include_clustered=` makes no difference: there are no clusters.
pub(crate) async fn list(shim: Data<Shim>, caller: Caller, page: Page) -> Result<HttpResponse> {
    answer_page(&shim, &caller, &page, Extent::Listed)
}

pub(crate) async fn list_detailed(shim: Data<Shim>, caller: Caller, page: Page) -> Result<HttpResponse> {
    answer_page(&shim, &caller, &page, Extent::Detailed)
}

/// Pages go by id, and each page is sorted by age, the youngest first: Trove's order.
fn answer_page(shim: &Shim, caller: &Caller, page: &Page, extent: Extent) -> Result<HttpResponse> {
    let rows = shim.control.shown_after(caller.tenant(), page.id_marker(), page.limit + 1)?;
    let next = match rows.get(..page.limit) {
        Some([.., (last, _)]) if rows.len() > page.limit => Some(page.next(&last.0.to_string())),
        _ => None,
    };
    let shown = rows.iter().take(page.limit).map(|(id, row)| Ok((*id, read(row)?)));
    let mut shown = shown.collect::<Result<Vec<_>>>()?;
    shown.sort_by_key(|(_, shown)| Reverse(shown.created_at));
    let render = Render::new(shim, caller);
    let mut out = String::with_capacity((shown.len() + 1) * LISTED_BYTES);
    out.push_str("{\"instances\":[");
    for (number, (id, shown)) in shown.iter().enumerate() {
        if number > 0 {
            out.push(',');
        }
        render.write(&mut out, *id, shown, extent);
    }
    out.push(']');
    if let Some(next) = next {
        out.push_str(",\"links\":");
        out.push_str(&serde_json::to_string(&next).map_err(|error| Error::internal(error.to_string()))?);
    }
    out.push('}');
    Ok(json(out))
}

/// 200 with this text.
fn json(text: String) -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").body(text)
}

pub(crate) async fn show(shim: Data<Shim>, caller: Caller, path: Path<(String, String)>) -> Result<HttpResponse> {
    let (_, text) = path.into_inner();
    let (id, row) = find_shown(&shim, &caller, &text)?;
    Ok(json(Render::new(&shim, &caller).one(id, &row)?))
}

/// At any time, also while the instance is being built: Trove's 422 has no reason here.
pub(crate) async fn delete(shim: Data<Shim>, caller: Caller, path: Path<(String, String)>) -> Result<HttpResponse> {
    let (_, id) = path.into_inner();
    let id = find_id(&shim, &caller, &id)?;
    submit(&shim, &caller, id, Command::Delete).await?;
    Ok(accepted())
}

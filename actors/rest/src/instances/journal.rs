//! `GET /instances/{id}/journal`: what was done to an instance and why. Trove has nothing like it.
//!
//! It is kept for a while after the instance is gone, so that there is an answer to what happened to it.

use actix_web::{
    HttpResponse,
    web::{Data, Path},
};
use coffer_domain::{
    ids::InstanceId,
    instance::journal::{Entry, Happening},
};
use serde::Serialize;

use crate::{
    Shim,
    caller::Caller,
    error::{Error, Result},
    paging::{Next, Page},
    request_id::uuid_of,
    times,
};

#[derive(Serialize)]
struct JournalPage<'a> {
    journal: Vec<Line<'a>>,
    /// Entries that were dropped since the journal had grown too long.
    dropped: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    links: Next,
}

#[derive(Serialize)]
struct Line<'a> {
    /// Counts from 0 over the life of the instance; the marker of a page.
    number: u64,
    created: String,
    /// One line for people.
    text: String,
    #[serde(flatten)]
    what: &'a Happening,
}

pub(crate) async fn list(
    shim: Data<Shim>,
    caller: Caller,
    path: Path<(String, String)>,
    page: Page,
) -> Result<HttpResponse> {
    let (_, id) = path.into_inner();
    let instance = uuid_of(&id).map(InstanceId).ok_or_else(|| Error::no_resource(&id))?;
    let journal = shim.control.journal(caller.tenant(), instance, page.number_marker(), page.limit + 1)?;
    let (dropped, mut entries) = match journal {
        Some(journal) => (journal.dropped, journal.entries),
        // Made by a Coffer that kept no journal.
        None if shim.control.instance(caller.tenant(), instance)?.is_some() => (0, Vec::new()),
        None => return Err(Error::no_resource(&id)),
    };
    let more = entries.len() > page.limit;
    entries.truncate(page.limit);
    let links = entries.last().filter(|_| more).map(|(number, _)| page.next(&number.to_string()));
    let journal = entries.iter().map(line).collect();
    Ok(HttpResponse::Ok().json(JournalPage { journal, dropped, links }))
}

fn line((number, entry): &(u64, Entry)) -> Line<'_> {
    Line { number: *number, created: times::trove(entry.at), text: entry.to_string(), what: &entry.what }
}

//! What operators ask the agent of an instance: whether it is there, what its engine uses, what its guest has.

use std::time::Duration;

use actix_web::{
    HttpResponse,
    web::{Data, Path},
};
use coffer_domain::instance::view::InstanceView;
use serde_json::json;

use super::instances::find;
use crate::{
    Shim,
    caller::Caller,
    control::{Question, Told, Unanswered},
    error::{Error, Result},
};

/// How long an agent is waited for: it answers from memory and `/proc`.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);

pub(crate) async fn ping(shim: Data<Shim>, caller: Caller, path: Path<(String, String)>) -> Result<HttpResponse> {
    ask(&shim, &caller, &path.1, Question::Ping).await?;
    Ok(HttpResponse::NoContent().content_type("application/json").finish())
}

/// Sizes in KiB, as the kernel has them.
pub(crate) async fn diagnostics(
    shim: Data<Shim>,
    caller: Caller,
    path: Path<(String, String)>,
) -> Result<HttpResponse> {
    let (view, told) = ask(&shim, &caller, &path.1, Question::Diagnostics).await?;
    let Told::Diagnostics { agent_version, engine } = told else { return Err(nonsense(&view)) };
    let engine =
        engine.ok_or_else(|| Error::wrong_state(format!("Instance {} has no database server that runs.", view.id)))?;
    Ok(HttpResponse::Ok().json(json!({ "diagnostics": {
        "version": agent_version,
        "threads": engine.threads,
        "fdSize": engine.fd_size,
        "vmSize": engine.vm_size_kib,
        "vmPeak": engine.vm_peak_kib,
        "vmRss": engine.vm_rss_kib,
        "vmHwm": engine.vm_hwm_kib,
    } })))
}

/// The memory in KiB. A guest that is a process of its host has the host's.
pub(crate) async fn hardware(shim: Data<Shim>, caller: Caller, path: Path<(String, String)>) -> Result<HttpResponse> {
    let (view, told) = ask(&shim, &caller, &path.1, Question::Hardware).await?;
    let Told::Hardware { memory_kib, cpus } = told else { return Err(nonsense(&view)) };
    Ok(HttpResponse::Ok().json(json!({ "hwinfo": { "mem_total": memory_kib, "num_cpus": cpus } })))
}

async fn ask(shim: &Shim, caller: &Caller, id: &str, question: Question) -> Result<(InstanceView, Told)> {
    caller.require_admin()?;
    let view = find(shim, id)?;
    match shim.control.ask(&view.tenant, view.id, question, ANSWER_LIMIT).await {
        Ok(told) => Ok((view, told)),
        Err(Unanswered::Unknown) => {
            Err(Error::not_implemented(format!("The agent of instance {} is too old to be asked this.", view.id)))
        }
        Err(Unanswered::NotHeard) => {
            Err(Error::unavailable(format!("The agent of instance {} is not heard of now.", view.id)))
        }
        Err(Unanswered::Crowded) => {
            Err(Error::unavailable(format!("The agent of instance {} is being asked too much already.", view.id)))
        }
        Err(Unanswered::Late) => Err(Error::unavailable(format!(
            "The agent of instance {} did not answer within {} s.",
            view.id,
            ANSWER_LIMIT.as_secs()
        ))),
    }
}

fn nonsense(view: &InstanceView) -> Error {
    Error::internal(format!("The agent of instance {} answered something else than it was asked.", view.id))
}

//! `GET /limits`: the tenant's quota in one row, and how often it may call, a row for each limit that there is.

use std::time::Instant;

use actix_web::{HttpResponse, web::Data};
use coffer_domain::time::{Millis, Timestamp};
use serde::Serialize;

use crate::{Shim, caller::Caller, error::Result, rates::Standing, times};

#[derive(Serialize)]
struct LimitList {
    limits: Vec<Limit>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Limit {
    Absolute { verb: &'static str, max_instances: i64, max_volumes: i64, max_ram: i64, max_backups: i64 },
    Rate(Rate),
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Rate {
    next_available: String,
    remaining: u32,
    unit: &'static str,
    value: u32,
    verb: &'static str,
    uri: &'static str,
    regex: &'static str,
}

pub(crate) async fn list(shim: Data<Shim>, caller: Caller) -> Result<HttpResponse> {
    let limits = shim.control.limits(caller.tenant())?;
    let absolute = Limit::Absolute {
        verb: "ABSOLUTE",
        max_instances: number(limits.instances),
        max_volumes: number(limits.volume_gib),
        max_ram: number(limits.memory_mib),
        max_backups: number(limits.backups),
    };
    let now = shim.control.now();
    let rates = shim.limiter.standings(caller.tenant(), Instant::now());
    let rates = rates.into_iter().map(|standing| Limit::Rate(rate(standing, now)));
    Ok(HttpResponse::Ok().json(LimitList { limits: std::iter::once(absolute).chain(rates).collect() }))
}

fn rate(standing: Standing, now: Timestamp) -> Rate {
    let Standing { kind, remaining, wait } = standing;
    Rate {
        next_available: times::zulu(now + Millis::try_from(wait.as_millis()).unwrap_or(Millis::MAX)),
        remaining,
        unit: "MINUTE",
        value: kind.limit.get(),
        verb: kind.verb,
        uri: kind.uri,
        regex: kind.regex,
    }
}

/// A limit as Trove writes it: -1 is none.
pub(crate) fn number(limit: Option<u64>) -> i64 {
    limit.map_or(-1, |limit| i64::try_from(limit).unwrap_or(i64::MAX))
}

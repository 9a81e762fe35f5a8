//! `GET /limits`: the tenant's quota in one row, and how often it may call.

use actix_web::{HttpResponse, web::Data};
use serde::Serialize;

use crate::{Shim, caller::Caller, times};

/// Requests of one kind in a minute (Trove's `http_get_rate` and its neighbours). Shown, not enforced.
const REQUESTS_PER_MINUTE: u32 = 200;

/// Verb, paths in words, paths as a regular expression: Trove's `DEFAULT_LIMITS`.
const RATES: [(&str, &str, &str); 5] =
    [("POST", "*", ".*"), ("PUT", "*", ".*"), ("DELETE", "*", ".*"), ("GET", "*", ".*"), ("POST", "*/mgmt", "^/mgmt")];

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

pub(crate) async fn list(shim: Data<Shim>, caller: Caller) -> HttpResponse {
    let limits = shim.control.limits(caller.tenant());
    let absolute = Limit::Absolute {
        verb: "ABSOLUTE",
        max_instances: number(limits.instances),
        max_volumes: number(limits.volume_gib),
        max_ram: number(limits.memory_mib),
        max_backups: number(limits.backups),
    };
    let now = times::zulu(shim.control.now());
    let rates = RATES.into_iter().map(|(verb, uri, regex)| {
        Limit::Rate(Rate {
            next_available: now.clone(),
            remaining: REQUESTS_PER_MINUTE,
            unit: "MINUTE",
            value: REQUESTS_PER_MINUTE,
            verb,
            uri,
            regex,
        })
    });
    HttpResponse::Ok().json(LimitList { limits: std::iter::once(absolute).chain(rates).collect() })
}

/// A limit as Trove writes it: -1 is none.
pub(crate) fn number(limit: Option<u64>) -> i64 {
    limit.map_or(-1, |limit| i64::try_from(limit).unwrap_or(i64::MAX))
}

//! How often a tenant may call: a bucket for each kind of request, refilled all the time, as Trove has them.
//!
//! Counted by each control plane for itself, and forgotten when it ends.

use std::{
    collections::HashMap,
    num::NonZeroU32,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use actix_web::http::Method;
use coffer_domain::ids::TenantId;
use prometheus::IntGauge;
use serde::Deserialize;

/// The table `[rest.requests_per_minute]`: how many requests of a kind a tenant may send in a minute, which it may also do
/// at once. What is absent has no limit, as everything by default; Trove has 200 of each, and none for PATCH.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rates {
    pub get: Option<NonZeroU32>,
    pub post: Option<NonZeroU32>,
    pub put: Option<NonZeroU32>,
    pub patch: Option<NonZeroU32>,
    pub delete: Option<NonZeroU32>,
    /// POST below `/mgmt`, which is counted as `post` when this is absent.
    pub mgmt_post: Option<NonZeroU32>,
}

/// Tenants that are counted at a time. Beyond that a tenant is let through uncounted, unless others have been quiet for a
/// minute: only people with a valid token come here.
const MAX_TENANTS: usize = 10_000;
/// How often those that have been quiet are looked for.
const SWEEP: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const KINDS: usize = 6;

/// A kind of request with a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kind {
    pub verb: &'static str,
    /// Paths in words.
    pub uri: &'static str,
    /// Paths as a regular expression.
    pub regex: &'static str,
    pub limit: NonZeroU32,
    place: usize,
}

/// How a tenant stands with a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Standing {
    pub kind: Kind,
    /// Requests that may be sent at once.
    pub remaining: u32,
    /// Until one may be sent; nothing when there is a remaining one.
    pub wait: Duration,
}

pub(crate) struct Limiter {
    kinds: [Option<Kind>; KINDS],
    tenants: Mutex<Tenants>,
    /// How many tenants are counted.
    counted: IntGauge,
}

#[derive(Default)]
struct Tenants {
    buckets: HashMap<TenantId, Buckets>,
    swept_at: Option<Instant>,
}

/// When each bucket will be full again; nothing for a full one.
type Buckets = [Option<Instant>; KINDS];

impl Limiter {
    pub fn new(rates: &Rates, counted: IntGauge) -> Self {
        let all =
            |verb, place, limit: Option<NonZeroU32>| Some(Kind { verb, uri: "*", regex: ".*", limit: limit?, place });
        let mgmt = |limit| Kind { verb: "POST", uri: "*/mgmt", regex: "^/mgmt", limit, place: 5 };
        // In the order in which they are shown.
        let kinds = [
            all("POST", 0, rates.post),
            all("PUT", 1, rates.put),
            all("PATCH", 2, rates.patch),
            all("DELETE", 3, rates.delete),
            all("GET", 4, rates.get),
            rates.mgmt_post.map(mgmt),
        ];
        Self { kinds, tenants: Mutex::default(), counted }
    }

    /// Counts a request. Errors: how the tenant stands, when it has sent too many of these.
    pub fn admit(&self, tenant: &TenantId, method: &Method, is_mgmt: bool, now: Instant) -> Result<(), Standing> {
        let mgmt = self.kinds[5].filter(|kind| is_mgmt && method.as_str() == kind.verb);
        let own = || self.kinds[..5].iter().flatten().find(|kind| method.as_str() == kind.verb).copied();
        let Some(kind) = mgmt.or_else(own) else { return Ok(()) };
        let mut tenants = self.tenants();
        let Some(buckets) = tenants.of(tenant, now) else { return Ok(()) };
        let bucket = &mut buckets[kind.place];
        let standing = kind.standing(*bucket, now);
        if standing.remaining == 0 {
            return Err(standing);
        }
        *bucket = Some(bucket.unwrap_or(now).max(now) + kind.interval());
        self.counted.set(i64::try_from(tenants.buckets.len()).unwrap_or(i64::MAX));
        Ok(())
    }

    /// How a tenant stands with each limit that there is.
    pub fn standings(&self, tenant: &TenantId, now: Instant) -> Vec<Standing> {
        let tenants = self.tenants();
        let buckets = tenants.buckets.get(tenant).copied().unwrap_or_default();
        self.kinds.iter().flatten().map(|kind| kind.standing(buckets[kind.place], now)).collect()
    }

    fn tenants(&self) -> MutexGuard<'_, Tenants> {
        self.tenants.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tenants {
    /// A tenant's buckets; nothing when there is no place for them.
    fn of(&mut self, tenant: &TenantId, now: Instant) -> Option<&mut Buckets> {
        if !self.buckets.contains_key(tenant) {
            if self.buckets.len() >= MAX_TENANTS {
                self.sweep(now);
            }
            if self.buckets.len() >= MAX_TENANTS {
                return None;
            }
            self.buckets.insert(tenant.clone(), Buckets::default());
        }
        self.buckets.get_mut(tenant)
    }

    /// Forgets tenants whose buckets are all full: a new one is as full.
    fn sweep(&mut self, now: Instant) {
        if self.swept_at.is_some_and(|at| now < at + SWEEP) {
            return;
        }
        self.swept_at = Some(now);
        self.buckets.retain(|_, buckets| buckets.iter().flatten().any(|full_at| *full_at > now));
    }
}

impl Kind {
    /// After which one more may be sent.
    fn interval(&self) -> Duration {
        MINUTE / self.limit.get()
    }

    fn standing(self, full_at: Option<Instant>, now: Instant) -> Standing {
        let limit = self.limit.get();
        let missing = full_at.map_or(Duration::ZERO, |full_at| full_at.saturating_duration_since(now));
        let interval = self.interval().as_nanos().max(1);
        let taken = u32::try_from(missing.as_nanos().div_ceil(interval)).unwrap_or(u32::MAX);
        let remaining = limit.saturating_sub(taken);
        let wait = if remaining > 0 { Duration::ZERO } else { missing.saturating_sub(self.interval() * (limit - 1)) };
        Standing { kind: self, remaining, wait }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limiter(get: u32, post: u32, mgmt_post: u32) -> Limiter {
        let rates = Rates {
            get: NonZeroU32::new(get),
            post: NonZeroU32::new(post),
            mgmt_post: NonZeroU32::new(mgmt_post),
            ..Rates::default()
        };
        Limiter::new(&rates, IntGauge::new("tenants", "test").unwrap())
    }

    fn tenant(name: &str) -> TenantId {
        TenantId(name.into())
    }

    #[test]
    fn a_minutes_worth_may_be_sent_at_once_and_then_one_in_each_part_of_it() {
        let (limiter, start, a) = (limiter(3, 0, 0), Instant::now(), tenant("a"));
        let get = |after_s| limiter.admit(&a, &Method::GET, false, start + Duration::from_secs(after_s));
        assert_eq!([get(0), get(0), get(0)], [Ok(()); 3]);
        let refused = get(1).unwrap_err();
        assert_eq!((refused.remaining, refused.wait, refused.kind.verb), (0, Duration::from_secs(19), "GET"));
        assert!(get(19).is_err(), "a refused one costs nothing and brings nothing");
        assert_eq!((get(20), get(20).is_err()), (Ok(()), true));
        // After a quiet time there is a minute's worth again, and no more.
        assert_eq!([get(500), get(500), get(500)], [Ok(()); 3]);
        assert!(get(500).is_err());
    }

    #[test]
    fn each_tenant_and_each_kind_has_its_own() {
        let (limiter, now) = (limiter(1, 1, 1), Instant::now());
        let ask = |name, method: Method, is_mgmt| limiter.admit(&tenant(name), &method, is_mgmt, now).is_ok();
        assert!(ask("a", Method::GET, false) && ask("a", Method::POST, false) && ask("a", Method::POST, true));
        assert!(ask("b", Method::GET, false) && !ask("b", Method::GET, true));
        assert!(!ask("a", Method::GET, false) && !ask("a", Method::POST, false) && !ask("a", Method::POST, true));
        for _ in 0..1000 {
            assert!(ask("a", Method::PUT, false) && ask("a", Method::PATCH, false), "what has no limit");
        }
        let uris: Vec<_> = limiter.standings(&tenant("c"), now).iter().map(|it| (it.kind.verb, it.kind.uri)).collect();
        assert_eq!(uris, [("POST", "*"), ("GET", "*"), ("POST", "*/mgmt")]);
    }

    #[test]
    fn tenants_are_counted_within_a_bound_and_quiet_ones_make_room() {
        let (limiter, start) = (limiter(1, 0, 0), Instant::now());
        let get = |number: usize, now| limiter.admit(&tenant(&number.to_string()), &Method::GET, false, now);
        for number in 0..2 * MAX_TENANTS {
            get(number, start).unwrap();
        }
        assert_eq!(limiter.tenants().buckets.len(), MAX_TENANTS);
        assert_eq!(limiter.counted.get(), 10_000);
        assert!(get(0, start).is_err() && get(MAX_TENANTS + 1, start).is_ok(), "who has no place is not counted");
        let later = start + MINUTE;
        get(MAX_TENANTS + 1, later).unwrap();
        assert!(get(MAX_TENANTS + 1, later).is_err());
        assert_eq!(limiter.tenants().buckets.len(), 1);
    }

    #[test]
    fn the_largest_limit_is_one_too() {
        let (limiter, now) = (limiter(u32::MAX, 0, 0), Instant::now());
        for _ in 0..1000 {
            limiter.admit(&tenant("a"), &Method::GET, false, now).unwrap();
        }
        assert_eq!(limiter.standings(&tenant("a"), now)[0].remaining, u32::MAX - 1000);
    }
}

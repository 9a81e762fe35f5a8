//! What every component tells of itself in the same way: happenings that log and count together, metrics that are
//! described before they are counted, and things with a bound whose fullness can be asked.
//!
//! Only the words: which library counts and which one logs is the component's own matter.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

/// Lines of one happening that are logged at once …
const BURST: f64 = 200.0;
/// … and how many more each second: whoever causes them, a client or a guest, cannot fill a disk with them.
const LINES_PER_SECOND: f64 = 10.0;

/// Something that happened: counted always, logged as far as its throttle lets it.
pub trait Happening<M: Meter> {
    /// Stable, in every line of it as the field `happening`.
    const NAME: &'static str;

    /// Counts it, exactly.
    fn count(&self, meter: &M);

    /// Writes its line. `suppressed`: how many of its lines were left out since the last one.
    fn log(&self, suppressed: u64);

    /// Counts it and, unless there were too many of its kind lately, logs it.
    fn emit(&self, meter: &M) {
        self.count(meter);
        if let Some(suppressed) = meter.throttles().admit(Self::NAME, Instant::now()) {
            self.log(suppressed);
        }
    }
}

/// The metrics of a component, with the throttles of its happenings.
pub trait Meter {
    fn throttles(&self) -> &Throttles;
}

/// A throttle for each happening of a component.
#[derive(Debug)]
pub struct Throttles(BTreeMap<&'static str, Mutex<Bucket>>);

impl Throttles {
    /// For the happenings of these names.
    pub fn new(names: &[&'static str]) -> Self {
        Self(names.iter().map(|name| (*name, Mutex::new(Bucket::default()))).collect())
    }

    /// Whether a line may be written now and, if so, how many were not since the last one. A name that is not known is
    /// not throttled.
    pub fn admit(&self, name: &str, now: Instant) -> Option<u64> {
        let Some(bucket) = self.0.get(name) else { return Some(0) };
        bucket.lock().unwrap_or_else(PoisonError::into_inner).admit(now)
    }
}

/// A token bucket.
#[derive(Debug, Default)]
struct Bucket {
    /// Lines taken out of the bucket and not refilled yet.
    taken: f64,
    refilled_at: Option<Instant>,
    suppressed: u64,
}

impl Bucket {
    fn admit(&mut self, now: Instant) -> Option<u64> {
        let since = self.refilled_at.map_or(0.0, |at| now.saturating_duration_since(at).as_secs_f64());
        self.refilled_at = Some(now);
        self.taken = (self.taken - since * LINES_PER_SECOND).max(0.0);
        if self.taken + 1.0 > BURST {
            self.suppressed += 1;
            return None;
        }
        self.taken += 1.0;
        Some(std::mem::take(&mut self.suppressed))
    }
}

/// How a metric is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// A metric as it is documented and registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Described {
    pub name: &'static str,
    pub kind: Kind,
    pub labels: &'static [&'static str],
    pub help: &'static str,
}

impl Described {
    pub const fn counter(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Self {
        Self { name, kind: Kind::Counter, labels, help }
    }

    pub const fn gauge(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Self {
        Self { name, kind: Kind::Gauge, labels, help }
    }

    pub const fn histogram(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Self {
        Self { name, kind: Kind::Histogram, labels, help }
    }
}

/// The things with a bound of a process: queues, windows, slots. Cheap to clone.
#[derive(Clone, Default)]
pub struct Bounded(Arc<Mutex<Vec<Thing>>>);

struct Thing {
    name: &'static str,
    limit: usize,
    used: Box<dyn Fn() -> Option<usize> + Send + Sync>,
}

/// How full a thing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fullness {
    pub used: usize,
    pub limit: usize,
}

impl Bounded {
    /// Has `used` asked whenever somebody wants to know; `None` means that the thing is gone. Several things may share a
    /// name, one for each partition for example.
    pub fn register(&self, name: &'static str, limit: usize, used: impl Fn() -> Option<usize> + Send + Sync + 'static) {
        self.things().push(Thing { name, limit, used: Box::new(used) });
    }

    /// How full each thing is; of those that share a name, the fullest.
    pub fn fullness(&self) -> BTreeMap<&'static str, Fullness> {
        let mut fullest: BTreeMap<&'static str, Fullness> = BTreeMap::new();
        self.things().retain(|thing| {
            let Some(used) = (thing.used)() else { return false };
            let fullness = Fullness { used, limit: thing.limit };
            fullest
                .entry(thing.name)
                .and_modify(|known| {
                    if known.used * fullness.limit < fullness.used * known.limit {
                        *known = fullness;
                    }
                })
                .or_insert(fullness);
            true
        });
        fullest
    }

    fn things(&self) -> std::sync::MutexGuard<'_, Vec<Thing>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_flood_is_let_through_up_to_the_burst_and_its_rest_is_told_afterwards() {
        let throttles = Throttles::new(&["flood", "calm"]);
        let start = Instant::now();
        let admitted = (0..10_000).filter(|_| throttles.admit("flood", start).is_some()).count();
        assert_eq!(admitted, 200);
        assert_eq!(throttles.admit("calm", start), Some(0), "each has its own");
        let later = start + Duration::from_secs(1);
        assert_eq!(throttles.admit("flood", later), Some(9_800));
        assert_eq!((0..100).filter(|_| throttles.admit("flood", later).is_some()).count(), 9);
        let much_later = start + Duration::from_secs(3600);
        assert_eq!(throttles.admit("flood", much_later), Some(91));
        assert_eq!((0..10_000).filter(|_| throttles.admit("flood", much_later).is_some()).count(), 199);
    }

    #[test]
    fn the_fullest_of_a_name_is_told_and_what_is_gone_is_not() {
        let bounded = Bounded::default();
        bounded.register("queue", 100, || Some(50));
        bounded.register("queue", 10, || Some(9));
        bounded.register("queue", 10, || Some(1));
        bounded.register("gone", 10, || None);
        assert_eq!(bounded.fullness(), BTreeMap::from([("queue", Fullness { used: 9, limit: 10 })]));
    }
}

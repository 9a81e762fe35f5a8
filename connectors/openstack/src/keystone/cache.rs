//! Answers that are remembered for a while, at most so many.
//!
//! In two generations: when the young one is full it becomes the old one, which is forgotten with the next change, but
//! for what was asked for meanwhile. What is in use stays, without a list to keep in order.

use std::{collections::HashMap, mem, time::Instant};

/// A token is a secret: its hash stands for it.
pub(super) type Key = [u8; 32];

pub(super) struct Cache<V> {
    /// Of each generation.
    limit: usize,
    young: HashMap<Key, Entry<V>>,
    old: HashMap<Key, Entry<V>>,
}

struct Entry<V> {
    until: Instant,
    value: V,
}

impl<V: Clone> Cache<V> {
    /// For at most `limit` answers.
    pub(super) fn new(limit: usize) -> Self {
        Self { limit: limit / 2, young: HashMap::new(), old: HashMap::new() }
    }

    /// What is remembered, unless its time is over.
    pub(super) fn get(&mut self, key: &Key, now: Instant) -> Option<V> {
        if let Some(entry) = self.old.remove(key) {
            self.insert(*key, entry.value, entry.until);
        }
        let entry = self.young.get(key)?;
        if entry.until <= now {
            self.young.remove(key);
            return None;
        }
        Some(entry.value.clone())
    }

    pub(super) fn insert(&mut self, key: Key, value: V, until: Instant) {
        if self.young.len() >= self.limit {
            self.old = mem::take(&mut self.young);
        }
        self.old.remove(&key);
        self.young.insert(key, Entry { until, value });
    }

    pub(super) fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn key(number: u16) -> Key {
        let mut key = [0; 32];
        key[..2].copy_from_slice(&number.to_be_bytes());
        key
    }

    #[test]
    fn an_answer_ends_at_its_time() {
        let (now, mut cache) = (Instant::now(), Cache::new(4));
        cache.insert(key(1), "one", now + Duration::from_secs(2));
        assert_eq!(cache.get(&key(1), now + Duration::from_secs(1)), Some("one"));
        assert_eq!(cache.get(&key(2), now), None);
        assert_eq!(cache.get(&key(1), now + Duration::from_secs(2)), None);
        assert_eq!(cache.len(), 0);
    }

    #[test]
    fn a_flood_stays_within_the_bound_and_leaves_what_is_in_use() {
        let (now, mut cache) = (Instant::now(), Cache::new(100));
        let later = now + Duration::from_secs(9);
        cache.insert(key(0), 0, later);
        for number in 1..10_000 {
            cache.insert(key(number), number, later);
            assert!(cache.len() <= 100);
            assert_eq!(cache.get(&key(0), now), Some(0), "after {number}");
        }
        assert_eq!(cache.get(&key(1), now), None, "nobody asked for it");
    }

    #[test]
    fn a_newer_answer_takes_the_place_of_an_older_one_in_both_generations() {
        let (now, mut cache) = (Instant::now(), Cache::new(4));
        let later = now + Duration::from_secs(9);
        for (number, value) in [(1, "a"), (2, "b"), (3, "c"), (1, "d")] {
            cache.insert(key(number), value, later);
        }
        assert_eq!((cache.get(&key(1), now), cache.len()), (Some("d"), 3));
    }
}

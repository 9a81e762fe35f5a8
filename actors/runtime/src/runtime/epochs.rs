//! Epochs of a store that is put back from a copy.

use coffer_domain::time::{SECOND, Timestamp};
use coffer_ports::log::{Batch, Space, Write};

use super::PARTITIONS;
use crate::store::{Store, StoreError, keys, rows};

/// Starts by which epochs grow without anybody counting them, in a store that is put back from a copy: more than there
/// are in a life.
const UNCOUNTED_STARTS: u64 = 1 << 20;

/// Puts the epochs of a store that is put back from a copy above all that were in use since the copy was made, which
/// the store cannot know: to the time in seconds, which grows faster than anybody starts. Returns the least of them.
///
/// Sequence numbers of messages to agents begin anew with each epoch, so that none is used twice. With a clock that was
/// ahead at an earlier restore and is not now, agents refuse the new epoch until as many seconds have passed.
pub fn raise_epochs(store: &Store, now: Timestamp) -> Result<u64, StoreError> {
    let seconds = u64::try_from(now.0 / SECOND).unwrap_or_default();
    let mut batch = Batch::default();
    let mut least = u64::MAX;
    for partition in 0..PARTITIONS {
        let epoch = seconds.max(store.epoch(partition)? + UNCOUNTED_STARTS);
        least = least.min(epoch);
        batch.writes.push(Write { space: Space::Meta, key: keys::epoch(partition), value: Some(rows::encode(&epoch)) });
    }
    store.write(&[batch])?;
    Ok(least)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raised_epochs_are_above_all_that_a_copy_may_have_missed() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path()).unwrap();
        let at = |seconds: i64| Timestamp(seconds * SECOND);
        let first = raise_epochs(&store, at(1_800_000_000)).unwrap();
        assert_eq!(first, 1_800_000_000, "the time, whatever the copy says");
        // The same copy restored later, or one that was made after a restore, with a clock that was set back.
        assert!(raise_epochs(&store, at(1_800_000_100)).unwrap() > first + 100);
        assert!(raise_epochs(&store, at(0)).unwrap() > first + 100);
        assert_eq!(store.epoch(PARTITIONS - 1).unwrap(), store.epoch(0).unwrap());
    }
}

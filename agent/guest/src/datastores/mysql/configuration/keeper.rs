//! What the engine is given, kept in a file: what is wanted, and what it last came up with.

use std::{
    collections::BTreeSet,
    io,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use serde::{Deserialize, Serialize};

use super::Entries;
use crate::host::files;

const VERSION: u16 = 1;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Kept {
    version: u16,
    number: u64,
    values: Entries,
    /// What the engine last ran with: it starts with these for sure.
    proven: Entries,
    /// Some of the values count from the engine's next start.
    restart_required: bool,
    /// What was set since the engine's last start, and may be as it was set still.
    touched: BTreeSet<String>,
}

#[derive(Debug)]
pub(in super::super) struct Keeper {
    path: PathBuf,
    kept: Mutex<Kept>,
}

impl Keeper {
    pub(in super::super) fn open(path: &Path) -> io::Result<Self> {
        let damaged = |error| io::Error::other(format!("{} is damaged: {error}", path.display()));
        let kept = match files::read_if_there(path)? {
            Some(bytes) => serde_json::from_slice(&bytes).map_err(damaged)?,
            None => Kept { version: VERSION, ..Kept::default() },
        };
        Ok(Self { path: path.to_owned(), kept: Mutex::new(kept) })
    }

    pub(in super::super) fn values(&self) -> Entries {
        self.kept().values.clone()
    }

    pub(in super::super) fn restart_required(&self) -> bool {
        self.kept().restart_required
    }

    pub(super) fn number(&self) -> u64 {
        self.kept().number
    }

    /// All that the engine may have other values for than its defaults.
    pub(super) fn names(&self) -> Vec<String> {
        let kept = self.kept();
        kept.values.keys().chain(&kept.touched).cloned().collect()
    }

    pub(super) fn keep(&self, number: u64, values: Entries, restart_required: bool) -> io::Result<()> {
        self.change(|kept| {
            kept.touched.extend(kept.values.keys().chain(values.keys()).cloned().collect::<Vec<_>>());
            kept.number = number;
            kept.restart_required = restart_required;
            if !restart_required {
                // The engine runs with all of them.
                kept.proven = values.clone();
            }
            kept.values = values;
        })
    }

    /// The engine is being started with the values.
    pub(in super::super) fn begin_start(&self) -> io::Result<()> {
        self.change(|kept| {
            kept.restart_required = false;
            kept.touched.clear();
        })
    }

    /// The engine has come up with the values.
    pub(in super::super) fn prove(&self) -> io::Result<()> {
        // An engine that was found running may have been started before what waits for its next start was given.
        self.change(|kept| {
            if !kept.restart_required {
                kept.proven = kept.values.clone();
            }
        })
    }

    /// Goes back to the values that the engine came up with; returns the names of those that differ.
    pub(in super::super) fn fall_back(&self) -> io::Result<Option<String>> {
        let Kept { values, proven, restart_required, .. } = self.kept().clone();
        if restart_required {
            // The engine was not started with them yet: they are not what it ended of.
            return Ok(None);
        }
        let differs = |name: &&String| values.get(*name) != proven.get(*name);
        let names: BTreeSet<&str> = values.keys().chain(proven.keys()).filter(differs).map(String::as_str).collect();
        if names.is_empty() {
            return Ok(None);
        }
        self.change(|kept| kept.values = kept.proven.clone())?;
        Ok(Some(names.into_iter().collect::<Vec<_>>().join(", ")))
    }

    /// Changes what is kept, once it is on disk.
    fn change(&self, change: impl FnOnce(&mut Kept)) -> io::Result<()> {
        let mut kept = self.kept();
        let mut changed = kept.clone();
        change(&mut changed);
        if changed != *kept {
            files::write_durably(&self.path, &serde_json::to_vec(&changed)?)?;
            *kept = changed;
        }
        Ok(())
    }

    /// No code that could panic runs under this lock in a way that leaves it half-changed.
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::datastores::mysql::configuration::Entry;

    fn entries(names: &[&str]) -> Entries {
        names.iter().map(|name| ((*name).to_owned(), Entry { text: "1".into(), is_option: true })).collect()
    }

    #[test]
    fn what_the_engine_does_not_start_with_is_given_up() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("kept");
        let keeper = Keeper::open(&path).unwrap();
        keeper.keep(1, entries(&["good"]), false).unwrap();
        keeper.keep(2, entries(&["good", "bad"]), true).unwrap();
        assert!(keeper.restart_required());
        assert_eq!(keeper.fall_back().unwrap(), None, "it has run without them");
        // The agent may die at any time.
        let keeper = Keeper::open(&path).unwrap();
        keeper.prove().unwrap();
        keeper.begin_start().unwrap();
        assert!(!keeper.restart_required());
        assert_eq!(keeper.fall_back().unwrap().as_deref(), Some("bad"));
        assert_eq!(keeper.values(), entries(&["good"]));
        assert_eq!(keeper.fall_back().unwrap(), None);
        assert_eq!(keeper.number(), 2);
    }

    #[test]
    fn what_was_set_since_the_start_is_remembered_until_the_next_one() {
        let directory = tempfile::tempdir().unwrap();
        let keeper = Keeper::open(&directory.path().join("kept")).unwrap();
        keeper.keep(1, entries(&["a"]), false).unwrap();
        keeper.keep(2, entries(&["b"]), true).unwrap();
        assert_eq!(keeper.names(), ["b", "a", "b"]);
        keeper.begin_start().unwrap();
        assert_eq!(keeper.names(), ["b"]);
    }
}

//! Which commands were begun and how they ended: each is done once, also when the agent or the machine crashes.
//!
//! One JSON record a line, appended and synced. A record names a command and never repeats its content, so that no
//! secret can get here. Failures that a repeat of the same command may overcome are not recorded: it is then tried
//! again.

use std::{
    collections::HashMap,
    fs::{File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use coffer_protocol::report::Failure;
use serde::{Deserialize, Serialize};

use crate::host::files;

/// How long a command can be repeated and is answered from its record. An older one is refused, not executed.
pub const WINDOW_MS: i64 = 24 * 60 * 60 * 1000;
/// Records kept at most; the oldest go first, and commands as old as these are refused from then on.
pub const MAX_RECORDS: usize = 10_000;
/// Lines appended before the file is written anew without what nobody needs.
const COMPACT_AFTER_LINES: usize = 1000;

/// How a command ended.
pub type Outcome = Result<(), Failure>;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    command_id: String,
    verb: String,
    /// The control plane's clock.
    issued_at_ms: i64,
    /// The guest's clock, when this record was made.
    at_ms: i64,
    /// Absent while the command is being executed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    outcome: Option<Outcome>,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Line {
    /// First line of a compacted journal: commands issued up to then may have been forgotten.
    Horizon {
        forgotten_up_to_ms: i64,
    },
    Record(Record),
}

/// What the journal knows of a command.
#[derive(Debug, PartialEq, Eq)]
pub enum Known {
    /// Nothing: it is new.
    New,
    /// An earlier attempt began and did not end, or ended in a way that a repeat may overcome.
    Begun,
    Finished(Outcome),
    /// It may have been executed and forgotten.
    Expired,
}

/// The journal of one data volume.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
    records: HashMap<String, Record>,
    forgotten_up_to_ms: i64,
    lines_appended: usize,
}

impl Journal {
    /// Opens the journal, creating it if need be. A last line that a crash tore is dropped: what it said was never
    /// relied upon, as it was not synced.
    ///
    /// # Errors
    /// When the file cannot be read or written, or a line other than the last is damaged.
    pub fn open(path: &Path, now_ms: i64) -> io::Result<Self> {
        let content = files::read_if_there(path)?.unwrap_or_default();
        let whole_lines = content.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
        if whole_lines < content.len() {
            tracing::warn!(bytes = content.len() - whole_lines, "a torn last line of the journal is dropped");
        }
        let mut records = HashMap::new();
        let mut forgotten_up_to_ms = 0;
        for (index, line) in content[..whole_lines].split(|byte| *byte == b'\n').enumerate() {
            if line.is_empty() {
                continue;
            }
            let line: Line = serde_json::from_slice(line).map_err(|error| {
                io::Error::other(format!("{}, line {}, is damaged: {error}", path.display(), index + 1))
            })?;
            match line {
                Line::Horizon { forgotten_up_to_ms: horizon } => forgotten_up_to_ms = horizon,
                Line::Record(record) => drop(records.insert(record.command_id.clone(), record)),
            }
        }
        let file = Self::open_to_append(path)?;
        // What stays of it must end with a whole line, also when it cannot be written anew below.
        file.set_len(whole_lines as u64)?;
        let mut journal = Self { path: path.to_owned(), file, records, forgotten_up_to_ms, lines_appended: 0 };
        journal.compact_if_there_is_room(now_ms)?;
        Ok(journal)
    }

    /// What is known of the command; decides whether it is executed.
    pub fn look_up(&self, command_id: &str, issued_at_ms: i64, now_ms: i64) -> Known {
        let is_expired = issued_at_ms <= self.forgotten_up_to_ms || issued_at_ms < now_ms - WINDOW_MS;
        match self.records.get(command_id) {
            Some(Record { outcome: Some(outcome), .. }) => Known::Finished(outcome.clone()),
            _ if is_expired => Known::Expired,
            Some(_) => Known::Begun,
            None => Known::New,
        }
    }

    /// Records that the command is about to be executed. It is on disk when this returns.
    pub fn begin(&mut self, command_id: &str, verb: &str, issued_at_ms: i64, now_ms: i64) -> io::Result<()> {
        let (command_id, verb) = (command_id.to_owned(), verb.to_owned());
        let record = Record { command_id, verb, issued_at_ms, at_ms: now_ms, outcome: None };
        self.append(&record)?;
        self.records.insert(record.command_id.clone(), record);
        Ok(())
    }

    /// Records how the command ended, whether it was begun or refused before. It is on disk when this returns.
    ///
    /// # Errors
    /// When it cannot be written. The outcome is then known for this agent's life only.
    pub fn finish(
        &mut self,
        command_id: &str,
        verb: &str,
        issued_at_ms: i64,
        now_ms: i64,
        outcome: Outcome,
    ) -> io::Result<()> {
        let (command_id, verb) = (command_id.to_owned(), verb.to_owned());
        let record = Record { command_id, verb, issued_at_ms, at_ms: now_ms, outcome: Some(outcome) };
        self.records.insert(record.command_id.clone(), record.clone());
        self.append(&record)
    }

    fn append(&mut self, record: &Record) -> io::Result<()> {
        if self.lines_appended >= COMPACT_AFTER_LINES {
            self.compact_if_there_is_room(record.at_ms)?;
        }
        let end = self.file.metadata()?.len();
        let written = self.file.write_all(&line(&Line::Record(record.clone()))?).and_then(|()| self.file.sync_data());
        if let Err(error) = written {
            // A torn line must not be continued by the next one.
            self.file.set_len(end)?;
            return Err(error);
        }
        self.lines_appended += 1;
        Ok(())
    }

    /// On a full volume the old file goes on: it says no less than a new one would.
    fn compact_if_there_is_room(&mut self, now_ms: i64) -> io::Result<()> {
        match self.compact(now_ms) {
            Err(error) if files::is_full(&error) => {
                tracing::warn!(%error, "the volume is full: the journal is not written anew");
                Ok(())
            }
            compacted => compacted,
        }
    }

    /// Forgets what is outside the window or the bound, and writes the file anew.
    fn compact(&mut self, now_ms: i64) -> io::Result<()> {
        let mut issued: Vec<i64> = self.records.values().map(|record| record.issued_at_ms).collect();
        issued.sort_unstable_by(|left, right| right.cmp(left));
        let beyond_bound_ms = issued.get(MAX_RECORDS).copied().unwrap_or(i64::MIN);
        let forget_up_to_ms = beyond_bound_ms.max(now_ms - WINDOW_MS - 1);
        let (kept, dropped): (HashMap<_, _>, HashMap<_, _>) =
            self.records.drain().partition(|(_, record)| record.issued_at_ms > forget_up_to_ms);
        self.records = kept;
        let newest_dropped_ms = dropped.values().map(|record| record.issued_at_ms).max().unwrap_or(i64::MIN);
        self.forgotten_up_to_ms = self.forgotten_up_to_ms.max(newest_dropped_ms);
        self.file = Self::write(&self.path, &self.records, self.forgotten_up_to_ms)?;
        self.lines_appended = 0;
        Ok(())
    }

    fn write(path: &Path, records: &HashMap<String, Record>, forgotten_up_to_ms: i64) -> io::Result<File> {
        let mut content = line(&Line::Horizon { forgotten_up_to_ms })?;
        for record in records.values() {
            content.extend(line(&Line::Record(record.clone()))?);
        }
        files::write_durably(path, &content)?;
        Self::open_to_append(path)
    }

    fn open_to_append(path: &Path) -> io::Result<File> {
        OpenOptions::new().append(true).create(true).mode(0o600).open(path)
    }
}

fn line(line: &Line) -> io::Result<Vec<u8>> {
    let mut bytes = serde_json::to_vec(line)?;
    bytes.push(b'\n');
    Ok(bytes)
}

#[cfg(test)]
mod tests;

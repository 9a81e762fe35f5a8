//! `coffer journal`: what was done to an instance and why.
//!
//! It reads the store beside a running service, which writes on and is not asked.

use coffer_domain::{ids::InstanceId, instance::journal::Entry};
use coffer_runtime::{runtime::PARTITIONS, store::Store};
use serde::Serialize;

use crate::{CommandResult, cli::JournalOptions, state_dir::StateDir};

#[derive(Serialize)]
struct Line<'a> {
    number: u64,
    text: String,
    #[serde(flatten)]
    entry: &'a Entry,
}

/// Prints the journal of an instance, of whatever tenant, also for a while after it is gone.
pub fn print(options: &JournalOptions) -> CommandResult {
    let state = StateDir::dev(options.state.state_dir.as_deref())?;
    if !state.store().exists() {
        return Err(format!("{} holds no state of Coffer", state.path().display()).into());
    }
    // RocksDB notes there what it does for us.
    let scratch = tempfile::tempdir()?;
    let store = Store::open_beside(&state.store(), scratch.path())?;
    let id = InstanceId(options.id);
    for partition in 0..PARTITIONS {
        let Some(tenant) = store.journal_owner(partition, id)? else { continue };
        let Some(journal) = store.journal(partition, &tenant, id, None, usize::MAX)? else { continue };
        if journal.dropped > 0 {
            eprintln!("{} older entries were dropped", journal.dropped);
        }
        for (number, entry) in &journal.entries {
            match options.json {
                true => {
                    println!("{}", serde_json::to_string(&Line { number: *number, text: entry.to_string(), entry })?)
                }
                false => println!("{}  {entry}", time(entry)),
            }
        }
        return Ok(());
    }
    Err(format!("there is no journal of instance {id}").into())
}

/// UTC, with milliseconds.
fn time(entry: &Entry) -> String {
    let at = jiff::Timestamp::from_millisecond(entry.at.0).unwrap_or_default();
    at.strftime("%Y-%m-%d %H:%M:%S.%3fZ").to_string()
}

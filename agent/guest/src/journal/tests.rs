//! What is known of a command after crashes, torn writes and compactions.

use super::*;
use crate::failure;

const NOW_MS: i64 = 1_800_000_000_000;

struct Fixture {
    directory: tempfile::TempDir,
}

impl Fixture {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("journal")
    }

    fn open(&self) -> Journal {
        Journal::open(&self.path(), NOW_MS).unwrap()
    }
}

#[test]
fn a_command_is_new_then_begun_then_finished_and_stays_so() {
    let fixture = Fixture::new();
    let mut journal = fixture.open();
    assert_eq!(journal.look_up("c1", NOW_MS, NOW_MS), Known::New);
    journal.begin("c1", "restart", NOW_MS, NOW_MS).unwrap();
    assert_eq!(journal.look_up("c1", NOW_MS, NOW_MS), Known::Begun);
    // The agent crashes here, and again after the command was done.
    let mut journal = fixture.open();
    assert_eq!(journal.look_up("c1", NOW_MS, NOW_MS), Known::Begun);
    let outcome = Err(failure::engine_failed("no"));
    journal.finish("c1", "restart", NOW_MS, NOW_MS, outcome.clone()).unwrap();
    assert_eq!(fixture.open().look_up("c1", NOW_MS, NOW_MS), Known::Finished(outcome));
}

#[test]
fn a_torn_last_line_is_dropped_and_what_follows_is_whole() {
    let fixture = Fixture::new();
    let mut journal = fixture.open();
    journal.begin("c1", "restart", NOW_MS, NOW_MS).unwrap();
    journal.finish("c1", "restart", NOW_MS, NOW_MS, Ok(())).unwrap();
    journal.begin("c2", "restart", NOW_MS, NOW_MS).unwrap();
    let content = std::fs::read(fixture.path()).unwrap();
    for torn_by in 1..20 {
        std::fs::write(fixture.path(), &content[..content.len() - torn_by]).unwrap();
        let mut journal = fixture.open();
        assert_eq!(journal.look_up("c1", NOW_MS, NOW_MS), Known::Finished(Ok(())), "torn by {torn_by}");
        assert_eq!(journal.look_up("c2", NOW_MS, NOW_MS), Known::New, "torn by {torn_by}");
        journal.begin("c3", "restart", NOW_MS, NOW_MS).unwrap();
        assert_eq!(fixture.open().look_up("c3", NOW_MS, NOW_MS), Known::Begun, "torn by {torn_by}");
    }
}

#[test]
fn damage_before_the_last_line_is_an_error_that_names_the_line() {
    let fixture = Fixture::new();
    std::fs::write(fixture.path(), "{\"forgotten_up_to_ms\":0}\nx\n{\"forgotten_up_to_ms\":0}\n").unwrap();
    let error = Journal::open(&fixture.path(), NOW_MS).unwrap_err().to_string();
    assert!(error.contains("line 2"), "{error}");
}

#[test]
fn what_is_older_than_the_window_is_refused_and_forgotten() {
    let fixture = Fixture::new();
    let mut journal = fixture.open();
    assert_eq!(journal.look_up("old", NOW_MS - WINDOW_MS - 1, NOW_MS), Known::Expired);
    assert_eq!(journal.look_up("just", NOW_MS - WINDOW_MS, NOW_MS), Known::New);
    journal.begin("c1", "restart", NOW_MS, NOW_MS).unwrap();
    journal.finish("c1", "restart", NOW_MS, NOW_MS, Ok(())).unwrap();

    let later = NOW_MS + WINDOW_MS + 1;
    let journal = Journal::open(&fixture.path(), later).unwrap();
    assert!(journal.records.is_empty());
    assert_eq!(journal.look_up("c1", NOW_MS, later), Known::Expired);
    // Also when the guest's clock is set back: what was forgotten is not executed again.
    assert_eq!(fixture.open().look_up("c1", NOW_MS, NOW_MS), Known::Expired);
}

#[test]
fn the_file_and_the_memory_stay_bounded() {
    let fixture = Fixture::new();
    let mut journal = fixture.open();
    let count = MAX_RECORDS + COMPACT_AFTER_LINES;
    for number in 0..count {
        // Synced writes would take minutes: records are put where `begin` would have them.
        let issued_at_ms = NOW_MS - count as i64 + number as i64;
        let record = Record {
            command_id: format!("c{number}"),
            verb: "restart".into(),
            issued_at_ms,
            at_ms: NOW_MS,
            outcome: Some(Ok(())),
        };
        journal.records.insert(record.command_id.clone(), record);
    }
    journal.compact(NOW_MS).unwrap();
    assert_eq!(journal.records.len(), MAX_RECORDS);
    let journal = fixture.open();
    assert_eq!(journal.records.len(), MAX_RECORDS);
    assert_eq!(journal.look_up("c0", NOW_MS - count as i64, NOW_MS), Known::Expired);
    assert_eq!(journal.look_up(&format!("c{}", count - 1), NOW_MS - 1, NOW_MS), Known::Finished(Ok(())));
    assert_eq!(journal.look_up("new", NOW_MS, NOW_MS), Known::New);
}

#[test]
fn compaction_happens_on_the_way_and_loses_nothing() {
    let fixture = Fixture::new();
    let mut journal = fixture.open();
    journal.begin("first", "restart", NOW_MS, NOW_MS).unwrap();
    journal.lines_appended = COMPACT_AFTER_LINES;
    journal.finish("first", "restart", NOW_MS, NOW_MS, Ok(())).unwrap();
    assert_eq!(journal.lines_appended, 1);
    assert_eq!(fixture.open().look_up("first", NOW_MS, NOW_MS), Known::Finished(Ok(())));
}

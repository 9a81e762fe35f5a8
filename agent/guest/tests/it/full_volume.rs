//! A data volume that is full: orders are answered clearly, and the agent lives.

use std::{fs::File, io::Write, path::Path};

use coffer_guest::journal::{Journal, Known};
use coffer_protocol::{command::AgentCommand, report::EngineState};

use crate::{
    control::Control,
    guest::{Guest, brisk, database, prepare, user},
    unprivileged,
};

/// Enough for an engine.
const DISK_MIB: u32 = 512;

/// Takes all that is left of the disk.
fn fill(ballast: &Path) {
    let mut file = File::options().append(true).create(true).open(ballast).unwrap();
    for size in [1 << 20, 1 << 12] {
        while file.write_all(&vec![1; size]).is_ok() {}
    }
}

#[test]
fn orders_are_refused_clearly_also_by_the_next_agent_and_done_once_there_is_room() {
    unprivileged::run_on_small_disk(DISK_MIB, || async {
        let guest = Guest::new();
        let ballast = guest.root().join("ballast");
        let mut control = Control::new(guest.broker.clone(), &guest.boot).await;
        let agent = guest.start_agent(brisk()).await;
        control.open_session("s1").await;
        let users = vec![user("app", "pw", &["shop"])];
        control.execute("c1", AgentCommand::Prepare(prepare(&["shop"], users))).await.unwrap();
        let engine = guest.engine();

        fill(&ballast);
        // What the journal's last page still takes is taken.
        let mut taken = 0;
        let refused = loop {
            let order = AgentCommand::CreateDatabases { databases: vec![database(&format!("more{taken}"))] };
            match control.execute(&format!("full-{taken}"), order).await {
                Err(refused) if refused.code == "volume_full" => break refused,
                _ => taken += 1,
            }
            assert!(taken < 100, "the volume is never full");
        };
        assert!(refused.retryable && refused.message.contains("volume is full"), "{refused:?}");

        agent.abort();
        assert!(agent.await.unwrap_err().is_cancelled());
        let agent = guest.start_agent(brisk()).await;
        let heartbeat = control.open_session_with_engine("s2").await;
        assert_eq!(heartbeat.engine, EngineState::Running);
        assert_eq!(guest.engine(), engine, "the engine went on");
        let order = || AgentCommand::CreateDatabases { databases: vec![database("later")] };
        assert_eq!(control.execute("c2", order()).await.unwrap_err().code, "volume_full");

        std::fs::remove_file(&ballast).unwrap();
        assert_eq!(control.execute("c2", order()).await, Ok(()), "the same command, repeated");
        assert_eq!(control.execute("c2", order()).await, Ok(()), "answered from the record");
        agent.abort();
    });
}

#[test]
fn a_journal_on_a_full_volume_opens_forgets_nothing_and_ends_with_a_whole_line() {
    unprivileged::run_on_small_disk(8, || async {
        let directory = tempfile::tempdir().unwrap();
        let (path, ballast) = (directory.path().join("journal"), directory.path().join("ballast"));
        let now_ms = 1_800_000_000_000;
        let mut journal = Journal::open(&path, now_ms).unwrap();
        for number in 0..50 {
            journal.begin(&format!("done-{number}"), "restart", now_ms, now_ms).unwrap();
            journal.finish(&format!("done-{number}"), "restart", now_ms, now_ms, Ok(())).unwrap();
        }
        drop(journal);
        // Torn by a crash.
        File::options().append(true).open(&path).unwrap().write_all(b"{\"command_id\":\"to").unwrap();
        fill(&ballast);

        let mut journal = Journal::open(&path, now_ms).unwrap();
        let mut begun = 0;
        while journal.begin(&format!("begun-{begun}"), "restart", now_ms, now_ms).is_ok() {
            begun += 1;
            assert!(begun < 1000, "the volume is never full");
        }
        for _ in 0..2 {
            let journal = Journal::open(&path, now_ms).unwrap();
            assert_eq!(journal.look_up("done-49", now_ms, now_ms), Known::Finished(Ok(())));
            assert_eq!(journal.look_up(&format!("begun-{begun}"), now_ms, now_ms), Known::New, "it was refused");
            if begun > 0 {
                assert_eq!(journal.look_up("begun-0", now_ms, now_ms), Known::Begun);
            }
            let _ = std::fs::remove_file(&ballast);
        }
    });
}

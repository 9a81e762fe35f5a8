//! What a journal tells.

use coffer_domain::{
    command::Command,
    ids::EffectId,
    instance::{
        effect::{Failure, TimerId},
        journal::{Entry, Happening},
        state::{AgentContact, OperationKind},
        workflow::Step,
    },
    quota::Charge,
};
use coffer_protocol::report::EngineState;

use crate::support::{
    golden::Samples,
    partition::Partition,
    samples::{START, command_id, create, create_users, enable_root, hiccup, refusal, resize_flavor},
};

fn story(partition: &Partition) -> Vec<String> {
    partition.journal.iter().map(ToString::to_string).collect()
}

/// What was written after an instance was made.
fn since<T>(partition: &mut Partition, act: impl FnOnce(&mut Partition) -> T) -> Vec<String> {
    partition.journal.clear();
    act(partition);
    story(partition)
}

#[test]
fn a_create_is_told_in_order() {
    let partition = Partition::with_active_instance();
    assert_eq!(
        story(&partition),
        [
            "accepted: create \"orders-db\", flavor 1, 2 GiB, databases: 1, users: 1 (by shopkeeper, req-1)",
            "quota charged: 1 instance, 2 GiB of volume, 512 MiB of memory",
            "create begins",
            "started: ensure_address [ensure_address]",
            "status: BUILD",
            "done: ensure_address, 127.81.4.7",
            "started: ensure_volume [ensure_volume, 2 GiB]",
            "done: ensure_volume, volume-1",
            "started: ensure_server [ensure_server, flavor 1]",
            "done: ensure_server, server-1",
            "the agent says: engine absent",
            "started: prepare_database [agent]",
            "the agent says: engine running",
            "done: prepare_database",
            "status: BUILD -> ACTIVE HEALTHY",
        ]
    );
}

#[test]
fn a_create_that_failed_tells_why() {
    let mut partition = Partition::new();
    partition.order(create()).unwrap();
    partition.end("ensure_address", hiccup());
    partition.wait_for_timer();
    partition.end("ensure_address/2", refusal());
    let told = story(&partition);
    assert_eq!(told[5], "failed for now: ensure_address: the host does not answer [local.unavailable]");
    assert!(told[6].starts_with("next attempt in "), "{}", told[6]);
    assert_eq!(
        told[7..],
        [
            "time for the next attempt",
            "started: ensure_address (attempt 2) [ensure_address]",
            "failed for good: ensure_address (attempt 2): the host has no room left [local.exhausted]",
            "fault: The instance could not be created: no address could be reserved for it (the host has no room left). \
             What was made for it is taken away; delete it and order it again. (create ensure_address attempt 2: the \
             host has no room left [local.exhausted])",
            "clean_up begins",
            "started: delete_server [delete_server]",
            "status: BUILD -> ERROR",
        ]
    );
}

#[test]
fn a_resize_that_is_taken_back_and_a_delete_tell_their_story() {
    let mut partition = Partition::with_active_instance();
    let told = since(&mut partition, |partition| {
        partition.order(resize_flavor("2")).unwrap();
        partition.end("resize_server", refusal());
        partition.order(Command::Delete).unwrap();
        partition.order(Command::Delete).unwrap();
        partition.succeed("restore_server");
    });
    assert_eq!(
        told,
        [
            "accepted: resize_flavor flavor 2 (by shopkeeper, req-2)",
            "quota charged: 1536 MiB of memory",
            "resize_flavor begins",
            "started: resize_server [resize_server, flavor 2]",
            "status: ACTIVE HEALTHY -> RESIZE",
            "failed for good: resize_server: the host has no room left [local.exhausted]",
            "undo_resize_flavor begins",
            "started: restore_server [resize_server, flavor 1]",
            "accepted: delete (by shopkeeper, req-3)",
            "delete begins",
            "status: RESIZE -> SHUTDOWN",
            "accepted: delete (by shopkeeper, req-4)",
            "done: restore_server",
            "started: delete_server [delete_server]",
        ]
    );
    let told = since(&mut partition, |partition| {
        for step in ["delete_server", "delete_volume", "release_address"] {
            partition.succeed(step);
        }
    });
    assert_eq!(
        told[5..],
        ["quota refunded: 1 instance, 2 GiB of volume, 2048 MiB of memory", "removed: nothing is left outside"]
    );
}

#[test]
fn users_are_named_and_their_passwords_are_not() {
    let mut partition = Partition::with_active_instance();
    let told = since(&mut partition, |partition| {
        partition.order(create_users("buyer")).unwrap();
        partition.order(enable_root()).unwrap();
    });
    assert_eq!(told[0], "accepted: create_users buyer@% (by shopkeeper, req-2)");
    assert_eq!(told[2], "accepted: enable_root (by shopkeeper, req-3)");
}

#[test]
fn a_text_from_outside_is_cut_and_stays_on_its_line() {
    let mut partition = Partition::new();
    partition.order(create()).unwrap();
    let told = since(&mut partition, |partition| {
        let message = format!("line\nline {}", "x".repeat(10_000));
        let failure = Failure { retryable: true, code: "c".into(), message, retry_after: None };
        partition.end("ensure_address", Err(failure))
    });
    assert!(told.iter().all(|line| line.len() < 1000 && !line.contains('\n')), "{told:?}");
}

#[test]
fn what_changes_nothing_is_not_written_down() {
    let mut partition = Partition::with_active_instance();
    let told = since(&mut partition, |partition| {
        partition.hear(EngineState::Running);
        partition.order(create()).unwrap_err();
    });
    assert!(told.is_empty(), "{told:?}");
}

/// One of each. The match stops compiling when one is added: give it a sample.
fn happenings() -> Vec<(&'static str, Happening)> {
    let effect = || EffectId::new(command_id(1), "ensure_volume", 2);
    let charge = Charge { instances: 1, volume_gib: 2, memory_mib: 512 };
    let samples = vec![
        Happening::Accepted {
            verb: "resize_volume".into(),
            details: "3 GiB".into(),
            principal: "shopkeeper".into(),
            request_id: "req-1".into(),
            command: command_id(1),
        },
        Happening::OperationBegan { operation: OperationKind::ResizeVolume },
        Happening::EffectBegan { effect: effect(), action: "ensure_volume, 2 GiB".into() },
        Happening::EffectDone { effect: effect(), produced: Some("volume-1".into()) },
        Happening::EffectFailed { effect: effect(), code: "c".into(), message: "m".into(), retryable: true },
        Happening::EffectDropped { effect: effect() },
        Happening::RetrySet { wait_ms: 1021 },
        Happening::TimerFired { timer: TimerId::Agent { command: command_id(1) } },
        Happening::QuotaCharged { charge },
        Happening::QuotaRefunded { charge },
        Happening::AgentChanged { contact: AgentContact::Heard, engine: EngineState::Running },
        Happening::FaultRaised { message: "m".into(), details: "d".into() },
        Happening::StatusChanged { from: String::new(), to: "BUILD".into() },
        Happening::LeftBehind { step: Step::DeleteVolume, id: Some("volume-1".into()), reason: "r".into() },
        Happening::Removed,
    ];
    let name = |happening: &Happening| match happening {
        Happening::Accepted { .. } => "accepted",
        Happening::OperationBegan { .. } => "operation began",
        Happening::EffectBegan { .. } => "effect began",
        Happening::EffectDone { .. } => "effect done",
        Happening::EffectFailed { .. } => "effect failed",
        Happening::EffectDropped { .. } => "effect dropped",
        Happening::RetrySet { .. } => "retry set",
        Happening::TimerFired { .. } => "timer fired",
        Happening::QuotaCharged { .. } => "quota charged",
        Happening::QuotaRefunded { .. } => "quota refunded",
        Happening::AgentChanged { .. } => "agent changed",
        Happening::FaultRaised { .. } => "fault raised",
        Happening::StatusChanged { .. } => "status changed",
        Happening::LeftBehind { .. } => "left behind",
        Happening::Removed => "removed",
    };
    samples.into_iter().map(|happening| (name(&happening), happening)).collect()
}

#[test]
fn entries_stand_in_the_store() {
    let entry = |what| Entry { at: START, what };
    Samples(happenings().into_iter().map(|(name, what)| (name, entry(what))).collect()).check("journal.json");
}

//! One runner: what it does around a commit, and when one fails.

use coffer_domain::{
    command::Command,
    instance::{
        state::OperationKind,
        view::{OperatingStatus, Status},
    },
    rejection::RejectionKind,
};
use coffer_protocol::report::Failure;
use coffer_runtime::{
    borders::{self, Border, Moment},
    partition::StepError,
    runner::RunnerError,
};

use crate::support::{
    faults::{COMMIT_FAULTS, CommitFault, Stop},
    poll::{in_time, run, until},
    samples::{command_id, create, create_database, envelope, instance},
    solo::Solo,
};

async fn is_healthy(solo: &Solo) {
    until("the instance is healthy", || {
        let view = solo.view(instance(1));
        view.is_some_and(|view| (view.status, view.operating_status) == (Status::Active, OperatingStatus::Healthy))
    })
    .await;
}

/// Commands that were decided with this result.
fn decided(solo: &Solo, result: &str) -> u64 {
    let verbs = ["create", "rename"];
    verbs.iter().map(|verb| solo.metrics.commands.with_label_values(&[*verb, result]).get()).sum()
}

#[test]
fn nobody_is_answered_and_nothing_is_done_before_the_commit() {
    run(async {
        let solo = Solo::start().await;
        solo.faults.hold_commits(true);
        let order = envelope(command_id(1), instance(1), create(instance(1)), solo.now());
        let mut answered = solo.hand_over(&order).await;
        until("the batch is handed to the log", || solo.faults.commits() == 1).await;
        assert!(answered.try_recv().is_err(), "answered before the commit");
        assert_eq!(solo.view(instance(1)), None);
        assert!(solo.cloud.calls().begun.is_empty(), "done before the commit");

        solo.faults.hold_commits(false);
        in_time("the answer", answered).await.unwrap().unwrap();
        assert!(solo.view(instance(1)).is_some(), "what is answered can be read");
        is_healthy(&solo).await;
        solo.stop().await.unwrap();
    });
}

#[test]
fn a_request_that_was_not_recorded_is_answered_busy_and_can_be_repeated() {
    run(async {
        for fault in COMMIT_FAULTS {
            let solo = Solo::start().await;
            solo.faults.fail_commit(0, fault);
            let order = envelope(command_id(1), instance(1), create(instance(1)), solo.now());
            assert_eq!(solo.ask(&order).await.unwrap_err().kind, RejectionKind::Busy, "{fault:?}");
            let accepted = solo.ask(&order).await.unwrap();
            assert_eq!(accepted.repeated, fault == CommitFault::Written, "{fault:?}");
            is_healthy(&solo).await;
            let uncertain = u64::from(fault != CommitFault::Refused);
            assert_eq!(solo.metrics.commits_uncertain.get(), uncertain, "{fault:?}");
            assert_eq!(solo.cloud.outside.things().made.values().sum::<usize>(), 3, "{fault:?}");
            assert_eq!(solo.cloud.guests.done("prepare"), 1, "{fault:?}");
            solo.stop().await.unwrap();
        }
    });
}

#[test]
fn a_repeat_while_the_first_one_is_being_committed_is_answered_with_it() {
    run(async {
        let solo = Solo::start().await;
        solo.faults.hold_commits(true);
        let order = envelope(command_id(1), instance(1), create(instance(1)), solo.now());
        let first = solo.hand_over(&order).await;
        until("the batch is handed to the log", || solo.faults.commits() == 1).await;
        let mut second = solo.hand_over(&order).await;
        until("the repeat is known as one", || decided(&solo, "repeated") == 1).await;
        assert!(second.try_recv().is_err(), "answered before the commit");

        solo.faults.hold_commits(false);
        assert!(!in_time("the answer", first).await.unwrap().unwrap().repeated);
        assert!(in_time("the answer", second).await.unwrap().unwrap().repeated);
        is_healthy(&solo).await;
        assert_eq!(solo.cloud.outside.things().made.values().sum::<usize>(), 3);
        solo.stop().await.unwrap();
    });
}

#[test]
fn what_was_decided_after_a_batch_that_is_not_committed_goes_with_it() {
    run(async {
        for fault in COMMIT_FAULTS {
            let solo = Solo::start().await;
            let order = |number: u8| {
                envelope(command_id(number.into()), instance(number), create(instance(number)), solo.now())
            };
            let (orders, rename) = ([order(1), order(2)], |name: &str| Command::Rename { name: name.into() });
            let rename = envelope(command_id(3), instance(1), rename("other"), solo.now());
            solo.faults.hold_commits(true);
            solo.faults.fail_commit(0, fault);
            let mut answers = vec![solo.hand_over(&orders[0]).await];
            until("the batch is handed to the log", || solo.faults.commits() == 1).await;
            for after in [&orders[1], &rename] {
                answers.push(solo.hand_over(after).await);
            }
            until("they are decided", || decided(&solo, "accepted") == 3).await;

            solo.faults.hold_commits(false);
            for answer in answers {
                let refused = in_time("an answer", answer).await.unwrap().unwrap_err();
                assert_eq!(refused.kind, RejectionKind::Busy, "{fault:?}");
            }
            assert_eq!(solo.view(instance(1)).is_some(), fault == CommitFault::Written, "{fault:?}");
            assert_eq!(solo.view(instance(2)), None, "{fault:?}");
            let was_written = fault == CommitFault::Written;
            assert_eq!(solo.ask(&orders[0]).await.unwrap().repeated, was_written, "{fault:?}");
            for after in [&orders[1], &rename] {
                assert!(!solo.ask(after).await.unwrap().repeated, "{fault:?}");
            }
            assert_eq!(solo.view(instance(1)).unwrap().name, "other");
            is_healthy(&solo).await;
            solo.stop().await.unwrap();
        }
    });
}

/// The partition forgets its sessions when it reloads, but not what it has said: an agent obeys nothing of the same
/// epoch that does not come after what it has heard.
#[test]
fn an_agent_still_obeys_after_its_partition_has_reloaded() {
    run(async {
        let solo = Solo::start().await;
        let order = envelope(command_id(1), instance(1), create(instance(1)), solo.now());
        solo.ask(&order).await.unwrap();
        is_healthy(&solo).await;
        for number in 2..5 {
            let order = envelope(command_id(number), instance(1), create_database(&format!("d{number}")), solo.now());
            solo.faults.fail_commit(0, CommitFault::Lost);
            assert_eq!(solo.ask(&order).await.unwrap_err().kind, RejectionKind::Busy);
            solo.ask(&order).await.unwrap();
            until("the database is there", || solo.instance(instance(1)).is_some_and(|found| found.tasks.is_empty()))
                .await;
        }
        assert_eq!(*solo.cloud.guests.disobeyed.lock().unwrap(), 0);
        assert_eq!(solo.cloud.guests.done("create_databases"), 3);
        solo.stop().await.unwrap();
    });
}

/// A task that failed may be done by half, and what the engine holds may have been told before the outcome was heard.
#[test]
fn an_agent_tells_everything_again_after_a_task_that_failed() {
    run(async {
        let solo = Solo::start().await;
        solo.ask(&envelope(command_id(1), instance(1), create(instance(1)), solo.now())).await.unwrap();
        is_healthy(&solo).await;
        let challenges = || *solo.cloud.guests.challenges.lock().unwrap();
        let before = challenges();
        let failure = Failure { retryable: false, code: "engine_failed".into(), message: "no".into() };
        solo.cloud.guests.failing.lock().unwrap().insert("create_databases", failure);
        solo.ask(&envelope(command_id(2), instance(1), create_database("half"), solo.now())).await.unwrap();
        until("the agent is asked anew", || challenges() > before).await;
        assert!(solo.instance(instance(1)).unwrap().tasks.is_empty());
        solo.stop().await.unwrap();
    });
}

#[test]
fn a_rehearsed_crash_ends_the_runner_at_its_border() {
    run(async {
        let solo = Solo::start().await;
        let border = Border { operation: "create", step: "ensure_volume", moment: Moment::AfterCommit };
        assert!(borders::of(OperationKind::Create).contains(&border));
        solo.faults.stop(Stop::At(border.clone()));
        let order = envelope(command_id(1), instance(1), create(instance(1)), solo.now());
        solo.ask(&order).await.unwrap();
        until("the volume is asked for", || solo.instance(instance(1)).is_some_and(|i| i.resources.address.is_some()))
            .await;
        match solo.stop().await {
            Err(RunnerError::Step { reason: StepError::Stopped(stopped), .. }) => assert_eq!(stopped, border),
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn while_nothing_can_be_written_everything_is_refused_and_nothing_is_done_again_and_again() {
    run(async {
        let solo = Solo::start().await;
        solo.cloud.hold("ensure_volume");
        let order = envelope(command_id(1), instance(1), create(instance(1)), solo.now());
        solo.ask(&order).await.unwrap();
        until("the volume is asked for", || solo.cloud.calls().begun("ensure_volume") == 1).await;

        solo.store.room().stop("no space left");
        solo.cloud.release("ensure_volume");
        until("its outcome is refused", || solo.metrics.commits_refused.get() == 1).await;
        for number in 2..4 {
            let order = envelope(command_id(number.into()), instance(number), create(instance(number)), solo.now());
            let refused = solo.ask(&order).await.unwrap_err();
            assert_eq!(refused.kind, RejectionKind::NoRoom);
            assert!(refused.message.contains("full or failing"), "{refused}");
        }
        let asked = (solo.metrics.commits_refused.get(), solo.cloud.calls().begun("ensure_volume"));
        assert_eq!(asked, (1, 1), "neither the log nor the cloud was asked again");
        assert_eq!(solo.metrics.partitions_loaded.get(), 1);

        solo.store.look_for_room();
        is_healthy(&solo).await;
        assert_eq!((solo.view(instance(2)), solo.view(instance(3))), (None, None));
        assert_eq!(solo.metrics.partitions_loaded.get(), 2);
        solo.stop().await.unwrap();
    });
}

#[test]
fn a_runner_that_waits_for_room_can_be_stopped() {
    run(async {
        let solo = Solo::start().await;
        solo.store.room().stop("no space left");
        let order = envelope(command_id(1), instance(1), create(instance(1)), solo.now());
        assert!(solo.ask(&order).await.unwrap_err().message.contains("nothing was done"));
        solo.stop().await.unwrap();
    });
}

#[test]
fn a_runner_that_waits_for_room_ends_when_nobody_can_ask_any_more() {
    run(async {
        let solo = Solo::start().await;
        solo.store.room().stop("no space left");
        let order = envelope(command_id(1), instance(1), create(instance(1)), solo.now());
        assert!(solo.ask(&order).await.unwrap_err().message.contains("nothing was done"));
        solo.leave().await.unwrap();
    });
}

//! How each operation is said to have ended: only what was done as asked is `ok`.

use coffer_domain::{
    command::Command,
    instance::{
        effect::{Failure, Outcome, Produced},
        workflow::Step,
    },
};
use coffer_protocol::report::EngineState;
use coffer_runtime::telemetry::Ending;

use crate::support::{
    poll::run,
    samples::{command_id, create, envelope, instance, resize_flavor},
    world::World,
};

type Endings = [(&'static str, Ending)];

fn denied() -> Outcome {
    Err(Failure { retryable: false, code: "denied".into(), message: "not this one".into(), retry_after: None })
}

/// Lets the operation come to its end; `answer` says how a step's calls end that do not just succeed.
async fn drive(world: &mut World, mut answer: impl FnMut(Step) -> Option<Outcome>) {
    while let Some(operation) = world.find(instance(1)).and_then(|instance| instance.operation) {
        if world.calls.is_empty() {
            match world.awaited_agent() {
                Some(id) => world.hear(id, EngineState::Absent).await,
                None => {
                    let due = world.partition().next_due().expect("the next attempt is due some time");
                    world.wait((due - world.now).max(0)).await;
                }
            }
        } else {
            match answer(operation.step) {
                Some(outcome) => world.answer(outcome).await,
                None => world.succeed().await,
            }
        }
    }
}

/// What ends when this is asked of an active instance.
async fn endings_of(command: Command, answer: impl FnMut(Step) -> Option<Outcome>) -> Vec<(&'static str, Ending)> {
    let mut world = World::new();
    let id = world.active(1).await;
    world.ended.clear();
    let order = envelope(command_id(1), id, command, world.now);
    world.ask(&order).await.unwrap();
    drive(&mut world, answer).await;
    world.ended
}

/// The same of a create.
async fn endings_of_create(answer: impl FnMut(Step) -> Option<Outcome>) -> Vec<(&'static str, Ending)> {
    let mut world = World::new();
    let order = envelope(command_id(1), instance(1), create(instance(1)), world.now);
    world.ask(&order).await.unwrap();
    drive(&mut world, answer).await;
    world.ended
}

fn failing(steps: &'static [Step]) -> impl FnMut(Step) -> Option<Outcome> {
    move |step| steps.contains(&step).then(denied)
}

#[test]
fn what_is_done_as_asked_has_ended_well() {
    run(async {
        assert_eq!(endings_of_create(|_| None).await, [("create", Ending::Ok)]);
        for command in [Command::Restart, resize_flavor(), Command::ResizeVolume { volume_gib: 3 }, Command::Delete] {
            let verb = command.verb();
            let ended = endings_of(command, |_| None).await;
            assert!(matches!(ended[..], [(_, Ending::Ok)]), "{verb}: {ended:?}");
        }
    });
}

#[test]
fn a_resize_that_was_taken_back_has_not_ended_well() {
    run(async {
        let undone: &Endings = &[("resize_flavor", Ending::Failed), ("undo_resize_flavor", Ending::Undone)];
        assert_eq!(endings_of(resize_flavor(), failing(&[Step::ResizeServer])).await, undone);
        assert_eq!(endings_of(resize_flavor(), failing(&[Step::ResizeEngine])).await, undone);
        let in_doubt: &Endings = &[("resize_flavor", Ending::Failed), ("undo_resize_flavor", Ending::Failed)];
        assert_eq!(endings_of(resize_flavor(), failing(&[Step::ResizeServer, Step::RestoreServer])).await, in_doubt);
    });
}

#[test]
fn a_volume_that_did_not_grow_has_not_ended_well() {
    run(async {
        let grow = || Command::ResizeVolume { volume_gib: 3 };
        let undone: &Endings = &[("resize_volume", Ending::Failed), ("undo_resize_volume", Ending::Undone)];
        assert_eq!(endings_of(grow(), failing(&[Step::GrowVolume])).await, undone);
        let in_doubt: &Endings = &[("resize_volume", Ending::Failed), ("undo_resize_volume", Ending::Failed)];
        assert_eq!(endings_of(grow(), failing(&[Step::GrowVolume, Step::MeasureVolume])).await, in_doubt);
        let unused: &Endings = &[("resize_volume", Ending::Failed)];
        assert_eq!(endings_of(grow(), failing(&[Step::GrowFilesystem])).await, unused);

        let grown = |step| match step {
            Step::GrowVolume => Some(denied()),
            Step::MeasureVolume => Some(Ok(Produced::VolumeSize { size_gib: 3 })),
            _ => None,
        };
        let done_after_all: &Endings = &[
            ("resize_volume", Ending::Failed),
            ("undo_resize_volume", Ending::Replaced),
            ("resize_volume", Ending::Ok),
        ];
        assert_eq!(endings_of(grow(), grown).await, done_after_all);
    });
}

#[test]
fn what_failed_and_what_was_given_up_on_are_told_apart() {
    run(async {
        assert_eq!(endings_of(Command::Restart, failing(&[Step::RestartEngine])).await, [("restart", Ending::Failed)]);
        assert_eq!(
            endings_of_create(failing(&[Step::EnsureServer])).await,
            [("create", Ending::Failed), ("clean_up", Ending::Undone)]
        );
        assert_eq!(
            endings_of_create(failing(&[Step::EnsureServer, Step::DeleteVolume])).await,
            [("create", Ending::Failed), ("clean_up", Ending::Broken)]
        );
        assert_eq!(endings_of(Command::Delete, failing(&[Step::DeleteServer])).await, [("delete", Ending::Broken)]);

        let mut world = World::new();
        let id = world.active(1).await;
        world.ended.clear();
        for (number, command) in [(1, Command::Restart), (2, Command::ResetStatus { force_delete: false })] {
            let order = envelope(command_id(number), id, command, world.now);
            world.ask(&order).await.unwrap();
        }
        drive(&mut world, |_| None).await;
        assert_eq!(world.ended, [("restart", Ending::Replaced), ("reset", Ending::Ok)]);
    });
}

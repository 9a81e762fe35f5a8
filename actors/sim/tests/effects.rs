//! Every effect of every workflow: failing once, failing each time, failing for good, timing out after it was done, and
//! done twice. What was asked for comes about, or its tenant is told in plain words why not and what to do; and a delete
//! leaves nothing.

use std::{thread, time::Instant};

use coffer_domain::instance::{
    state::{Fault, OperationKind},
    view::Status,
    workflow::Step,
};
use coffer_sim::{
    case::{self, Case, Ending, Target},
    client::PASSWORD,
    plan::Way,
    run_case,
};

/// Words that a fault may have in plain language, in characters.
const PLAIN: usize = 300;

#[test]
fn every_effect_may_fail_in_every_way() {
    let cases = case::all();
    let started = Instant::now();
    let halves: Vec<&[Case]> = cases.chunks(cases.len().div_ceil(2)).collect();
    let failed: Vec<String> = thread::scope(|scope| {
        let work = |half: &[Case]| -> Vec<String> { half.iter().filter_map(|case| play(case).err()).collect() };
        let workers: Vec<_> = halves.into_iter().map(|half| scope.spawn(move || work(half))).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    });
    println!("{} cases in {:.1} s", cases.len(), started.elapsed().as_secs_f64());
    assert!(failed.is_empty(), "{} of {} cases failed:\n{}", failed.len(), cases.len(), failed.join("\n"));
}

/// A step that is in none of these would have no cases.
#[test]
fn every_kind_of_operation_is_gone_through() {
    for (position, kind) in OperationKind::ALL.into_iter().enumerate() {
        let known = match kind {
            OperationKind::Create => 0,
            OperationKind::Delete => 1,
            OperationKind::Restart => 2,
            OperationKind::CleanUp => 3,
            OperationKind::Reset => 4,
            OperationKind::ResizeVolume => 5,
            OperationKind::ResizeFlavor => 6,
            OperationKind::UndoResizeVolume => 7,
            OperationKind::UndoResizeFlavor => 8,
            OperationKind::Stop => 9,
        };
        assert_eq!(known, position);
    }
}

fn play(case: &Case) -> Result<(), String> {
    let ending = run_case(case, 1, false)?;
    check(case, &ending).map_err(|what| format!("{case}: {what}; {ending:?}"))
}

fn check(case: &Case, ending: &Ending) -> Result<(), String> {
    if let Some(violation) = &ending.violation {
        return Err(violation.clone());
    }
    // What struck a delete that interrupts is waited for, whatever it comes to.
    let is_undo = matches!(case.target, Target::Step(kind, _) if case::undone(kind).is_some());
    let least = if is_undo { 2 } else { 1 };
    if ending.struck < least {
        return Err("the fault never struck".into());
    }
    let is_gone = ending.seen.is_none();
    let (status, fault) = ending.seen.clone().unzip();
    let fault = fault.flatten();
    if case.can_succeed() {
        let is_delete = matches!(case.target, Target::Interrupted(_) | Target::Step(OperationKind::Delete, _));
        let is_stop = matches!(case.target, Target::Step(OperationKind::Stop, _));
        return match (is_delete, status) {
            (true, None) => Ok(()),
            (false, Some(Status::Active)) if fault.is_none() && !is_stop => Ok(()),
            (false, Some(Status::Shutdown)) if fault.is_none() && is_stop => Ok(()),
            _ => Err("what was asked for did not come about".into()),
        };
    }
    if is_gone {
        return Err("it is gone, and nobody has asked for it".into());
    }
    check_words(case, &fault.ok_or("nobody is told why")?)
}

/// A tenant understands what went wrong and what to do.
fn check_words(case: &Case, fault: &Fault) -> Result<(), String> {
    let message = &fault.message;
    let names = match case.target {
        // An undo that came to its end leaves the word on what failed before it.
        Target::Step(kind, step) => match case::undone(kind) {
            Some((_, failed)) if !case.way.lasts() => in_plain_words(failed),
            _ => in_plain_words(step),
        },
        Target::Interrupted(_) => "",
        Target::Task(_, name) => {
            if name.contains("user") {
                "user"
            } else {
                ""
            }
        }
    };
    if !message.contains(names) {
        return Err(format!("it does not name {names:?}"));
    }
    if !["again", "elete it and order", "tell the operator"].iter().any(|advice| message.contains(advice)) {
        return Err("it does not say what to do".into());
    }
    let internal = ['_', '{', '}', '[', ']', '<', '>', '"', '\\', '/'];
    let is_internal =
        message.contains(internal) || ["::", "Some(", "None", "attempt"].iter().any(|w| message.contains(w));
    if is_internal || message.chars().count() > PLAIN || !message.ends_with('.') {
        return Err("it is not plain".into());
    }
    if message.contains(PASSWORD) || fault.details.contains(PASSWORD) {
        return Err("it tells a secret".into());
    }
    Ok(())
}

/// What a tenant calls that with which a step deals.
fn in_plain_words(step: Step) -> &'static str {
    match step {
        Step::EnsureAddress | Step::ReleaseAddress => "address",
        Step::EnsureVolume | Step::DeleteVolume => "volume",
        Step::EnsureServer | Step::DeleteServer | Step::AwaitAgent => "server",
        Step::GrowVolume | Step::MeasureVolume => "volume",
        Step::ResizeServer | Step::RestoreServer => "server",
        Step::PrepareDatabase
        | Step::RestartEngine
        | Step::StopEngine
        | Step::GrowFilesystem
        | Step::ResizeEngine
        | Step::RestoreEngine => "database server",
        Step::Settle => "",
    }
}

#[test]
fn a_case_goes_the_same_way_again() {
    let cases = case::all();
    let twice = cases.iter().find(|case| case.way == Way::DoneTwice).unwrap();
    let [first, second] = [0; 2].map(|_| format!("{:?}", run_case(twice, 7, false).unwrap()));
    assert_eq!(first, second);
}

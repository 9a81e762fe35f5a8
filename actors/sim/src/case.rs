//! Small histories with one planted fault each: every effect of every workflow, in every way.
//!
//! The effects are those that the domain names: a new step, operation or task has its cases as soon as it is there.

use std::fmt;

use coffer_domain::instance::{
    state::{Fault, OperationKind},
    view::Status,
    workflow::Step,
};

use crate::{
    plan::{Plan, Planted, WAYS, Way, Work},
    world::{Act, Wish},
};

/// One effect, and what becomes of it.
#[derive(Debug, Clone)]
pub struct Case {
    pub target: Target,
    pub way: Way,
}

/// An effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    Step(OperationKind, Step),
    /// A call of a create that is under way when a delete comes, which has to wait for its end.
    Interrupted(Step),
    /// A task with this name.
    Task(Wish, &'static str),
}

/// How a case went.
#[derive(Debug)]
pub struct Ending {
    /// How the instance was once it had come to rest; `None` when it was gone.
    pub seen: Option<(Status, Option<Fault>)>,
    /// How often the fault struck.
    pub struck: u32,
    /// What must never happen, if it did.
    pub violation: Option<String>,
}

/// Tasks, with the names that their effects have.
const TASKS: [(Wish, &str); 10] = [
    (Wish::CreateDatabases, "create_databases"),
    (Wish::DropDatabase, "drop_database"),
    (Wish::CreateUsers, "create_users"),
    (Wish::DropUser, "drop_user"),
    (Wish::EnableRoot, "enable_root"),
    (Wish::DisableRoot, "disable_root"),
    (Wish::Grant, "grant"),
    (Wish::Revoke, "revoke"),
    (Wish::ChangeUser, "change_user"),
    (Wish::ChangePasswords, "change_passwords"),
];

/// Every case there is.
pub fn all() -> Vec<Case> {
    let steps = OperationKind::ALL.into_iter().flat_map(|kind| {
        let own = kind.steps().iter().filter(|step| **step != Step::Settle);
        own.map(move |step| Target::Step(kind, *step))
    });
    let calls = OperationKind::Create.steps().iter().filter(|step| step.is_outside_call());
    let targets = steps.chain(calls.map(|step| Target::Interrupted(*step)));
    let targets = targets.chain(TASKS.map(|(wish, name)| Target::Task(wish, name)));
    targets.flat_map(|target| WAYS.map(|way| Case { target, way })).collect()
}

impl Case {
    /// Whether what was asked for can still come about.
    pub fn can_succeed(&self) -> bool {
        // An agent that speaks too late has no second chance.
        let is_too_late = self.way == Way::TimesOut && matches!(self.target, Target::Step(_, Step::AwaitAgent));
        match self.target {
            Target::Step(kind, _) if undone(kind).is_some() => false,
            // It is asked for no more than once, and by nobody any more.
            Target::Interrupted(_) => true,
            Target::Step(..) | Target::Task(..) => !self.way.lasts() && !is_too_late,
        }
    }

    pub fn plan(&self) -> Plan {
        let way = self.way;
        let (planted, interrupted) = match self.target {
            Target::Step(kind, step) => {
                let failed = undone(kind).map(|(failed, at)| Planted {
                    work: Work::Operation(failed),
                    step: at.as_str(),
                    way: Way::FailsForGood,
                });
                let own = Planted { work: Work::Operation(kind), step: step.as_str(), way };
                (failed.into_iter().chain([own]).collect(), None)
            }
            // The outcome of the interrupted call belongs to the delete that waits for it.
            Target::Interrupted(step) if way == Way::DoneTwice => {
                let work = Work::Operation(OperationKind::Delete);
                (vec![Planted { work, step: Step::Settle.as_str(), way }], Some(step))
            }
            Target::Interrupted(step) => {
                let work = Work::Operation(OperationKind::Create);
                (vec![Planted { work, step: step.as_str(), way }], Some(step))
            }
            Target::Task(_, name) => (vec![Planted { work: Work::Task, step: name, way }], None),
        };
        Plan::new(planted, interrupted)
    }

    /// What is asked for, one after the other, until nothing is left.
    pub fn acts(&self) -> Vec<Act> {
        let asked = match self.target {
            Target::Step(kind, _) => asked_by(kind),
            Target::Interrupted(_) => Some(Wish::Delete),
            Target::Task(wish, _) => Some(wish),
        };
        // Root cannot be disabled before it was enabled.
        let before = asked.filter(|wish| *wish == Wish::DisableRoot).map(|_| Wish::EnableRoot);
        let asked = before.into_iter().chain(asked).map(Act::Ask);
        [Act::Ask(Wish::Create)].into_iter().chain(asked).chain([Act::Look, Act::Ask(Wish::Delete)]).collect()
    }
}

/// What an operation takes back, and where that has to fail for it: a volume cannot shrink, so its growth must not begin.
pub fn undone(kind: OperationKind) -> Option<(OperationKind, Step)> {
    match kind {
        OperationKind::CleanUp => Some((OperationKind::Create, Step::PrepareDatabase)),
        OperationKind::UndoResizeVolume => Some((OperationKind::ResizeVolume, Step::GrowVolume)),
        OperationKind::UndoResizeFlavor => Some((OperationKind::ResizeFlavor, Step::ResizeEngine)),
        _ => None,
    }
}

/// What leads to an operation, besides the create that everything begins with.
fn asked_by(kind: OperationKind) -> Option<Wish> {
    match kind {
        OperationKind::Create | OperationKind::CleanUp | OperationKind::Reset => None,
        OperationKind::Delete => Some(Wish::Delete),
        OperationKind::Restart => Some(Wish::Restart),
        OperationKind::Stop => Some(Wish::Stop),
        OperationKind::ResizeVolume | OperationKind::UndoResizeVolume => Some(Wish::ResizeVolume),
        OperationKind::ResizeFlavor | OperationKind::UndoResizeFlavor => Some(Wish::ResizeFlavor),
    }
}

impl fmt::Display for Case {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.target {
            Target::Step(kind, step) => write!(formatter, "{}/{}", kind.as_str(), step.as_str())?,
            Target::Interrupted(step) => write!(formatter, "create/{} interrupted by a delete", step.as_str())?,
            Target::Task(_, name) => write!(formatter, "{name}")?,
        }
        write!(formatter, " {:?}", self.way)
    }
}

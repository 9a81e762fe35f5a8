//! The borders of a step: named places at which a crash must change nothing but the time it takes.

use std::fmt;

use coffer_domain::instance::{state::OperationKind, workflow::Step};

/// A moment around the commit of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Moment {
    /// Decided, nothing written.
    BeforeCommit,
    /// In the log; the actors' memory does not know.
    AfterCommit,
    /// In memory too; nobody was answered and no effect dispatched.
    AfterApply,
    /// The effect was carried out; its outcome was not taken in.
    AfterEffect,
}

impl Moment {
    fn as_str(self) -> &'static str {
        match self {
            Self::BeforeCommit => "before_commit",
            Self::AfterCommit => "after_commit",
            Self::AfterApply => "after_apply",
            Self::AfterEffect => "after_effect",
        }
    }
}

/// One border: `<operation>/<step>/<moment>`; the step is `done` for the batch that ends the operation.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Border {
    pub operation: &'static str,
    pub step: &'static str,
    pub moment: Moment,
}

/// The step of the batch that ends an operation.
pub const DONE: &str = "done";

impl fmt::Display for Border {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}/{}", self.operation, self.step, self.moment.as_str())
    }
}

/// All borders of an operation, in the order in which an undisturbed run reaches them.
pub fn of(operation: OperationKind) -> Vec<Border> {
    let mut borders = Vec::new();
    let mut add = |step: &'static str, moments: &[Moment]| {
        borders.extend(moments.iter().map(|moment| Border { operation: operation.as_str(), step, moment: *moment }));
    };
    const COMMIT: &[Moment] = &[Moment::BeforeCommit, Moment::AfterCommit, Moment::AfterApply];
    for step in operation.steps() {
        // Settling only happens when another operation was interrupted.
        if *step == Step::Settle {
            continue;
        }
        add(step.as_str(), COMMIT);
        if *step != Step::AwaitAgent {
            add(step.as_str(), &[Moment::AfterEffect]);
        }
    }
    add(DONE, COMMIT);
    borders
}

/// Asked at each border whether to stop there. Production never does.
pub trait Borders: Send + Sync {
    /// Returns when the step goes on; a rehearsed crash either never returns or returns true.
    fn stops_at(&self, border: &Border) -> bool;
}

/// No crash is rehearsed.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoRehearsal;

impl Borders for NoRehearsal {
    fn stops_at(&self, _border: &Border) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_of_a_create_has_its_borders() {
        let names: Vec<String> = of(OperationKind::Create).iter().map(ToString::to_string).collect();
        assert_eq!(names.len(), 4 * 4 + 3 + 3);
        assert_eq!(names[0], "create/ensure_address/before_commit");
        assert!(names.contains(&"create/prepare_database/after_effect".to_owned()));
        assert!(!names.contains(&"create/await_agent/after_effect".to_owned()));
        assert_eq!(names.last().unwrap(), "create/done/after_apply");
    }
}

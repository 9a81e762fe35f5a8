//! What went wrong, in words for the tenant: what could not be done, why, and what to do now. Names of steps and codes
//! belong into a fault's details.

use super::{
    effect::Failure,
    state::{Operation, OperationKind, TaskKind},
    workflow::Step,
};

/// Characters of a reason at most; longer ones are a program's output.
const LONGEST_REASON: usize = 160;
/// What paths, values of programs and quoted output have, and sentences have not.
const INTERNAL: [char; 8] = ['/', '{', '}', '[', ']', '<', '>', '\n'];

/// The message of an operation's fault.
pub fn operation_failed(operation: &Operation, failure: &Failure) -> String {
    let (what, what_now) = match operation.kind {
        OperationKind::Create => {
            ("The instance could not be created", "What was made for it is taken away; delete it and order it again.")
        }
        OperationKind::Restart => {
            ("The restart failed", "Ask for it again; if that does not help, tell the operator of this service.")
        }
        OperationKind::Stop => {
            ("The database server could not be stopped", "Ask for it again, or restart the instance.")
        }
        OperationKind::ResizeVolume if operation.step == Step::GrowVolume => {
            ("The volume could not be resized", "It has its old size: ask for the resize again.")
        }
        OperationKind::ResizeVolume => {
            ("The volume was resized, and not put to use", "If it stays so, tell the operator of this service.")
        }
        OperationKind::ResizeFlavor => {
            ("The flavor could not be changed", "The instance has its old one: ask for the resize again.")
        }
        OperationKind::UndoResizeVolume => ("The volume could not be resized", "Ask for the resize again."),
        OperationKind::UndoResizeFlavor => {
            ("The flavor could not be changed, nor changed back", "Ask for the resize again.")
        }
        OperationKind::Delete => ("The delete failed", "Ask for the delete again."),
        OperationKind::Reset => ("The status could not be reset", "Ask for it again."),
        OperationKind::CleanUp => {
            ("What a failed create left could not be taken away", "Delete the instance, which tries it again.")
        }
    };
    format!("{what}: {} ({}). {what_now}", operation.step.failed_in_words(), reason(failure))
}

/// The message of a task's fault.
pub fn task_failed(task: &TaskKind, failure: &Failure) -> String {
    let what = match task {
        TaskKind::CreateDatabases { .. } => "create databases",
        TaskKind::DropDatabase { .. } => "delete a database",
        TaskKind::CreateUsers { .. } => "create users",
        TaskKind::DropUser { .. } => "delete a user",
        TaskKind::EnableRoot { .. } => "enable root",
        TaskKind::DisableRoot => "disable root",
        TaskKind::Grant { .. } => "give a user rights",
        TaskKind::Revoke { .. } => "take rights from a user",
        TaskKind::ChangeUser { .. } => "change a user",
        TaskKind::ChangePasswords { .. } => "change passwords of users",
        TaskKind::Configure { .. } => return configuration_refused(failure),
    };
    format!("The request to {what} failed ({}). Look at what is there, and ask again.", reason(failure))
}

/// Why the engine does not run with its configuration group.
fn configuration_refused(failure: &Failure) -> String {
    if failure.code == "unsupported" {
        return "The configuration group was not applied: the agent of this instance is too old for it. Detach the group, or \
                tell the operator of this service."
            .into();
    }
    format!(
        "The configuration group was not applied ({}). The engine runs with what it had: change the group, or detach it.",
        reason(failure)
    )
}

/// The outside's own sentence as part of ours, if it is one that says something to a tenant.
fn reason(failure: &Failure) -> &str {
    let sentence = failure.message.trim().trim_end_matches('.');
    let is_internal = sentence.contains(INTERNAL) || sentence.contains("os error") || sentence.contains("::");
    if sentence.is_empty() || is_internal || sentence.chars().count() > LONGEST_REASON {
        return "the details say why";
    }
    sentence
}

impl Step {
    /// That this step has failed.
    fn failed_in_words(self) -> &'static str {
        match self {
            Self::Settle => "what was under way did not come to its end",
            Self::EnsureAddress => "no address could be reserved for it",
            Self::EnsureVolume => "its volume could not be made",
            Self::EnsureServer => "its server could not be started",
            Self::AwaitAgent => "its server did not come up",
            Self::PrepareDatabase => "its database server could not be set up",
            Self::RestartEngine => "the database server could not be started again",
            Self::StopEngine => "the database server goes on, or does not say what it does",
            Self::GrowVolume => "it could not be made larger",
            Self::GrowFilesystem => "the database server has not taken its new size up",
            Self::MeasureVolume => "its size cannot be told",
            Self::ResizeServer => "its server could not be given the new size",
            Self::ResizeEngine => "the database server could not be set to the new size",
            Self::RestoreServer => "its server could not be given the old size again",
            Self::RestoreEngine => "the database server could not be set to the old size again",
            Self::DeleteServer => "its server could not be removed",
            Self::DeleteVolume => "its volume could not be removed",
            Self::ReleaseAddress => "its address could not be given back",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason_of(message: &str) -> String {
        let failure = Failure { retryable: false, code: "x".into(), message: message.into(), retry_after: None };
        reason(&failure).to_owned()
    }

    #[test]
    fn a_sentence_is_passed_on_and_a_programs_output_is_not() {
        assert_eq!(reason_of("the host has no room left. "), "the host has no room left");
        assert_eq!(reason_of("the user 'clerk' exists already"), "the user 'clerk' exists already");
        let long = "x".repeat(LONGEST_REASON + 1);
        for internal in
            ["", " . ", "cannot write /var/x", "gone (os error 2)", "Error { code: 1 }", "a::b", "a\nb", &long]
        {
            assert_eq!(reason_of(internal), "the details say why", "{internal:?}");
        }
    }
}

//! Situations and decisions as text.

use std::fmt::Write;

use coffer_domain::{
    instance::{
        Decision, Event,
        effect::{EffectChange, TimerChange, TimerId},
        state::Waiting,
    },
    time::{Millis, SECOND, Timestamp},
};

use super::inputs;
use crate::support::partition::{Partition, short};

/// One situation with all inputs, those with the same consequences together.
pub fn block(title: &str, partition: &Partition) -> String {
    let mut entries: Vec<(String, Vec<String>)> = Vec::new();
    for (name, mut next, input) in inputs::all(partition) {
        let now = next.now;
        let consequences = match next.give(next.id(), &input) {
            Err(rejection) => {
                let kind = serde_json::to_value(rejection.kind).unwrap();
                format!("rejected, {}\n", kind.as_str().unwrap())
            }
            Ok(decision) if decision.is_empty() => "nothing\n".into(),
            Ok(decision) => consequences(&next.words(), &decision, now),
        };
        match entries.iter_mut().find(|(known, _)| *known == consequences) {
            Some((_, names)) => names.push(name),
            None => entries.push((consequences, vec![name])),
        }
    }
    let mut text = format!("## {title}   [{}]\n", partition.words());
    for (consequences, names) in entries {
        write!(text, "  {} -> {consequences}", names.join(" | ")).unwrap();
    }
    text.push('\n');
    text
}

fn consequences(words: &str, decision: &Decision, now: Timestamp) -> String {
    let events = decision.events.iter().map(event);
    let effects = decision.effects.iter().map(|change| match change {
        EffectChange::Dispatch(effect) => format!("+{}", short(&effect.id)),
        EffectChange::Withdraw(effect) => format!("-{}", short(effect)),
    });
    let timers = decision.timers.iter().map(|change| match change {
        TimerChange::Set(timer) => format!("+{} {}", timer_name(&timer.id), span(&timer.id, timer.due - now)),
        TimerChange::Cancel(timer) => format!("-{}", timer_name(timer)),
    });
    let mut text = format!("[{words}]\n");
    let lines: [(&str, Vec<String>); 3] =
        [("events", events.collect()), ("effects", effects.collect()), ("timers", timers.collect())];
    for (what, items) in lines.iter().filter(|(_, items)| !items.is_empty()) {
        writeln!(text, "      {what:<8} {}", items.join(", ")).unwrap();
    }
    text
}

/// An event's name, with what tells its kind apart.
fn event(event: &Event) -> String {
    let details = match event {
        Event::OperationStarted { operation, .. } => operation.kind.as_str().to_owned(),
        Event::StepStarted { step, waiting: Waiting::Effect { .. }, .. } => step.as_str().to_owned(),
        Event::StepStarted { step, waiting: Waiting::Agent, .. } => format!("{} for the agent", step.as_str()),
        Event::OperationEnded { broken: true, .. } => "broken".into(),
        Event::TaskStarted { task, .. } => task.kind.as_str().to_owned(),
        Event::TaskAttempted { effect: None, .. } => "later".into(),
        Event::TaskEnded { succeeded, .. } => if *succeeded { "done" } else { "failed" }.into(),
        Event::Freed { step } => step.as_str().to_owned(),
        _ => return event.name().to_owned(),
    };
    format!("{} ({details})", event.name())
}

fn timer_name(timer: &TimerId) -> String {
    match timer {
        TimerId::Deadline { effect } => format!("deadline {}", short(effect)),
        TimerId::Retry { .. } => "retry".into(),
        TimerId::Agent { .. } => "agent".into(),
    }
}

/// Whole seconds; a retry's are rounded, since they are jittered.
fn span(timer: &TimerId, span: Millis) -> String {
    match timer {
        TimerId::Retry { .. } => format!("in about {} s", (span + SECOND / 2) / SECOND),
        _ => format!("in {} s", span / SECOND),
    }
}

//! Answers what the agent is asked and changes nothing: at once, beside whatever command is being executed.

use std::{fs, io, num::NonZero, sync::Arc, thread};

use coffer_protocol::{
    question::{Answer, Diagnostics, Hardware, Question},
    report::Report,
};
use tokio::sync::Semaphore;

use crate::{host::proc, outbox::Outbox, reporter::Session, supervisor::Supervisor};

/// Questions that are answered at a time; one more finds no answer, and may be asked again.
const PLACES: usize = 8;

pub struct Questions {
    supervisor: Arc<Supervisor>,
    outbox: Arc<Outbox>,
    session: Arc<Session>,
    places: Arc<Semaphore>,
}

impl Questions {
    pub fn new(supervisor: Arc<Supervisor>, outbox: Arc<Outbox>, session: Arc<Session>) -> Self {
        Self { supervisor, outbox, session, places: Arc::new(Semaphore::new(PLACES)) }
    }

    /// Answers in the background, once: whoever does not hear the answer asks again.
    pub fn take(&self, command_id: String, question: Question) {
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            tracing::warn!(command_id, "too many questions at a time: this one is not answered");
            return;
        };
        let (supervisor, outbox, session) =
            (Arc::clone(&self.supervisor), Arc::clone(&self.outbox), Arc::clone(&self.session));
        tokio::spawn(async move {
            match answer(question, &supervisor) {
                Ok(answer) => {
                    if let Err(error) = outbox.send(session.id(), Report::Answer { command_id, answer }).await {
                        tracing::warn!(%error, "an answer was not sent");
                    }
                }
                Err(error) => tracing::warn!(%error, ?question, "a question cannot be answered"),
            }
            drop(place);
        });
    }
}

fn answer(question: Question, supervisor: &Supervisor) -> io::Result<Answer> {
    Ok(match question {
        Question::Ping => Answer::Here,
        Question::Diagnostics => Answer::Diagnostics(Diagnostics {
            agent_version: env!("CARGO_PKG_VERSION").to_owned(),
            engine: supervisor.gauges().pid.and_then(proc::status),
        }),
        Question::Hardware => Answer::Hardware(hardware()?),
    })
}

fn hardware() -> io::Result<Hardware> {
    let text = fs::read_to_string("/proc/meminfo")?;
    let memory_kib = proc::field(&text, "MemTotal").ok_or_else(|| io::Error::other("/proc/meminfo has no MemTotal"))?;
    let cpus = thread::available_parallelism().map_or(1, NonZero::get);
    Ok(Hardware { memory_kib, cpus: u32::try_from(cpus).unwrap_or(u32::MAX) })
}

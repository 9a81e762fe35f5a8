//! A guest: an agent that lives by itself, with an engine that does everything it is asked at once.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use coffer_ports::transport::{Delivery, Start, Transport};
use coffer_protocol::{
    boot::FirstBoot,
    command::ToAgent,
    report::{EngineState, Failure, Report},
    topics,
};

use super::{
    agent::{Agent, enrol, heartbeat},
    broker::Broker,
};

/// Between two heartbeats, or two enrolments: short, since a test waits for them.
const BEAT: Duration = Duration::from_millis(50);

/// What all guests have in common.
#[derive(Debug, Default)]
pub struct Guests {
    /// Orders carried out: verb and command id.
    pub done: Mutex<Vec<(&'static str, String)>>,
    /// Verbs that fail from now on.
    pub failing: Mutex<BTreeMap<&'static str, Failure>>,
    /// Verbs that get no answer, and are not carried out.
    pub ignoring: Mutex<BTreeSet<&'static str>>,
    /// Challenges that agents have heard.
    pub challenges: Mutex<usize>,
    /// Messages that an agent had to refuse.
    pub disobeyed: Mutex<usize>,
}

impl Guests {
    fn ignores(&self, verb: &str) -> bool {
        self.ignoring.lock().unwrap().contains(verb)
    }

    pub fn done(&self, verb: &str) -> usize {
        self.done.lock().unwrap().iter().filter(|(done, _)| *done == verb).count()
    }
}

/// The life of one guest; it ends when its task is aborted.
pub async fn live(boot: FirstBoot, broker: Broker, guests: Arc<Guests>) {
    let mut agent = Agent::new(&boot);
    let mut engine = EngineState::Absent;
    let mut journal: BTreeMap<String, Result<(), Failure>> = BTreeMap::new();
    let mut deliveries =
        broker.subscribe(&[topics::agents(&boot.cell)], Start::Latest).await.expect("the broker is there");
    let mut beat = tokio::time::interval(BEAT);
    loop {
        let reports = tokio::select! {
            delivery = deliveries.recv() => match delivery {
                Some(Delivery::Record(record)) => match agent.hear(&record.headers, &record.value) {
                    Ok(None) => Vec::new(),
                    Ok(Some(ToAgent::Challenge { .. })) => {
                        *guests.challenges.lock().unwrap() += 1;
                        vec![heartbeat(engine)]
                    }
                    Ok(Some(ToAgent::Command { command, .. })) if guests.ignores(command.verb()) => Vec::new(),
                    Ok(Some(ToAgent::Command { command_id, command, .. })) => {
                        let verb = command.verb();
                        let result = journal.entry(command_id.clone()).or_insert_with(|| {
                            guests.done.lock().unwrap().push((verb, command_id.clone()));
                            guests.failing.lock().unwrap().get(verb).cloned().map_or(Ok(()), Err)
                        });
                        if verb == "prepare" && result.is_ok() {
                            engine = EngineState::Running;
                        }
                        vec![Report::Outcome { command_id, result: result.clone(), restart_required: false }, heartbeat(engine)]
                    }
                    Err(_) => {
                        *guests.disobeyed.lock().unwrap() += 1;
                        Vec::new()
                    }
                },
                Some(Delivery::Reconnected) => vec![enrol()],
                Some(Delivery::Begun { .. }) => Vec::new(),
                None => return,
            },
            _ = beat.tick() => vec![if agent.session.is_some() { heartbeat(engine) } else { enrol() }],
        };
        for report in reports {
            let record = agent.say(report);
            broker.send(record).await.expect("the broker takes everything");
        }
    }
}

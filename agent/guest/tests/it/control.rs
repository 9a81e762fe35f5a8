//! The control plane's side of the conversation, as far as a test needs it.

use std::{sync::Arc, time::Duration};

use coffer_guest::{host::random, journal::Outcome, outbox::now_ms};
use coffer_ports::transport::{Delivery, Outgoing, Start, Transport};
use coffer_protocol::{
    VERSION,
    boot::FirstBoot,
    command::{AgentCommand, ToAgent},
    question::{Answer, Question},
    report::{EngineState, FromAgent, Heartbeat, Report},
    seal::{Direction, Envelope, Header, Key},
    topics,
};
use tokio::{sync::mpsc, time::timeout};

/// How long anything may take before the test fails.
pub const DEADLINE: Duration = Duration::from_secs(60);

pub struct Control {
    transport: Arc<dyn Transport>,
    telemetry: mpsc::Receiver<Delivery>,
    tenant: String,
    cell: String,
    pub key_id: String,
    pub key: Key,
    pub epoch: u64,
    sequence: u64,
    last_heard: u64,
}

impl Control {
    pub async fn new(transport: Arc<dyn Transport>, boot: &FirstBoot) -> Self {
        let telemetry = transport.subscribe(&[topics::TELEMETRY.to_owned()], Start::Latest).await.unwrap();
        Self {
            transport,
            telemetry,
            tenant: boot.tenant.clone(),
            cell: boot.cell.clone(),
            key_id: boot.key_id.clone(),
            key: boot.key.clone(),
            epoch: boot.epoch,
            sequence: 0,
            last_heard: 0,
        }
    }

    /// Seals a message; plain text, so that a test can also send what no build of ours would.
    pub fn seal(&mut self, plaintext: &str) -> Vec<u8> {
        self.sequence += 1;
        let header = Header {
            version: VERSION,
            key_id: self.key_id.clone(),
            cell: self.cell.clone(),
            direction: Direction::ToAgent,
            epoch: self.epoch,
            sequence: self.sequence,
        };
        let envelope = self.key.seal(header, plaintext.as_bytes(), random::bytes().unwrap());
        serde_json::to_vec(&envelope).unwrap()
    }

    pub async fn publish(&self, sealed: Vec<u8>) {
        let headers = vec![(topics::KEY_ID_HEADER.to_owned(), self.key_id.clone())];
        let record = Outgoing { topic: topics::agents(&self.cell), key: None, headers, value: sealed };
        self.transport.send(record).await.unwrap();
    }

    pub async fn say(&mut self, message: &ToAgent) {
        let sealed = self.seal(&serde_json::to_string(message).unwrap());
        self.publish(sealed).await;
    }

    pub async fn order(&mut self, command_id: &str, command: AgentCommand) {
        self.order_as(command_id, now_ms(), false, command).await;
    }

    pub async fn order_as(&mut self, command_id: &str, issued_at_ms: i64, converge: bool, command: AgentCommand) {
        self.say(&ToAgent::Command { command_id: command_id.into(), issued_at_ms, converge, command }).await;
    }

    /// Orders and waits for the end.
    pub async fn execute(&mut self, command_id: &str, command: AgentCommand) -> Outcome {
        self.order(command_id, command).await;
        self.outcome(command_id).await
    }

    pub async fn next(&mut self) -> FromAgent {
        let delivery = timeout(DEADLINE, self.telemetry.recv()).await.expect("the agent is silent").unwrap();
        let Delivery::Record(record) = delivery else { return Box::pin(self.next()).await };
        assert_eq!(record.key.as_deref(), Some(self.tenant.as_str()));
        let envelope: Envelope = serde_json::from_slice(&record.value).unwrap();
        assert_eq!(envelope.header.key_id, self.key_id);
        assert_eq!(record.headers, [(topics::KEY_ID_HEADER.to_owned(), self.key_id.clone())]);
        assert!(envelope.header.sequence > self.last_heard, "the agent's sequence does not grow");
        self.last_heard = envelope.header.sequence;
        let plaintext = self.key.open(&envelope, Direction::FromAgent).expect("the agent's seal is whole");
        serde_json::from_slice(&plaintext).unwrap()
    }

    /// Waits for an enrolment and opens a session.
    pub async fn open_session(&mut self, session: &str) -> Heartbeat {
        while !matches!(self.next().await.report, Report::Enrol(_)) {}
        self.challenge(session).await
    }

    /// Waits for an enrolment, opens a session and waits until the engine runs.
    pub async fn open_session_with_engine(&mut self, session: &str) -> Heartbeat {
        let first = self.open_session(session).await;
        if first.engine == EngineState::Running { first } else { self.engine_is(EngineState::Running).await }
    }

    /// Opens a session and waits for the heartbeat that answers.
    pub async fn challenge(&mut self, session: &str) -> Heartbeat {
        self.say(&ToAgent::Challenge { session: session.into() }).await;
        loop {
            let message = self.next().await;
            if let (Some(named), Report::Heartbeat(heartbeat)) = (message.session, message.report)
                && named == session
            {
                return heartbeat;
            }
        }
    }

    /// Waits for a heartbeat like this.
    pub async fn heartbeat(&mut self, wanted: impl Fn(&Heartbeat) -> bool) -> Heartbeat {
        let search = async {
            loop {
                if let Report::Heartbeat(heartbeat) = self.next().await.report
                    && wanted(&heartbeat)
                {
                    return heartbeat;
                }
            }
        };
        timeout(DEADLINE, search).await.expect("no such heartbeat arrived")
    }

    pub async fn engine_is(&mut self, state: EngineState) -> Heartbeat {
        self.heartbeat(|heartbeat| heartbeat.engine == state).await
    }

    /// Asks, and waits for the answer.
    pub async fn ask(&mut self, command_id: &str, question: Question) -> Answer {
        self.order(command_id, AgentCommand::Tell { question }).await;
        let search = async {
            loop {
                if let Report::Answer { command_id: named, answer } = self.next().await.report
                    && named == command_id
                {
                    return answer;
                }
            }
        };
        timeout(DEADLINE, search).await.expect("no answer arrived")
    }

    pub async fn outcome(&mut self, command_id: &str) -> Outcome {
        let search = async {
            loop {
                if let Report::Outcome { command_id: named, result, .. } = self.next().await.report
                    && named == command_id
                {
                    return result;
                }
            }
        };
        timeout(DEADLINE, search).await.expect("no outcome arrived")
    }
}

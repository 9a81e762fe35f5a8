//! Clients' commands on their way to the control plane and back.

use coffer_domain::{
    command::{Command, Envelope},
    ids::CommandId,
    rejection::{Rejection, RejectionKind},
    time::{MINUTE, Millis, SECOND},
};
use coffer_ports::log::Space;
use coffer_runtime::{
    clock::Clock,
    partition::Accepted,
    runner::Message,
    store::{
        keys,
        rows::{AcceptedRow, Made},
    },
};
use tokio::{sync::oneshot, task::spawn_local};

use super::{Phase, World, lock};
use crate::{desk::Event, faults::Fault, short};

/// How long a client thinks at most.
const THINKING: Millis = 40 * SECOND;
/// How long it waits before it sends again what was not answered.
const AGAIN: (Millis, Millis) = (SECOND, 10 * SECOND);

impl World {
    pub(super) fn client_acts(&mut self, tenant: usize) {
        if self.phase != Phase::Trouble {
            return;
        }
        let thinking = self.desk.dice.mostly_short(SECOND, THINKING);
        self.desk.after(thinking, Event::ClientActs { tenant });
        let now = self.desk.clock.now();
        let client = &mut self.clients[tenant];
        let Some(envelope) = client.think(now, &self.vault, &mut self.desk.dice) else { return };
        let state = self.states.get(&envelope.instance).map(|(_, state)| state);
        if state.is_some_and(|state| state.operation.is_some()) {
            match envelope.command {
                Command::Delete => self.desk.tally.count(Fault::DeletedHalfway),
                Command::ResetStatus { .. } => self.desk.tally.count(Fault::ResetHalfway),
                _ => {}
            }
        }
        let partition = client.partition;
        let command = self.ledger.open(envelope, partition);
        self.send_command(command);
    }

    /// Sends a command, for the first time or again.
    pub(super) fn send_command(&mut self, command: CommandId) {
        let Some(order) = self.ledger.orders.get_mut(&command) else { return };
        order.is_open = true;
        let (verb, instance) = (order.envelope.command.verb(), short(order.envelope.instance));
        let (answer, answered) = oneshot::channel();
        let message = Message::Command { envelope: Box::new(order.envelope.clone()), answer };
        let inbox = self.plane.as_ref().map(|plane| &plane.inboxes[order.partition as usize]);
        if inbox.is_none_or(|inbox| inbox.try_send(message).is_err()) {
            return self.send_again(command);
        }
        self.desk.tell("client", format_args!("asks to {verb} {instance} ({command})"));
        let Some(world) = self.me.upgrade() else { return };
        spawn_local(async move {
            let answer = answered.await;
            lock(&world).answered(command, answer.ok());
        });
    }

    fn send_again(&mut self, command: CommandId) {
        let wait = self.desk.dice.span(AGAIN.0, AGAIN.1);
        self.desk.after(wait, Event::ClientSends { command });
    }

    /// The answer to a command, or that there will be none.
    fn answered(&mut self, command: CommandId, answer: Option<Result<Accepted, Rejection>>) {
        let Some(order) = self.ledger.orders.get_mut(&command) else { return };
        match answer {
            None => self.send_again(command),
            Some(Err(rejection)) if matches!(rejection.kind, RejectionKind::Busy | RejectionKind::NoRoom) => {
                self.desk.tell("client", format_args!("hears for {command}: {rejection}"));
                self.send_again(command);
            }
            Some(Err(rejection)) => {
                order.is_open = false;
                if rejection.kind == RejectionKind::OverLimit {
                    self.desk.tally.count(Fault::OverQuota);
                }
                if !self.states.contains_key(&order.envelope.instance) {
                    let owner = self.clients.iter_mut().find(|client| client.tenant == order.envelope.tenant);
                    owner.into_iter().for_each(|client| client.forget(order.envelope.instance));
                }
                self.desk.tell("client", format_args!("hears for {command}: {rejection}"));
                if order.is_accepted {
                    self.desk.violated(format!("{command} was accepted, and is rejected now: {rejection}"));
                }
            }
            Some(Ok(accepted)) => self.accepted(command, &accepted),
        }
    }

    fn accepted(&mut self, command: CommandId, accepted: &Accepted) {
        let Some(order) = self.ledger.orders.get_mut(&command) else { return };
        order.is_open = false;
        let again = if accepted.repeated { "again " } else { "" };
        self.desk.tell("client", format_args!("hears for {command}: {again}accepted"));
        if order.is_accepted && !accepted.repeated {
            self.desk.violated(format!("{command} was accepted a second time"));
        }
        if accepted.instance != order.envelope.instance {
            self.desk.violated(format!("{command} is answered with another instance"));
        }
        order.is_accepted = true;
        let Envelope { tenant, answer, .. } = &order.envelope;
        let key = match answer {
            Some(_) => keys::kept(order.partition, tenant, command),
            None => keys::dedup(order.partition, tenant, command),
        };
        let is_kept = match &self.cluster {
            Some(cluster) => cluster.holds(order.partition, Space::Dedup, &key),
            None => matches!(self.store.accepted(&key), Ok(Some(row)) if is_whole(&row, &order.envelope)),
        };
        if !is_kept {
            self.desk.violated(format!("{command} is acknowledged, and not in the log"));
        }
        if self.desk.strikes(Fault::CommandRepeated) {
            let wait = self.desk.dice.mostly_short(10, 2 * MINUTE);
            self.desk.after(wait, Event::ClientSends { command });
        }
    }
}

/// The row holds what whoever sends the command again is answered.
fn is_whole(row: &AcceptedRow, envelope: &Envelope) -> bool {
    let Some(kept) = &row.kept else { return envelope.answer.is_none() };
    let has_made = match (&envelope.command, &kept.made) {
        (Command::Create(_), Some(Made::Instance(made))) => made.id == envelope.instance,
        (Command::CreateConfiguration(_), Some(Made::Group(made))) => made.id.0 == envelope.instance.0,
        (Command::Create(_) | Command::CreateConfiguration(_), _) => false,
        (_, made) => made.is_none(),
    };
    has_made && envelope.answer.as_ref() == Some(&kept.answer)
}

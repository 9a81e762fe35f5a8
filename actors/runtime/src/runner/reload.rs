//! How a runner comes by its memory: when it takes its partition over, and when a batch was not committed.

use std::time::Duration;

use coffer_domain::{
    instance::effect::Effect,
    rejection::{Rejection, RejectionKind},
    time::Timestamp,
};
use coffer_ports::{log::CommitError, telemetry::Happening};
use tokio::sync::mpsc;

use super::{Message, Runner, RunnerError, RunnerParts};
use crate::{
    dispatcher::Ownership,
    link::Links,
    partition::{Partition, TakenOver},
    store::StoreError,
    telemetry::{CommitRefused, CommitUncertain, PartitionLoaded},
};

/// Between a batch that was not committed and the reload.
const RELOAD_WAIT: Duration = Duration::from_secs(1);

impl Runner {
    /// Drops all memory and loads what the log says, after a breath: what stopped the log may need a moment to pass, and
    /// a full disk stays as long as it stays.
    pub(super) async fn reload(&mut self) -> Result<(), RunnerError> {
        tokio::time::sleep(RELOAD_WAIT).await;
        while !self.is_stopping
            && let Some(refusal) = self.parts.partition.store.room().stopped_refusal()
        {
            self.refuse_all(&refusal);
            tokio::time::sleep(RELOAD_WAIT).await;
        }
        if !self.take_over_again().await? {
            return Ok(());
        }
        self.reloads += 1;
        let now = self.parts.clock.now();
        let (partition, mut links, outstanding) = load(self.ownership, &self.parts, now)?;
        // The epoch is the same: agents refuse a sequence that they have seen.
        links.go_on_from(&self.links);
        self.partition = partition;
        self.links = links;
        self.dispatch(outstanding, now);
        Ok(())
    }

    /// Brings the store up to the log again, for as long as that takes; `false` when told to stop meanwhile. Somebody else
    /// may have become the owner: then nothing is ours to load.
    async fn take_over_again(&mut self) -> Result<bool, RunnerError> {
        const REFUSAL: &str = "The log cannot be written now; try again later.";
        let Ownership { partition, epoch: ours } = self.ownership;
        while !self.is_stopping {
            let (log, store) = (self.parts.partition.log.clone(), self.parts.partition.store.clone());
            let mut taking_over = Box::pin(async move {
                // Whoever was replaced must not get in the way of whoever replaced it.
                log.catch_up(partition).await?;
                let found = store.epoch(partition).map_err(|error| CommitError::Refused(error.to_string()))?;
                if found == ours {
                    log.take_over(partition).await?;
                }
                store.epoch(partition).map_err(|error| CommitError::Refused(error.to_string()))
            });
            let taken_over = loop {
                tokio::select! {
                    biased;
                    taken_over = &mut taking_over => break taken_over,
                    () = tokio::time::sleep(RELOAD_WAIT) => self.refuse_all(REFUSAL),
                }
                if self.is_stopping {
                    return Ok(false);
                }
            };
            match taken_over {
                Ok(found) if found == ours => return Ok(true),
                Ok(found) => return Err(RunnerError::TakenOver { partition, ours, found }),
                Err(error) => {
                    self.tell_not_committed(&error);
                    self.refuse_all(REFUSAL);
                    tokio::time::sleep(RELOAD_WAIT).await;
                }
            }
        }
        Ok(false)
    }

    pub(super) fn tell_not_committed(&self, error: &CommitError) {
        let (partition, metrics) = (self.ownership.partition, &self.parts.partition.metrics);
        match error {
            CommitError::Refused(reason) => CommitRefused { partition, reason }.emit(metrics),
            CommitError::Uncertain(reason) => CommitUncertain { partition, reason }.emit(metrics),
        }
    }

    /// Answers what waits while the store is stopped. Outcomes and reports are let go: after the reload effects are
    /// carried out again, and agents are asked again.
    fn refuse_all(&mut self, refusal: &str) {
        loop {
            let message = match self.inbox.try_recv() {
                Ok(message) => message,
                Err(mpsc::error::TryRecvError::Empty) => return,
                // Nobody is left to ask anything.
                Err(mpsc::error::TryRecvError::Disconnected) => {
                    self.is_stopping = true;
                    return;
                }
            };
            match message {
                Message::Command { answer, .. } => {
                    let _ = answer.send(Err(Rejection::new(RejectionKind::NoRoom, refusal)));
                }
                Message::Watch { tenant, instance, command, ended } => self.watch(&tenant, instance, command, ended),
                Message::Stop => self.is_stopping = true,
                // Whoever asks an agent hears that there was no answer.
                Message::Ask { .. } | Message::Outcome(_) | Message::Telemetry(_) | Message::Reconnected => {}
            }
        }
    }
}

/// What the store says of the partition, with the effects that are to be dispatched again.
pub(super) fn load(
    ownership: Ownership,
    parts: &RunnerParts,
    now: Timestamp,
) -> Result<(Partition, Links, Vec<Effect>), RunnerError> {
    let error = |reason: StoreError| RunnerError::Step { partition: ownership.partition, reason: reason.into() };
    let TakenOver { partition, outstanding } =
        Partition::take_over(ownership.partition, parts.partition.clone(), now).map_err(error)?;
    let mut links = Links::new(ownership.partition, ownership.epoch, parts.link.clone());
    let instances = parts.partition.store.instances(ownership.partition).map_err(error)?;
    for instance in &instances {
        links.add(instance, now);
    }
    PartitionLoaded { ownership, instances: instances.len(), outstanding: outstanding.len() }
        .emit(&parts.partition.metrics);
    Ok((partition, links, outstanding))
}

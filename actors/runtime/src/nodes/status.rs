//! What an operator is told of the partitions, as this node sees them.

use std::collections::BTreeSet;

use coffer_domain::time::{Millis, Timestamp};
use coffer_ports::changelog::Changelog;
use serde::{Deserialize, Serialize};

use crate::{
    nodes::seat::Seat,
    store::{Store, StoreError},
};

/// A partition, as this node sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PartitionStatus {
    pub partition: u32,
    /// Whether it is this node's own; else it follows its owner.
    pub is_own: bool,
    /// What the node is called that owned it last, as far as this one knows.
    pub owner: Option<String>,
    pub owned_since: Option<Timestamp>,
    pub epoch: u64,
    /// When something was applied last; nothing is where the store is the log.
    pub applied_at: Option<Timestamp>,
    /// Records of the log that are not applied here yet; absent when the log does not say.
    pub behind: Option<i64>,
    /// Instances with something under way outside, and for how long the oldest operation among them.
    pub open_operations: usize,
    pub oldest_ms: Option<Millis>,
}

/// Looks at one partition. Asks the log where it ends.
pub async fn look(
    partition: u32,
    seat: &Seat,
    store: &Store,
    changelog: Option<&dyn Changelog>,
    now: Timestamp,
) -> Result<PartitionStatus, StoreError> {
    let owner = store.partition_owner(partition)?;
    let position = store.position(partition)?;
    let behind = match (changelog, &position) {
        (Some(changelog), Some(position)) => {
            let extent = changelog.extent(partition).await.ok();
            // The mark at the end of a batch is not applied.
            extent.map(|extent| (extent.end - position.next_offset - 1).max(0))
        }
        _ => None,
    };
    let waiting: BTreeSet<_> =
        store.outbox(partition)?.into_iter().map(|effect| (effect.tenant, effect.instance)).collect();
    let mut oldest = None;
    for (tenant, id) in &waiting {
        let started = store.instance(partition, tenant, *id)?.and_then(|instance| Some(instance.operation?.started_at));
        oldest = oldest.into_iter().chain(started).min();
    }
    Ok(PartitionStatus {
        partition,
        is_own: seat.is_taken(),
        owner: owner.as_ref().map(|owner| owner.node.clone()),
        owned_since: owner.map(|owner| owner.since),
        epoch: store.epoch(partition)?,
        applied_at: position.map(|position| position.at),
        behind,
        open_operations: waiting.len(),
        oldest_ms: oldest.map(|started| now - started),
    })
}

//! Reads: look-ups in the store of this node, after it is known to be as new as it has to be.

use std::time::Duration;

use coffer_domain::{
    configuration::Group,
    ids::{CommandId, GroupId, InstanceId, TenantId},
    instance::InstanceView,
    quota::{TenantLimits, Usage},
};
use coffer_ports::telemetry::Happening;
use futures_util::future::try_join_all;

use super::{PARTITIONS, Runtime, Shared, partition_of};
use crate::{
    nodes::{
        seat::Seat,
        status::{self, PartitionStatus},
    },
    store::{Journal, StoreError, keys, rows::AcceptedRow},
    telemetry::ReadFailed,
};

/// How long a reader waits for the rows of another node's partition to be as new as its log, and between two looks whose it
/// is while that changes.
const FRESH_LIMIT: Duration = Duration::from_secs(3);
const FRESH_LOOK: Duration = Duration::from_millis(20);

impl Runtime {
    /// Returns when what is read of a tenant from now on has all that was committed before. Errors: why that cannot be said.
    pub async fn fresh(&self, tenant: &TenantId) -> Result<(), String> {
        match &self.shared {
            Some(shared) => fresh(shared, self.seat_of(tenant)).await,
            None => Ok(()),
        }
    }

    /// The same for all tenants.
    pub async fn everyone_fresh(&self) -> Result<(), String> {
        match &self.shared {
            Some(shared) => try_join_all(self.seats.iter().map(|seat| fresh(shared, seat))).await.map(|_| ()),
            None => Ok(()),
        }
    }

    /// All partitions, for operators.
    pub async fn partitions(&self) -> Result<Vec<PartitionStatus>, StoreError> {
        let changelog = self.shared.as_ref().map(|shared| &*shared.changelog);
        let looks = (0..)
            .zip(self.seats.iter())
            .map(|(partition, seat)| status::look(partition, seat, &self.store, changelog, self.clock.now()));
        try_join_all(looks).await
    }

    pub fn instance(&self, tenant: &TenantId, id: InstanceId) -> Result<Option<InstanceView>, StoreError> {
        self.told(self.store.view(partition_of(tenant), tenant, id))
    }

    /// What a GET shows of an instance: a row for [`coffer_domain::instance::shown::Shown`].
    pub fn shown(&self, tenant: &TenantId, id: InstanceId) -> Result<Option<Vec<u8>>, StoreError> {
        self.told(self.store.shown(partition_of(tenant), tenant, id))
    }

    /// The same of at most `limit` instances of a tenant in the order of their ids, after `marker`.
    pub fn shown_after(
        &self,
        tenant: &TenantId,
        marker: Option<InstanceId>,
        limit: usize,
    ) -> Result<Vec<(InstanceId, Vec<u8>)>, StoreError> {
        self.told(self.store.shown_after(partition_of(tenant), tenant, marker, limit))
    }

    /// At most `limit` instances of all tenants, ordered by partition, tenant and id, after `marker`, which need not exist.
    pub fn everyones_after(
        &self,
        marker: Option<&(TenantId, InstanceId)>,
        limit: usize,
    ) -> Result<Vec<InstanceView>, StoreError> {
        let first = marker.map_or(0, |(tenant, _)| partition_of(tenant));
        let mut found = Vec::new();
        for partition in first..PARTITIONS {
            let marker = marker.filter(|_| partition == first);
            found.extend(self.told(self.store.views_after(partition, marker, limit - found.len()))?);
        }
        Ok(found)
    }

    /// The tenant of an instance, looked for in every partition.
    pub fn owner(&self, id: InstanceId) -> Result<Option<TenantId>, StoreError> {
        for partition in 0..PARTITIONS {
            if let Some(tenant) = self.told(self.store.owner(partition, id))? {
                return Ok(Some(tenant));
            }
        }
        Ok(None)
    }

    /// At most `limit` entries of an instance's journal after number `after`; `None` when there is no journal.
    pub fn journal(
        &self,
        tenant: &TenantId,
        id: InstanceId,
        after: Option<u64>,
        limit: usize,
    ) -> Result<Option<Journal>, StoreError> {
        self.store.journal(partition_of(tenant), tenant, id, after, limit)
    }

    pub fn group(&self, tenant: &TenantId, id: GroupId) -> Result<Option<Group>, StoreError> {
        self.told(self.store.group(partition_of(tenant), tenant, id))
    }

    /// At most `limit` configuration groups of a tenant in the order of their ids, after `marker`.
    pub fn groups_after(
        &self,
        tenant: &TenantId,
        marker: Option<GroupId>,
        limit: usize,
    ) -> Result<Vec<Group>, StoreError> {
        self.told(self.store.groups_after(partition_of(tenant), tenant, marker, limit))
    }

    /// What is kept for whoever sends the request again that this command is of.
    pub fn kept(&self, tenant: &TenantId, command: CommandId) -> Result<Option<AcceptedRow>, StoreError> {
        self.told(self.store.accepted(&keys::kept(partition_of(tenant), tenant, command)))
    }

    /// What was set for a tenant alone; nothing for one that has the limits of everybody.
    pub fn limits(&self, tenant: &TenantId) -> Result<Option<TenantLimits>, StoreError> {
        self.told(self.store.limits(partition_of(tenant), tenant))
    }

    pub fn usage(&self, tenant: &TenantId) -> Result<Usage, StoreError> {
        self.told(self.store.usage(partition_of(tenant), tenant))
    }

    pub(super) fn told<T>(&self, read: Result<T, StoreError>) -> Result<T, StoreError> {
        read.inspect_err(|error| ReadFailed { error }.emit(&self.metrics))
    }
}

/// Returns when a partition's rows are as new as its log was at the time of the call.
pub(super) async fn fresh(shared: &Shared, seat: &Seat) -> Result<(), String> {
    let following = async {
        loop {
            // What is committed is in the owner's store before anybody is told.
            if seat.is_taken() && shared.membership.is_current() {
                return Ok(());
            }
            if !seat.is_taken()
                && let Some(followed) = seat.follow().await
            {
                return followed;
            }
            tokio::time::sleep(FRESH_LOOK).await;
        }
    };
    let late = |_| Err("it is not known in time whether another node has changed something".to_owned());
    tokio::time::timeout(FRESH_LIMIT, following).await.unwrap_or_else(late)
}

//! Configuration groups: decided here, and told to the instances that are attached, all in one batch.

use std::{collections::BTreeSet, sync::Arc};

use coffer_domain::{
    command::Envelope,
    configuration::{self, Event, Group, MAX_GROUPS},
    ids::{GroupId, InstanceId, TenantId},
    instance::{GroupChanged, Input, Instance},
    rejection::Rejection,
    time::Timestamp,
};

use super::{Partition, StepError, overlays};
use crate::{instances::Considered, store::StoreError};

impl Partition {
    /// A group with all that is decided.
    pub(super) fn group(&self, tenant: &TenantId, id: GroupId) -> Result<Option<Arc<Group>>, StoreError> {
        match overlays(&self.open, &self.committing).find_map(|overlay| overlay.group(tenant, id)) {
            Some(group) => Ok(group),
            None => Ok(self.parts.store.group(self.id, tenant, id)?.map(Arc::new)),
        }
    }

    pub(super) async fn decide_group(
        &mut self,
        envelope: &Envelope,
        now: Timestamp,
    ) -> Result<Result<(), Rejection>, StepError> {
        let (tenant, id) = (&envelope.tenant, GroupId(envelope.instance.0));
        let before = self.group(tenant, id)?;
        let groups = if before.is_none() { self.count_groups(tenant)? } else { 0 };
        let context = configuration::Context { now, catalogue: &self.parts.catalogue, groups };
        let event = match configuration::decide(before.as_deref(), envelope, &context) {
            Ok(event) => event,
            Err(rejection) => return Ok(Err(rejection)),
        };
        let after = configuration::evolve(before.as_deref().cloned(), &event).map(Arc::new);
        self.open.overlay.put_group(tenant, id, after.clone());
        if let (Event::Changed { .. }, Some(before), Some(after)) = (&event, before, after) {
            self.push(envelope, &before, &after, now).await?;
        }
        Ok(Ok(()))
    }

    /// Tells every instance of a group what has changed, in the order of their ids.
    async fn push(
        &mut self,
        envelope: &Envelope,
        before: &Group,
        after: &Group,
        now: Timestamp,
    ) -> Result<(), StepError> {
        let is_renaming = after.name != before.name;
        // Values that are set again are told again: some instance may have refused them.
        let values = has_values(envelope).then(|| after.values.clone());
        if !is_renaming && values.is_none() {
            return Ok(());
        }
        for instance in &after.instances {
            let changed = GroupChanged {
                command: envelope.command_id.told_to(*instance),
                principal: envelope.principal.clone(),
                request_id: envelope.request_id.clone(),
                group: after.id,
                name: after.name.clone(),
                values: values.clone(),
            };
            let input = Input::GroupChanged(Box::new(changed));
            if let Err(rejection) = self.decide_instance(&envelope.tenant, *instance, input, now).await? {
                tracing::error!(%instance, %rejection, "an instance did not hear of a change of its configuration group");
            }
        }
        Ok(())
    }

    /// Notes in the groups' rows which instances are attached.
    pub(super) fn keep_members(
        &mut self,
        tenant: &TenantId,
        instance: InstanceId,
        considered: &Considered,
    ) -> Result<(), StoreError> {
        let (left, joined) = (group_of(considered.before.as_deref()), group_of(considered.after.as_deref()));
        if left == joined {
            return Ok(());
        }
        for (id, is_attached) in [(left, false), (joined, true)] {
            let Some(id) = id else { continue };
            if let Some(group) = self.group(tenant, id)? {
                let group = (*group).clone().with_instance(instance, is_attached);
                self.open.overlay.put_group(tenant, id, Some(Arc::new(group)));
            }
        }
        Ok(())
    }

    fn count_groups(&self, tenant: &TenantId) -> Result<usize, StoreError> {
        let stored = self.parts.store.groups_after(self.id, tenant, None, MAX_GROUPS)?;
        let mut there: BTreeSet<GroupId> = stored.iter().map(|group| group.id).collect();
        let mut changed: Vec<_> = overlays(&self.open, &self.committing).collect();
        // The latest word comes last.
        changed.reverse();
        for (id, is_there) in changed.into_iter().flat_map(|overlay| overlay.groups_of(tenant)) {
            if is_there {
                there.insert(id);
            } else {
                there.remove(&id);
            }
        }
        Ok(there.len())
    }
}

fn group_of(instance: Option<&Instance>) -> Option<GroupId> {
    Some(instance?.configuration.group.as_ref()?.id)
}

fn has_values(envelope: &Envelope) -> bool {
    use coffer_domain::command::Command;
    matches!(
        envelope.command,
        Command::PatchConfiguration { .. } | Command::ReplaceConfiguration { values: Some(_), .. }
    )
}

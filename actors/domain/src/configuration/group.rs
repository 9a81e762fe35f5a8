//! One configuration group.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::values::Values;
use crate::{
    ids::{GroupId, InstanceId, TenantId},
    instance::state::InstanceDatastore,
    time::Timestamp,
};

/// One group. It comes into being with the event `created` and is gone with `deleted`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    pub id: GroupId,
    pub tenant: TenantId,
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    /// The version that its values are for: only instances of this one can be attached.
    pub datastore: InstanceDatastore,
    pub values: Values,
    /// Those attached to it, kept in the batch that attaches or detaches one; at most [`super::MAX_ATTACHED`].
    #[serde(default)]
    pub instances: BTreeSet<InstanceId>,
}

/// What has happened to a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    Created(Box<Group>),
    Changed { name: String, description: Option<String>, values: Values, at: Timestamp },
    Deleted,
}

/// The state after `event`; `None` before `created` and after `deleted`. An event that does not fit changes nothing.
#[must_use]
pub fn evolve(state: Option<Group>, event: &Event) -> Option<Group> {
    match (state, event) {
        (None, Event::Created(group)) => Some((**group).clone()),
        (None, _) | (Some(_), Event::Deleted) => None,
        (Some(group), Event::Changed { name, description, values, at }) => Some(Group {
            name: name.clone(),
            description: description.clone(),
            values: values.clone(),
            updated_at: *at,
            ..group
        }),
        (Some(group), Event::Created(_)) => Some(group),
    }
}

impl Group {
    /// The group with or without this instance.
    #[must_use]
    pub fn with_instance(mut self, instance: InstanceId, is_attached: bool) -> Self {
        if is_attached {
            self.instances.insert(instance);
        } else {
            self.instances.remove(&instance);
        }
        self
    }
}

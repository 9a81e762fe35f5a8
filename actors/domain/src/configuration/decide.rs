//! Commands on groups: what may be asked when, and what it leads to.

use std::collections::BTreeSet;

use super::{
    MAX_GROUPS,
    group::{Event, Group},
    parameters::{self, Parameters},
    values::{self, Values},
};
use crate::{
    catalogue::Catalogue,
    command::{Command, Envelope, NewConfiguration},
    ids::GroupId,
    instance::state::InstanceDatastore,
    names,
    rejection::{Rejection, RejectionKind},
    time::Timestamp,
};

/// What a decision may read besides the group.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    pub now: Timestamp,
    pub catalogue: &'a Catalogue,
    /// Groups that the tenant has.
    pub groups: usize,
}

/// Decides a command on a group; `envelope.instance` holds the group's id.
pub fn decide(group: Option<&Group>, envelope: &Envelope, context: &Context<'_>) -> Result<Event, Rejection> {
    let id = GroupId(envelope.instance.0);
    if let Command::CreateConfiguration(order) = &envelope.command {
        return match group {
            None => create(id, envelope, order, context),
            Some(_) => Err(Rejection::invalid(format!("Configuration group {id} exists already."))),
        };
    }
    let group = group.filter(|group| group.tenant == envelope.tenant).ok_or_else(|| absent(id))?;
    let at = context.now;
    let (name, description) = (group.name.clone(), group.description.clone());
    match &envelope.command {
        Command::PatchConfiguration { values } => {
            let mut merged = group.values.clone();
            merged.extend(values.clone());
            check(values, &group.datastore)?;
            Ok(Event::Changed { name, description, values: merged, at })
        }
        Command::ReplaceConfiguration { name: new_name, description: new_description, values } => {
            if let Some(values) = values {
                check(values, &group.datastore)?;
            }
            let name = new_name.clone().unwrap_or(name);
            let description = new_description.clone().or(description);
            names::check_group(&name, description.as_deref())?;
            let values = values.clone().unwrap_or_else(|| group.values.clone());
            Ok(Event::Changed { name, description, values, at })
        }
        Command::DeleteConfiguration if group.instances.is_empty() => Ok(Event::Deleted),
        Command::DeleteConfiguration => {
            Err(Rejection::invalid(format!("Configuration group {id} is attached to an instance: detach it first.")))
        }
        _ => Err(Rejection::invalid("this verb is not one of configuration groups")),
    }
}

/// Trove's words for a group that is not there, or is another tenant's.
pub fn absent(id: GroupId) -> Rejection {
    Rejection::not_found(format!("Configuration group with ID {id} could not be found."))
}

fn create(
    id: GroupId,
    envelope: &Envelope,
    order: &NewConfiguration,
    context: &Context<'_>,
) -> Result<Event, Rejection> {
    names::check_group(&order.name, order.description.as_deref())?;
    let (datastore, version) = context.catalogue.offered(order.datastore_version)?;
    let datastore = InstanceDatastore {
        name: datastore.name.clone(),
        version_id: version.id,
        version_name: version.name.clone(),
        version_number: version.number.clone(),
        manager: version.manager.clone(),
    };
    check(&order.values, &datastore)?;
    if context.groups >= MAX_GROUPS {
        return Err(Rejection::new(RejectionKind::OverLimit, "Quota exceeded for resources: ['configurations']."));
    }
    Ok(Event::Created(Box::new(Group {
        id,
        tenant: envelope.tenant.clone(),
        name: order.name.clone(),
        description: order.description.clone(),
        created_at: context.now,
        updated_at: context.now,
        datastore,
        values: order.values.clone(),
        instances: BTreeSet::new(),
    })))
}

fn check(values: &Values, datastore: &InstanceDatastore) -> Result<(), Rejection> {
    values::check(values, known(datastore)?)
}

/// The parameters of a version.
///
/// # Errors
/// When groups cannot be made for it.
pub fn known(datastore: &InstanceDatastore) -> Result<&'static Parameters, Rejection> {
    parameters::of(&datastore.manager, &datastore.version_number).ok_or_else(|| {
        let InstanceDatastore { name, version_name, .. } = datastore;
        let message = format!("Configuration groups are not supported for {name}-{version_name}.");
        Rejection::new(RejectionKind::Unsupported, message)
    })
}

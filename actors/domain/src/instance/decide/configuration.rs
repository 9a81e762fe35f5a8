//! The configuration of the engine: which group it follows, and when the agent is told of it.
//!
//! What is wanted is noted at once; the agent is told by a task, one at a time, as soon as it and the engine are there.
//! What is wanted meanwhile waits for the task to end: the last one wins, and those in between are never sent.

use std::collections::BTreeMap;

use coffer_protocol::report::EngineState;
use uuid::Uuid;

use super::{Context, GroupChanged, commands, draft::Draft, tasks};
use crate::{
    command::{Create, Envelope},
    configuration::{self, Group, MAX_ATTACHED, parameters, values},
    ids::{CommandId, GroupId},
    instance::{
        effect::{AgentVerb, Failure, Produced},
        event::Event,
        state::{AgentContact, AttachedGroup, Configuration, Instance, OperationKind, Standing, TaskKind},
    },
    rejection::{Rejection, RejectionKind},
};

/// What an agent says when the engine does not start with what it was given.
const CONFIGURATION_REFUSED: &str = "configuration_refused";

/// The configuration of an instance that is ordered.
pub fn first(
    order: &Create,
    version: Uuid,
    envelope: &Envelope,
    context: &Context<'_>,
) -> Result<Configuration, Rejection> {
    let Some(wanted) = order.configuration else { return Ok(Configuration::default()) };
    let group = attachable(wanted, version, envelope, context)?;
    Ok(following(group, &Configuration::default(), envelope.command_id))
}

pub fn attach(
    draft: &mut Draft,
    instance: &Instance,
    envelope: &Envelope,
    wanted: GroupId,
    context: &Context<'_>,
) -> Result<(), Rejection> {
    if let Some(group) = &instance.configuration.group {
        let (id, attached) = (instance.id, group.id);
        return Err(Rejection::invalid(format!(
            "Instance {id} is attached to configuration group {attached} already."
        )));
    }
    let group = attachable(wanted, instance.datastore.version_id, envelope, context)?;
    // Trove has a 400 for it.
    commands::check_reachable(instance).map_err(|rejection| Rejection::invalid(rejection.message))?;
    want(draft, following(group, &instance.configuration, envelope.command_id));
    Ok(())
}

/// At any time: an instance that nobody reaches must not hold a group for ever. Without a group it is nothing to do.
pub fn detach(draft: &mut Draft, instance: &Instance, envelope: &Envelope) {
    if instance.configuration.group.is_none() {
        return;
    }
    want(
        draft,
        Configuration {
            group: None,
            values: BTreeMap::new(),
            number: instance.configuration.number.saturating_add(1),
            command: Some(envelope.command_id),
            standing: Standing::Waiting,
        },
    );
}

/// Follows the group, if it is attached to it.
pub fn group_changed(draft: &mut Draft, changed: &GroupChanged) {
    let Some(known) = draft.state().map(|instance| instance.configuration.clone()) else { return };
    let Some(attached) = known.group.clone().filter(|group| group.id == changed.group) else { return };
    let group = Some(AttachedGroup { name: changed.name.clone(), ..attached });
    let next = match changed.values.clone() {
        Some(values) => Configuration {
            group,
            values,
            number: known.number.saturating_add(1),
            command: Some(changed.command),
            standing: Standing::Waiting,
        },
        None => Configuration { group, ..known },
    };
    want(draft, next);
}

/// The agent says whether the engine has to be started anew.
pub fn restart_required(draft: &mut Draft, required: bool) {
    draft.push_if_changing(Event::RestartRequired { required });
}

/// What a task has brought.
pub fn told(draft: &mut Draft, produced: &Produced) {
    if let Produced::Configured { restart_required: required } = produced {
        restart_required(draft, *required);
    }
}

/// The engine did not start with its values: its agent started it with those that it had before.
pub fn not_started_with(draft: &mut Draft, failure: &Failure) {
    let Some(known) = draft.state().map(|instance| instance.configuration.clone()) else { return };
    if failure.code == CONFIGURATION_REFUSED && known.standing == Standing::Applied {
        want(draft, Configuration { standing: Standing::Refused, ..known });
    }
}

/// Tells the agent what waits for it, if that can be done now.
pub fn settle(draft: &mut Draft) {
    let Some(instance) = draft.state() else { return };
    let Configuration { standing, number, command, .. } = instance.configuration;
    let is_told = instance.tasks.values().any(|task| matches!(task.kind, TaskKind::Configure { .. }));
    if standing != Standing::Waiting || is_told || !is_there(instance) {
        return;
    }
    if let Some(command) = command.filter(|command| !instance.tasks.contains_key(command)) {
        tasks::start(draft, command, TaskKind::Configure { number });
    }
}

/// What the agent is told.
pub fn verb(instance: &Instance) -> AgentVerb {
    AgentVerb::Configure { number: instance.configuration.number, values: engine_words(instance) }
}

/// The wanted values in the engine's words.
pub fn engine_words(instance: &Instance) -> BTreeMap<String, String> {
    let known = parameters::of(&instance.datastore.manager, &instance.datastore.version_number);
    known.map(|known| values::engine_words(&instance.configuration.values, known)).unwrap_or_default()
}

/// The group that a command names, if the instance can be attached to it.
fn attachable<'a>(
    wanted: GroupId,
    version: Uuid,
    envelope: &Envelope,
    context: &Context<'a>,
) -> Result<&'a Group, Rejection> {
    let group = context
        .group
        .filter(|group| group.id == wanted && group.tenant == envelope.tenant)
        .ok_or_else(|| configuration::decide::absent(wanted))?;
    if group.datastore.version_id != version {
        let (theirs, ours) = (group.datastore.version_id, version);
        return Err(Rejection::invalid(format!(
            "Datastore version of configuration group {wanted} ({theirs}) does not match that of the instance ({ours})."
        )));
    }
    if group.instances.len() >= MAX_ATTACHED {
        let message = format!("A configuration group has at most {MAX_ATTACHED} instances.");
        return Err(Rejection::new(RejectionKind::OverLimit, message));
    }
    Ok(group)
}

fn following(group: &Group, before: &Configuration, command: CommandId) -> Configuration {
    Configuration {
        group: Some(AttachedGroup { id: group.id, name: group.name.clone() }),
        values: group.values.clone(),
        number: before.number.saturating_add(1),
        command: Some(command),
        standing: Standing::Waiting,
    }
}

fn want(draft: &mut Draft, configuration: Configuration) {
    let at = draft.now();
    draft.push(Event::ConfigurationWanted { configuration: Box::new(configuration), at });
}

/// The agent is heard, the engine answers, and the instance is there to stay.
fn is_there(instance: &Instance) -> bool {
    let stays = match instance.operation.as_ref().map(|operation| operation.kind) {
        None => !instance.broken,
        Some(OperationKind::Create | OperationKind::Delete | OperationKind::CleanUp) => false,
        Some(_) => !instance.broken,
    };
    stays && (instance.health.contact, instance.health.engine) == (AgentContact::Heard, EngineState::Running)
}

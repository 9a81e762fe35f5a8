//! The classes of input, made for the state at hand.

use coffer_domain::{
    command::Command,
    ids::{CommandId, EffectId, TenantId},
    instance::{
        Input,
        effect::{Action, Observation, Outcome, Produced, TimerId},
        state::Waiting,
    },
};
use coffer_protocol::report::{EngineState, Inventory, UserEntry};

use crate::support::{
    partition::Partition,
    samples::{
        CLERK, SHOP, change_passwords, change_user, command_id, create, create_databases, create_users, disable_root,
        drop_database, drop_user, enable_root, grant, hiccup, produced, refusal, rename, reset_status, resize_flavor,
        resize_volume, revoke, tenant,
    },
};

/// Each input with its name and the partition at the moment of the input.
pub fn all(partition: &Partition) -> Vec<(String, Partition, Input)> {
    let mut inputs = commands(partition);
    inputs.extend(outcomes(partition));
    inputs.extend(timers(partition));
    inputs.extend(observations(partition));
    inputs
}

fn commands(partition: &Partition) -> Vec<(String, Partition, Input)> {
    let databases = partition.instances.get(&partition.id()).map(|instance| &instance.databases);
    let taken = |name: &&str| databases.is_some_and(|databases| databases.contains_key(*name));
    let new_name = ["stock", "staff"].into_iter().find(|name| !taken(name)).expect("one task takes one name");
    let mut inputs = Vec::new();
    let mut add = |name: &str, tenant: TenantId, command: Command| {
        let mut partition = partition.clone();
        let envelope = partition.envelope(tenant, partition.id(), command);
        inputs.push((name.to_owned(), partition, Input::Command(Box::new(envelope))));
    };
    let commands = [
        create(),
        Command::Delete,
        Command::Restart,
        Command::Stop,
        resize_volume(3),
        resize_flavor("2"),
        create_databases(new_name),
        drop_database(SHOP),
        create_users("buyer"),
        drop_user(CLERK),
        enable_root(),
        disable_root(),
        grant(CLERK, SHOP),
        revoke(CLERK, SHOP),
        change_user(CLERK, "seller"),
        change_passwords(&[CLERK]),
        rename(),
        reset_status(false),
    ];
    for command in commands {
        add(command.verb(), tenant(), command);
    }
    add("reset_status to delete by force", tenant(), reset_status(true));
    add("delete by another tenant", TenantId("another".into()), Command::Delete);
    inputs
}

fn outcomes(partition: &Partition) -> Vec<(String, Partition, Input)> {
    let stale = EffectId::new(command_id(999), "ensure_address", 1);
    let mut outcomes = vec![("outcome of another effect".to_owned(), stale, hiccup())];
    for (effect, outstanding) in &partition.effects {
        let whose = if is_of_a_task(partition, effect) { "task's outcome" } else { "outcome" };
        let good: Outcome = Ok(produced(&outstanding.effect.action));
        let grown: Outcome = Ok(Produced::VolumeSize { size_gib: 3 });
        let is_measured = outstanding.effect.action == Action::MeasureVolume;
        let fates = [("ok", good), ("failed for now", hiccup()), ("failed for good", refusal())];
        for (word, outcome) in fates.into_iter().chain(is_measured.then_some(("says that it has grown", grown))) {
            outcomes.push((format!("{whose} {word}"), effect.clone(), outcome));
        }
    }
    let input = |(name, effect, outcome)| (name, partition.clone(), Input::Outcome { effect, outcome });
    outcomes.into_iter().map(input).collect()
}

fn is_of_a_task(partition: &Partition, effect: &EffectId) -> bool {
    partition.instance().tasks.values().any(|task| task.effect.as_ref() == Some(effect))
}

/// Every timer that is set, when it is due, and one of each kind that is not.
fn timers(partition: &Partition) -> Vec<(String, Partition, Input)> {
    let mut inputs = Vec::new();
    for ((_, id), timer) in &partition.timers {
        let name = match id {
            TimerId::Deadline { effect } if is_of_a_task(partition, effect) => "task's deadline passes",
            TimerId::Deadline { .. } => "deadline passes",
            TimerId::Retry { command } if partition.instance().tasks.contains_key(command) => "task's retry is due",
            TimerId::Retry { .. } => "retry is due",
            TimerId::Agent { .. } => "agent's time is over",
        };
        let mut partition = partition.clone();
        partition.now = timer.due;
        inputs.push((name.to_owned(), partition, Input::Timer(id.clone())));
    }
    let command = running_command(partition);
    let (waits_to_retry, waits_for_agent) = waiting(partition);
    let other = command_id(999);
    let effect = EffectId::new(other, "ensure_address", 1);
    let stale = [
        ("stale deadline", TimerId::Deadline { effect }),
        ("stale retry", TimerId::Retry { command: if waits_to_retry { other } else { command } }),
        ("stale agent's time", TimerId::Agent { command: if waits_for_agent { other } else { command } }),
    ];
    inputs.extend(stale.map(|(name, id)| (name.to_owned(), partition.clone(), Input::Timer(id))));
    inputs
}

/// The command of the operation or task at hand, else the one given last.
fn running_command(partition: &Partition) -> CommandId {
    let instance = partition.instances.get(&partition.id());
    let operation = instance.and_then(|instance| instance.operation.as_ref()).map(|operation| operation.command);
    let task = instance.and_then(|instance| instance.tasks.keys().next().copied());
    operation.or(task).unwrap_or_else(|| partition.last_command())
}

fn waiting(partition: &Partition) -> (bool, bool) {
    let Some(instance) = partition.instances.get(&partition.id()) else { return (false, false) };
    let waiting = instance.operation.as_ref().map(|operation| &operation.waiting);
    let task_waits = instance.tasks.values().any(|task| task.effect.is_none());
    (task_waits || waiting == Some(&Waiting::Backoff), waiting == Some(&Waiting::Agent))
}

fn observations(partition: &Partition) -> Vec<(String, Partition, Input)> {
    let inventory = Inventory {
        databases: vec!["made_by_hand".into(), SHOP.into()],
        users: vec![UserEntry { name: CLERK.into(), host: "%".into(), databases: vec![SHOP.into()] }],
    };
    let observations = [
        ("engine seen running", Observation::Heard { engine: EngineState::Running }),
        ("engine seen crashed", Observation::Heard { engine: EngineState::Crashed }),
        ("agent seen silent", Observation::Silent),
        ("gauges", Observation::Gauges { volume_used_bytes: Some(4096) }),
        ("inventory", Observation::Inventory(inventory)),
    ];
    observations.map(|(name, seen)| (name.to_owned(), partition.clone(), Input::Observed(seen))).to_vec()
}

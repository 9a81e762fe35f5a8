//! Configuration groups: one batch changes a group and all of its instances.

use std::collections::BTreeSet;

use coffer_domain::{
    command::{Command, Envelope, NewConfiguration},
    configuration::{Group, Value, Values},
    ids::{GroupId, InstanceId},
    instance::{
        effect::{Action, AgentVerb, Effect},
        state::Standing,
    },
    rejection::RejectionKind,
};
use coffer_runtime::partition::Item;

use crate::support::{
    poll::run,
    samples::{command_id, envelope, envelope_of, instance, tenant},
    world::{PARTITION, World},
};

const GROUP: u8 = 200;

fn values(connections: u32) -> Values {
    Values::from([("max_connections".to_owned(), Value::Number(connections.into()))])
}

/// About the group.
fn of_group(world: &World, number: u32, command: Command) -> Envelope {
    envelope(command_id(number), instance(GROUP), command, world.now)
}

fn group_id() -> GroupId {
    GroupId(instance(GROUP).0)
}

fn group(world: &World) -> Option<Group> {
    world.store().group(PARTITION, &tenant(1), group_id()).unwrap()
}

async fn with_group() -> World {
    let mut world = World::new();
    let order =
        NewConfiguration { name: "many".into(), description: None, datastore_version: None, values: values(200) };
    let create = of_group(&world, 1, Command::CreateConfiguration(Box::new(order)));
    world.ask(&create).await.unwrap();
    world
}

fn attach(world: &World, number: u32, id: InstanceId) -> Envelope {
    envelope(command_id(number), id, Command::AttachConfiguration { group: group_id() }, world.now)
}

/// What agents are told to configure, and not been answered for.
fn told(world: &World) -> Vec<(InstanceId, String)> {
    let connections = |effect: &Effect| match &effect.action {
        Action::Agent(order) => match &order.verb {
            AgentVerb::Configure { values, .. } => values.get("max_connections").cloned(),
            _ => None,
        },
        _ => None,
    };
    world.calls.iter().filter_map(|effect| Some((effect.instance, connections(effect)?))).collect()
}

#[test]
fn a_change_of_a_group_is_one_batch_with_what_its_instances_are_told() {
    run(async {
        let mut world = with_group().await;
        let ids = [world.active(1).await, world.active(2).await];
        for (number, id) in (2..).zip(ids) {
            let attach = attach(&world, number, id);
            world.ask(&attach).await.unwrap();
        }
        assert_eq!(group(&world).unwrap().instances, BTreeSet::from(ids));
        world.come_to_rest().await;

        let patch = of_group(&world, 10, Command::PatchConfiguration { values: values(300) });
        world.ask(&patch).await.unwrap();
        assert_eq!(told(&world), ids.map(|id| (id, "300".to_owned())));
        world.crash().await;
        assert_eq!(told(&world), ids.map(|id| (id, "300".to_owned())), "it outlives the control plane");
        assert!(world.ask(&patch).await.unwrap().repeated, "and is done once");
        world.come_to_rest().await;
        for id in ids {
            assert_eq!(world.instance(id).configuration.standing, Standing::Applied);
        }
        let delete = of_group(&world, 11, Command::DeleteConfiguration);
        assert_eq!(world.ask(&delete).await.unwrap_err().kind, RejectionKind::Invalid, "it is in use");
    });
}

#[test]
fn who_is_attached_is_known_within_the_batch_and_after_a_delete() {
    run(async {
        let mut world = with_group().await;
        let id = world.active(1).await;
        let items = vec![
            Item::command(attach(&world, 2, id)),
            Item::command(of_group(&world, 3, Command::PatchConfiguration { values: values(300) })),
            Item::command(of_group(&world, 4, Command::DeleteConfiguration)),
            Item::command(attach(&world, 5, id)),
        ];
        let answers = world.step(items).await.unwrap();
        let kinds: Vec<_> = answers.iter().map(|answer| answer.as_ref().err().map(|refused| refused.kind)).collect();
        assert_eq!(kinds, [None, None, Some(RejectionKind::Invalid), Some(RejectionKind::Invalid)]);
        assert_eq!(told(&world), [(id, "200".to_owned())]);
        world.succeed().await;
        assert_eq!(told(&world), [(id, "300".to_owned())], "the last one wins");

        let delete = envelope(command_id(6), id, Command::Delete, world.now);
        world.ask(&delete).await.unwrap();
        world.come_to_rest().await;
        assert_eq!(group(&world).unwrap().instances, BTreeSet::new());
        let delete = of_group(&world, 7, Command::DeleteConfiguration);
        world.ask(&delete).await.unwrap();
        assert_eq!(group(&world), None);
    });
}

#[test]
fn a_group_is_its_tenants_own() {
    run(async {
        let mut world = with_group().await;
        let id = world.active(1).await;
        let patch = Command::PatchConfiguration { values: values(300) };
        let theirs = envelope_of(tenant(2), command_id(2), instance(GROUP), patch, world.now);
        assert_eq!(world.ask(&theirs).await.unwrap_err().kind, RejectionKind::NotFound);
        let stranger = envelope(command_id(3), id, Command::AttachConfiguration { group: GroupId(id.0) }, world.now);
        assert_eq!(world.ask(&stranger).await.unwrap_err().kind, RejectionKind::NotFound);
        assert_eq!(group(&world).unwrap().values, values(200));
        assert!(world.store().groups_after(PARTITION, &tenant(2), None, 9).unwrap().is_empty());
    });
}

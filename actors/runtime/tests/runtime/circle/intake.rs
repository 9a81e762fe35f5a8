//! Commands from the topic `coffer.commands`.

use coffer_domain::{
    command::{Command, Envelope},
    ids::InstanceId,
};
use coffer_ports::transport::{Outgoing, Transport};
use coffer_protocol::topics;

use crate::support::{
    circle::Circle,
    poll::{run, until},
    samples::{create, instance, tenant},
};

/// As a program outside writes it: without the key that only the control plane can make.
fn record(envelope: &Envelope) -> Outgoing {
    let mut envelope = envelope.clone();
    if let Command::Create(order) = &mut envelope.command {
        order.server_key = None;
    }
    Outgoing {
        topic: topics::COMMANDS.to_owned(),
        key: Some(envelope.tenant.to_string()),
        headers: Vec::new(),
        value: serde_json::to_vec(&envelope).unwrap(),
    }
}

/// A create as a program outside orders it; the instance's id follows from the command's.
fn order_of(circle: &mut Circle) -> Envelope {
    let mut envelope = circle.envelope(&tenant(1), instance(0), create(instance(0)));
    envelope.instance = InstanceId::of_outside_create(&envelope.tenant, envelope.command_id);
    if let Command::Create(create) = &mut envelope.command {
        // Sealed for the id of before.
        create.users.clear();
    }
    envelope
}

fn refused(circle: &Circle, reason: &str) -> u64 {
    circle.metrics.intake_refused.with_label_values(&[reason]).get()
}

#[test]
fn a_create_and_a_delete_may_come_over_the_topic() {
    run(async {
        let mut circle = Circle::start_with(true).await;
        let order = order_of(&mut circle);
        let (owner, id) = (order.tenant.clone(), order.instance);
        circle.broker.send(record(&order)).await.unwrap();
        until("the create is taken", || circle.view(&owner, id).is_some()).await;
        circle.becomes_healthy(&owner, id).await;

        // Read again from the oldest record: what was accepted is not done twice.
        circle.stop().await;
        circle.start_again().await;
        circle.becomes_healthy(&owner, id).await;
        let delete = circle.envelope(&owner, id, Command::Delete);
        circle.broker.send(record(&delete)).await.unwrap();
        circle.becomes_gone(&owner, id).await;
        circle.stop().await;
        circle.start_again().await;
        let other = order_of(&mut circle);
        circle.broker.send(record(&other)).await.unwrap();
        until("the last record is taken", || circle.view(&owner, other.instance).is_some()).await;
        assert_eq!(circle.view(&owner, id), None, "the first create was read twice more and done once");
        assert_eq!((refused(&circle, "malformed"), refused(&circle, "rejected")), (0, 0));
        circle.stop().await;
    });
}

#[test]
fn what_cannot_be_read_or_done_is_counted_and_holds_nobody_up() {
    run(async {
        let mut circle = Circle::start_with(true).await;
        let order = order_of(&mut circle);
        let (owner, id) = (order.tenant.clone(), order.instance);
        let well_formed = record(&order);
        let later_version = record(&Envelope { version: order.version + 1, ..order.clone() });
        let named_by_its_producer = record(&Envelope { instance: instance(1), ..order.clone() });
        let impossible = circle.envelope(&owner, instance(9), Command::Restart);
        for (spoilt, reason, count) in [
            (Outgoing { value: b"{\"version\":1}".to_vec(), ..well_formed.clone() }, "malformed", 1),
            (Outgoing { value: vec![0xff; 100], ..well_formed.clone() }, "malformed", 2),
            (later_version, "malformed", 3),
            (Outgoing { key: Some(tenant(2).to_string()), ..well_formed.clone() }, "malformed", 4),
            (Outgoing { key: None, ..well_formed.clone() }, "malformed", 5),
            (named_by_its_producer, "malformed", 6),
            (record(&impossible), "rejected", 1),
        ] {
            circle.broker.send(spoilt).await.unwrap();
            until("it is counted", || refused(&circle, reason) == count).await;
        }
        assert_eq!(circle.view(&owner, id), None);
        circle.broker.send(well_formed).await.unwrap();
        until("a good one is taken", || circle.view(&owner, id).is_some()).await;
        circle.stop().await;
    });
}

#[test]
fn a_closed_intake_reads_nothing() {
    run(async {
        let mut circle = Circle::start_with(false).await;
        let order = order_of(&mut circle);
        let (owner, id) = (order.tenant.clone(), order.instance);
        circle.broker.send(record(&order)).await.unwrap();
        // Another order of the same tenant, over the front door, has gone all the way meanwhile.
        circle.active(&owner, instance(2)).await;
        assert_eq!(circle.view(&owner, id), None);
        circle.stop().await;
    });
}

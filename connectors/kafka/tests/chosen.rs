//! Reading some partitions of a topic, which change.

mod common;

use coffer_ports::transport::{Delivery, Place, Positions, Start, Transport};
use common::{broker, next, next_record, record, transport};
use tokio::sync::watch;

/// Keys whose records are in the partitions 0 and 1 of two.
fn keys() -> [String; 2] {
    let in_partition = |partition| {
        let mut keys = (0..).map(|number: u32| number.to_string());
        keys.find(|key| coffer_protocol::topics::partition_of(key, 2) == partition).expect("there is one")
    };
    [in_partition(0), in_partition(1)]
}

fn place(start: Start, turn: u64) -> Place {
    Place { start, turn }
}

#[tokio::test]
async fn what_is_wanted_is_read_from_its_place_and_the_rest_goes_on() {
    let broker = broker(&[("things", 2)]);
    let client = transport(broker.bootstrap_servers());
    let [zero, one] = keys();
    for (key, value) in [(&zero, "a"), (&zero, "b"), (&one, "x")] {
        client.send(record("things", Some(key), value)).await.expect("sent");
    }
    let (wanted, wishes) = watch::channel(Positions::from([(0, place(Start::Offset(1), 1))]));
    let mut deliveries = client.subscribe_to("things", wishes).await.expect("subscribed");
    assert_eq!(next(&mut deliveries).await, Delivery::Begun { partition: 0, turn: 1 });
    assert_eq!(next_record(&mut deliveries).await.value, b"b");

    // Another partition from its beginning; the first one goes on where it was.
    wanted.send_modify(|wanted| {
        wanted.insert(1, place(Start::Earliest, 2));
    });
    assert_eq!(next(&mut deliveries).await, Delivery::Begun { partition: 1, turn: 2 });
    assert_eq!(next_record(&mut deliveries).await.value, b"x");
    client.send(record("things", Some(&zero), "c")).await.expect("sent");
    assert_eq!(next_record(&mut deliveries).await.value, b"c");

    // Begun anew, and the other one not wanted any more.
    wanted.send_replace(Positions::from([(0, place(Start::Offset(0), 3))]));
    assert_eq!(next(&mut deliveries).await, Delivery::Begun { partition: 0, turn: 3 });
    client.send(record("things", Some(&one), "y")).await.expect("sent");
    for value in ["a", "b", "c"] {
        assert_eq!(next_record(&mut deliveries).await.value, value.as_bytes());
    }
    client.send(record("things", Some(&zero), "d")).await.expect("sent");
    assert_eq!(next_record(&mut deliveries).await.value, b"d", "what is not wanted is not delivered");

    // An offset that the broker does not have is its end.
    wanted.send_replace(Positions::from([(0, place(Start::Offset(99), 4))]));
    assert_eq!(next(&mut deliveries).await, Delivery::Begun { partition: 0, turn: 4 });
    client.send(record("things", Some(&zero), "e")).await.expect("sent");
    assert_eq!(next_record(&mut deliveries).await.value, b"e");
    drop(wanted);
    assert_eq!(deliveries.recv().await, None, "nothing is wanted any more");
}

//! Resizes: what is charged when, what happens when they fail, and that a delete wins.

use coffer_domain::{
    command::Command,
    instance::{
        Instance,
        effect::{Action, AgentVerb, Observation, Produced},
    },
    quota::Limits,
    rejection::RejectionKind,
};
use coffer_protocol::report::EngineState;

use crate::support::{
    partition::Partition,
    samples::{create_databases, failure, hiccup, large_flavor, refusal, resize_flavor, resize_volume, small_flavor},
};

fn charged(partition: &Partition) -> (u64, u64) {
    (partition.usage.volume_gib, partition.usage.memory_mib)
}

/// Lets every further attempt at these steps fail.
fn fail_all(partition: &mut Partition, steps: &[&str]) {
    for step in steps {
        let attempts = partition.outstanding().iter().filter(|effect| effect.starts_with(step)).count();
        assert_eq!(attempts, 1, "{step}: {:?}", partition.outstanding());
        while partition.outstanding().iter().any(|effect| effect.starts_with(step)) {
            partition.end(step, hiccup());
            let backs_off = partition.outstanding().is_empty() && partition.next_timer().is_some();
            if backs_off {
                partition.wait_for_timer();
            }
        }
    }
}

#[test]
fn a_volume_grows_and_then_the_agent_takes_it_up() {
    let mut partition = Partition::with_active_instance();
    partition.order(resize_volume(5)).unwrap();
    assert_eq!(partition.words(), "RESIZE");
    assert_eq!(charged(&partition), (5, 512));
    assert_eq!(partition.effect("grow_volume").action, Action::GrowVolume { size_gib: 5 });
    assert_eq!(partition.view().volume_gib, 2, "until it is so");

    partition.succeed("grow_volume");
    assert_eq!(partition.view().volume_gib, 5);
    let Action::Agent(order) = &partition.effect("grow_filesystem").action else { panic!("not for the agent") };
    assert_eq!(order.verb, AgentVerb::GrowVolume { volume_gib: 5 });
    partition.succeed("grow_filesystem");
    assert_eq!(partition.words(), "ACTIVE HEALTHY");
    assert_eq!(charged(&partition), (5, 512));
}

#[test]
fn a_volume_that_did_not_grow_is_measured_and_refunded() {
    let mut partition = Partition::with_active_instance();
    partition.order(resize_volume(5)).unwrap();
    partition.end("grow_volume", refusal());
    assert_eq!((partition.words().as_str(), charged(&partition)), ("RESIZE", (5, 512)));
    partition.end("measure_volume", Ok(Produced::VolumeSize { size_gib: 2 }));

    assert_eq!((partition.words().as_str(), charged(&partition)), ("ACTIVE HEALTHY", (2, 512)));
    let fault = partition.view().fault.unwrap();
    assert_eq!(
        fault.message,
        "The volume could not be resized: it could not be made larger (the host has no room left). It has its old size: \
         ask for the resize again."
    );
    assert_eq!(fault.details, "resize_volume grow_volume attempt 1: the host has no room left [local.exhausted]");
}

#[test]
fn a_growth_that_was_done_and_reported_as_failed_goes_on() {
    let mut partition = Partition::with_active_instance();
    partition.order(resize_volume(5)).unwrap();
    fail_all(&mut partition, &["grow_volume"]);
    partition.end("measure_volume", Ok(Produced::VolumeSize { size_gib: 5 }));
    assert_eq!(partition.outstanding(), ["grow_filesystem/1"]);
    partition.succeed("grow_filesystem");
    assert_eq!((partition.words().as_str(), charged(&partition)), ("ACTIVE HEALTHY", (5, 512)));
    assert_eq!(partition.view().fault, None);
}

#[test]
fn a_volume_of_which_nobody_knows_stays_charged_until_it_is_known() {
    let mut partition = Partition::with_active_instance();
    partition.order(resize_volume(5)).unwrap();
    fail_all(&mut partition, &["grow_volume", "measure_volume"]);
    assert_eq!((partition.words().as_str(), charged(&partition)), ("ACTIVE HEALTHY", (5, 512)));
    assert!(partition.view().fault.unwrap().message.contains("cannot be told"));

    let rejection = partition.order(resize_volume(4)).unwrap_err();
    assert!(rejection.message.contains("may have '5' already"), "{rejection}");
    assert_eq!(charged(&partition), (5, 512));
    partition.order(resize_volume(5)).unwrap();
    partition.end("grow_volume", refusal());
    partition.end("measure_volume", Ok(Produced::VolumeSize { size_gib: 2 }));
    assert_eq!(charged(&partition), (2, 512));
}

#[test]
fn an_agent_that_does_not_take_a_volume_up_does_not_shrink_it() {
    let mut partition = Partition::with_active_instance();
    partition.order(resize_volume(5)).unwrap();
    partition.succeed("grow_volume");
    partition.end("grow_filesystem", refusal());
    assert_eq!((partition.words().as_str(), charged(&partition)), ("ACTIVE HEALTHY", (5, 512)));
    assert!(partition.view().fault.unwrap().message.starts_with("The volume was resized, and"));
}

#[test]
fn another_flavor_is_first_the_servers_and_then_the_engines() {
    let mut partition = Partition::with_active_instance();
    partition.order(resize_flavor("2")).unwrap();
    assert_eq!(partition.words(), "RESIZE");
    assert_eq!(charged(&partition), (2, 2048));
    assert_eq!(partition.effect("resize_server").action, Action::ResizeServer { flavor: large_flavor() });
    partition.succeed("resize_server");
    // Its server may have restarted.
    partition.observe(Observation::Silent);
    partition.hear(EngineState::Starting);
    let Action::Agent(order) = &partition.effect("resize_engine").action else { panic!("not for the agent") };
    assert_eq!(order.verb, AgentVerb::Resize { memory_mib: 2048, vcpus: 2 });
    partition.succeed("resize_engine");
    assert_eq!((partition.words().as_str(), charged(&partition)), ("ACTIVE HEALTHY", (2, 2048)));
    assert_eq!(partition.view().flavor_id, "2");

    partition.order(resize_flavor("1")).unwrap();
    assert_eq!(charged(&partition), (2, 2048), "the larger one, until the smaller one is had");
    partition.succeed("resize_server");
    partition.succeed("resize_engine");
    assert_eq!(charged(&partition), (2, 512));
}

#[test]
fn a_flavor_that_cannot_be_had_is_taken_back() {
    let server = "its server could not be given the new size";
    let engine = "the database server could not be set to the new size";
    for (good, fails, told) in [(None, "resize_server", server), (Some("resize_server"), "resize_engine", engine)] {
        let mut partition = Partition::with_active_instance();
        partition.order(resize_flavor("2")).unwrap();
        good.into_iter().for_each(|step| drop(partition.succeed(step)));
        partition.end(fails, refusal());
        assert_eq!((partition.words().as_str(), charged(&partition)), ("RESIZE", (2, 2048)));
        assert_eq!(partition.effect("restore_server").action, Action::ResizeServer { flavor: small_flavor() });
        // An undo goes on whatever it meets.
        partition.end("restore_server", refusal());
        partition.wait_for_timer();
        partition.succeed("restore_server/2");
        let Action::Agent(order) = &partition.effect("restore_engine").action else { panic!("not for the agent") };
        assert_eq!(order.verb, AgentVerb::Resize { memory_mib: 512, vcpus: 1 });
        partition.succeed("restore_engine");

        assert_eq!((partition.words().as_str(), charged(&partition)), ("ACTIVE HEALTHY", (2, 512)));
        assert_eq!(partition.view().flavor_id, "1");
        let message = format!(
            "The flavor could not be changed: {told} (the host has no room left). The instance has its old one: ask for \
             the resize again."
        );
        assert_eq!(partition.view().fault.unwrap().message, message);
    }
}

#[test]
fn a_flavor_in_doubt_stays_charged_and_can_be_asked_for_again() {
    let mut partition = Partition::with_active_instance();
    partition.order(resize_flavor("2")).unwrap();
    fail_all(&mut partition, &["resize_server", "restore_server"]);
    assert_eq!((partition.words().as_str(), charged(&partition)), ("ACTIVE HEALTHY", (2, 2048)));
    let fault = partition.view().fault.unwrap();
    assert!(fault.details.contains("before that: resize_flavor resize_server attempt 5"), "{}", fault.details);

    partition.order(resize_flavor("1")).unwrap();
    assert_eq!(charged(&partition), (2, 512));
    partition.succeed("resize_server");
    partition.succeed("resize_engine");
    assert!(partition.instance().resize.is_none());
    assert_eq!(partition.order(resize_flavor("1")).unwrap_err().kind, RejectionKind::Invalid);
}

#[test]
fn a_delete_wins_at_any_step_and_refunds_all() {
    let steps = [
        (resize_volume(5), ["grow_volume", "grow_filesystem"]),
        (resize_flavor("2"), ["resize_server", "resize_engine"]),
    ];
    for (resize, steps) in steps {
        for good in 0..=steps.len() {
            let mut partition = Partition::with_active_instance();
            partition.order(resize.clone()).unwrap();
            for step in &steps[..good] {
                partition.succeed(step);
            }
            partition.order(Command::Delete).unwrap();
            if good == 0 {
                assert_eq!(partition.outstanding(), [format!("{}/1", steps[0])], "an outside call is waited for");
                partition.end(steps[0], hiccup());
            }
            for step in ["delete_server", "delete_volume", "release_address"] {
                partition.succeed(step);
            }
            assert_eq!((partition.words().as_str(), charged(&partition)), ("none", (0, 0)));
        }
    }
}

#[test]
fn what_cannot_be_had_is_refused_and_nothing_is_charged() {
    let mut partition = Partition::with_active_instance();
    partition.limits = Limits { volume_gib: Some(6), memory_mib: Some(1024), max_volume_gib: 8, ..Limits::default() };
    let id = partition.id();
    for (command, kind, message) in [
        (
            resize_volume(2),
            RejectionKind::Invalid,
            "The new volume 'size' must be larger than the current volume size of '2'.".into(),
        ),
        (
            resize_volume(1),
            RejectionKind::Invalid,
            "The new volume 'size' must be larger than the current volume size of '2'.".into(),
        ),
        (
            resize_volume(9),
            RejectionKind::OverLimit,
            "Volume 'size' cannot exceed maximum of 8 GB, 9 cannot be accepted.".into(),
        ),
        (resize_volume(7), RejectionKind::OverLimit, "Quota exceeded for resources: ['volumes'].".into()),
        (
            resize_flavor("1"),
            RejectionKind::Invalid,
            "The new flavor id must be different than the current flavor id of '1'.".into(),
        ),
        (resize_flavor("99"), RejectionKind::Invalid, "Resource 99 cannot be found.".to_owned()),
        (resize_flavor("2"), RejectionKind::OverLimit, "Quota exceeded for resources: ['ram'].".into()),
    ] {
        let rejection = partition.order(command).unwrap_err();
        assert_eq!((rejection.kind, rejection.message), (kind, message));
    }
    assert_eq!(charged(&partition), (2, 512));

    partition.order(resize_volume(6)).unwrap();
    for command in [resize_volume(6), Command::Restart, create_databases("stock")] {
        let rejection = partition.order(command).unwrap_err();
        let message = format!(
            "Instance {id} is not currently available for an action to be performed (task status was RESIZING)."
        );
        assert_eq!((rejection.kind, rejection.message), (RejectionKind::WrongState, message));
    }
    let mut silent = Partition::with_active_instance();
    silent.observe(Observation::Silent);
    assert_eq!(silent.order(resize_volume(3)).unwrap_err().kind, RejectionKind::WrongState);
}

#[test]
fn tasks_go_on_beside_a_resize() {
    let mut partition = Partition::with_active_instance();
    partition.order(create_databases("stock")).unwrap();
    partition.order(resize_flavor("2")).unwrap();
    partition.end("create_databases", Err(failure(true)));
    partition.wait_for_timer();
    partition.succeed("create_databases/2");
    assert!(partition.instance().databases.contains_key("stock"));
    assert_eq!(partition.words(), "RESIZE");
}

#[test]
fn a_row_of_before_there_were_resizes_is_read() {
    let partition = Partition::with_active_instance();
    let mut row = serde_json::to_value(partition.instance()).unwrap();
    assert!(row.as_object_mut().unwrap().remove("resize").is_none(), "a row at rest is as it was");
    assert_eq!(&serde_json::from_value::<Instance>(row).unwrap(), partition.instance());
}

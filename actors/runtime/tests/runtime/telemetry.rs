//! What the runtime tells of itself: each happening with its line and its counter, each bounded thing with its fullness,
//! each instance with what its agent says.

use coffer_domain::{
    command::Command,
    ids::InstanceId,
    instance::policy::{FORCED_ATTEMPTS, SILENCE},
    quota::{Limit, OwnLimits},
    rejection::RejectionKind,
};
use coffer_ports::{
    Error, ErrorKind,
    log::{Batch, Space, Write},
    transport::{Incoming, Outgoing, Transport},
};
use coffer_protocol::topics;
use coffer_runtime::{
    clock::{Clock, SystemClock},
    fullness,
    metrics::{self, Metrics},
    post::{Reports, TELEMETRY_QUEUE},
    runtime::partition_of,
    store::keys,
    telemetry::HAPPENINGS,
};
use prometheus::{Registry, TextEncoder};
use tokio::sync::mpsc;

use crate::{
    link::Line,
    post::send_in_vain,
    replicated_log::away_for_too_long,
    support::{
        circle::Circle,
        faults::CommitFault,
        lines,
        nodes::Nodes,
        poll::{run, until},
        samples::{command_id, create, envelope, instance, tenant},
        small_disk::SmallDisk,
        solo::Solo,
    },
};

fn text(registry: &Registry) -> String {
    TextEncoder::new().encode_to_string(&registry.gather()).unwrap()
}

/// The sum over all labels.
fn sum(registry: &Registry, name: &str) -> f64 {
    let is_of = |line: &&str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']));
    text(registry).lines().filter(is_of).filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

/// The happenings that this has caused, with the counter that each must have moved.
struct Seen {
    missing: Vec<String>,
    checked: Vec<&'static str>,
}

impl Seen {
    fn check(&mut self, metrics: &[(&'static str, f64)]) {
        for (happening, counted) in metrics {
            self.checked.push(happening);
            if *counted < 1.0 {
                self.missing.push(format!("{happening} was not counted"));
            }
            if !lines::was_logged(happening) {
                self.missing.push(format!("{happening} was not logged"));
            }
        }
    }
}

/// Drives the runtime through everything that it tells.
#[test]
fn every_happening_is_told_with_its_line_and_its_counter() {
    lines::listen();
    let mut seen = Seen { missing: Vec::new(), checked: Vec::new() };
    run(async {
        let mut circle = Circle::start_with(true).await;
        circle.active(&tenant(1), instance(1)).await;
        let junk = |topic: &str| {
            let key = Some(tenant(1).to_string());
            Outgoing { topic: topic.into(), key, headers: Vec::new(), value: b"junk".to_vec() }
        };
        circle.broker.send(junk(topics::COMMANDS)).await.unwrap();
        circle.broker.send(junk(topics::TELEMETRY)).await.unwrap();
        let refused = |name| sum(&circle.registry, name) > 0.0;
        until("junk is refused", || {
            refused("coffer_intake_refused_total") && refused("coffer_agent_messages_refused_total")
        })
        .await;
        let (partition, owner) = (partition_of(&tenant(1)), tenant(1));
        let key = keys::instance(partition, &owner, instance(66));
        let spoilt = Write { space: Space::View, key, value: Some(b"spoilt".to_vec()) };
        circle.store().write(&[Batch { writes: vec![spoilt], ..Batch::default() }]).unwrap();
        assert!(circle.runtime().shown(&owner, instance(66)).is_err());
        let of_circle = |name| sum(&circle.registry, name);
        seen.check(&[
            ("command_decided", of_circle("coffer_commands_total")),
            ("operation_started", of_circle("coffer_operations_started_total")),
            ("operation_ended", of_circle("coffer_operations_ended_total")),
            ("effect_ended", of_circle("coffer_effects_total")),
            ("partition_loaded", of_circle("coffer_partitions_loaded_total")),
            ("agent_enrolled", of_circle("coffer_agent_enrolments_total")),
            ("read_failed", of_circle("coffer_reads_failed_total")),
            ("session_opened", of_circle("coffer_agent_sessions_total")),
            ("intake_refused", of_circle("coffer_intake_refused_total")),
            ("agent_message_refused", of_circle("coffer_agent_messages_refused_total")),
        ]);
        let limits = OwnLimits { backups: Some(Limit::Unlimited), ..OwnLimits::default() };
        circle.ask(&tenant(1), InstanceId(uuid::Uuid::nil()), Command::SetQuota { limits }).await.unwrap();
        seen.check(&[("quota_set", sum(&circle.registry, "coffer_commands_total"))]);
        for _ in 0..FORCED_ATTEMPTS {
            circle.cloud.fail("release_address", Error::new(ErrorKind::Denied, "cloud.denied", "it is locked"));
        }
        for command in [Command::ResetStatus { force_delete: true }, Command::Delete] {
            circle.ask(&tenant(1), instance(1), command).await.unwrap();
        }
        circle.becomes_gone(&tenant(1), instance(1)).await;
        seen.check(&[("left_behind", sum(&circle.registry, "coffer_left_behind_total"))]);
        circle.stop().await;

        let solo = Solo::start().await;
        for (number, fault) in [(1, CommitFault::Lost), (2, CommitFault::Refused)] {
            solo.faults.fail_commit(0, fault);
            let order = envelope(command_id(number), instance(1), create(instance(1)), solo.now());
            assert_eq!(solo.ask(&order).await.unwrap_err().kind, RejectionKind::Busy);
        }
        until("both are told", || solo.metrics.partitions_loaded.get() == 3).await;
        let counted = |counter: &prometheus::IntCounter| counter.get() as f64;
        seen.check(&[
            ("commit_uncertain", counted(&solo.metrics.commits_uncertain)),
            ("commit_refused", counted(&solo.metrics.commits_refused)),
        ]);
        solo.stop().await.unwrap();

        let mut line = Line::established();
        line.overflow();
        line.tick(SILENCE);
        let dropping = Metrics::new(&Registry::new()).unwrap();
        let (inbox, _unread) = mpsc::channel(1);
        let reports = Reports::new(0, inbox, dropping.clone());
        for offset in 0..2 * i64::try_from(TELEMETRY_QUEUE).unwrap() {
            let (topic, key) = (topics::TELEMETRY.to_owned(), Some(tenant(1).to_string()));
            reports.take(Incoming { topic, partition: 0, offset, key, headers: Vec::new(), value: Vec::new() });
        }
        let failing = send_in_vain().await;
        seen.check(&[
            ("agent_send_deferred", counted(&line.metrics.agent_sends_deferred)),
            ("agent_silent", counted(&line.metrics.agents_silent)),
            ("agent_message_dropped", counted(&dropping.agent_messages_dropped)),
            ("agent_send_failed", counted(&failing.agent_sends_failed)),
        ]);

        let following = away_for_too_long().await;
        seen.check(&[
            ("changelog_followed", counted(&following.changelog_rows)),
            ("store_wiped", counted(&following.store_wipes)),
        ]);

        let mut nodes = Nodes::start(2).await;
        nodes.nodes[1].member.assign_in_vain(0).await;
        until("it has tried", || nodes.nodes[1].metrics.take_overs_failed.get() > 0).await;
        nodes.tell_lost(0, 1).await;
        let order = nodes.envelope(&tenant(1), instance(1), create(instance(1)));
        nodes.nodes[1].runtime.submit(order).await.unwrap();
        nodes.give(partition, 1).await;
        seen.check(&[
            ("take_over_failed", counted(&nodes.nodes[1].metrics.take_overs_failed)),
            ("command_forwarded", counted(&nodes.nodes[1].metrics.commands_forwarded.with_label_values(&["accepted"]))),
            ("partition_released", counted(&nodes.nodes[0].metrics.partitions_released)),
        ]);
        nodes.stop().await;

        let Some(disk) = SmallDisk::of_mib(128) else {
            seen.checked.push("store_changed");
            return;
        };
        let mut circle = Circle::start_in(tempfile::tempdir_in(disk.path()).unwrap(), false).await;
        disk.leave_mib(32);
        until("a small room is told", || sum(&circle.registry, "coffer_store_changes_total") > 0.0).await;
        seen.check(&[("store_changed", sum(&circle.registry, "coffer_store_changes_total"))]);
        circle.stop().await;
    });
    assert!(seen.missing.is_empty(), "{:?}", seen.missing);
    let unchecked: Vec<_> = HAPPENINGS.iter().filter(|name| !seen.checked.contains(name)).collect();
    assert!(unchecked.is_empty(), "no test makes these happen: {unchecked:?}");
}

#[test]
fn every_bounded_thing_tells_how_full_it_is() {
    run(async {
        let mut circle = Circle::start().await;
        circle.active(&tenant(1), instance(1)).await;
        let nodes = Nodes::start(1).await;
        let of_nodes = || text(&nodes.nodes[0].registry);
        until("commands of other nodes are taken", || of_nodes().contains(fullness::COMMANDS_QUEUE)).await;
        let exported = format!("{}{}", text(&circle.registry), of_nodes());
        nodes.stop().await;
        for thing in fullness::THINGS {
            for gauge in ["coffer_bounded_used", "coffer_bounded_limit"] {
                let start = format!("{gauge}{{thing=\"{thing}\"}} ");
                assert!(exported.lines().any(|line| line.starts_with(&start)), "{start}is missing:\n{exported}");
            }
        }
        let registry = circle.registry.clone();
        let value = |name: &str, thing: &str| -> f64 {
            let start = format!("{name}{{thing=\"{thing}\"}} ");
            text(&registry).lines().find_map(|line| line.strip_prefix(&start)?.parse().ok()).unwrap()
        };
        circle.cloud.hold("ensure_address");
        circle.ask(&tenant(1), instance(2), create(instance(2))).await.unwrap();
        until("a held call takes a slot", || value("coffer_bounded_used", "effect_slots") >= 1.0).await;
        assert!(value("coffer_bounded_limit", "effect_slots") > 1.0);
        circle.cloud.release("ensure_address");
        circle.becomes_healthy(&tenant(1), instance(2)).await;
        until("it gives it back", || value("coffer_bounded_used", "effect_slots") == 0.0).await;
        circle.stop().await;
    });
}

#[test]
fn what_an_agent_tells_of_its_instance_is_exported_until_the_instance_is_deleted() {
    run(async {
        let mut circle = Circle::start().await;
        circle.active(&tenant(1), instance(1)).await;
        let is_exported = || {
            let labels = format!("{{instance=\"{}\",tenant=\"{}\"}}", instance(1), tenant(1));
            text(&circle.registry).contains(&format!("coffer_instance_engine_restarts_total{labels}"))
        };
        assert!(is_exported());
        let delete = envelope(command_id(900), instance(1), Command::Delete, SystemClock::default().now());
        circle.runtime().submit(delete).await.unwrap();
        circle.becomes_gone(&tenant(1), instance(1)).await;
        until("its metrics are gone", || !is_exported()).await;
        circle.stop().await;
    });
}

#[test]
fn a_metric_that_is_registered_is_described() {
    let registry = Registry::new();
    let _metrics = Metrics::new(&registry).unwrap();
    let described = metrics::described();
    let mut names: Vec<_> = described.iter().map(|metric| metric.name).collect();
    for family in registry.gather() {
        assert!(names.contains(&family.name()), "{} is not described", family.name());
    }
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), described.len(), "each is described once");
}

//! What a batch makes of several decisions; the partition as a whole is tested under `tests/runtime/partition`.

use coffer_domain::{
    instance::{
        Decision, Event,
        effect::{Action, EffectChange, Timer, TimerChange, TimerId},
    },
    quota::Charge,
};
use coffer_ports::log::{Space, Write};
use uuid::Uuid;

use super::*;
use crate::store::keys;

const PARTITION: u32 = 3;
const CHARGE: Charge = Charge { instances: 1, volume_gib: 2, memory_mib: 512 };

fn tenant() -> TenantId {
    TenantId("t".into())
}

fn id(number: u128) -> InstanceId {
    InstanceId(Uuid::from_u128(number))
}

fn effect(name: &str) -> Effect {
    Effect { id: EffectId(name.into()), tenant: tenant(), instance: id(1), deadline: 1, action: Action::EnsureAddress }
}

fn retry(number: u128) -> TimerId {
    TimerId::Retry { command: CommandId(Uuid::from_u128(number)) }
}

fn timer(id: TimerId) -> TimerChange {
    TimerChange::Set(Timer { id, due: Timestamp(10), grace: 0 })
}

/// Takes a decision on instance 1 in; the tenant's quota is `usage` before it.
fn take(overlay: &mut Overlay, usage: Usage, decision: Decision) -> Option<Usage> {
    overlay.take(
        &tenant(),
        id(1),
        usage,
        Considered { decision, before: None, after: None, journal: Vec::new() },
        Timestamp(0),
    )
}

fn rows(overlay: &Overlay, space: Space) -> Vec<Write> {
    overlay.batch().writes.into_iter().filter(|write| write.space == space).collect()
}

#[test]
fn what_a_batch_takes_back_is_never_handed_out() {
    let mut overlay = Overlay::new(PARTITION);
    let dispatch = |name| EffectChange::Dispatch(effect(name));
    take(
        &mut overlay,
        Usage::default(),
        Decision { effects: vec![dispatch("a"), dispatch("b")], ..Decision::default() },
    );
    let withdraw = EffectChange::Withdraw(EffectId("a".into()));
    take(&mut overlay, Usage::default(), Decision { effects: vec![withdraw], ..Decision::default() });

    let rows = rows(&overlay, Space::Outbox);
    let kept: Vec<bool> = rows.iter().map(|row| row.value.is_some()).collect();
    assert_eq!(kept, [false, true]);
    let stepped = overlay.into_stepped(Vec::new());
    assert_eq!(stepped.dispatch, [effect("b")]);
    assert_eq!(stepped.withdrawn, [(id(1), EffectId("a".into()))]);
}

#[test]
fn a_timer_that_fired_is_spent_unless_its_firing_sets_it_anew() {
    let mut overlay = Overlay::new(PARTITION);
    overlay.drop_timer(id(1), &retry(1));
    overlay.drop_timer(id(1), &retry(2));
    take(&mut overlay, Usage::default(), Decision { timers: vec![timer(retry(2))], ..Decision::default() });

    let kept: Vec<bool> = rows(&overlay, Space::Timer).iter().map(|row| row.value.is_some()).collect();
    assert_eq!(kept, [false, true]);
}

#[test]
fn quota_is_added_up_within_a_batch() {
    let mut overlay = Overlay::new(PARTITION);
    let charged = || Decision { events: vec![Event::QuotaCharged { charge: CHARGE }], ..Decision::default() };
    let usage = take(&mut overlay, Usage::default(), charged()).unwrap();
    let usage = take(&mut overlay, usage, charged());
    assert_eq!(usage, Some(Usage { instances: 2, volume_gib: 4, memory_mib: 1024 }));
    let written = rows(&overlay, Space::State);
    let row = written.iter().find(|row| row.key == keys::usage(PARTITION, &tenant())).expect("the row is written");
    assert_eq!(row.value, usage.map(|usage| crate::store::rows::encode(&usage)));
}

#[test]
fn a_tenant_without_anything_has_no_quota_row() {
    let mut overlay = Overlay::new(PARTITION);
    let refunded = Decision { events: vec![Event::QuotaRefunded { charge: CHARGE }], ..Decision::default() };
    take(&mut overlay, Usage::default().charged(CHARGE), refunded);
    let rows = rows(&overlay, Space::State);
    let row = rows.iter().find(|row| row.key == keys::usage(PARTITION, &tenant())).expect("the row is written");
    assert_eq!(row.value, None);
}

#[test]
fn what_decides_nothing_writes_nothing() {
    let mut overlay = Overlay::new(PARTITION);
    take(&mut overlay, Usage::default(), Decision::default());
    assert!(overlay.is_empty());
    assert_eq!(overlay.batch().writes, []);
}

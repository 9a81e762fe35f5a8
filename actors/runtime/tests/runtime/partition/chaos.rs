//! Random histories on a real store: orders of three tenants, an outside that fails, forgets and answers late, commits
//! that fail, and deaths at any moment. After every step the rows agree; in the end everything is taken back.
//!
//! `COFFER_SEED=<number>` plays one history again.

use std::{collections::BTreeMap, env};

use coffer_domain::{
    command::{Command, Envelope},
    ids::{CommandId, InstanceId, TenantId},
    instance::{
        Input,
        effect::{Effect, Failure, Observation, Outcome},
        policy::DEDUP_WINDOW,
    },
    quota::Limits,
    rejection::RejectionKind,
    time::{HOUR, SECOND},
};
use coffer_protocol::{report::EngineState, secret::Secret};
use coffer_runtime::{borders::Moment, partition::Item, vault::random};

use crate::support::{
    dice::Dice,
    faults::{COMMIT_FAULTS, Stop},
    invariants,
    poll::run,
    samples::{PASSWORD, command_id, create, create_database, envelope_of, instance, new_user, tenant, vault},
    world::{PARTITION, World, tenants},
};

/// Histories, and steps of each.
const HISTORIES: usize = 6;
const STEPS: usize = 200;
/// Instances that are ordered, taken away and ordered again; each belongs to one tenant.
const SLOTS: u8 = 6;
const MOMENTS: [Moment; 4] = [Moment::BeforeCommit, Moment::AfterCommit, Moment::AfterApply, Moment::AfterEffect];
const ENGINES: [EngineState; 4] =
    [EngineState::Running, EngineState::Running, EngineState::Crashed, EngineState::Starting];

struct Chaos {
    world: World,
    dice: Dice,
    commands: u32,
    sent: Vec<Envelope>,
    /// Commands that the client knows to be accepted, and the instance it was told.
    accepted: BTreeMap<CommandId, InstanceId>,
    /// Effects with what came of them, taken in or not: any of it may come late, or again.
    past: Vec<(Effect, Outcome)>,
}

impl Chaos {
    fn new(seed: u64) -> Self {
        // Two instances for each tenant: the third one meets the quota.
        let limits = Limits { instances: Some(2), ..Limits::default() };
        let world = World::with_limits(limits);
        Self {
            world,
            dice: Dice::new(seed),
            commands: 0,
            sent: Vec::new(),
            accepted: BTreeMap::new(),
            past: Vec::new(),
        }
    }

    async fn step(&mut self) {
        match self.dice.below(100) {
            0..45 => self.take_batch().await,
            45..70 => self.lose_or_answer().await,
            70..85 => self.world.wait(i64::try_from(self.dice.below(100)).unwrap() * SECOND).await,
            85..90 => self.die().await,
            90..95 => self.plan_a_fault(),
            95..98 => {
                let now = self.world.now;
                self.world.partition().passivate(now + HOUR);
            }
            _ => self.forget().await,
        }
    }

    /// Orders, answers and observations in one batch.
    async fn take_batch(&mut self) {
        let mut items = Vec::new();
        let mut orders = Vec::new();
        for _ in 0..=self.dice.below(6) {
            match self.dice.below(10) {
                0..5 => {
                    let order = self.order();
                    orders.push((items.len(), order.clone()));
                    items.push(Item::command(order));
                }
                5..8 if !self.world.calls.is_empty() => {
                    let effect = self.take_call();
                    let outcome = self.outcome(&effect);
                    items.push(ended(effect, outcome));
                }
                8 if !self.past.is_empty() => {
                    let (effect, outcome) = self.dice.pick(&self.past).clone();
                    items.push(ended(effect, outcome));
                }
                _ => {
                    let number = self.slot();
                    let input = Input::Observed(self.observation());
                    items.push(Item { tenant: owner(number), instance: instance(number), input });
                }
            }
        }
        let now = self.world.now;
        let Some(answers) = self.world.step(items).await else { return };
        for (position, order) in orders {
            let is_young = now - order.issued_at < DEDUP_WINDOW;
            match (&answers[position], self.accepted.get(&order.command_id)) {
                (Ok(answer), Some(first)) => {
                    assert!(answer.repeated && answer.instance == *first, "{order:?} is done a second time");
                }
                (Ok(answer), None) => {
                    self.accepted.insert(order.command_id, answer.instance);
                }
                (Err(rejection), Some(_)) => assert!(!is_young, "an accepted command is refused: {rejection}"),
                (Err(rejection), None) => assert_ne!(rejection.kind, RejectionKind::Busy, "{rejection}"),
            }
        }
    }

    /// A new command, or one of before.
    fn order(&mut self) -> Envelope {
        if !self.sent.is_empty() && self.dice.chance(25) {
            return self.dice.pick(&self.sent).clone();
        }
        let number = self.slot();
        let id = instance(number);
        let name = format!("d{}", self.dice.below(3));
        let user = format!("u{}", self.dice.below(3));
        let command = match self.dice.below(12) {
            0..5 => create(id),
            5 => Command::Delete,
            6 => Command::Restart,
            7 => create_database(&name),
            8 => Command::DropDatabase { name },
            9 => Command::CreateUsers { users: vec![new_user(id, &user)] },
            10 => Command::DropUser { name: user, host: "%".into() },
            _ => {
                let password = vault().seal_password(&id.to_string(), &Secret::new(PASSWORD));
                Command::EnableRoot { password }
            }
        };
        self.commands += 1;
        let order = envelope_of(owner(number), command_id(self.commands), id, command, self.world.now);
        self.sent.push(order.clone());
        order
    }

    fn take_call(&mut self) -> Effect {
        let position = self.dice.below(self.world.calls.len());
        self.world.calls.remove(position).expect("the position is one of them")
    }

    /// What comes of a call; failed or not, it may have been carried out.
    fn outcome(&mut self, effect: &Effect) -> Outcome {
        let failure = |retryable| Failure {
            retryable,
            code: "chaos".into(),
            message: "the outside has failed".into(),
            retry_after: None,
        };
        let roll = self.dice.below(100);
        let is_done = roll >= 25 || self.dice.chance(50);
        let produced = is_done.then(|| self.world.outside.carry_out(effect));
        let outcome = produced.filter(|_| roll >= 25).ok_or_else(|| failure(roll >= 3));
        self.past.push((effect.clone(), outcome.clone()));
        outcome
    }

    fn observation(&mut self) -> Observation {
        match self.dice.below(6) {
            0 => Observation::Silent,
            1 => Observation::Gauges { volume_used_bytes: Some(self.dice.roll() >> 40) },
            _ => Observation::Heard { engine: *self.dice.pick(&ENGINES) },
        }
    }

    async fn lose_or_answer(&mut self) {
        if self.world.calls.is_empty() {
            return;
        }
        let effect = self.take_call();
        let outcome = self.outcome(&effect);
        if self.dice.chance(85) {
            self.world.step(vec![ended(effect, outcome)]).await;
        }
    }

    /// The control plane dies; calls that were under way were carried out or not. It may be away for hours.
    async fn die(&mut self) {
        for effect in std::mem::take(&mut self.world.calls) {
            if self.dice.chance(50) {
                self.world.outside.carry_out(&effect);
            }
        }
        if self.dice.chance(30) {
            self.world.now = self.world.now + 5 * HOUR;
        }
        self.world.crash().await;
    }

    fn plan_a_fault(&mut self) {
        if self.dice.chance(50) {
            self.world.faults.stop(Stop::When(*self.dice.pick(&MOMENTS)));
        } else {
            let good = self.dice.below(4);
            self.world.faults.fail_commit(good, *self.dice.pick(&COMMIT_FAULTS));
        }
    }

    async fn forget(&mut self) {
        self.world.faults.clear();
        let now = self.world.now;
        self.world.partition().forget_old_answers(now, 10).await.unwrap();
    }

    fn slot(&mut self) -> u8 {
        u8::try_from(self.dice.below(SLOTS.into())).expect("a slot is a small number")
    }

    /// Nothing goes wrong any more; everything is deleted.
    async fn end(&mut self) {
        self.world.faults.clear();
        self.world.come_to_rest().await;
        for number in 0..SLOTS {
            if self.world.find(instance(number)).is_some() {
                self.commands += 1;
                let id = command_id(self.commands);
                let delete = envelope_of(owner(number), id, instance(number), Command::Delete, self.world.now);
                self.world.ask(&delete).await.unwrap();
            }
        }
        self.world.come_to_rest().await;
        invariants::check_empty(self.world.store(), PARTITION, &tenants());
        let things = self.world.outside.things();
        assert!(things.is_empty(), "something is left outside: {things:?}");
    }
}

fn ended(effect: Effect, outcome: Outcome) -> Item {
    Item { tenant: effect.tenant, instance: effect.instance, input: Input::Outcome { effect: effect.id, outcome } }
}

fn owner(slot: u8) -> TenantId {
    tenant(slot % 3 + 1)
}

#[test]
fn the_rows_agree_whatever_happens() {
    let seeds: Vec<u64> = match env::var("COFFER_SEED") {
        Ok(seed) => vec![seed.parse().expect("COFFER_SEED is a number")],
        Err(_) => (0..HISTORIES).map(|_| u64::from_be_bytes(random())).collect(),
    };
    let mut accepted = 0;
    for seed in seeds {
        println!("COFFER_SEED={seed}");
        run(async {
            let mut chaos = Chaos::new(seed);
            for _ in 0..STEPS {
                chaos.step().await;
            }
            chaos.end().await;
            accepted += chaos.accepted.len();
        });
    }
    assert!(accepted > 0, "nothing was ever accepted");
}

//! One actor per instance: it owns the instance's state in memory and decides what is asked of it.
//!
//! An actor is hydrated from the store on first use and passivated when idle. Its partition asks it in the order of
//! arrival, and tells it whether the batch was committed; until then the new state is tentative. An actor whose batch
//! was aborted is forgotten, and the next use reads the store again.

use std::{collections::HashMap, sync::Arc};

use actix::prelude::*;
use coffer_domain::{
    catalogue::Catalogue,
    ids::{InstanceId, TenantId},
    instance::{Context as DecisionContext, Decision, Input, Instance, decide, evolve, journal},
    quota::{Limits, Usage},
    rejection::{Rejection, RejectionKind},
    time::{MINUTE, Millis, Timestamp},
};

use crate::store::{Store, StoreError};

/// An actor that was not asked for this long is passivated.
const PASSIVATE_AFTER: Millis = 10 * MINUTE;
/// Messages that wait for one actor at most. Its partition asks one thing at a time.
const MAILBOX: usize = 4;

/// An input, with all that deciding it may read.
#[derive(Message)]
#[rtype(result = "Result<Considered, Rejection>")]
pub struct Consider {
    pub input: Input,
    pub now: Timestamp,
    pub catalogue: Arc<Catalogue>,
    pub usage: Usage,
    pub limits: Arc<Limits>,
}

/// What an input leads to, and the instance before and after.
#[derive(Debug)]
pub struct Considered {
    pub decision: Decision,
    pub before: Option<Arc<Instance>>,
    pub after: Option<Arc<Instance>>,
    pub journal: Vec<journal::Entry>,
}

/// The batch is committed: what was tentative is true.
#[derive(Message)]
#[rtype(result = "()")]
struct Commit;

/// The state of one instance in memory.
struct InstanceActor {
    committed: Option<Arc<Instance>>,
    /// Present while a batch is under way that has changed it; the inner `None` means removed.
    tentative: Option<Option<Arc<Instance>>>,
}

impl InstanceActor {
    fn current(&self) -> Option<Arc<Instance>> {
        self.tentative.clone().unwrap_or_else(|| self.committed.clone())
    }
}

impl Actor for InstanceActor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.set_mailbox_capacity(MAILBOX);
    }
}

impl Handler<Consider> for InstanceActor {
    type Result = Result<Considered, Rejection>;

    fn handle(&mut self, message: Consider, _context: &mut Self::Context) -> Self::Result {
        let before = self.current();
        let context = DecisionContext {
            now: message.now,
            catalogue: &message.catalogue,
            usage: message.usage,
            limits: &message.limits,
        };
        let decision = decide(before.as_deref(), &message.input, &context)?;
        let after = if decision.events.is_empty() {
            before.clone()
        } else {
            let after = decision.events.iter().fold(before.as_deref().cloned(), evolve).map(Arc::new);
            self.tentative = Some(after.clone());
            after
        };
        let journal = journal::entries(&message.input, &decision, before.as_deref(), after.as_deref(), message.now);
        Ok(Considered { decision, before, after, journal })
    }
}

impl Handler<Commit> for InstanceActor {
    type Result = ();

    fn handle(&mut self, _message: Commit, _context: &mut Self::Context) {
        if let Some(state) = self.tentative.take() {
            self.committed = state;
        }
    }
}

/// The actors of one partition. An actor lives as long as its address stands here.
pub struct Instances {
    partition: u32,
    store: Arc<Store>,
    /// By tenant too: another tenant's command that names an instance must not find its actor, nor leave one in its place.
    actors: HashMap<Key, Resident>,
}

/// An instance as a command names it.
type Key = (TenantId, InstanceId);

struct Resident {
    actor: Addr<InstanceActor>,
    asked_at: Timestamp,
}

impl Instances {
    pub fn new(partition: u32, store: Arc<Store>) -> Self {
        Self { partition, store, actors: HashMap::new() }
    }

    /// Asks the instance's actor, after hydrating it where necessary. The inner error is the decision's own.
    pub async fn consider(
        &mut self,
        tenant: &TenantId,
        id: InstanceId,
        message: Consider,
    ) -> Result<Result<Considered, Rejection>, StoreError> {
        let key = (tenant.clone(), id);
        let actor = self.actor(&key, message.now)?;
        match actor.send(message).await {
            Ok(considered) => Ok(considered),
            // Only this partition ends the actor or writes to it: its handler has panicked.
            Err(error) => {
                self.actors.remove(&key);
                let message = format!("Instance {id} could not be asked: {error}.");
                Ok(Err(Rejection::new(RejectionKind::Busy, message)))
            }
        }
    }

    /// Makes what these actors hold true. A removed instance's actor is let go.
    pub async fn commit(&mut self, touched: impl IntoIterator<Item = (Key, bool)>) {
        for (key, removed) in touched {
            let Some(resident) = self.actors.get(&key) else { continue };
            if resident.actor.send(Commit).await.is_err() || removed {
                self.actors.remove(&key);
            }
        }
    }

    /// Forgets these actors with all that they hold.
    pub fn abort(&mut self, touched: impl IntoIterator<Item = Key>) {
        for key in touched {
            self.actors.remove(&key);
        }
    }

    /// Lets go of actors that were not asked for a while. Call it between batches only.
    pub fn passivate(&mut self, now: Timestamp) {
        self.actors.retain(|_, resident| now - resident.asked_at < PASSIVATE_AFTER);
    }

    fn actor(&mut self, key: &Key, now: Timestamp) -> Result<Addr<InstanceActor>, StoreError> {
        if let Some(resident) = self.actors.get_mut(key).filter(|resident| resident.actor.connected()) {
            resident.asked_at = now;
            return Ok(resident.actor.clone());
        }
        let committed = self.store.instance(self.partition, &key.0, key.1)?.map(Arc::new);
        let actor = InstanceActor { committed, tentative: None }.start();
        self.actors.insert(key.clone(), Resident { actor: actor.clone(), asked_at: now });
        Ok(actor)
    }
}

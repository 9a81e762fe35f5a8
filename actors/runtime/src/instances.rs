//! One actor per instance: it owns the instance's state in memory and decides what is asked of it.
//!
//! An actor is hydrated on first use, from what is on its way to the log or else from the store, and passivated when idle.
//! Its partition asks it in the order of arrival; its state is what was decided last. When a batch is not committed, all
//! actors of the partition are forgotten.

use std::{collections::HashMap, sync::Arc};

use actix::prelude::*;
use coffer_domain::{
    catalogue::Catalogue,
    configuration::Group,
    ids::{InstanceId, TenantId},
    instance::{Context as DecisionContext, Decision, Input, Instance, decide, evolve, journal},
    quota::{Limits, Usage},
    rejection::{Rejection, RejectionKind},
    time::{MINUTE, Millis, Timestamp},
};

use crate::store::StoreError;

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
    /// The configuration group that a command names, where there is one.
    pub group: Option<Arc<Group>>,
}

/// What an input leads to, and the instance before and after.
#[derive(Debug)]
pub struct Considered {
    pub decision: Decision,
    pub before: Option<Arc<Instance>>,
    pub after: Option<Arc<Instance>>,
    pub journal: Vec<journal::Entry>,
}

/// The state of one instance in memory; `None` before it is made, and once it is gone.
struct InstanceActor {
    state: Option<Arc<Instance>>,
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
        let before = self.state.clone();
        let context = DecisionContext {
            now: message.now,
            catalogue: &message.catalogue,
            usage: message.usage,
            limits: &message.limits,
            group: message.group.as_deref(),
        };
        let decision = decide(before.as_deref(), &message.input, &context)?;
        let after = if decision.events.is_empty() {
            before.clone()
        } else {
            let after = decision.events.iter().fold(before.as_deref().cloned(), evolve).map(Arc::new);
            self.state = after.clone();
            after
        };
        let journal = journal::entries(&message.input, &decision, before.as_deref(), after.as_deref(), message.now);
        Ok(Considered { decision, before, after, journal })
    }
}

/// The actors of one partition. An actor lives as long as its address stands here.
#[derive(Default)]
pub struct Instances {
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
    /// Asks the instance's actor, which `hydrate` gives its state where it has none yet. The inner error is the
    /// decision's own.
    pub async fn consider(
        &mut self,
        tenant: &TenantId,
        id: InstanceId,
        message: Consider,
        hydrate: impl FnOnce() -> Result<Option<Arc<Instance>>, StoreError>,
    ) -> Result<Result<Considered, Rejection>, StoreError> {
        let key = (tenant.clone(), id);
        let actor = match self.actors.get_mut(&key).filter(|resident| resident.actor.connected()) {
            Some(resident) => {
                resident.asked_at = message.now;
                resident.actor.clone()
            }
            None => {
                let actor = InstanceActor { state: hydrate()? }.start();
                self.actors.insert(key.clone(), Resident { actor: actor.clone(), asked_at: message.now });
                actor
            }
        };
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

    /// Forgets the actors of instances that are gone.
    pub fn let_go(&mut self, removed: impl IntoIterator<Item = Key>) {
        for key in removed {
            self.actors.remove(&key);
        }
    }

    /// Lets go of actors that were not asked for a while.
    pub fn passivate(&mut self, now: Timestamp) {
        self.actors.retain(|_, resident| now - resident.asked_at < PASSIVATE_AFTER);
    }
}

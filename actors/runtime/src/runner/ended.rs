//! The agent's tasks that ended last, for whoever asks late.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use coffer_domain::ids::CommandId;
use coffer_ports::telemetry::Bounded;

use crate::fullness;

/// Ended tasks that are remembered.
const ENDED_TASKS: usize = 1024;

/// The tasks that ended last.
#[derive(Default)]
pub struct EndedTasks {
    order: VecDeque<CommandId>,
    results: HashMap<CommandId, Result<(), String>>,
    count: Arc<AtomicUsize>,
}

impl EndedTasks {
    pub fn watched(bounded: &Bounded) -> Self {
        let ended = Self::default();
        let weak = Arc::downgrade(&ended.count);
        bounded.register(fullness::ENDED_TASKS, ENDED_TASKS, move || Some(weak.upgrade()?.load(Ordering::Relaxed)));
        ended
    }

    pub fn remember(&mut self, command: CommandId, result: Result<(), String>) {
        if self.order.len() == ENDED_TASKS
            && let Some(oldest) = self.order.pop_front()
        {
            self.results.remove(&oldest);
        }
        self.order.push_back(command);
        self.results.insert(command, result);
        self.count.store(self.order.len(), Ordering::Relaxed);
    }

    pub fn result(&self, command: CommandId) -> Option<Result<(), String>> {
        self.results.get(&command).cloned()
    }
}

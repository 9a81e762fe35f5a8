//! Carries out what the group says: which seats are taken, and what is read from the broker for them.

use std::{collections::BTreeMap, sync::Arc};

use coffer_ports::{
    membership::{Assigned, Change},
    transport::{Place, Positions, Start},
};
use tokio::sync::{mpsc, oneshot, watch};

use super::seat::{Order, Seat};

/// What is read for the partitions that are this node's own.
#[derive(Clone)]
pub struct Feeds {
    pub telemetry: watch::Sender<Positions>,
    pub commands: watch::Sender<Positions>,
}

impl Default for Feeds {
    fn default() -> Self {
        Self { telemetry: watch::Sender::new(BTreeMap::new()), commands: watch::Sender::new(BTreeMap::new()) }
    }
}

impl Feeds {
    /// Reads what comes from now on, and the commands that no owner has taken.
    fn begin(&self, Assigned { partition, commands_from }: Assigned, turn: u64) {
        let Ok(partition) = i32::try_from(partition) else { return };
        let begin = |feed: &watch::Sender<Positions>, start| {
            feed.send_modify(|wanted| {
                wanted.insert(partition, Place { start, turn });
            });
        };
        begin(&self.telemetry, Start::Latest);
        begin(&self.commands, Start::Offset(commands_from));
    }

    fn end(&self, partition: u32) {
        let Ok(partition) = i32::try_from(partition) else { return };
        for feed in [&self.telemetry, &self.commands] {
            feed.send_modify(|wanted| {
                wanted.remove(&partition);
            });
        }
    }
}

/// Until the node has left the group. `joined` is dropped when the partitions that it is given first work.
pub async fn follow(
    mut changes: mpsc::Receiver<Change>,
    seats: Arc<Vec<Arc<Seat>>>,
    feeds: Feeds,
    joined: oneshot::Sender<()>,
) {
    let mut joined = Some(joined);
    let mut turn = 0;
    while let Some(change) = changes.recv().await {
        match change {
            Change::Assigned(assigned) => {
                turn += 1;
                let mut working = Vec::new();
                for assigned in assigned {
                    let Some(seat) = seats.get(assigned.partition as usize) else { continue };
                    // Before the agents are challenged: fewer answers are missed.
                    feeds.begin(assigned, turn);
                    let (works, is_working) = oneshot::channel();
                    seat.order(Order::Take { works }).await;
                    working.push(is_working);
                }
                let joined = joined.take();
                tokio::spawn(async move {
                    for is_working in working {
                        let _ = is_working.await;
                    }
                    drop(joined);
                });
            }
            Change::Revoked { partition, released } => leave(&seats, &feeds, partition, released).await,
            Change::Lost { partition } => leave(&seats, &feeds, partition, oneshot::channel().0).await,
        }
    }
}

async fn leave(seats: &[Arc<Seat>], feeds: &Feeds, partition: u32, released: oneshot::Sender<()>) {
    feeds.end(partition);
    if let Some(seat) = seats.get(partition as usize) {
        seat.close();
        seat.order(Order::Leave { released }).await;
    }
}

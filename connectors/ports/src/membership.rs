//! Which partitions are a node's own: a group of nodes shares them out among those of its members that live.

use async_trait::async_trait;
use tokio::sync::{mpsc, oneshot};

use crate::Result;

/// What a member is told.
#[derive(Debug)]
pub enum Change {
    /// These are the member's own from now on. May be none: then others have them all, for now.
    Assigned(Vec<Assigned>),
    /// Another member gets this one when `released` is dropped: nothing more may be done in its name then.
    Revoked { partition: u32, released: oneshot::Sender<()> },
    /// Another member may have this one already: the member was not heard of for too long.
    Lost { partition: u32 },
}

/// A partition that has become the member's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Assigned {
    pub partition: u32,
    /// The first record of the topic of commands that no owner has reported to have taken.
    pub commands_from: i64,
}

/// A place in the group.
#[async_trait]
pub trait Membership: Send + Sync {
    /// Joins the group. The changes end when the member has left. They must be read: a member that does not react keeps
    /// others waiting, and is put out in the end.
    async fn join(&self) -> Result<mpsc::Receiver<Change>>;

    /// Leaves, which revokes everything first. Does not wait for that.
    fn leave(&self);

    /// Whether what is the member's own cannot be another's already, whatever this process has missed: the group has heard
    /// of it within the time that it waits before it gives anything away.
    fn is_current(&self) -> bool;

    /// The partition's commands before this offset are taken: the next owner begins there, or a little before.
    fn took(&self, partition: u32, next_offset: i64);
}

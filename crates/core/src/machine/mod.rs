//! What a room must offer: a synchronous step from inputs to outputs, and when it wants to be woken.
//!
//! Invariant: a step reads no clock, no chance and no disk but what it is handed; equal inputs give equal outputs.

mod load;
mod post;

pub use load::{
    Entries, Horizon, below, load_graph, load_graph_under, load_members, load_policy, load_view,
    load_view_at, node, restamped, sound_entry, stored_entry,
};
pub use post::{
    Act, BlobsTold, Check, ClockDoubt, Comparison, Identity, Landed, Member, RootTold, SetResult, Totals,
};

use std::time::Duration;

use crate::store::{Snapshot, StoreError};
use crate::time::Now;

/// Names a request until it is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// Names a link to a peer while it lasts; never used twice by one process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Link(pub u64);

/// How full a queue, a cache or a table is, and how full it may ever be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gauge {
    /// What it holds, with the room before it.
    pub name: &'static str,
    /// How many now.
    pub now: usize,
    /// How many at most; more is a broken promise.
    pub bound: usize,
}

/// A room.
pub trait Machine {
    /// What it is told.
    type Input;
    /// What it wants done.
    type Output;

    /// Handles a group of inputs in their order. `store` is one instant of the committed state. An error is the
    /// store's: the hub stops and recovers from disk.
    fn step(
        &mut self,
        now: Now,
        store: &dyn Snapshot,
        inputs: Vec<Self::Input>,
        out: &mut Vec<Self::Output>,
    ) -> Result<(), StoreError>;

    /// The monotonic time at which it wants a step with no inputs, if any.
    fn wake_at(&self) -> Option<Duration>;

    /// What it keeps of what others send, each with its bound.
    fn gauges(&self) -> Vec<Gauge> {
        Vec::new()
    }
}

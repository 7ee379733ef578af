//! One generic shell around a machine: mail in, a synchronous step, effects out, one timer.
//!
//! Invariant: steps of one room never interleave; a room handles all mail that has come as one group.

use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, AsyncContext, Context, Handler, Message, SpawnHandle};
use inbetweenies_core::machine::Machine;
use inbetweenies_core::node::{Effect, Route};
use inbetweenies_core::storage;
use inbetweenies_core::store::{Commit, MemorySnapshot, Snapshot, Store, StoreError};

use super::office::Office;
use crate::store::{RocksStore, Snap, StoreReader};

/// Mail that a room's box holds at most. What enters the hub is bounded by credits (requests, windows); a box that
/// fills up means that those are broken.
pub const MAILBOX: usize = 1 << 16;

/// An input on its way to a room.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Post<I: Send + 'static>(pub I);

/// All mail that was in the box has been taken out: step.
#[derive(Message)]
#[rtype(result = "()")]
struct Step;

/// What a room reads, and for storage alone, writes.
pub trait Disk: Unpin + 'static {
    /// What a step reads.
    type Snap: Snapshot;
    /// One instant, with every commit made so far.
    fn snapshot(&self) -> Self::Snap;
    /// Makes a group durable.
    fn commit(&mut self, commit: &Commit) -> Result<(), StoreError>;
}

impl Disk for RocksStore {
    type Snap = Snap;
    fn snapshot(&self) -> Snap {
        Store::snapshot(self)
    }
    fn commit(&mut self, commit: &Commit) -> Result<(), StoreError> {
        Store::commit(self, commit)
    }
}

impl Disk for StoreReader {
    type Snap = Snap;
    fn snapshot(&self) -> Snap {
        StoreReader::snapshot(self)
    }
    fn commit(&mut self, _commit: &Commit) -> Result<(), StoreError> {
        panic!("only the storage room writes");
    }
}

/// For rooms that read nothing.
pub struct NoDisk;

impl Disk for NoDisk {
    type Snap = MemorySnapshot;
    fn snapshot(&self) -> MemorySnapshot {
        MemorySnapshot::default()
    }
    fn commit(&mut self, _commit: &Commit) -> Result<(), StoreError> {
        panic!("only the storage room writes");
    }
}

/// The actor.
pub struct Room<M: Machine, D> {
    machine: M,
    disk: D,
    office: Arc<Office>,
    name: &'static str,
    /// How a room is told that its commit is durable; storage alone has one.
    committed: fn(u64) -> Option<M::Input>,
    waiting: Vec<M::Input>,
    scheduled: bool,
    timer: Option<(Duration, SpawnHandle)>,
}

/// For rooms that commit nothing.
pub fn never<I>(_number: u64) -> Option<I> {
    None
}

/// For storage.
pub fn committed(number: u64) -> Option<storage::Input> {
    Some(storage::Input::Committed { number })
}

impl<M, D> Room<M, D>
where
    M: Machine + Unpin + 'static,
    M::Input: Send + Unpin + 'static,
    M::Output: Route,
    D: Disk,
{
    /// A room that takes its first step when it starts.
    pub fn new(
        name: &'static str,
        machine: M,
        disk: D,
        office: Arc<Office>,
        committed: fn(u64) -> Option<M::Input>,
    ) -> Room<M, D> {
        Room {
            machine,
            disk,
            office,
            name,
            committed,
            waiting: Vec::new(),
            scheduled: false,
            timer: None,
        }
    }

    fn step(&mut self, ctx: &mut Context<Self>) {
        self.scheduled = false;
        let now = self.office.now();
        let mut outputs = Vec::new();
        let inputs = std::mem::take(&mut self.waiting);
        let snapshot = self.disk.snapshot();
        let stepped = self.machine.step(now, &snapshot, inputs, &mut outputs);
        drop(snapshot);
        if let Err(error) = stepped {
            super::run::abort_on_disk(self.name, &error);
        }
        let mut effects = Vec::new();
        for output in outputs {
            output.route(&mut effects);
        }
        for effect in effects {
            match effect {
                Effect::Commit(commit) => {
                    if let Err(error) = self.disk.commit(&commit) {
                        super::run::abort_on_disk(self.name, &error);
                    }
                    if let Some(input) = (self.committed)(commit.number) {
                        self.waiting.push(input);
                    }
                }
                other => self.office.effect(other),
            }
        }
        if !self.waiting.is_empty() {
            self.schedule(ctx);
        }
        self.set_timer(ctx);
    }

    fn schedule(&mut self, ctx: &mut Context<Self>) {
        if !self.scheduled {
            self.scheduled = true;
            // Comes back after the mail that is in the box already: a group forms by itself under load.
            ctx.notify(Step);
        }
    }

    fn set_timer(&mut self, ctx: &mut Context<Self>) {
        let wanted = self.machine.wake_at();
        if self.timer.as_ref().map(|(at, _)| *at) == wanted {
            return;
        }
        if let Some((_, handle)) = self.timer.take() {
            ctx.cancel_future(handle);
        }
        if let Some(at) = wanted {
            let wait = at.saturating_sub(self.office.now().mono);
            let handle = ctx.run_later(wait, |room, ctx| {
                room.timer = None;
                room.step(ctx);
            });
            self.timer = Some((at, handle));
        }
    }
}

impl<M, D> Actor for Room<M, D>
where
    M: Machine + Unpin + 'static,
    M::Input: Send + Unpin + 'static,
    M::Output: Route,
    D: Disk,
{
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        ctx.set_mailbox_capacity(MAILBOX);
        self.schedule(ctx);
    }
}

impl<M, D> Handler<Post<M::Input>> for Room<M, D>
where
    M: Machine + Unpin + 'static,
    M::Input: Send + Unpin + 'static,
    M::Output: Route,
    D: Disk,
{
    type Result = ();

    fn handle(&mut self, Post(input): Post<M::Input>, ctx: &mut Context<Self>) {
        self.waiting.push(input);
        self.schedule(ctx);
    }
}

impl<M, D> Handler<Step> for Room<M, D>
where
    M: Machine + Unpin + 'static,
    M::Input: Send + Unpin + 'static,
    M::Output: Route,
    D: Disk,
{
    type Result = ();

    fn handle(&mut self, _: Step, ctx: &mut Context<Self>) {
        self.step(ctx);
    }
}

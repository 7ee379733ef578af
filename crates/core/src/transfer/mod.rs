//! Blobs on their way: what this hub wants, from whom it takes it, what it serves, and what it may let go.
//!
//! Invariant: a chunk counts as held only after it was verified and, durably, only after it was synced; what is held only
//! grows, but where damage is found; no chunk is asked twice without a reason that is counted.
//!
//! A blob is fetched from its end: its last chunk proves the manifest's last value, the one before proves the value before
//! that, and so on, so a false manifest or chunk is noticed within a chunk, whoever sent it ([`crate::blob::Manifest`]). Only
//! what a person waits for is fetched from where they read, under the word of a hub that has hashed the whole.

mod check;
mod evict;
mod fetch;
mod keep;
mod peer;
mod serve;
mod want;
mod work;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use check::Checking;
use evict::Letting;
use keep::Keeping;
use peer::Peer;
use want::{Rank, Want};
pub use work::{Done, Taken, Work, WorkError, perform, read_verified};

use crate::blob::{BlobId, Manifest, Stored};
use crate::id::HubId;
use crate::machine::{BlobsTold, Gauge, Link, Machine, Member, Ticket};
use crate::store::{Snapshot, StoreError};
use crate::time::Now;
use crate::wire::BlobMessage;
use crate::zoo::{self, Bug};

/// Wanted blobs that are looked for at a time.
const OPEN_MAX: usize = 1_024;
/// How often it is looked whether something stands still.
const TICK: Duration = Duration::from_millis(500);
/// How long it is waited, where the disk had no room for a chunk.
const NO_ROOM: Duration = Duration::from_secs(10);

/// Which blobs a hub fetches by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fetching {
    /// All that records refer to.
    All,
    /// Those of pinned types; others when somebody reads them.
    Pinned,
}

/// How the room goes about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Which blobs are fetched by itself.
    pub fetching: Fetching,
    /// Types of things whose blobs are always fetched and never let go.
    pub pin_types: Vec<String>,
    /// Bytes of blobs above which some are let go; None for no bound.
    pub budget: Option<u64>,
    /// Bytes asked of one peer and not come yet, at most.
    pub window_bytes_max: usize,
    /// Bytes of one blob after which what came of it is synced.
    pub sync_bytes: u64,
    /// How long a blob that nothing refers to is kept at least.
    pub unreferenced_min: Duration,
    /// In which time every chunk that is held is read once and verified.
    pub check_period: Duration,
}

/// What the room is told.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// A link to a peer of this home stands.
    LinkUp {
        /// Its name here.
        link: Link,
        /// To which hub.
        hub_id: HubId,
    },
    /// It is gone.
    LinkDown {
        /// Which.
        link: Link,
    },
    /// From a peer.
    Message {
        /// From where.
        link: Link,
        /// What.
        message: BlobMessage,
    },
    /// The hubs of this home.
    Members(Vec<Member>),
    /// Records have begun or ceased to refer to these, durably.
    Refs {
        /// Each once.
        ids: Vec<BlobId>,
    },
    /// Rows are durable.
    Kept {
        /// As they were numbered.
        number: u64,
        /// Of those to be dropped, the ones that were.
        dropped: Vec<BlobId>,
    },
    /// Work on files is done.
    Done(Done),
    /// Somebody reads a blob from this chunk on, and waits.
    Demand {
        /// Which.
        id: BlobId,
        /// From where.
        from: u32,
    },
    /// Somebody has read of a blob.
    Read {
        /// Which.
        id: BlobId,
    },
    /// A client has brought a blob: verified whole and, where it has a file, synced.
    Brought {
        /// Comes back when it is durable.
        ticket: Ticket,
        /// Its manifest.
        manifest: Arc<Manifest>,
        /// Its only chunk, if it is kept in a row.
        stored: Option<Stored>,
    },
    /// A chunk that counts as held does not verify.
    Damaged {
        /// Of which blob.
        id: BlobId,
        /// Which chunk.
        index: u32,
    },
}

/// What the room wants done.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// Send on a link.
    Send {
        /// Where.
        link: Link,
        /// What.
        message: BlobMessage,
    },
    /// To be done where it may take time; [`Done`] answers.
    Work(Work),
    /// For storage: rows to keep, blobs to drop if nothing refers to them.
    Keep {
        /// Comes back.
        number: u64,
        /// Rows.
        rows: Vec<(Vec<u8>, Option<Vec<u8>>)>,
        /// Candidates.
        drop: Vec<BlobId>,
    },
    /// What a client brought is durable.
    Stored {
        /// Of whoever waits.
        ticket: Ticket,
        /// Which.
        id: BlobId,
    },
    /// For people, and for whoever waits for a blob: something has changed.
    Told(BlobsTold),
}

/// The machine.
#[derive(Debug, Clone)]
pub struct Transfer {
    settings: Settings,
    links: BTreeMap<Link, Peer>,
    /// Hubs that are fenced or have left: promises to them do not bind.
    gone: BTreeSet<HubId>,
    wants: BTreeMap<BlobId, Want>,
    /// Wants that are looked for, in their order.
    open: BTreeSet<(Rank, BlobId)>,
    /// Wants that wait for their turn.
    queued: BTreeSet<(Rank, BlobId)>,
    orders: u64,
    keeping: Keeping,
    letting: Letting,
    checking: Checking,
    told: BlobsTold,
    changed: bool,
    paused_until: Duration,
    tick_at: Duration,
}

impl Transfer {
    /// Reads what is referred to and what is held. O(references + blobs).
    pub fn open(
        settings: Settings,
        store: &dyn Snapshot,
        members: &[Member],
    ) -> Result<Transfer, StoreError> {
        let checking = Checking::open(store, settings.check_period)?;
        let mut room = Transfer {
            settings,
            links: BTreeMap::new(),
            gone: BTreeSet::new(),
            wants: BTreeMap::new(),
            open: BTreeSet::new(),
            queued: BTreeSet::new(),
            orders: 0,
            keeping: Keeping::default(),
            letting: Letting::default(),
            checking,
            told: BlobsTold::default(),
            changed: true,
            paused_until: Duration::ZERO,
            tick_at: Duration::ZERO,
        };
        room.note_members(members);
        room.read_all(store)?;
        Ok(room)
    }

    /// Counts for the status page.
    pub fn told(&self) -> BlobsTold {
        self.told.clone()
    }

    fn note_members(&mut self, members: &[Member]) {
        let gone = members.iter().filter(|member| member.left || member.fenced);
        self.gone = gone.map(|member| member.hub_id).collect();
    }

    fn handle(
        &mut self,
        now: Now,
        store: &dyn Snapshot,
        input: Input,
        out: &mut Vec<Output>,
    ) -> Result<(), StoreError> {
        match input {
            Input::LinkUp { link, hub_id } => self.link_up(now, link, hub_id),
            Input::LinkDown { link } => self.link_down(link),
            Input::Message { link, message } => {
                if message.is_bounded() && self.links.contains_key(&link) {
                    self.message(now, store, link, message, out)?;
                }
            }
            Input::Members(members) => self.note_members(&members),
            Input::Refs { ids } => {
                for id in ids {
                    self.references_changed(now, store, id)?;
                }
            }
            Input::Kept { number, dropped } => self.kept(now, store, number, dropped, out)?,
            Input::Done(done) => self.done(now, store, done, out)?,
            Input::Demand { id, from } => self.demand(now, store, id, from)?,
            Input::Read { id } => self.touch(now, store, id)?,
            Input::Brought {
                ticket,
                manifest,
                stored,
            } => self.brought(now, store, ticket, &manifest, stored, out)?,
            Input::Damaged { id, index } => self.damaged(now, store, id, index)?,
        }
        Ok(())
    }

    fn message(
        &mut self,
        now: Now,
        store: &dyn Snapshot,
        link: Link,
        message: BlobMessage,
        out: &mut Vec<Output>,
    ) -> Result<(), StoreError> {
        match message {
            BlobMessage::Ask { ids } => self.asked(store, link, &ids, out)?,
            BlobMessage::Has { blobs } => self.has(now, store, link, blobs)?,
            BlobMessage::AskManifest { id } => self.manifest_asked(store, link, id, out)?,
            BlobMessage::Manifest { id, size, states } => {
                self.manifest_came(now, link, id, size, states.into_vec());
            }
            BlobMessage::Get { chunks } => self.get(link, chunks),
            BlobMessage::Chunks { chunks } => {
                for chunk in chunks {
                    self.chunk_came(now, link, chunk, out);
                }
            }
            BlobMessage::Bad { id, index } => self.told_bad(store, id, index, out)?,
            BlobMessage::Keep { ids } => self.asked_to_keep(store, link, &ids)?,
            BlobMessage::Kept { ids } => self.they_keep(link, &ids, out),
            BlobMessage::Release { ids } => self.released(link, ids, out),
            BlobMessage::Released { ids } => self.they_released(store, link, &ids)?,
        }
        Ok(())
    }
}

impl Machine for Transfer {
    type Input = Input;
    type Output = Output;

    fn step(
        &mut self,
        now: Now,
        store: &dyn Snapshot,
        inputs: Vec<Input>,
        out: &mut Vec<Output>,
    ) -> Result<(), StoreError> {
        for input in inputs {
            self.handle(now, store, input, out)?;
        }
        if self.tick_at <= now.mono {
            self.tick_at = now.mono + TICK;
            self.tick(now, store, out)?;
        }
        self.open_wants(now, store, out)?;
        self.ask(now, out);
        self.ask_manifests(now, out);
        self.ask_chunks(now, out);
        self.serve(out);
        self.check_on(now, store, out)?;
        self.flush(out);
        if std::mem::take(&mut self.changed) {
            self.told.wanted = self.wants.len() as u64;
            out.push(Output::Told(self.told.clone()));
        }
        Ok(())
    }

    fn wake_at(&self) -> Option<Duration> {
        let busy = !self.wants.is_empty() && !self.links.is_empty();
        let next = if busy || self.letting.is_busy() {
            self.tick_at
        } else {
            self.letting.look_at().max(self.tick_at)
        };
        let check = self.checking.wake_at().filter(|_| self.told.held > 0);
        Some(check.map_or(next, |check| check.min(next)))
    }

    fn gauges(&self) -> Vec<Gauge> {
        let fullest = |of: fn(&Peer) -> usize| self.links.values().map(of).max().unwrap_or(0);
        vec![
            Gauge {
                name: "transfer: blobs that are looked for",
                now: self.open.len(),
                bound: OPEN_MAX + want::DEMANDS_MAX,
            },
            Gauge {
                name: "transfer: bytes asked of one peer",
                now: fullest(Peer::in_flight),
                bound: if zoo::planted(Bug::WindowIgnored) {
                    usize::MAX
                } else {
                    self.settings.window_bytes_max + crate::blob::CHUNK_BYTES
                },
            },
            Gauge {
                name: "transfer: chunks that one peer waits for",
                now: fullest(Peer::serving),
                bound: serve::SERVING_MAX,
            },
            Gauge {
                name: "transfer: blobs that one peer waits to hear of",
                now: fullest(Peer::interests),
                bound: serve::INTERESTS_MAX,
            },
        ]
    }
}

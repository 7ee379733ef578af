//! Finding out what another lacks and handing it over: between hubs by clocks, pulls and pushes; for clients by pages.
//!
//! Invariant: only what is durable here is told, pushed or sent; what comes in is believed only after storage has
//! placed it in its chain.

mod client;
mod digest;
mod mend;
mod page;
mod peer;
mod trace;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

pub use client::{Start, client_start};
pub use digest::digest;
use mend::Hole;
pub use page::{Emitted, Filter, PageOf, Picked, page, whole};
use peer::{Peer, Pull};

use crate::clock::{Clock, Point};
use crate::entry::{Bundle, ChangeSet};
use crate::hash::Digest;
use crate::id::{Dot, HubId, ReplicaId};
use crate::limits::Limits;
use crate::machine::{Gauge, Identity, Landed, Link, Machine, SetResult, Ticket};
use crate::store::{Snapshot, StoreError};
use crate::time::Now;
use crate::wire::{ConflictRow, Message, Problem, SyncRequest, SyncResponse};
use crate::zoo::{self, Bug};

/// What reconcile is told.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// A link to a peer of this home stands.
    LinkUp {
        /// Its name here.
        link: Link,
        /// To which hub.
        hub_id: HubId,
        /// How far the peer holds each log.
        clock: Clock,
    },
    /// It is gone.
    LinkDown {
        /// Which.
        link: Link,
    },
    /// One of: clock, pull, page, push, mend, trace, chain.
    Message {
        /// From where.
        link: Link,
        /// What.
        message: Message,
    },
    /// Who this hub is.
    Identity(Identity),
    /// New entries are durable.
    Durable {
        /// With the links they came from.
        bundles: Vec<(Arc<Bundle>, Option<Link>)>,
        /// How far everything is held.
        clock: Clock,
    },
    /// What a peer's entries came to, durably.
    Applied {
        /// Whose.
        link: Link,
        /// How many were new.
        applied: usize,
        /// Whether some came early.
        gap: bool,
        /// Replicas whose chain parts from ours.
        forks: Vec<ReplicaId>,
        /// How many rows were mended, where that was asked for.
        mended: Option<usize>,
    },
    /// Anti-entropy has found that a peer lacks what these entries hold.
    Serve {
        /// Which peer.
        link: Link,
        /// Which entries.
        dots: Vec<Dot>,
    },
    /// A check has found that this hub does not hold what it should.
    Holes {
        /// The first entry of each gap.
        holes: Vec<Dot>,
    },
    /// Anti-entropy has found that so much differs that all of a peer's entries are to be taken again.
    Again {
        /// Which peer.
        link: Link,
    },
    /// A client's sync exchange.
    Sync {
        /// To be answered.
        ticket: Ticket,
        /// Checked at the door.
        request: Box<SyncRequest>,
    },
    /// Its sets are on disk, or refused.
    Accepted {
        /// Which.
        ticket: Ticket,
        /// In the order of its sets.
        results: Vec<SetResult>,
    },
    /// What its records met.
    Judged {
        /// Which.
        ticket: Ticket,
        /// Conflicts.
        conflicts: Vec<ConflictRow>,
        /// Records that readers do not see.
        lost: Vec<Digest>,
    },
}

/// What reconcile wants done.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// Send on a link.
    Send {
        /// Where.
        link: Link,
        /// What.
        message: Message,
    },
    /// The peer is broken or hostile: end the link.
    Cut {
        /// Which.
        link: Link,
        /// Stable.
        code: &'static str,
        /// For people.
        detail: String,
    },
    /// For storage: a peer's entries.
    Apply {
        /// From where.
        link: Link,
        /// In the peer's order of arrival.
        bundles: Vec<Bundle>,
        /// Whether what is held already is to be held against them.
        mend: bool,
    },
    /// This hub does not hold what its log or its clock says.
    Doubt,
    /// For storage: a client's sets.
    Accept {
        /// Comes back.
        ticket: Ticket,
        /// What to take.
        sets: Vec<ChangeSet>,
    },
    /// For storage: a peer's branch parts from ours, and ours stands.
    Fork {
        /// Whose log.
        replica: ReplicaId,
        /// Above which sequence.
        common: u64,
    },
    /// For conflict: what did these records meet?
    Judge {
        /// Comes back.
        ticket: Ticket,
        /// On disk by now.
        landed: Vec<Landed>,
    },
    /// What a peer holds, as it said: for the status page.
    Heard {
        /// Which.
        link: Link,
        /// How far it holds each log.
        clock: Clock,
    },
    /// How far a peer holds each log, durably: what horizons wait for. Told where content is ever let go.
    Reached {
        /// Which.
        hub_id: HubId,
        /// How far.
        clock: Clock,
    },
    /// The answer to a client.
    Reply {
        /// To which request.
        ticket: Ticket,
        /// A page, or why not.
        answer: Result<Box<SyncResponse>, Problem>,
    },
}

/// How this room behaves; from the config.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Bounds of pages and messages.
    pub limits: Limits,
    /// Peers that a new entry is pushed to at once.
    pub fanout: usize,
    /// How often a clock that changed is told.
    pub interval: Duration,
    /// How often one that did not change is told all the same, so that a lost message costs no more than this.
    pub quiet_interval: Duration,
    /// Bytes pushed to a peer beyond what it has confirmed; above, it is left to pulls.
    pub window_bytes_max: usize,
    /// Whether this hub ever lets content go, so that it must know how far others are.
    pub forgets: bool,
}

/// A client's request that waits for its sets.
#[derive(Debug, Clone)]
struct Pending {
    request: Box<SyncRequest>,
    started: Duration,
    /// For each set: already refused at the door.
    refused: Vec<Option<Vec<crate::wire::Rejected>>>,
    landed: Vec<Landed>,
    rejected: Vec<crate::wire::Rejected>,
}

/// The machine.
#[derive(Debug, Clone)]
pub struct Reconcile {
    settings: Settings,
    /// Durable here.
    clock: Clock,
    has_home: bool,
    has_policy: bool,
    /// `clock` and what is on its way through storage.
    arriving: Clock,
    /// Groups handed to storage and not answered yet.
    applying: usize,
    peers: BTreeMap<Link, Peer>,
    pull: Option<Pull>,
    rounds: u64,
    /// At most one for each log of each peer.
    traces: BTreeMap<(Link, ReplicaId), trace::Trace>,
    /// Places in our own logs where entries are missing, and where each was asked for last.
    holes: BTreeMap<ReplicaId, Hole>,
    /// Peers whose entries are all to be taken again.
    again: BTreeSet<Link>,
    /// Found by traces: from where a peer's branch is to be asked for, since it stands and ours does not.
    partings: BTreeMap<(Link, ReplicaId), Point>,
    pending: BTreeMap<Ticket, Pending>,
    /// Where the next fan-out starts, so that the same few are not always first.
    turn: usize,
}

impl Reconcile {
    /// Starts from what the store holds.
    pub fn new(settings: Settings, identity: &Identity, clock: Clock) -> Reconcile {
        Reconcile {
            settings,
            arriving: clock.clone(),
            applying: 0,
            clock,
            has_home: identity.home_id.is_some(),
            has_policy: false,
            peers: BTreeMap::new(),
            pull: None,
            rounds: 0,
            traces: BTreeMap::new(),
            holes: BTreeMap::new(),
            again: BTreeSet::new(),
            partings: BTreeMap::new(),
            pending: BTreeMap::new(),
            turn: 0,
        }
    }

    fn message(
        &mut self,
        now: Now,
        store: &dyn Snapshot,
        link: Link,
        message: Message,
        out: &mut Vec<Output>,
    ) -> Result<(), StoreError> {
        if !self.peers.contains_key(&link) {
            return Ok(()); // of a link that is gone, or does not stand up yet
        }
        self.ready(link);
        match message {
            Message::Clock { clock } => self.heard_clock(now, store, link, &clock, out)?,
            Message::Pull { round, clock } => self.answer_pull(store, link, round, &clock, out)?,
            Message::Page {
                round,
                bundles,
                more,
                holes,
            } => self.heard_page(now, link, round, bundles, (more, &holes), out),
            Message::Push { bundles } => self.heard_push(link, bundles, out),
            Message::Mend { bundles } => self.heard_mend(link, bundles, out),
            Message::Trace { replica, above } => trace::answer(store, link, replica, above, out)?,
            Message::Chain {
                replica,
                above,
                links,
            } => {
                self.heard_chain(store, link, replica, above, &links, out)?;
                self.maybe_pull(now, out);
            }
            Message::Hello(_)
            | Message::Tree(_)
            | Message::Blob(_)
            | Message::Swim { .. }
            | Message::Ping { .. }
            | Message::Pong { .. }
            | Message::Bye { .. } => {
                panic!("{} is not for this room", message.name())
            }
        }
        Ok(())
    }
}

impl Machine for Reconcile {
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
            match input {
                Input::LinkUp { link, hub_id, clock } => {
                    self.link_up(now, link, hub_id, clock);
                    self.tell_reached(link, out);
                }
                Input::LinkDown { link } => self.link_down(link),
                Input::Message { link, message } => self.message(now, store, link, message, out)?,
                Input::Identity(identity) => self.has_home = identity.home_id.is_some(),
                Input::Durable { bundles, clock } => self.durable(now, &bundles, clock, out),
                Input::Applied {
                    link,
                    applied,
                    gap,
                    forks,
                    mended,
                } => {
                    let landed = peer::Landed {
                        applied,
                        gap,
                        forks,
                        mended,
                    };
                    self.applied(now, link, &landed, out);
                }
                Input::Serve { link, dots } => self.serve(store, link, &dots, out)?,
                Input::Holes { holes } => self.note_holes(&holes),
                Input::Again { link } => {
                    self.again.insert(link);
                }
                Input::Sync { ticket, request } => self.sync(now, store, ticket, request, out)?,
                Input::Accepted { ticket, results } => self.accepted(now, store, ticket, results, out)?,
                Input::Judged {
                    ticket,
                    conflicts,
                    lost,
                } => self.judged(now, store, ticket, conflicts, &lost, out)?,
            }
        }
        self.tick(now, out);
        Ok(())
    }

    fn wake_at(&self) -> Option<Duration> {
        let tell = self
            .peers
            .values()
            .filter_map(|peer| peer.tell_at(&self.clock, &self.settings))
            .min();
        let pull = self.pull.as_ref().map(|pull| pull.deadline);
        let pull = pull.filter(|_| !zoo::planted(Bug::LostPullBlocks));
        let retry = self
            .peers
            .values()
            .filter_map(|peer| peer.wakes(&self.clock))
            .min();
        let trace = self.traces.values().filter_map(|trace| trace.deadline).min();
        [tell, pull, retry, trace].into_iter().flatten().min()
    }

    fn gauges(&self) -> Vec<Gauge> {
        let logs = self.peers.len() * self.settings.limits.clock_entries_max;
        let gauge = |name, now, bound| Gauge { name, now, bound };
        vec![
            gauge(
                "reconcile: requests under way",
                self.pending.len(),
                crate::limits::INPUTS_MAX,
            ),
            gauge("reconcile: traces", self.traces.len(), logs),
            gauge("reconcile: partings", self.partings.len(), logs),
            gauge(
                "reconcile: holes",
                self.holes.len(),
                self.settings.limits.clock_entries_max,
            ),
            gauge(
                "reconcile: entries of clocks",
                self.peers
                    .values()
                    .map(|peer| peer.clock.len())
                    .max()
                    .unwrap_or(0),
                self.settings.limits.clock_entries_max,
            ),
        ]
    }
}

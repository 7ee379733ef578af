//! Anti-entropy: compares what hubs really hold, whatever their logs claim, and finds what differs at the price of the
//! difference.
//!
//! Invariant: it only finds keys. It writes no record and deletes none; what differs goes to reconcile and storage, which
//! believe entries and nobody's word. Every session ends with comparing roots.

mod answer;
pub mod bch;
pub mod chain;
mod check;
pub mod descent;
pub mod estimate;
pub mod fold;
mod kept;
mod key;
mod ladder;
pub mod mirror;
mod repair;
mod session;
pub mod sketch;
pub mod survey;
pub mod tree;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use check::Checking;
use fold::Known;
use kept::Checkpoint;
use mirror::Mirror;
use session::Session;

use crate::clock::Clock;
use crate::hash::Digest;
use crate::id::{Dot, HubId, Id};
use crate::leaf::{Sum, state_digest};
use crate::machine::{Check, Comparison, Entries, Gauge, Link, Machine, RootTold, restamped};
use crate::rng::Rng;
use crate::store::{Snapshot, StoreError, read_record};
use crate::time::Now;
use crate::wire::{Half, TreeMessage};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How soon after a link stands, and again where there was no answer to be had, roots are compared.
const SOON: Duration = Duration::from_secs(2);

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
        message: TreeMessage,
    },
    /// Something is durable: the journal tells what.
    Durable,
    /// Entries from a peer were held against what is held here, durably.
    Mended {
        /// From where.
        link: Link,
        /// Rows that were mended.
        mended: usize,
    },
    /// Something is not there that should be: check everything.
    Doubt,
    /// Somebody asks: check everything now, and compare with this hub, or with all.
    Verify {
        /// Which hub.
        hub_id: Option<HubId>,
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
        message: TreeMessage,
    },
    /// For reconcile: hand these entries to a peer that lacks rows of them.
    Serve {
        /// Which peer.
        link: Link,
        /// Which entries.
        dots: Vec<Dot>,
    },
    /// For reconcile: take all of a peer's entries again.
    Again {
        /// Which peer.
        link: Link,
    },
    /// For reconcile: entries that this hub should hold and does not, or not whole.
    Holes {
        /// The first of each gap.
        holes: Vec<Dot>,
    },
    /// For storage: hold these records against the log.
    Recheck {
        /// Which.
        records: Vec<(Id, Digest)>,
    },
    /// For storage: counts that the records do not bear out.
    Recount {
        /// Records beyond those counted.
        records: i64,
        /// What the sum of leaves lacks.
        leaves: Sum,
    },
    /// For storage: keep the tree.
    Keep {
        /// Rows of its family.
        rows: Vec<(Vec<u8>, Vec<u8>)>,
        /// The journal is dropped above this row…
        above: u64,
        /// … up to this one.
        upto: u64,
    },
    /// For storage: the home's key.
    Key {
        /// Secret.
        key: [u8; 16],
    },
    /// The root is another.
    Root(RootTold),
    /// A comparison with a peer has ended.
    Compared(Comparison),
    /// All records were read and held against the tree.
    Checked(Check),
}

/// How this room behaves; from the config.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Levels of the tree in memory: see [`tree::Tree::depth_within`].
    pub depth: u8,
    /// Cells of the sketch that are kept; 0 to go without.
    pub cells: usize,
    /// How often roots are compared with each peer.
    pub interval: Duration,
    /// How long a check of all records takes when nothing hurries it: a few at a time.
    pub check_period: Duration,
    /// Changes after which the tree is kept again.
    pub keep_changes: usize,
    /// Chance for jitter.
    pub seed: u64,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            depth: 4,
            cells: 4_096,
            interval: Duration::from_secs(300),
            check_period: Duration::from_secs(86_400),
            keep_changes: 50_000,
            seed: 0,
        }
    }
}

#[derive(Debug, Clone)]
struct Peer {
    hub_id: HubId,
    /// Whether both ends have the same key.
    keyed: bool,
    /// When it is asked for again.
    key_at: Duration,
    /// When roots are compared next.
    next_at: Duration,
    /// Comparisons since the last that found both equal.
    failures: u32,
    /// The clock that it compares at, by its hash.
    meet: Option<(Half, Clock)>,
}

/// The machine.
#[derive(Debug, Clone)]
pub struct Merkle {
    settings: Settings,
    mirror: Mirror,
    rng: Rng,
    peers: BTreeMap<Link, Peer>,
    session: Option<Session>,
    checking: Checking,
    /// A key that storage was asked to take.
    key_wanted: Option<[u8; 16]>,
    keys: usize,
    told: Option<RootTold>,
}

/// The hash of a clock with its checks.
pub fn clock_hash(clock: &Clock) -> Half {
    let mut bytes = Vec::with_capacity(clock.len() * 32);
    for (replica, point) in clock.iter() {
        bytes.extend_from_slice(&replica.0);
        bytes.extend_from_slice(&point.sequence.to_be_bytes());
        bytes.extend_from_slice(&point.check.map_or([0; 8], |check| check.0));
    }
    Half::of(&Digest::of(&bytes))
}

/// The meet of two clocks: of each replica what both hold.
pub fn meet(a: &Clock, b: &Clock) -> Clock {
    let both = a.iter().filter_map(|(replica, ours)| {
        let theirs = b.point(replica)?;
        let point = if theirs.sequence < ours.sequence {
            theirs
        } else {
            *ours
        };
        Some((*replica, point))
    });
    both.collect()
}

impl Merkle {
    /// Reads what was kept of the tree, and what has changed since.
    pub fn open(settings: Settings, store: &dyn Snapshot) -> Result<Merkle, StoreError> {
        let mirror = Mirror::open(settings.depth, settings.cells, store)?;
        let rng = Rng::new(settings.seed, 0);
        Ok(Merkle {
            settings,
            mirror,
            rng,
            peers: BTreeMap::new(),
            session: None,
            checking: Checking::default(),
            key_wanted: None,
            keys: 0,
            told: None,
        })
    }

    /// What it keeps in memory.
    pub fn mirror(&self) -> &Mirror {
        &self.mirror
    }

    fn jittered(&mut self, wait: Duration) -> Duration {
        let quarter = (wait.as_millis() as usize / 4).max(1);
        wait + Duration::from_millis(self.rng.below(quarter) as u64)
    }

    /// Which entries tell of these records, as this hub's own log bears out; records that it does not bear out go to
    /// storage to be held against it.
    fn founded(
        &self,
        store: &dyn Snapshot,
        records: &[Known],
        out: &mut Vec<Output>,
    ) -> Result<Vec<Dot>, StoreError> {
        let (mut dots, mut doubtful) = (Vec::new(), Vec::new());
        let mut entries = Entries::default();
        for known in records {
            let Some(row) = read_record(store, &known.id, &known.digest)? else {
                continue;
            };
            let borne_out = restamped(store, &mut entries, &known.digest, &row, &|_| true)?;
            if borne_out.is_some_and(|said| said == row) {
                dots.extend(&row.dots);
            } else {
                doubtful.push((known.id.clone(), known.digest));
            }
        }
        if !doubtful.is_empty() {
            out.push(Output::Recheck { records: doubtful });
        }
        dots.sort();
        dots.dedup();
        Ok(dots)
    }

    fn tell_root(&mut self, out: &mut Vec<Output>) {
        let (records, sum) = self.mirror.plain();
        let told = RootTold {
            root: self.mirror.root(),
            clock: self.mirror.clock().clone(),
            state: state_digest(records, &sum),
            bytes: self.mirror.bytes(),
        };
        if self.told.as_ref() != Some(&told) {
            self.told = Some(told.clone());
            out.push(Output::Root(told));
        }
    }

    fn keep(&mut self, out: &mut Vec<Output>) {
        if let Some(Checkpoint { rows, above, upto }) = self.mirror.checkpoint(self.settings.keep_changes) {
            out.push(Output::Keep { rows, above, upto });
        }
    }

    fn message(
        &mut self,
        now: Now,
        store: &dyn Snapshot,
        link: Link,
        message: TreeMessage,
        out: &mut Vec<Output>,
    ) -> Result<(), StoreError> {
        let Some(peer) = self.peers.get(&link) else {
            return Ok(());
        };
        match message {
            TreeMessage::Key { key, ask } => self.heard_key(link, key, ask, out),
            _ if !peer.keyed => self.ask_key(now, link, out),
            TreeMessage::Roots { .. }
            | TreeMessage::Meet { .. }
            | TreeMessage::More { .. }
            | TreeMessage::Nodes { answer: false, .. }
            | TreeMessage::Want { .. } => self.answer(now, store, link, message, out)?,
            TreeMessage::Equal { .. }
            | TreeMessage::Clocks { .. }
            | TreeMessage::Later
            | TreeMessage::Few { .. }
            | TreeMessage::Cells { .. }
            | TreeMessage::Nodes { answer: true, .. }
            | TreeMessage::Took { .. } => self.answered(now, store, link, message, out)?,
            TreeMessage::Again => out.push(Output::Again { link }),
            TreeMessage::Doubt => self.doubt(now),
        }
        Ok(())
    }

    fn tick(&mut self, now: Now, store: &dyn Snapshot, out: &mut Vec<Output>) -> Result<(), StoreError> {
        let late: Vec<Link> = self
            .peers
            .iter()
            .filter(|(_, peer)| !peer.keyed && peer.key_at <= now.mono)
            .map(|(link, _)| *link)
            .collect();
        for link in late {
            self.ask_key(now, link, out);
        }
        self.check(now, store, out)?;
        self.sessions(now, store, out)?;
        self.keep(out);
        self.tell_root(out);
        Ok(())
    }
}

impl Machine for Merkle {
    type Input = Input;
    type Output = Output;

    fn step(
        &mut self,
        now: Now,
        store: &dyn Snapshot,
        inputs: Vec<Input>,
        out: &mut Vec<Output>,
    ) -> Result<(), StoreError> {
        self.take_key(store, now, out)?;
        let keyless = self.mirror.key().is_none();
        self.mirror.catch_up(store)?;
        self.heed_recount(store)?;
        if keyless && self.mirror.key().is_some() {
            let links: Vec<Link> = self.peers.keys().copied().collect();
            links.into_iter().for_each(|link| self.ask_key(now, link, out));
        }
        for input in inputs {
            match input {
                Input::LinkUp { link, hub_id } => {
                    let next_at = now.mono + self.jittered(SOON);
                    let peer = Peer {
                        hub_id,
                        keyed: false,
                        key_at: now.mono,
                        next_at,
                        failures: 0,
                        meet: None,
                    };
                    self.peers.insert(link, peer);
                    self.ask_key(now, link, out);
                }
                Input::LinkDown { link } => {
                    self.peers.remove(&link);
                    if self.session.as_ref().is_some_and(|session| session.link == link) {
                        self.session = None;
                    }
                }
                Input::Message { link, message } => self.message(now, store, link, message, out)?,
                Input::Durable => {}
                Input::Mended { link, mended } => self.mended(now, store, link, mended, out)?,
                Input::Doubt => self.doubt(now),
                Input::Verify { hub_id } => {
                    self.check_now();
                    let asked = |peer: &&mut Peer| hub_id.is_none_or(|hub| hub == peer.hub_id);
                    for peer in self.peers.values_mut().filter(asked) {
                        peer.next_at = now.mono;
                    }
                }
            }
        }
        self.tick(now, store, out)
    }

    fn wake_at(&self) -> Option<Duration> {
        let check = self.check_due();
        let session = self.session.as_ref().map(|session| session.deadline);
        let next = self
            .peers
            .values()
            .filter(|peer| peer.keyed && self.may_compare())
            .map(|peer| peer.next_at)
            .min();
        let key = self
            .peers
            .values()
            .filter(|peer| !peer.keyed)
            .map(|peer| peer.key_at)
            .min();
        [check, session, next, key].into_iter().flatten().min()
    }

    fn gauges(&self) -> Vec<Gauge> {
        let found = self.session.as_ref().map_or(0, Session::found);
        vec![
            Gauge {
                name: "merkle: differences in hand",
                now: found,
                bound: session::FOUND_MAX + descent::LEAVES_MAX,
            },
            Gauge {
                name: "merkle: nodes to ask about",
                now: self.session.as_ref().map_or(0, Session::queued),
                bound: session::QUEUE_MAX,
            },
        ]
    }
}

//! What the store holds, as anti-entropy sees it: tree, sketch and estimator, kept in step with every commit.
//!
//! Invariant: after [`Mirror::catch_up`] it is what the journal of leaves makes of the snapshot in hand, so a restart, which reads
//! what was kept and the journal's end, gives the same as never having stopped.

use std::collections::BTreeSet;

use super::bch::Syndromes;
use super::estimate::Estimator;
use super::sketch::{Key, Sketch};
use super::tree::{Element, Node, Place, Tree};
use crate::clock::{Clock, Point};
use crate::hash::Digest;
use crate::id::{Id, ReplicaId};
use crate::leaf::{POSITION_BYTES, Position, Sum};
use crate::store::{
    Family, LeafChange, MetaRow, RecordRow, ReplicaRow, Snapshot, StoreError, TREE_KEY, decode_changes,
    decode_row, journal_key, journal_number, read_meta, record_of,
};
use crate::zoo::{self, Bug};

/// Differences that the first answer finds at once, at 8 bytes and some 9 ns a write each.
pub const FEW: usize = 12;
/// Buckets of one kept row: 9 kB.
pub(super) const PAGE: usize = 256;

/// What anti-entropy keeps in memory.
#[derive(Debug, Clone)]
pub struct Mirror {
    pub(super) key: Option<Key>,
    pub(super) depth: u8,
    pub(super) cells: usize,
    pub(super) tree: Tree,
    pub(super) few: Syndromes,
    pub(super) sketch: Sketch,
    pub(super) estimator: Estimator,
    /// Leaves, and the sum of their hashes without a key.
    pub(super) count: u64,
    pub(super) plain: Sum,
    /// The row of the journal that it stands for.
    pub(super) at: u64,
    /// The row that the kept one stands for.
    pub(super) kept: u64,
    /// Changes and pages since.
    pub(super) changes: usize,
    pub(super) dirty: BTreeSet<u32>,
    pub(super) arrivals: u64,
    pub(super) clock: Clock,
    /// While it is built from the records: positions below this are in it.
    pub(super) frontier: Option<u32>,
}

/// Some records read for a check, whole buckets of them.
#[derive(Debug, Default)]
pub struct Strip {
    /// Where the next one begins; None at the end.
    pub next: Option<u32>,
    /// Records read.
    pub records: usize,
    /// Those whose bytes are not what their digest says.
    pub damaged: Vec<(Id, Digest)>,
    /// Whether the tree says otherwise of these buckets.
    pub differs: bool,
}

impl Mirror {
    /// Reads what was kept. `cells` of the sketch and levels of the tree are this hub's own choice.
    pub fn open(depth: u8, cells: usize, store: &dyn Snapshot) -> Result<Mirror, StoreError> {
        let mut mirror = Mirror::empty(depth, cells, read_key(store)?);
        let meta = read_meta(store)?;
        let records = meta.as_ref().map_or(0, |meta| meta.records);
        if !mirror.read_kept(store)? {
            // Nothing kept: the journal from its first row, if that is all there ever was; else the records.
            let whole = first_of_journal(store)? == Some(1);
            if records > 0 && !whole {
                mirror.rebuild();
            }
        }
        if zoo::planted(Bug::ReplayLost)
            && let Some(meta) = meta
        {
            mirror.at = meta.journal;
        }
        mirror.catch_up(store)?;
        Ok(mirror)
    }

    pub(super) fn empty(depth: u8, cells: usize, key: Option<Key>) -> Mirror {
        let used = key.unwrap_or(Key([0; 16]));
        Mirror {
            tree: Tree::new(depth),
            few: Syndromes::new(FEW),
            sketch: Sketch::new(used, cells),
            estimator: Estimator::new(used),
            key,
            depth,
            cells,
            count: 0,
            plain: Sum::ZERO,
            at: 0,
            kept: 0,
            changes: 0,
            dirty: BTreeSet::new(),
            arrivals: 0,
            clock: Clock::new(),
            frontier: None,
        }
    }

    /// The home's key, once known.
    pub fn key(&self) -> Option<&Key> {
        self.key.as_ref()
    }

    /// Takes another key: everything is worked out anew.
    pub fn set_key(&mut self, key: Option<Key>) {
        self.key = key;
        self.rebuild();
    }

    /// Cells of the sketch that are kept.
    pub fn cells(&self) -> usize {
        self.cells
    }

    /// How far a rebuild has come.
    pub fn frontier(&self) -> Option<u32> {
        self.frontier
    }

    /// Whether roots can be told: the key is known and no part is missing.
    pub fn is_ready(&self) -> bool {
        self.key.is_some() && self.frontier.is_none()
    }

    /// Whether it is being built from the records.
    pub fn is_rebuilding(&self) -> bool {
        self.frontier.is_some()
    }

    /// How far everything is held, at what it stands for.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Leaves, and the sum of their hashes as clients work it out.
    pub fn plain(&self) -> (u64, Sum) {
        (self.count, self.plain)
    }

    /// The root of all; None until it is ready.
    pub fn root(&self) -> Option<Digest> {
        let root = self.tree.node(Place::ROOT).filter(|_| self.is_ready());
        root.map(Node::root)
    }

    /// Bytes in memory, roughly.
    pub fn bytes(&self) -> usize {
        self.tree.bytes() + self.cells * 16 + 512
    }

    /// Starts over from the records.
    pub fn rebuild(&mut self) {
        let (at, kept) = (self.at, self.kept);
        let (clock, arrivals) = (std::mem::take(&mut self.clock), self.arrivals);
        *self = Mirror {
            at,
            kept,
            clock,
            arrivals,
            frontier: Some(0),
            dirty: BTreeSet::new(),
            ..Mirror::empty(self.depth, self.cells, self.key)
        };
    }

    /// Takes over what commits have changed since, from the snapshot's journal. Whether anything has changed.
    pub fn catch_up(&mut self, store: &dyn Snapshot) -> Result<bool, StoreError> {
        let Some(meta) = read_meta(store)? else {
            return Ok(false);
        };
        let mut changed = false;
        if self.key.is_none() && self.frontier.is_none() {
            self.key = read_key(store)?;
            if self.key.is_some() {
                let (key, at) = (self.key, self.at);
                let records = self.count;
                if records > 0 {
                    self.rebuild();
                } else {
                    *self = Mirror {
                        at,
                        ..Mirror::empty(self.depth, self.cells, key)
                    };
                }
                changed = true;
            }
        }
        if meta.journal > self.at {
            self.replay(store, &meta)?;
            changed = true;
        }
        if meta.arrivals != self.arrivals || changed {
            self.arrivals = meta.arrivals;
            self.clock = read_clock(store)?;
            changed = true;
        }
        Ok(changed)
    }

    fn replay(&mut self, store: &dyn Snapshot, meta: &MetaRow) -> Result<(), StoreError> {
        let (from, until) = (journal_key(self.at + 1), journal_key(meta.journal + 1));
        let (mut failed, mut rows) = (None, Vec::new());
        store.scan(Family::Merkle, &from, Some(&until), &mut |key, value| {
            match decode_changes(value) {
                Ok(changes) => rows.push((journal_number(key), changes)),
                Err(error) => failed = Some(error),
            }
            failed.is_none()
        })?;
        if let Some(error) = failed {
            return Err(error);
        }
        let whole = rows.len() as u64 == meta.journal - self.at;
        self.at = meta.journal;
        if !whole {
            // A row of the journal is gone: what it said can only be read from the records.
            self.rebuild();
            return Ok(());
        }
        for change in rows.iter().flat_map(|(_, changes)| changes) {
            self.change(change);
        }
        Ok(())
    }

    fn change(&mut self, change: &LeafChange) {
        if self
            .frontier
            .is_some_and(|frontier| change.position.0 >= frontier)
        {
            return; // read with its bucket
        }
        if let Some(old) = &change.old {
            self.put(change.position, old, false);
        }
        if let Some(new) = &change.new {
            self.put(change.position, new, true);
        }
    }

    fn put(&mut self, position: Position, leaf: &Digest, there: bool) {
        self.changes += 1;
        if there {
            self.count = self.count.wrapping_add(1);
            self.plain.add(&leaf.0);
        } else {
            self.count = self.count.wrapping_sub(1);
            self.plain.take(&leaf.0);
        }
        let Some(key) = &self.key else { return };
        let element = Element::of(key, position, leaf);
        let short = element.short();
        if there {
            self.tree.add(&element);
            self.estimator.add(short);
        } else {
            self.tree.take(&element);
            self.estimator.remove(short);
        }
        self.sketch.toggle(short);
        self.few.toggle(short);
        let bucket = Place::of(position, self.tree.depth()).index;
        self.dirty.insert(bucket / PAGE as u32);
    }

    /// Reads whole buckets from a position on, at least `records_min` records unless there are no more, and holds them
    /// against the tree; while it is rebuilt, takes them in instead.
    pub fn read_strip(
        &mut self,
        store: &dyn Snapshot,
        from: u32,
        records_min: usize,
    ) -> Result<Strip, StoreError> {
        let level = self.tree.depth();
        let mut strip = Strip::default();
        let mut found: Vec<(Position, Digest)> = Vec::new();
        let mut failed = None;
        let mut bucket = Place::of(Position(from), level);
        let start = Position(from).bytes();
        store.scan(Family::Records, &start, None, &mut |key, value| {
            let Some(position) = Position::of_key(key) else {
                failed = Some(misplaced());
                return false;
            };
            let here = Place::of(position, level);
            if here != bucket && found.len() >= records_min {
                strip.next = Some(here.positions().start);
                return false;
            }
            bucket = here;
            match read_leaf(key, value) {
                Ok((leaf, damaged)) => {
                    strip.damaged.extend(damaged);
                    found.push((position, leaf));
                }
                Err(error) => failed = Some(error),
            }
            failed.is_none()
        })?;
        if let Some(error) = failed {
            return Err(error);
        }
        strip.records = found.len();
        let until = strip.next.unwrap_or(Position::ALL);
        if self.frontier == Some(from) {
            self.frontier = strip.next;
            for (position, leaf) in &found {
                self.put(*position, leaf, true);
            }
            if self.frontier.is_none() {
                self.changes = usize::MAX; // keep it soon
                self.dirty = (0..self.pages()).collect();
            }
        } else if let Some(key) = self.key {
            strip.differs = self.differs(&key, from..until, &found);
        }
        Ok(strip)
    }

    fn differs(&self, key: &Key, range: std::ops::Range<u32>, found: &[(Position, Digest)]) -> bool {
        let level = self.tree.depth();
        let first = Place::of(Position(range.start), level).index;
        let last = Place::of(Position(range.end - 1), level).index;
        let mut there = vec![Node::default(); (last - first + 1) as usize];
        for (position, leaf) in found {
            let at = Place::of(*position, level).index - first;
            there[at as usize].add(&Element::of(key, *position, leaf).hash);
        }
        there != self.tree.buckets(first as usize..last as usize + 1)
    }

    pub(super) fn pages(&self) -> u32 {
        self.tree.buckets_len().div_ceil(PAGE) as u32
    }
}

pub(super) fn misplaced() -> StoreError {
    StoreError::Corrupt {
        family: Family::Merkle.name(),
        detail: "a key or a row that is none".to_owned(),
    }
}

fn first_of_journal(store: &dyn Snapshot) -> Result<Option<u64>, StoreError> {
    let mut first = None;
    store.scan(Family::Merkle, &journal_key(0), Some(b"k"), &mut |key, _| {
        first = journal_number(key);
        false
    })?;
    Ok(first)
}

/// The home's key for short ids.
pub fn read_key(store: &dyn Snapshot) -> Result<Option<Key>, StoreError> {
    let row = store.get(Family::Merkle, TREE_KEY)?;
    Ok(row.and_then(|row| row.as_slice().try_into().ok()).map(Key))
}

/// How far each log is held.
pub fn read_clock(store: &dyn Snapshot) -> Result<Clock, StoreError> {
    let (mut points, mut failed) = (Vec::new(), None);
    store.scan(Family::Replicas, &[], None, &mut |key, value| {
        match (key.try_into(), decode_row::<ReplicaRow>(Family::Replicas, value)) {
            (Ok(replica), Ok(row)) => {
                let point = Point {
                    sequence: row.sequence,
                    check: Some(row.hash.check()),
                };
                points.push((ReplicaId(replica), point));
            }
            (_, Err(error)) => failed = Some(error),
            (Err(_), _) => failed = Some(misplaced()),
        }
        failed.is_none()
    })?;
    match failed {
        Some(error) => Err(error),
        None => Ok(points.into_iter().collect()),
    }
}

/// What a row of a record comes to, and whether its bytes are damaged.
fn read_leaf(key: &[u8], value: &[u8]) -> Result<(Digest, Option<(Id, Digest)>), StoreError> {
    let (id, digest) = record_of(key).ok_or_else(misplaced)?;
    debug_assert!(key.len() > POSITION_BYTES);
    let row: RecordRow = decode_row(Family::Records, value)?;
    let leaf = row.leaf(&id, &digest).hash;
    let damaged = !row.forgotten && Digest::of(&row.record) != digest;
    Ok((leaf, damaged.then_some((id, digest))))
}

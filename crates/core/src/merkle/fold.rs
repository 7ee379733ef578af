//! The store as it was at a clock that this hub has passed: what only later entries account for is taken out, in a layer
//! over the mirror, so that writes in flight are no difference.

use std::collections::{BTreeMap, BTreeSet};

use super::bch::Syndromes;
use super::estimate::Estimator;
use super::mirror::Mirror;
use super::sketch::{Cell, Key, toggle_into};
use super::tree::{Element, Node, Place};
use crate::clock::Clock;
use crate::hash::Digest;
use crate::id::{Dot, Id};
use crate::leaf::Position;
use crate::machine::{Entries, restamped, sound_entry};
use crate::store::{
    Family, LogRow, RecordRow, Snapshot, StoreError, decode_row, log_end, log_key, read_log, read_record,
    record_of,
};

/// Records that a fold takes out or changes at most: more is for reconciliation to bring first.
pub const FOLDED_MAX: usize = 4_096;

/// Why there is no fold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The mirror is not ready.
    NotReady,
    /// The clock is not one that this hub has passed: it lacks something, or its chain is another.
    Apart,
    /// Too much has come since.
    TooFar,
}

/// One leaf with its record's name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Known {
    /// Its short id.
    pub short: u64,
    /// Of which thing.
    pub id: Id,
    /// Which record.
    pub digest: Digest,
}

/// A view of the mirror at an earlier clock.
#[derive(Debug)]
pub struct Fold<'m> {
    mirror: &'m Mirror,
    key: Key,
    /// Leaves taken out and put in, with what they are of.
    changes: Vec<(Element, Known, bool)>,
    nodes: BTreeMap<Place, Node>,
}

impl<'m> Fold<'m> {
    /// Folds to a clock. O(records beyond it · their entries).
    pub fn to(
        mirror: &'m Mirror,
        store: &dyn Snapshot,
        meet: &Clock,
    ) -> Result<Result<Fold<'m>, Refusal>, StoreError> {
        let Some(key) = mirror.key().copied().filter(|_| mirror.is_ready()) else {
            return Ok(Err(Refusal::NotReady));
        };
        for (replica, point) in meet.iter() {
            let held = mirror.clock().point(replica);
            let same = match held {
                Some(held) if held.sequence == point.sequence => held.check == point.check,
                Some(held) if held.sequence > point.sequence => {
                    let dot = Dot {
                        replica: *replica,
                        sequence: point.sequence,
                    };
                    read_log(store, dot)?.is_some_and(|row| Some(row.hash.check()) == point.check)
                }
                _ => false,
            };
            if !same {
                return Ok(Err(Refusal::Apart));
            }
        }
        let mut fold = Fold {
            mirror,
            key,
            changes: Vec::new(),
            nodes: BTreeMap::new(),
        };
        match beyond(mirror, store, meet)? {
            Some(records) => {
                let mut entries = Entries::default();
                for (id, digest) in records {
                    fold.take_out(store, &mut entries, id, digest, meet)?;
                }
                Ok(Ok(fold))
            }
            None => Ok(Err(Refusal::TooFar)),
        }
    }

    fn take_out(
        &mut self,
        store: &dyn Snapshot,
        entries: &mut Entries,
        id: Id,
        digest: Digest,
        meet: &Clock,
    ) -> Result<(), StoreError> {
        let Some(row) = read_record(store, &id, &digest)? else {
            return Ok(());
        };
        let earlier = restamped(store, entries, &digest, &row, &|dot| meet.covers(*dot))?;
        let leaf = |row: &RecordRow| row.leaf(&id, &digest);
        let (now, then) = (leaf(&row), earlier.as_ref().map(leaf));
        if then.is_some_and(|then| then == now) {
            return Ok(());
        }
        for (leaf, there) in [(Some(now), false), (then, true)] {
            let Some(leaf) = leaf else { continue };
            let element = Element::of(&self.key, leaf.position, &leaf.hash);
            let known = Known {
                short: element.short(),
                id: id.clone(),
                digest,
            };
            for level in 0..=self.mirror.tree.depth() {
                let node = self.nodes.entry(Place::of(element.position, level)).or_default();
                if there {
                    node.add(&element.hash);
                } else {
                    node.take(&element.hash);
                }
            }
            self.changes.push((element, known, there));
        }
        Ok(())
    }

    /// A node; None below what is kept in memory.
    pub fn node(&self, place: Place) -> Option<Node> {
        let mut node = *self.mirror.tree.node(place)?;
        if let Some(change) = self.nodes.get(&place) {
            node.count = node.count.wrapping_add(change.count);
            node.sum.plus(&change.sum);
        }
        Some(node)
    }

    /// The root.
    pub fn root(&self) -> Digest {
        self.node(Place::ROOT).unwrap_or_default().root()
    }

    /// What finds a few differences at once.
    pub fn few(&self) -> Syndromes {
        let mut few = self.mirror.few.clone();
        self.changes
            .iter()
            .for_each(|(element, ..)| few.toggle(element.short()));
        few
    }

    /// Some cells of the sketch: as many as are kept.
    pub fn cells(&self, from: usize, until: usize) -> Vec<Cell> {
        let kept = self.mirror.cells();
        let (from, until) = (from.min(kept), until.min(kept));
        let mut cells = self.mirror.sketch.cells(from..until).to_vec();
        for (element, ..) in &self.changes {
            toggle_into(&self.key, &mut cells, from, element.short());
        }
        cells
    }

    /// The estimator.
    pub fn estimator(&self) -> Estimator {
        let mut estimator = self.mirror.estimator.clone();
        for (element, _, there) in &self.changes {
            if *there {
                estimator.add(element.short());
            } else {
                estimator.remove(element.short());
            }
        }
        estimator
    }

    /// All leaves below a node, sorted; None if there are more than `max`. O(leaves).
    pub fn leaves(
        &self,
        store: &dyn Snapshot,
        place: Place,
        max: usize,
    ) -> Result<Option<Vec<Known>>, StoreError> {
        let mut leaves = Vec::new();
        let whole = self.visit(store, place, max, &mut |_, known| leaves.push(known))?;
        leaves.sort();
        Ok(whole.then_some(leaves))
    }

    /// All elements below a node, in no order; None if there are more than `max`. O(leaves).
    pub fn elements(
        &self,
        store: &dyn Snapshot,
        place: Place,
        max: usize,
    ) -> Result<Option<Vec<Element>>, StoreError> {
        let mut elements = Vec::new();
        let whole = self.visit(store, place, max, &mut |element, _| elements.push(element))?;
        Ok(whole.then_some(elements))
    }

    /// Whether there were no more than `max`.
    fn visit(
        &self,
        store: &dyn Snapshot,
        place: Place,
        max: usize,
        found: &mut dyn FnMut(Element, Known),
    ) -> Result<bool, StoreError> {
        let range = place.positions();
        let here = |element: &Element| range.contains(&element.position.0);
        let mut taken = BTreeSet::new();
        let mut count = 0;
        for (element, known, there) in &self.changes {
            match (here(element), there) {
                (true, true) => {
                    found(*element, known.clone());
                    count += 1;
                }
                (true, false) => drop(taken.insert((known.short, known.digest))),
                (false, _) => {}
            }
        }
        let mut failed = None;
        let start = Position(range.start).bytes();
        let end = (range.end < Position::ALL).then(|| Position(range.end).bytes());
        let end = end.as_ref().map(|end| end.as_slice());
        store.scan(Family::Records, &start, end, &mut |key, value| {
            let row = decode_row::<RecordRow>(Family::Records, value);
            match (record_of(key), row) {
                (Some((id, digest)), Ok(row)) => {
                    let leaf = row.leaf(&id, &digest);
                    let element = Element::of(&self.key, leaf.position, &leaf.hash);
                    let short = element.short();
                    if !taken.contains(&(short, digest)) {
                        found(element, Known { short, id, digest });
                        count += 1;
                    }
                }
                (_, Err(error)) => failed = Some(error),
                (None, _) => {}
            }
            failed.is_none() && count <= max
        })?;
        failed.map_or(Ok(count <= max), Err)
    }
}

/// The records that entries beyond a clock name; None if there are too many.
fn beyond(
    mirror: &Mirror,
    store: &dyn Snapshot,
    meet: &Clock,
) -> Result<Option<BTreeSet<(Id, Digest)>>, StoreError> {
    let mut records = BTreeSet::new();
    for (replica, point) in mirror.clock().iter() {
        let above = meet.sequence(replica);
        if point.sequence <= above {
            continue;
        }
        let from = log_key(Dot {
            replica: *replica,
            sequence: above + 1,
        });
        let mut failed = None;
        let end = log_end(replica);
        store.scan(Family::Log, &from, end.as_deref(), &mut |_, value| {
            let read = decode_row::<LogRow>(Family::Log, value).map(|row| {
                // What is not as it was is for the check of the logs to find.
                let stamps = sound_entry(&row).map_or_else(Vec::new, |entry| entry.stamps);
                let digests = stamps.iter().map(|stamp| stamp.digest);
                records.extend(row.ids.into_iter().zip(digests));
            });
            failed = read.err();
            failed.is_none() && records.len() <= FOLDED_MAX
        })?;
        if let Some(error) = failed {
            return Err(error);
        }
        if records.len() > FOLDED_MAX {
            return Ok(None);
        }
    }
    Ok(Some(records))
}

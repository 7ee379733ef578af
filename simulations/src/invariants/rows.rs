//! Reading a hub's disk for the checks: its rows as they are, not as its rooms show them.

use std::collections::{BTreeMap, BTreeSet};

use inbetweenies_core::entry::Entry;
use inbetweenies_core::hash::Digest;
use inbetweenies_core::id::{Dot, Id};
use inbetweenies_core::record::Record;
use inbetweenies_core::store::{Family, IdRow, LogRow, RecordRow, Snapshot, decode_row};
use serde::de::DeserializeOwned;

use crate::world::World;

/// All rows of a table.
pub fn rows<T: DeserializeOwned>(store: &dyn Snapshot, family: Family) -> BTreeMap<Vec<u8>, T> {
    let mut rows = BTreeMap::new();
    let scanned = store.scan(family, &[], None, &mut |key, value| {
        if let Ok(row) = decode_row(family, value) {
            rows.insert(key.to_vec(), row);
        }
        true
    });
    debug_assert!(scanned.is_ok(), "memory reads");
    rows
}

/// All keys of a table.
pub fn keys(store: &dyn Snapshot, family: Family) -> BTreeSet<Vec<u8>> {
    let mut keys = BTreeSet::new();
    let scanned = store.scan(family, &[], None, &mut |key, _| {
        keys.insert(key.to_vec());
        true
    });
    debug_assert!(scanned.is_ok(), "memory reads");
    keys
}

/// A record as it lies on a disk.
pub struct Held {
    /// What it says.
    pub record: Record,
    /// Its name.
    pub digest: Digest,
    /// What is kept beside it.
    pub row: RecordRow,
}

/// All records of a disk, with their dots in order.
pub fn records(store: &dyn Snapshot) -> Vec<Held> {
    let rows = rows::<RecordRow>(store, Family::Records).into_iter();
    rows.filter_map(|(key, mut row)| {
        row.dots.sort();
        Some(Held {
            record: Record::from_stored(&row.record).ok()?,
            digest: digest(&key, &row)?,
            row,
        })
    })
    .collect()
}

/// The name of a record: worked out of its bytes, unless they are what is left of it.
pub fn digest(key: &[u8], row: &RecordRow) -> Option<Digest> {
    if row.forgotten {
        let tail = key.get(key.len().checked_sub(32)?..)?;
        return tail.try_into().ok().map(Digest);
    }
    Some(Digest::of(&row.record))
}

/// All records of a disk, by id.
pub fn by_id(store: &dyn Snapshot) -> BTreeMap<Id, Vec<Held>> {
    let mut ids: BTreeMap<Id, Vec<Held>> = BTreeMap::new();
    for held in records(store) {
        ids.entry(held.record.id.clone()).or_default().push(held);
    }
    ids
}

/// The log of a disk.
pub fn log(store: &dyn Snapshot) -> Vec<(Dot, LogRow, Entry)> {
    let rows = rows::<LogRow>(store, Family::Log).into_values();
    rows.filter_map(|row| {
        let entry = Entry::from_stored(&row.entry).ok()?;
        Some((entry.dot, row, entry))
    })
    .collect()
}

/// The heads that a disk keeps of each id.
pub fn heads(store: &dyn Snapshot) -> BTreeMap<Vec<u8>, IdRow> {
    rows(store, Family::Ids)
}

/// The hubs of a world.
pub fn hubs(world: &World) -> std::ops::Range<usize> {
    0..world.hubs.len()
}

/// What each version follows, as its row says, of those that are held. An edge in a circle counts as absent.
pub fn edges(versions: &[Held]) -> BTreeMap<Digest, BTreeSet<Digest>> {
    let held: BTreeSet<Digest> = versions.iter().map(|held| held.digest).collect();
    let all: BTreeMap<Digest, BTreeSet<Digest>> = versions
        .iter()
        .map(|version| {
            let edges = version.row.edges.iter().copied();
            (
                version.digest,
                edges.filter(|digest| held.contains(digest)).collect(),
            )
        })
        .collect();
    let above = above(&all);
    let mut edges = all;
    for (child, parents) in &mut edges {
        parents.retain(|parent| !above[parent].contains(child));
    }
    edges
}

/// The ancestors of each version.
pub fn above(edges: &BTreeMap<Digest, BTreeSet<Digest>>) -> BTreeMap<Digest, BTreeSet<Digest>> {
    let reach = |from: &Digest| {
        let mut seen = BTreeSet::new();
        let mut front = vec![*from];
        while let Some(at) = front.pop() {
            for parent in edges.get(&at).into_iter().flatten() {
                if seen.insert(*parent) {
                    front.push(*parent);
                }
            }
        }
        seen
    };
    edges.keys().map(|digest| (*digest, reach(digest))).collect()
}

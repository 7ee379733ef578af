//! What reads of the past need: the heads of an id at each instant, and what was shown once and is not now.
//!
//! Written in the same commit as the records. An id with one record needs no rows: it was there from its order time on.

use std::collections::{BTreeMap, BTreeSet};

use super::group::Group;
use super::index::Lag;
use crate::entry::Sealed;
use crate::hash::Digest;
use crate::id::Id;
use crate::limits::TIMED_HEADS_MAX;
use crate::record::{Kind, Record};
use crate::store::{
    Family, IdRow, RecordRow, Shown, StoreError, TimeRow, encode_row, id_key, past_edge_key, past_type_key,
    scan_prefix, time_key,
};
use crate::time::Micros;
use crate::view::Graph;
use crate::zoo::{self, Bug};

impl Group<'_> {
    /// Follows a new record in the rows of its id's heads by time: O(1) where it is the newest, as it mostly is.
    /// `next` has the heads with it.
    pub fn note_time(
        &mut self,
        sealed: &Sealed,
        row: &RecordRow,
        missing: bool,
        old: Option<&IdRow>,
        next: &mut IdRow,
    ) {
        let id = &sealed.record.id;
        let plain = sealed.record.parents.iter().all(|parent| parent.digest.is_some());
        let Some(old) = old else {
            next.timed = plain && !missing;
            return;
        };
        if !old.timed || !plain || missing || row.order_time <= old.newest {
            // It stands between others: their rows are worked out anew.
            if !zoo::planted(Bug::PastIndexStale) {
                self.lags(id, Lag::Heads);
            }
            next.newest = next.newest.max(row.order_time);
            return;
        }
        if old.records == 1 {
            let (at, _, digest) = &old.eldest;
            self.put_time(id, *at, digest, &old.heads);
        }
        next.newest = row.order_time;
        self.put_time(id, row.order_time, &sealed.digest, &next.heads);
    }

    fn put_time(&mut self, id: &Id, at: Micros, digest: &Digest, heads: &[Digest]) {
        let (key, value) = time_row(id, at, digest, heads);
        self.overlay.put(Family::Times, key, value);
    }

    /// Works out the rows of an id's heads by time, and writes those that differ. False if they cannot tell: a parent is
    /// missing, or not older than its child. O(versions · heads).
    pub fn rework_times(&mut self, id: &Id, graph: &Graph) -> Result<bool, StoreError> {
        let times = times(graph);
        let told = times.is_some();
        let mut wanted: BTreeMap<Vec<u8>, Vec<u8>> = times
            .filter(|rows| rows.len() > 1)
            .iter()
            .flatten()
            .map(|(at, digest, heads)| time_row(id, *at, digest, heads))
            .collect();
        let mut stale = Vec::new();
        scan_prefix(&self.overlay, Family::Times, &id_key(id), &mut |key, value| {
            match wanted.get(key) {
                Some(row) if row == value => drop(wanted.remove(key)),
                Some(_) => {}
                None => stale.push(key.to_vec()),
            }
            true
        })?;
        stale
            .into_iter()
            .for_each(|key| self.overlay.delete(Family::Times, key));
        for (key, row) in wanted {
            self.overlay.put(Family::Times, key, row);
        }
        Ok(told)
    }

    /// A relationship that stood elsewhere than is shown may have been shown there at some instant.
    pub fn note_ends(&mut self, record: &Record, old: Option<&IdRow>) {
        let Kind::Relationship { from, to, .. } = &record.kind else {
            return;
        };
        let shown = |row: &IdRow| matches!(&row.shown, Shown::Relationship { from: f, to: t, .. } if f == from && t == to);
        // The first of its id will be shown, unless its row lags and others come in the same group.
        let first = || !self.lagging.contains_key(&record.id);
        if !old.map_or_else(first, shown) && !zoo::planted(Bug::LateEditHidden) {
            self.put_past_edge(from, to, &record.id);
        }
    }

    /// What is not shown any more, or not there, is still found by those who look at the past.
    pub fn note_past(&mut self, id: &Id, before: &Shown, next: &IdRow) {
        match &next.entity_type {
            Some(entity_type) if next.shown == Shown::Nothing => {
                self.overlay
                    .put(Family::Past, past_type_key(entity_type, id), Vec::new());
            }
            Some(_) | None => {}
        }
        if let Shown::Relationship { from, to, .. } = before
            && *before != next.shown
        {
            self.put_past_edge(from, to, id);
        }
    }

    fn put_past_edge(&mut self, from: &Id, to: &Id, id: &Id) {
        for end in [from, to] {
            self.overlay.put(Family::Past, past_edge_key(end, id), Vec::new());
        }
    }
}

fn time_row(id: &Id, at: Micros, digest: &Digest, heads: &[Digest]) -> (Vec<u8>, Vec<u8>) {
    let heads = (heads.len() <= TIMED_HEADS_MAX).then(|| heads.to_vec());
    (time_key(id, at, digest), encode_row(&TimeRow { heads }))
}

/// For each record the heads of all that stand no later than it, in the order of (order time, then the larger digest
/// first): the row that a scan meets first at an instant holds all of that instant. None if some parent is missing or
/// not older than its child, or was named by version alone: what a name stands for may differ from instant to instant.
fn times(graph: &Graph) -> Option<Vec<(Micros, Digest, Vec<Digest>)>> {
    let mut parents = graph.nodes().flat_map(|node| &node.sealed.record.parents);
    if parents.any(|parent| parent.digest.is_none()) || !graph.missing_parents().is_empty() {
        return None;
    }
    let mut nodes: Vec<_> = graph.nodes().collect();
    nodes.sort_by_key(|node| (node.order_time, std::cmp::Reverse(node.sealed.digest)));
    let mut heads: BTreeSet<Digest> = BTreeSet::new();
    let mut rows = Vec::with_capacity(nodes.len());
    for node in nodes {
        for parent in graph.parents(&node.sealed.digest) {
            if graph.node(parent)?.order_time >= node.order_time {
                return None;
            }
            heads.remove(parent);
        }
        heads.insert(node.sealed.digest);
        let kept = if heads.len() <= TIMED_HEADS_MAX + 1 {
            heads.iter().copied().collect()
        } else {
            vec![node.sealed.digest; TIMED_HEADS_MAX + 1] // too many to be kept, whichever they are
        };
        rows.push((node.order_time, node.sealed.digest, kept));
    }
    Some(rows)
}

//! Putting a record in: its row, the heads of its id, and what the index shows of it.

use std::sync::Arc;

use super::group::Group;
use crate::domain::{HORIZON, MEMBER, POLICY_ID, is_reserved};
use crate::entry::{Sealed, Stamp};
use crate::hash::Digest;
use crate::id::{Dot, Id};
use crate::leaf::Leaf;
use crate::machine::load_graph;
use crate::record::{Kind, Record};
use crate::store::{
    End, Family, IdRow, RecordRow, Shown, Snapshot, StoreError, awaiting_key, decode_row, edge_key,
    encode_row, id_key, read_id, read_record, record_key, trailing_id, type_key,
};
use crate::time::Micros;
use crate::view::{horizon, view};
use crate::zoo::{self, Bug};

/// How far the kept row of an id lags behind its records, until the group closes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Lag {
    /// Heads, type and counts are exact; what is shown and queued is that of before.
    View,
    /// The heads are those that digests alone give.
    Heads,
}

impl Group<'_> {
    /// Takes a record in under one more dot.
    ///
    /// O(1) where it replaces heads that are known by digest and leaves one. Else the id's graph is worked out whole,
    /// once for all that a group brings of it: see [`Group::settle_ids`].
    pub fn insert(&mut self, sealed: &Arc<Sealed>, dot: Dot, stamp: &Stamp) -> Result<(), StoreError> {
        let record = &sealed.record;
        let id = &record.id;
        let (mut edges, late) = stamp.edges(record);
        if zoo::planted(Bug::LateParentRevives) {
            edges.retain(|edge| read_record(&self.overlay, id, edge).is_ok_and(|row| row.is_some()));
        }
        let known = read_record(&self.overlay, id, &sealed.digest)?;
        let id_row = read_id(&self.overlay, id)?;
        self.policy_touched |= id.as_str() == POLICY_ID;
        self.members_touched |= record.entity_type() == Some(MEMBER);
        if let Some(mut row) = known {
            let before = (row.order_time, row.edges.clone(), row.late.clone());
            if row.dots.is_empty() {
                // Its entries fell with a branch, and their stamps with them: nobody else will ever hold those.
                (row.order_time, row.edges, row.late) = (stamp.order_time, edges, late);
            } else {
                if !zoo::planted(Bug::FirstStampKept) {
                    row.order_time = row.order_time.min(stamp.order_time);
                }
                if zoo::planted(Bug::EdgesReplaced) {
                    row.edges.clear();
                }
                row.edges.extend(edges);
                row.edges.sort();
                row.edges.dedup();
                row.late.extend(late);
            }
            row.dots.push(dot);
            row.late.sort();
            row.late.dedup();
            let changed = before != (row.order_time, row.edges.clone(), row.late.clone());
            if changed {
                let (order_time, edges, late) = before;
                let old = Leaf::of(id, &sealed.digest, order_time, &edges, &late);
                self.note_leaf(Some(old), Some(row.leaf(id, &sealed.digest)));
            }
            self.overlay
                .put(Family::Records, record_key(id, &sealed.digest), encode_row(&row));
            if changed {
                self.await_parents(sealed, &row, None)?;
                self.lags(id, Lag::Heads);
            }
            return Ok(());
        }
        if id.as_str() == HORIZON {
            self.new_horizons.extend(horizon(record));
        }
        let mut order_time = stamp.order_time;
        if zoo::planted(Bug::TieByArrival) {
            for head in id_row.iter().flat_map(|row| &row.heads) {
                let other = read_record(&self.overlay, id, head)?;
                if other.is_some_and(|other| other.order_time == order_time) {
                    order_time = order_time.next();
                }
            }
        }
        let row = RecordRow {
            order_time,
            dots: vec![dot],
            edges,
            late,
            record: sealed.bytes.clone(),
            forgotten: sealed.forgotten,
        };
        self.note_leaf(None, Some(row.leaf(id, &sealed.digest)));
        if !sealed.forgotten {
            self.refer(record, &sealed.digest);
        }
        self.overlay
            .put(Family::Records, record_key(id, &sealed.digest), encode_row(&row));
        self.state.meta.records += 1;
        if let Some(bearers) = self.bearers.get_mut(id) {
            bearers.add(&record.version, sealed.digest);
        }
        let awaited = awaiting_key(id, &sealed.digest);
        let was_awaited = self.overlay.get(Family::Awaiting, &awaited)?.is_some();
        if was_awaited {
            self.overlay.delete(Family::Awaiting, awaited);
        }
        let missing = self.await_parents(sealed, &row, id_row.as_ref())?;
        let late = !row.late.is_empty() || id_row.as_ref().is_some_and(|row| row.late);
        if was_awaited || late || row.edges.contains(&sealed.digest) {
            self.lags(id, Lag::Heads);
        }
        self.extend(sealed, &row, id_row, missing);
        Ok(())
    }

    /// Notes the parents of a record that have not come yet; whether there are any. Those that are heads are here.
    fn await_parents(
        &mut self,
        sealed: &Sealed,
        row: &RecordRow,
        id_row: Option<&IdRow>,
    ) -> Result<bool, StoreError> {
        let id = &sealed.record.id;
        let mut missing = false;
        for edge in &row.edges {
            let is_head = id_row.is_some_and(|row| row.heads.binary_search(edge).is_ok());
            if !is_head && *edge != sealed.digest && read_record(&self.overlay, id, edge)?.is_none() {
                missing = true;
                self.overlay
                    .put(Family::Awaiting, awaiting_key(id, edge), Vec::new());
            }
        }
        Ok(missing)
    }

    /// Follows a new record in its id's row: exactly, unless something but its own edges bears on the heads.
    fn extend(&mut self, sealed: &Arc<Sealed>, row: &RecordRow, old: Option<IdRow>, missing: bool) {
        let record = &sealed.record;
        let rank = (row.order_time, record.version.clone(), sealed.digest);
        let entity_type = record.entity_type().map(str::to_owned);
        let mut next = old.clone().unwrap_or_else(|| IdRow {
            entity_type: entity_type.clone(),
            eldest: rank.clone(),
            heads: Vec::new(),
            late: false,
            gaps: false,
            records: 0,
            shown: Shown::Nothing,
            queued: false,
            newest: row.order_time,
            timed: true,
        });
        if rank < next.eldest {
            (next.eldest, next.entity_type) = (rank, entity_type);
        }
        next.heads.retain(|head| row.edges.binary_search(head).is_err());
        next.heads.push(sealed.digest);
        next.heads.sort();
        next.late |= !row.late.is_empty();
        next.gaps |= missing;
        next.records += 1;
        self.note_ends(record, old.as_ref());
        self.note_time(sealed, row, missing, old.as_ref(), &mut next);
        let alone = next.heads.len() == 1 && record.is_entity() == next.entity_type.is_some();
        if alone && !self.lagging.contains_key(&record.id) {
            next.shown = shown(record, next.entity_type.as_deref());
            next.queued = false;
            self.put_id(&record.id, old, next);
        } else {
            self.lags(&record.id, Lag::View);
            self.overlay
                .put(Family::Ids, id_key(&record.id), encode_row(&next));
        }
    }

    /// Notes that an id's row lags.
    pub fn lags(&mut self, id: &Id, lag: Lag) {
        let noted = self.lagging.entry(id.clone()).or_insert(lag);
        *noted = lag.max(*noted);
    }

    /// Where several heads stand, what is shown and queued hangs on the policy: notes all such ids. O(ids).
    pub fn contested_lag(&mut self) -> Result<(), StoreError> {
        let (mut contested, mut failed) = (Vec::new(), None);
        self.overlay.scan(Family::Ids, &[], None, &mut |key, value| {
            match decode_row::<IdRow>(Family::Ids, value) {
                Ok(row) if row.heads.len() > 1 => contested.extend(trailing_id(key, 0)),
                Ok(_) => {}
                Err(error) => failed = Some(error),
            }
            failed.is_none()
        })?;
        contested.iter().for_each(|id| self.lags(id, Lag::View));
        failed.map_or(Ok(()), Err)
    }

    /// Notes that the rows of all ids lag. O(ids).
    pub fn all_lag(&mut self) -> Result<(), StoreError> {
        let mut ids = Vec::new();
        self.overlay.scan(Family::Ids, &[], None, &mut |key, _| {
            ids.extend(trailing_id(key, 0));
            true
        })?;
        ids.iter().for_each(|id| self.lags(id, Lag::Heads));
        Ok(())
    }

    /// Works out the rows of all ids that lag.
    pub fn settle_ids(&mut self) -> Result<(), StoreError> {
        while let Some((id, _)) = self.lagging.pop_first() {
            self.rework(&id)?;
        }
        Ok(())
    }

    /// Works out an id's row if its heads are not exact.
    pub fn settle_heads(&mut self, id: &Id) -> Result<(), StoreError> {
        if self.lagging.get(id) == Some(&Lag::Heads) {
            self.lagging.remove(id);
            self.rework(id)?;
        }
        Ok(())
    }

    /// The long way: the id's whole graph, and the view that the index follows. O(versions).
    fn rework(&mut self, id: &Id) -> Result<(), StoreError> {
        let old = read_id(&self.overlay, id)?;
        let graph = load_graph(&self.overlay, id)?;
        let timed = self.rework_times(id, &graph)?;
        let (Some(view), Some(eldest)) = (view(&graph, &self.state.policy), graph.eldest()) else {
            return self.unlist(id, old); // its only record was set aside
        };
        let entity_type = eldest.sealed.record.entity_type().map(str::to_owned);
        let (order_time, version, digest) = eldest.rank();
        let next = IdRow {
            shown: shown(&view.record, entity_type.as_deref()),
            entity_type,
            eldest: (order_time, version.clone(), *digest),
            heads: graph.heads().iter().map(|node| node.sealed.digest).collect(),
            late: graph.nodes().any(|node| !node.late.is_empty()),
            gaps: !view.missing_parents.is_empty(),
            records: graph.nodes().count() as u64,
            queued: view.queued,
            newest: graph
                .nodes()
                .map(|node| node.order_time)
                .max()
                .unwrap_or_default(),
            timed,
        };
        self.put_id(id, old, next);
        Ok(())
    }

    /// Takes out what is listed of an id that has no record any more.
    fn unlist(&mut self, id: &Id, old: Option<IdRow>) -> Result<(), StoreError> {
        let Some(old) = old else { return Ok(()) };
        for (family, key) in index_keys(id, &old.shown) {
            self.overlay.delete(family, key);
        }
        self.count(&old.shown, false);
        if old.queued {
            self.overlay.delete(Family::Queue, id_key(id));
            self.state.meta.queued -= 1;
        }
        self.overlay.delete(Family::Ids, id_key(id));
        Ok(())
    }

    fn put_id(&mut self, id: &Id, old: Option<IdRow>, next: IdRow) {
        let before = old.as_ref().map_or(&Shown::Nothing, |row| &row.shown);
        if *before != next.shown {
            for key in index_keys(id, before) {
                if zoo::planted(Bug::StaleIndex) {
                    continue;
                }
                self.overlay.delete(key.0, key.1);
            }
            for key in index_keys(id, &next.shown) {
                self.overlay.put(key.0, key.1, Vec::new());
            }
            self.count(before, false);
            self.count(&next.shown, true);
        }
        self.note_past(id, before, &next);
        let was_queued = old.is_some_and(|row| row.queued);
        if next.queued && !was_queued {
            self.overlay.put(Family::Queue, id_key(id), Vec::new());
            self.state.meta.queued += 1;
        } else if was_queued && !next.queued {
            self.overlay.delete(Family::Queue, id_key(id));
            self.state.meta.queued -= 1;
        }
        if zoo::planted(Bug::TombstoneDropped)
            && let (Shown::Nothing, [only]) = (&next.shown, &next.heads[..])
        {
            self.overlay.delete(Family::Ids, id_key(id));
            return self.overlay.delete(Family::Records, record_key(id, only));
        }
        self.overlay.put(Family::Ids, id_key(id), encode_row(&next));
    }

    fn count(&mut self, shown: &Shown, in_or_out: bool) {
        let total = match shown {
            Shown::Nothing => return,
            Shown::Entity { entity_type } if is_reserved(entity_type) => return,
            Shown::Entity { .. } => &mut self.state.meta.entities,
            Shown::Relationship { .. } => &mut self.state.meta.relationships,
        };
        *total = if in_or_out { *total + 1 } else { *total - 1 };
    }

    /// The largest order time among the parents that this hub knows.
    pub fn largest_parent(
        &self,
        record: &Record,
        resolved: &[Vec<Digest>],
    ) -> Result<Option<Micros>, StoreError> {
        let named = record.parents.iter().filter_map(|parent| parent.digest.as_ref());
        let mut largest = None;
        for digest in named.chain(resolved.iter().flatten()) {
            if let Some(row) = read_record(&self.overlay, &record.id, digest)? {
                largest = largest.max(Some(row.order_time));
            }
        }
        Ok(largest)
    }
}

fn shown(record: &Record, entity_type: Option<&str>) -> Shown {
    match (&record.kind, entity_type) {
        _ if record.deleted => Shown::Nothing,
        (Kind::Entity { .. }, Some(entity_type)) => Shown::Entity {
            entity_type: entity_type.to_owned(),
        },
        (
            Kind::Relationship {
                from,
                to,
                relationship_type,
            },
            _,
        ) => Shown::Relationship {
            from: from.clone(),
            to: to.clone(),
            relationship_type: relationship_type.clone(),
        },
        (Kind::Entity { .. }, None) => Shown::Nothing,
    }
}

fn index_keys(id: &Id, shown: &Shown) -> Vec<(Family, Vec<u8>)> {
    match shown {
        Shown::Nothing => Vec::new(),
        Shown::Entity { entity_type } => vec![(Family::Types, type_key(entity_type, id))],
        Shown::Relationship {
            from,
            to,
            relationship_type,
        } => vec![
            (Family::Edges, edge_key(from, End::From, relationship_type, id)),
            (Family::Edges, edge_key(to, End::To, relationship_type, id)),
        ],
    }
}

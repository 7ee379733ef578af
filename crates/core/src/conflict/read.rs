//! What readers are given: views, lists, edges around a thing, versions. Each call reads one snapshot.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::clock::{Clock, Point};
use crate::entry::Entry;
use crate::hash::Digest;
use crate::id::{Id, Version};
use crate::machine::{load_graph, load_view};
use crate::record::Record;
use crate::store::{
    End, Family, ReplicaRow, Snapshot, StoreError, decode_row, id_key, read_id, read_log, read_record,
    read_replica, scan_prefix, trailing_id, type_key, type_prefix,
};
use crate::value::Map;
use crate::view::{Policy, View, overruled, view};
use crate::wire::{ClockMap, clock_to_wire};

/// One entity or relationship as `GET /api/v2/entities/{id}` and `/relationships/{id}` show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Shown {
    /// The fields, under `entity`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entity: Option<Map>,
    /// Or under `relationship`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub relationship: Option<Map>,
    /// What an edit should name in `parent_versions`; heads that it does not name stay heads.
    pub heads: Vec<String>,
    /// Their digests, in the same order: for `parent_digests`.
    pub head_digests: Vec<String>,
    /// Whether this is the last write, marked, until a person or other software answers.
    pub provisional: bool,
    /// Whether heads differ.
    pub conflict: bool,
    /// How they became one.
    pub strategy: &'static str,
    /// Named as parents and not held here.
    pub missing_parents: Vec<String>,
    /// What this answer is computed from.
    #[serde(skip_serializing_if = "ClockMap::is_empty")]
    pub complete_to: ClockMap,
}

impl Shown {
    fn of(view: &View) -> Shown {
        let map = view.record.to_wire();
        let (entity, relationship) = if view.record.is_entity() {
            (Some(map), None)
        } else {
            (None, Some(map))
        };
        Shown {
            entity,
            relationship,
            heads: view.heads.iter().map(|head| head.version.to_string()).collect(),
            head_digests: view
                .heads
                .iter()
                .filter_map(|h| h.digest)
                .map(|d| d.to_string())
                .collect(),
            provisional: view.provisional,
            conflict: view.conflict,
            strategy: view.strategy.name(),
            missing_parents: view.missing_parents.iter().map(Version::to_string).collect(),
            complete_to: ClockMap::new(),
        }
    }

    /// Whether it says "deleted".
    pub fn is_deleted(&self) -> bool {
        let map = self.entity.as_ref().or(self.relationship.as_ref());
        map.is_some_and(|map| map.get("deleted") == Some(&crate::value::Value::Bool(true)))
    }
}

/// How far each log is held, as the snapshot has it.
pub fn clock(store: &dyn Snapshot) -> Result<Clock, StoreError> {
    let mut points = BTreeMap::new();
    let mut failed = None;
    store.scan(Family::Replicas, &[], None, &mut |key, value| {
        match (
            key.try_into().map(crate::id::ReplicaId),
            decode_row::<ReplicaRow>(Family::Replicas, value),
        ) {
            (Ok(replica), Ok(row)) => {
                points.insert(
                    replica,
                    Point {
                        sequence: row.sequence,
                        check: Some(row.hash.check()),
                    },
                );
            }
            (_, Err(error)) => failed = Some(error),
            (Err(_), Ok(_)) => {}
        }
        failed.is_none()
    })?;
    failed.map_or_else(|| Ok(points.into_iter().collect()), Err)
}

/// One id's view; None if nothing is known of it, or if it is of the other kind.
pub fn one(
    store: &dyn Snapshot,
    policy: &Policy,
    id: &Id,
    entity: bool,
) -> Result<Option<Shown>, StoreError> {
    let Some(view) = load_view(store, policy, id)? else {
        return Ok(None);
    };
    if view.record.is_entity() != entity {
        return Ok(None);
    }
    let mut shown = Shown::of(&view);
    shown.complete_to = clock_to_wire(&clock(store)?).0;
    Ok(Some(shown))
}

/// A page of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Page<T> {
    /// In the order of (type, id).
    #[serde(flatten)]
    pub items: T,
    /// To be given back for the next page; null on the last.
    pub cursor: Option<String>,
}

/// Entities, under their name on the wire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entities {
    /// Views.
    pub entities: Vec<Shown>,
}

/// Relationships, under their name on the wire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Relationships {
    /// Views.
    pub relationships: Vec<Shown>,
}

/// What is shown, of one type or of all, after the cursor (`type/id` of the last one given).
pub fn entities(
    store: &dyn Snapshot,
    policy: &Policy,
    entity_type: Option<&str>,
    cursor: Option<&str>,
    limit: usize,
) -> Result<Page<Entities>, StoreError> {
    let prefix = entity_type.map_or_else(Vec::new, type_prefix);
    let start = match cursor.and_then(|cursor| cursor.split_once('/')) {
        Some((kind, id)) => match Id::new(id) {
            Ok(id) => {
                let mut key = type_key(kind, &id);
                key.push(0); // just after it
                key.max(prefix.clone())
            }
            Err(_) => prefix.clone(),
        },
        None => prefix.clone(),
    };
    let mut found: Vec<Id> = Vec::new();
    store.scan(
        Family::Types,
        &start,
        crate::store::prefix_end(&prefix).as_deref(),
        &mut |key, _| {
            let before = 1 + key.first().map_or(0, |len| usize::from(*len));
            // Reserved types are the home's own business.
            if key.get(1) != Some(&b'_') {
                found.extend(trailing_id(key, before));
            }
            found.len() <= limit
        },
    )?;
    let more = found.len() > limit;
    found.truncate(limit);
    let mut entities = Vec::with_capacity(found.len());
    let mut last = None;
    for id in &found {
        if let Some(view) = load_view(store, policy, id)? {
            last = view.record.entity_type().map(|name| format!("{name}/{id}"));
            entities.push(Shown::of(&view));
        }
    }
    Ok(Page {
        items: Entities { entities },
        cursor: if more { last } else { None },
    })
}

/// The edges around a thing, or of a type, or all; at most `limit`, in the order of their ids, after the cursor.
pub fn relationships(
    store: &dyn Snapshot,
    policy: &Policy,
    entity: Option<&Id>,
    relationship_type: Option<&str>,
    cursor: Option<&str>,
    limit: usize,
) -> Result<Page<Relationships>, StoreError> {
    let prefix = entity.map_or_else(Vec::new, id_key);
    // Every relationship stands under both its ends; the set gives each once, in one order.
    let mut found: BTreeSet<Id> = BTreeSet::new();
    scan_prefix(store, Family::Edges, &prefix, &mut |key, _| {
        let end = 1 + key.first().map_or(0, |len| usize::from(*len));
        let kind_at = end + 1;
        let kind_len = key.get(kind_at).map_or(0, |len| usize::from(*len));
        let kind = key.get(kind_at + 1..kind_at + 1 + kind_len);
        let wanted = relationship_type.is_none_or(|wanted| kind == Some(wanted.as_bytes()));
        let counted = entity.is_some() || key.get(end) == Some(&(End::From as u8));
        if wanted
            && counted
            && let Some(id) = trailing_id(key, kind_at + 1 + kind_len)
            && cursor.is_none_or(|cursor| id.as_str() > cursor)
        {
            found.insert(id);
            if found.len() > limit + 1 {
                found.pop_last();
            }
        }
        true
    })?;
    let more = found.len() > limit;
    if more {
        found.pop_last();
    }
    let cursor = if more {
        found.last().map(Id::to_string)
    } else {
        None
    };
    let mut relationships = Vec::with_capacity(found.len());
    for id in &found {
        if let Some(view) = load_view(store, policy, id)? {
            relationships.push(Shown::of(&view));
        }
    }
    Ok(Page {
        items: Relationships { relationships },
        cursor,
    })
}

/// The conflicts that wait for a person, in the order of their ids.
pub fn queue(store: &dyn Snapshot, policy: &Policy, limit: usize) -> Result<Vec<Shown>, StoreError> {
    let mut ids = Vec::new();
    store.scan(Family::Queue, &[], None, &mut |key, _| {
        ids.extend(trailing_id(key, 0));
        ids.len() < limit
    })?;
    let mut queued = Vec::with_capacity(ids.len());
    for id in ids {
        queued.extend(load_view(store, policy, &id)?.map(|view| Shown::of(&view)));
    }
    Ok(queued)
}

/// One version in a history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VersionRow {
    /// The record as its writer wrote it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entity: Option<Map>,
    /// Or, of a relationship.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub relationship: Option<Map>,
    /// Its identity.
    pub digest: String,
    /// Versions that it replaces and that are held.
    pub parents: Vec<String>,
    /// Versions that replace it.
    pub children: Vec<String>,
    /// `head`, `lost` (a head of which readers do not see all that it wrote) or `superseded`.
    pub state: &'static str,
    /// Where and when it was accepted.
    pub accepted: Vec<AcceptedRow>,
}

/// One hub's acceptance of a version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AcceptedRow {
    /// The hub.
    pub hub_id: String,
    /// Its stamp.
    pub order_time: String,
}

/// Every version of an id, newest first. O(versions · acceptances).
pub fn history(
    store: &dyn Snapshot,
    policy: &Policy,
    id: &Id,
) -> Result<Option<Vec<VersionRow>>, StoreError> {
    if read_id(store, id)?.is_none() {
        return Ok(None);
    }
    let graph = load_graph(store, id)?;
    let Some(view) = view(&graph, policy) else {
        return Ok(None);
    };
    let heads: BTreeSet<Digest> = graph.heads().iter().map(|head| head.sealed.digest).collect();
    let mut children: BTreeMap<Digest, Vec<String>> = BTreeMap::new();
    for node in graph.nodes() {
        for parent in graph.parents(&node.sealed.digest) {
            children
                .entry(*parent)
                .or_default()
                .push(node.sealed.record.version.to_string());
        }
    }
    let mut nodes: Vec<_> = graph.nodes().collect();
    nodes.sort_by(|a, b| crate::view::by_rank(b, a));
    let mut rows = Vec::with_capacity(nodes.len());
    for node in nodes {
        let digest = node.sealed.digest;
        let state = match (
            heads.contains(&digest),
            view.conflict && overruled(&graph, &view.record, &digest),
        ) {
            (true, false) => "head",
            (true, true) => "lost",
            (false, _) => "superseded",
        };
        let version = |d: &Digest| graph.node(d).map(|node| node.sealed.record.version.to_string());
        let map = node.sealed.record.to_wire();
        let (entity, relationship) = if node.sealed.record.is_entity() {
            (Some(map), None)
        } else {
            (None, Some(map))
        };
        rows.push(VersionRow {
            entity,
            relationship,
            digest: digest.to_string(),
            parents: graph.parents(&digest).filter_map(version).collect(),
            children: children.remove(&digest).unwrap_or_default(),
            state,
            accepted: accepted(store, &node.sealed.record, &digest)?,
        });
    }
    Ok(Some(rows))
}

fn accepted(store: &dyn Snapshot, record: &Record, digest: &Digest) -> Result<Vec<AcceptedRow>, StoreError> {
    let mut rows = Vec::new();
    for dot in read_record(store, &record.id, digest)?.map_or_else(Vec::new, |row| row.dots) {
        let (Some(log), Some(replica)) = (read_log(store, dot)?, read_replica(store, &dot.replica)?) else {
            continue;
        };
        let Ok(entry) = Entry::from_stored(&log.entry) else {
            continue;
        };
        if let Some(stamp) = entry.stamps.iter().find(|stamp| stamp.digest == *digest) {
            let order_time = stamp.order_time.to_string();
            rows.push(AcceptedRow {
                hub_id: replica.hub_id.to_string(),
                order_time,
            });
        }
    }
    // The order of arrival is this hub's own; what is shown is the same on all.
    rows.sort_by(|a: &AcceptedRow, b| (&a.order_time, &a.hub_id).cmp(&(&b.order_time, &b.hub_id)));
    Ok(rows)
}

//! Lists: things by type, edges around a thing, the conflicts that wait for a person.

use std::collections::BTreeSet;

use serde::Serialize;

use super::{Shown, view_of};
use crate::id::Id;
use crate::machine::load_view;
use crate::record::Kind;
use crate::store::{
    End, Family, Snapshot, StoreError, id_key, past_edges, past_types, prefix_end, scan_prefix, trailing_id,
    type_key, type_prefix,
};
use crate::time::Micros;
use crate::view::{Policy, View};

/// A page of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Page<T> {
    /// By type, then id, the shorter first; relationships by id.
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

/// What is shown, of one type or of all, after the cursor (`type/id` of the last one given). O(page), and at an instant
/// O(page + things of the type that are gone now).
pub fn entities(
    store: &dyn Snapshot,
    policy: &Policy,
    entity_type: Option<&str>,
    at: Option<Micros>,
    cursor: Option<&str>,
    limit: usize,
) -> Result<Page<Entities>, StoreError> {
    let prefix = entity_type.map_or_else(Vec::new, type_prefix);
    let mut start = match cursor.and_then(|cursor| cursor.split_once('/')) {
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
    let mut entities: Vec<Shown> = Vec::new();
    let mut last = None;
    loop {
        // At an instant some of what is found was not there: another run is read until the page is full.
        let wanted = limit + 1 - entities.len();
        let found = candidates(store, entity_type, &prefix, &start, at.is_some(), wanted)?;
        let ended = found.len() < wanted;
        for key in found {
            start.clone_from(&key);
            start.push(0);
            let Some(view) = entity_of(store, policy, &key, at)? else {
                continue;
            };
            if entities.len() == limit {
                return Ok(Page {
                    items: Entities { entities },
                    cursor: last,
                });
            }
            last = view
                .record
                .entity_type()
                .map(|name| format!("{name}/{}", view.record.id));
            entities.push(Shown::of(&view));
        }
        if ended {
            return Ok(Page {
                items: Entities { entities },
                cursor: None,
            });
        }
    }
}

fn entity_of(
    store: &dyn Snapshot,
    policy: &Policy,
    key: &[u8],
    at: Option<Micros>,
) -> Result<Option<View>, StoreError> {
    let before = 1 + key.first().map_or(0, |len| usize::from(*len));
    let Some(id) = trailing_id(key, before) else {
        return Ok(None);
    };
    let view = view_of(store, policy, &id, at)?;
    // It may stand under a type that it had here until an older record came.
    let stands = |view: &View| {
        let entity_type = view.record.entity_type().map(str::as_bytes);
        entity_type.is_some() && entity_type == key.get(1..before) && !view.record.deleted
    };
    Ok(view.filter(|view| at.is_none() || stands(view)))
}

/// Keys of things that may be listed, from one on, at most so many: what is shown now, and with `past` what is gone.
fn candidates(
    store: &dyn Snapshot,
    entity_type: Option<&str>,
    prefix: &[u8],
    start: &[u8],
    past: bool,
    most: usize,
) -> Result<Vec<Vec<u8>>, StoreError> {
    let mut found: BTreeSet<Vec<u8>> = BTreeSet::new();
    // Reserved types are the home's own business.
    let reserved = |key: &[u8]| key.get(1) == Some(&b'_');
    let end = prefix_end(prefix);
    store.scan(Family::Types, start, end.as_deref(), &mut |key, _| {
        if !reserved(key) {
            found.insert(key.to_vec());
        }
        found.len() < most
    })?;
    if past {
        let mut count = 0;
        let from: Vec<u8> = std::iter::once(0).chain(start.iter().copied()).collect();
        let end = prefix_end(&past_types(entity_type));
        store.scan(Family::Past, &from, end.as_deref(), &mut |key, _| {
            if !reserved(&key[1..]) {
                found.insert(key[1..].to_vec());
                count += 1;
            }
            count < most
        })?;
    }
    Ok(found.into_iter().take(most).collect())
}

/// The edges around a thing, or of a type, or all; at most `limit`, in the order of their ids, after the cursor.
pub fn relationships(
    store: &dyn Snapshot,
    policy: &Policy,
    entity: Option<&Id>,
    relationship_type: Option<&str>,
    at: Option<Micros>,
    cursor: Option<&str>,
    limit: usize,
) -> Result<Page<Relationships>, StoreError> {
    let prefix = entity.map_or_else(Vec::new, id_key);
    // Every relationship stands under both its ends; the set gives each once, in one order.
    let mut found: BTreeSet<Id> = BTreeSet::new();
    let after = |id: &Id| cursor.is_none_or(|cursor| id.as_str() > cursor);
    scan_prefix(store, Family::Edges, &prefix, &mut |key, _| {
        let end = 1 + key.first().map_or(0, |len| usize::from(*len));
        let kind_at = end + 1;
        let kind_len = key.get(kind_at).map_or(0, |len| usize::from(*len));
        let kind = key.get(kind_at + 1..kind_at + 1 + kind_len);
        // At an instant it may have been of another type.
        let wanted = at.is_some() || relationship_type.is_none_or(|wanted| kind == Some(wanted.as_bytes()));
        let counted = entity.is_some() || key.get(end) == Some(&(End::From as u8));
        if wanted
            && counted
            && let Some(id) = trailing_id(key, kind_at + 1 + kind_len)
            && after(&id)
        {
            found.insert(id);
            if at.is_none() && found.len() > limit + 1 {
                found.pop_last();
            }
        }
        true
    })?;
    if at.is_some() {
        scan_prefix(store, Family::Past, &past_edges(entity), &mut |key, _| {
            let end = 2 + key.get(1).map_or(0, |len| usize::from(*len));
            found.extend(trailing_id(key, end).filter(after));
            true
        })?;
    }
    let mut relationships: Vec<Shown> = Vec::new();
    let mut last = None;
    for id in &found {
        let Some(view) = view_of(store, policy, id, at)?
            .filter(|view| at.is_none() || stood(view, entity, relationship_type))
        else {
            continue;
        };
        if relationships.len() == limit {
            return Ok(Page {
                items: Relationships { relationships },
                cursor: last,
            });
        }
        last = Some(id.to_string());
        relationships.push(Shown::of(&view));
    }
    Ok(Page {
        items: Relationships { relationships },
        cursor: None,
    })
}

/// Whether a view is of a relationship that was there, around this thing and of this type.
fn stood(view: &View, entity: Option<&Id>, wanted: Option<&str>) -> bool {
    match &view.record.kind {
        Kind::Relationship {
            from,
            to,
            relationship_type,
        } => {
            !view.record.deleted
                && entity.is_none_or(|entity| from == entity || to == entity)
                && wanted.is_none_or(|wanted| relationship_type == wanted)
        }
        Kind::Entity { .. } => false,
    }
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

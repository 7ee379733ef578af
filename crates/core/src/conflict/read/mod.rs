//! What readers are given: views, lists, edges around a thing, versions, reasons; now, or as it was at an instant. Each
//! call reads one snapshot.
//!
//! `at` is an instant by order time; None means all that is held. A read of an instant is complete up to the clock that
//! it comes with: edits of then that come later improve it.

mod accepted;
mod diff;
mod history;
mod lists;
mod why;

pub use accepted::AcceptedRow;
pub use diff::{DiffPage, DiffRow, FieldDiff, change_of, diff};
pub use history::{HistoryPage, TreePage, TreeRow, VersionRow, history, tree, tree_rows};
pub use lists::{Entities, Page, Relationships, entities, queue, relationships};
pub use why::{BeatenRow, FieldRow, WhyRows, why, why_rows};

use std::collections::BTreeMap;

use serde::Serialize;

use crate::clock::{Clock, Point};
use crate::id::{Id, Version};
use crate::machine::{load_view, load_view_at};
use crate::store::{Family, ReplicaRow, Snapshot, StoreError, decode_row};
use crate::time::Micros;
use crate::value::Map;
use crate::view::{Path, Policy, View};
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
    /// Fields whose declared rule did not fit their values: the newest was taken.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rules_unfit: Vec<Path>,
    /// Whether what was written then has been let go since: only the skeleton is left.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub forgotten: bool,
    /// What this answer is computed from.
    #[serde(skip_serializing_if = "ClockMap::is_empty")]
    pub complete_to: ClockMap,
}

impl Shown {
    /// A view as it is told, without the clock that it is complete to.
    pub fn of(view: &View) -> Shown {
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
            rules_unfit: view.unfit.clone(),
            forgotten: view.forgotten,
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

/// The view of an id, now or at an instant.
fn view_of(
    store: &dyn Snapshot,
    policy: &Policy,
    id: &Id,
    at: Option<Micros>,
) -> Result<Option<View>, StoreError> {
    match at {
        None => load_view(store, policy, id),
        Some(at) => load_view_at(store, policy, id, at),
    }
}

/// One id's view; None if nothing is known of it, or if it is of the other kind.
pub fn one(
    store: &dyn Snapshot,
    policy: &Policy,
    id: &Id,
    entity: bool,
    at: Option<Micros>,
) -> Result<Option<Shown>, StoreError> {
    let Some(view) = view_of(store, policy, id, at)? else {
        return Ok(None);
    };
    if view.record.is_entity() != entity {
        return Ok(None);
    }
    let mut shown = Shown::of(&view);
    shown.complete_to = clock_to_wire(&clock(store)?).0;
    Ok(Some(shown))
}

//! Putting things back as they were at an instant: new edits on top of what is there, never a way back in time.
//!
//! Invariant: a restore changes what readers see to what they saw then, and nothing else; it can be undone the same way.

use std::collections::{BTreeMap, BTreeSet};

use inbetweenies_core::domain::is_reserved;
use inbetweenies_core::id::Id;
use inbetweenies_core::limits::Limits;
use inbetweenies_core::record::{Kind, RESTORE_ID, Record};
use inbetweenies_core::time::Micros;
use inbetweenies_core::value::{Value, canonical};
use inbetweenies_core::view::{Policy, View};

use crate::draft::Draft;
use crate::replica::Replica;

/// What is put back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// A thing with its relationships, or one relationship.
    Thing(Id),
    /// A thing, what was or is in it, and the relationships of all of them.
    Within(Id),
    /// Everything.
    Home,
}

/// What a restore comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restore {
    /// One change set, or, beyond its bounds, several; things before the relationships between them.
    pub sets: Vec<Vec<Draft>>,
    /// What the edits must be stamped with: later than all that is held.
    pub now: Micros,
    /// Restoring to this instant undoes it.
    pub undo: Micros,
    /// Ids that are put back to what they were.
    pub changed: usize,
    /// Ids that were not there then and are deleted.
    pub deleted: usize,
}

/// Why nothing was restored. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RestoreError {
    /// Too long ago.
    #[error(
        "what {} things were at {at} has been forgotten, {example} among them: the home keeps replaced content only so \
         long (retention.content_min); restore to a later instant, or less",
        .count
    )]
    Forgotten {
        /// How many.
        count: usize,
        /// One of them.
        example: Id,
        /// The instant.
        at: Micros,
    },
    /// That instant has not come.
    #[error("{0} lies ahead: give an instant that has been")]
    Ahead(Micros),
}

impl Replica {
    /// What it takes to put things back as they were at an instant. `restore_id` names the restore in every record of
    /// it; `wall` is what this device's clock says.
    ///
    /// O(versions in scope), for a home O(records).
    pub fn restore(
        &self,
        policy: &Policy,
        scope: &Scope,
        to: Micros,
        restore_id: &str,
        wall: Micros,
    ) -> Result<Restore, RestoreError> {
        let newest = self.all().map(|held| held.order_time()).max().unwrap_or_default();
        if to > newest.max(wall) {
            return Err(RestoreError::Ahead(to));
        }
        let now = wall.max(newest.next());
        let ids = self.scope(policy, scope, to);
        let (mut things, mut edges, mut forgotten) = (Vec::new(), Vec::new(), Vec::new());
        let (mut changed, mut deleted) = (0, 0);
        for id in ids {
            let Some(present) = self.view(&id, policy) else {
                continue;
            };
            let past = self
                .view_at(&id, policy, Some(to))
                .filter(|view| !view.record.deleted);
            if past.as_ref().is_some_and(|view| view.forgotten) {
                forgotten.push(id);
                continue;
            }
            let Some(mut draft) = put_back(&present, past.as_ref()) else {
                continue;
            };
            if draft.deleted {
                deleted += 1;
            } else {
                changed += 1;
            }
            draft.extra.insert(RESTORE_ID.to_owned(), Value::from(restore_id));
            match draft.kind {
                Kind::Entity { .. } => things.push(draft),
                Kind::Relationship { .. } => edges.push(draft),
            }
        }
        if let Some(example) = forgotten.first() {
            return Err(RestoreError::Forgotten {
                count: forgotten.len(),
                example: example.clone(),
                at: to,
            });
        }
        things.append(&mut edges);
        Ok(Restore {
            sets: in_sets(things),
            now,
            undo: Micros(now.0.saturating_sub(1)),
            changed,
            deleted,
        })
    }

    /// The ids that a restore looks at.
    fn scope(&self, policy: &Policy, scope: &Scope, to: Micros) -> BTreeSet<Id> {
        let known = |view: &View| !view.record.entity_type().is_some_and(is_reserved);
        if *scope == Scope::Home {
            return self
                .ids()
                .filter(|id| self.view(id, policy).as_ref().is_some_and(known))
                .cloned()
                .collect();
        }
        // Every relationship as it is and as it was: what was in a room then, and what is in it now.
        let mut ends: Vec<(Id, Vec<Record>)> = Vec::new();
        for id in self.ids() {
            let views = [self.view_at(id, policy, Some(to)), self.view(id, policy)];
            let edge = |view: View| (!view.record.is_entity() && !view.record.deleted).then_some(view.record);
            let records: Vec<Record> = views.into_iter().flatten().filter_map(edge).collect();
            if !records.is_empty() {
                ends.push((id.clone(), records));
            }
        }
        let (within, root) = match scope {
            Scope::Within(id) => (true, id),
            Scope::Thing(id) => (false, id),
            Scope::Home => unreachable!("handled above"),
        };
        let mut inside: BTreeMap<&Id, BTreeSet<&Id>> = BTreeMap::new();
        for (from, to, relationship_type) in ends.iter().flat_map(|(_, records)| records).filter_map(edge_of)
        {
            if policy.manifest.is_containment(relationship_type) {
                inside.entry(to).or_default().insert(from);
            }
        }
        let mut things: BTreeSet<&Id> = BTreeSet::new();
        let mut open = vec![root];
        while let Some(id) = open.pop() {
            if things.insert(id) && within {
                open.extend(inside.get(id).into_iter().flatten());
            }
        }
        // A relationship goes back with either of its ends, if the other is part of this or there anyway.
        let there =
            |id: &Id| things.contains(id) || self.view(id, policy).is_some_and(|view| !view.record.deleted);
        let touched = ends.iter().filter(|(_, records)| {
            let mut ends = records.iter().filter_map(edge_of);
            ends.any(|(from, to, _)| things.contains(from) || things.contains(to))
                && records
                    .iter()
                    .filter_map(edge_of)
                    .all(|(from, to, _)| there(from) && there(to))
        });
        let edges: Vec<Id> = touched.map(|(id, _)| id.clone()).collect();
        things.into_iter().cloned().chain(edges).collect()
    }
}

fn edge_of(record: &Record) -> Option<(&Id, &Id, &str)> {
    match &record.kind {
        Kind::Relationship {
            from,
            to,
            relationship_type,
        } => Some((from, to, relationship_type)),
        Kind::Entity { .. } => None,
    }
}

/// The edit that makes the present what the past was; None where readers see the same.
fn put_back(present: &View, past: Option<&View>) -> Option<Draft> {
    let mut draft = Draft::on(present);
    match past {
        Some(past) if present.record.same_content(&past.record) => return None,
        Some(past) => {
            draft.kind = past.record.kind.clone();
            draft.content = past.record.content.clone();
            draft.extra = past.record.extra.clone();
            draft.deleted = false;
        }
        None if present.record.deleted => return None,
        None => {
            draft.deleted = true;
        }
    }
    Some(draft)
}

/// Cuts drafts into change sets within the protocol's bounds, in their order.
fn in_sets(drafts: Vec<Draft>) -> Vec<Vec<Draft>> {
    /// Of a record, beside its content: names, parents and digests, roughly and with room to spare.
    const ENVELOPE_BYTES: usize = 1_024;
    const PARENT_BYTES: usize = 400;
    let limits = Limits::default();
    let mut sets: Vec<Vec<Draft>> = Vec::new();
    let mut bytes = 0;
    for draft in drafts {
        let size = canonical(&draft.content).len()
            + canonical(&draft.extra).len()
            + draft.parents.len() * PARENT_BYTES
            + ENVELOPE_BYTES;
        let full =
            |set: &Vec<Draft>| set.len() >= limits.set_records_max || bytes + size > limits.set_bytes_max;
        if sets.last().is_none_or(full) {
            sets.push(Vec::new());
            bytes = 0;
        }
        bytes += size;
        if let Some(set) = sets.last_mut() {
            set.push(draft);
        }
    }
    sets
}

//! What a reader sees of an id: a total, pure function of its heads, their ancestors and the policy.
//!
//! Invariant: a view does not depend on the order of arrival, on doubles, on the hub or on any clock; no merge is
//! ever written.

mod graph;
mod merge;
mod name;

pub use graph::{Graph, Node};
pub use merge::{Field, Path, overruled};
pub use name::{computed_version, named_heads};

use std::cmp::Ordering;
use std::sync::Arc;

use crate::domain::{Manifest, Strategy};
use crate::hash::Digest;
use crate::id::Version;
use crate::limits::MERGE_HEADS_MAX;
use crate::record::{Kind, Parent, Record};
use crate::time::Micros;
use crate::zoo::{self, Bug};

/// What decides between two writers: (order time, version, digest), the larger wins.
pub type Rank<'a> = (Micros, &'a Version, &'a Digest);

/// The policy that views are computed under: the manifest and the digest of the record it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Types, strategies, rules.
    pub manifest: Manifest,
    /// First eight hex digits of the record's digest; zeros before a home is founded.
    pub short: String,
}

/// In the place of a digest before a home's policy is held.
const NO_POLICY: &str = "00000000";

impl Default for Policy {
    fn default() -> Policy {
        Policy {
            manifest: Manifest::default(),
            short: NO_POLICY.to_owned(),
        }
    }
}

impl Policy {
    /// Whether it is a home's. A hub that has just joined knows its home before it holds the policy: until then it
    /// cannot tell a good record from a bad one.
    pub fn is_held(&self) -> bool {
        self.short != NO_POLICY
    }
}

/// One id as a reader sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// The fields shown. With one head it is that record; with several, a computed one whose parents are the heads.
    pub record: Record,
    /// The heads, by version and digest, in the order of their digests: what an edit should name as its parents.
    pub heads: Vec<Parent>,
    /// Whether a person or other software should look: manual, too many heads, or unknown semantics.
    pub provisional: bool,
    /// How several heads became one.
    pub strategy: Strategy,
    /// Whether there are several heads that differ.
    pub conflict: bool,
    /// Whether a person is asked: deletion against an edit, or a conflict under `manual`.
    pub queued: bool,
    /// Names that records of this id give as parents and that this hub does not hold, sorted.
    pub missing_parents: Vec<Version>,
    /// The order time of the newest head.
    pub order_time: Micros,
}

/// Computes the view of one id; None when the graph is empty.
pub fn view(graph: &Graph, policy: &Policy) -> Option<View> {
    let heads: Vec<&Node> = graph.heads();
    let newest = *heads.iter().max_by(|a, b| by_rank(a, b))?;
    let names: Vec<Parent> = heads
        .iter()
        .map(|head| Parent {
            version: head.sealed.record.version.clone(),
            digest: Some(head.sealed.digest),
        })
        .collect();
    let eldest = graph.eldest()?;
    let strategy = policy.manifest.strategy(eldest.sealed.record.entity_type());
    let missing_parents = graph.missing_parents();
    let order_time = newest.order_time;
    if let [only] = heads[..] {
        return Some(of_one(only, &eldest.sealed.record, strategy, missing_parents));
    }
    let conflict = heads
        .iter()
        .any(|head| !head.sealed.record.same_content(&newest.sealed.record));
    let any_deleted = heads.iter().any(|head| head.sealed.record.deleted);
    let deletion = any_deleted && heads.iter().any(|head| !head.sealed.record.deleted);
    let many = heads.len() > MERGE_HEADS_MAX;
    let last_write = strategy != Strategy::Merge || many;
    let mut record = if last_write {
        newest.sealed.record.clone()
    } else {
        merge::merged(graph, &heads, &eldest.sealed.record)
    };
    settle_kind(&mut record, &eldest.sealed.record);
    record.user_id = newest.sealed.record.user_id.clone();
    record.deleted = if zoo::planted(Bug::DeletionByRank) {
        newest.sealed.record.deleted
    } else {
        any_deleted
    };
    let digests: Vec<Digest> = heads.iter().map(|head| head.sealed.digest).collect();
    record.version = computed_version(order_time, &policy.short, &digests);
    record.parents = names.clone();
    record.parents.sort();
    Some(View {
        record,
        heads: names,
        provisional: conflict && (strategy == Strategy::Manual || many),
        strategy,
        conflict,
        queued: conflict && (deletion || strategy == Strategy::Manual),
        missing_parents,
        order_time,
    })
}

/// The view of an id whose graph is known to have one head, no gaps and no names left to resolve: its record, with
/// the type that the id has had from the first. None if the head is of another kind than that type says.
pub fn single(head: &Node, entity_type: Option<&str>, policy: &Policy) -> Option<View> {
    let mut eldest = head.sealed.record.clone();
    match (&mut eldest.kind, entity_type) {
        (Kind::Entity { entity_type, .. }, Some(first)) => first.clone_into(entity_type),
        (Kind::Relationship { .. }, None) => {}
        _ => return None,
    }
    let strategy = policy.manifest.strategy(entity_type);
    Some(of_one(head, &eldest, strategy, Vec::new()))
}

fn of_one(head: &Node, eldest: &Record, strategy: Strategy, missing_parents: Vec<Version>) -> View {
    let mut record = head.sealed.record.clone();
    settle_kind(&mut record, eldest);
    View {
        heads: vec![Parent {
            version: record.version.clone(),
            digest: Some(head.sealed.digest),
        }],
        record,
        provisional: false,
        strategy,
        conflict: false,
        queued: false,
        missing_parents,
        order_time: head.order_time,
    }
}

/// An id's type never changes: it is that of the record with the smallest rank.
fn settle_kind(record: &mut Record, eldest: &Record) {
    match (&mut record.kind, &eldest.kind) {
        (
            Kind::Entity { entity_type, .. },
            Kind::Entity {
                entity_type: first, ..
            },
        ) => entity_type.clone_from(first),
        (Kind::Relationship { .. }, Kind::Relationship { .. }) => {}
        // One id used for a thing and for an edge: what it was first stays, with the first writer's envelope.
        (kind, first) => *kind = first.clone(),
    }
}

/// Orders nodes by rank.
pub fn by_rank(a: &Node, b: &Node) -> Ordering {
    a.rank().cmp(&b.rank())
}

/// What a node is made of, for callers that keep records by reference count.
pub type SealedRef = Arc<crate::entry::Sealed>;

#[cfg(test)]
mod tests;

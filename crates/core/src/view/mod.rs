//! What a reader sees of an id: a total, pure function of its heads, their ancestors and the policy.
//!
//! Invariant: a view does not depend on the order of arrival, on doubles, on the hub or on any clock; no merge is
//! ever written.

mod fields;
mod graph;
mod merge;
mod name;
mod rules;
mod tree;
mod why;

pub use crate::domain::Path;
pub use graph::{Graph, Node};
pub use merge::{Field, Ruling};
pub use name::{computed_version, named_heads};
pub use tree::{Branch, State, Tree, tree};
pub use why::{DELETED, Why, paths, value_at, why};

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::domain::{Decision, Manifest, Strategy};
use crate::hash::Digest;
use crate::id::{ReplicaId, Version};
use crate::limits::MERGE_HEADS_MAX;
use crate::record::{Kind, Parent, RESTORE_ID, Record};
use crate::time::{EPSILON, Micros, edit_time};
use crate::value::Value;
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
    /// The version of that record; None before a home is founded.
    pub version: Option<Version>,
    /// From which instant it holds.
    pub since: Micros,
    /// Those that held before it, the oldest first, each until the next one's instant.
    pub earlier: Vec<Arc<Policy>>,
}

/// In the place of a digest before a home's policy is held.
const NO_POLICY: &str = "00000000";

impl Default for Policy {
    fn default() -> Policy {
        Policy {
            manifest: Manifest::default(),
            short: NO_POLICY.to_owned(),
            version: None,
            since: Micros(0),
            earlier: Vec::new(),
        }
    }
}

impl Policy {
    /// The policy that the versions of the policy entity say: last write wins, built in. None if there is none.
    ///
    /// O(versions²), for there are few.
    pub fn of(graph: &Graph) -> Option<Policy> {
        let mut times: Vec<Micros> = graph.nodes().map(|node| node.order_time).collect();
        times.sort();
        times.dedup();
        let mut policies: Vec<Policy> = Vec::new();
        for time in times {
            let then = graph.until(time);
            let Some(newest) = then.heads().into_iter().max_by(|a, b| by_rank(a, b)).cloned() else {
                continue;
            };
            let short = newest.sealed.digest.short();
            if policies.last().is_some_and(|last| last.short == short) {
                continue;
            }
            // A policy that does not read is no policy: views are last writes, marked, until an owner mends it.
            let manifest = Manifest::from_content(&newest.sealed.record.content);
            policies.push(Policy {
                manifest: manifest.unwrap_or_else(|_| Manifest::unreadable()),
                short,
                version: Some(newest.sealed.record.version.clone()),
                since: time,
                earlier: Vec::new(),
            });
        }
        let mut last = policies.pop()?;
        last.earlier = policies.into_iter().map(Arc::new).collect();
        Some(last)
    }

    /// The policy that held at an instant, as far as is known now. O(log policies).
    pub fn at(&self, at: Micros) -> &Policy {
        static NONE: std::sync::LazyLock<Policy> = std::sync::LazyLock::new(Policy::default);
        if at >= self.since {
            return self;
        }
        let later = self.earlier.partition_point(|policy| policy.since <= at);
        later.checked_sub(1).map_or(&NONE, |last| &*self.earlier[last])
    }

    /// Whether it is a home's. A hub that has just joined knows its home before it holds the policy: until then it
    /// cannot tell a good record from a bad one.
    pub fn is_held(&self) -> bool {
        self.short != NO_POLICY
    }
}

/// The horizon that a record of the horizon entity says; None if it does not read as one.
pub fn horizon(record: &Record) -> Option<BTreeMap<ReplicaId, u64>> {
    let clock = record.content.get("vector_clock")?.as_map()?;
    let point = |(replica, sequence): (&String, &Value)| {
        let sequence = u64::try_from(sequence.as_int()?).ok()?;
        Some((replica.parse().ok()?, sequence))
    };
    clock.iter().map(point).collect()
}

/// Whether the time that a version claims cannot be right: `future`, more than it was let count for when it was accepted;
/// `past`, long before what it was made on top of, or before there was a home. What it claims is kept all the same.
pub fn suspect_time(policy: &Policy, node: &Node) -> Option<&'static str> {
    let claimed = edit_time(node.sealed.record.version.as_str())?;
    let founded = policy.earlier.first().map_or(policy.since, |first| first.since);
    if claimed > node.order_time {
        Some("future")
    } else if claimed.plus(EPSILON) < node.order_time || claimed.plus(EPSILON) < founded {
        Some("past")
    } else {
        None
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
    /// Fields whose declared rule did not fit their values, so that the newest was taken.
    pub unfit: Vec<Path>,
    /// Whether a head's content is forgotten: an instant below the horizon is looked at.
    pub forgotten: bool,
    /// The order time of the newest head.
    pub order_time: Micros,
}

/// How conflicts of an id are decided: by its type for an entity, by that of its newest head for a relationship.
fn decision<'p>(policy: &'p Policy, eldest: &Kind, newest: &Kind) -> &'p Decision {
    match (eldest, newest) {
        (Kind::Relationship { .. }, Kind::Relationship { .. }) => policy.manifest.decision(newest),
        _ => policy.manifest.decision(eldest),
    }
}

/// Computes the view of one id; None when the graph is empty.
pub fn view(graph: &Graph, policy: &Policy) -> Option<View> {
    view_by(graph, policy, None)
}

/// The view of one id as it would be under another strategy than its type's; for a person who chooses one for this once.
pub fn view_by(graph: &Graph, policy: &Policy, instead: Option<Strategy>) -> Option<View> {
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
    let decision = decision(policy, &eldest.sealed.record.kind, &newest.sealed.record.kind);
    let strategy = instead.unwrap_or(decision.strategy);
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
    let by_fields = matches!(strategy, Strategy::Merge | Strategy::Custom) && !many;
    let (mut record, unfit) = if by_fields {
        merge::merged(graph, &heads, &decision.rules, &eldest.sealed.record)
    } else {
        (newest.sealed.record.clone(), Vec::new())
    };
    record.extra.remove(RESTORE_ID);
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
        unfit,
        forgotten: heads.iter().any(|head| head.forgotten),
        order_time,
    })
}

/// Whether a record wrote something that readers do not see: it lost a conflict, at least in part.
pub fn overruled(graph: &Graph, policy: &Policy, view: &View, digest: &Digest) -> bool {
    let rules = &decision(policy, &view.record.kind, &view.record.kind).rules;
    merge::overruled(graph, rules, &view.record, digest)
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
    let strategy = policy.manifest.decision(&eldest.kind).strategy;
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
        unfit: Vec::new(),
        forgotten: head.forgotten,
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
        // One id used for a thing and for an edge: what it was first stays. A name is content, which may be forgotten.
        _ => record.kind = eldest.skeleton().kind,
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

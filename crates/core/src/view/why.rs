//! Why a view is as it is: for each field who wrote it, what it beat, and by which rule. The same decisions as the view's
//! own, made thoroughly.

use std::collections::{BTreeMap, BTreeSet};

use super::fields::{Leaf, leaf, leaves};
use super::graph::{Graph, Node};
use super::merge::{Field, Ruling, decide};
use super::{Policy, View, by_rank, decision, view};
use crate::domain::{Path, Rules, Strategy};
use crate::hash::Digest;
use crate::limits::MERGE_HEADS_MAX;
use crate::record::Record;
use crate::value::Value;
use crate::zoo::{self, Bug};

/// The path under which a deletion is told: no field of a record has it.
pub const DELETED: &str = "deleted";

/// A view with the reasons for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Why {
    /// What is shown.
    pub view: View,
    /// The decision about each field that any version had, by path; absent ones too, if somebody took them away.
    pub fields: BTreeMap<Path, Field>,
}

/// Works out why an id is shown as it is; None when the graph is empty. O(fields · versions).
pub fn why(graph: &Graph, policy: &Policy) -> Option<Why> {
    let view = view(graph, policy)?;
    let heads = graph.heads();
    let newest = *heads.iter().max_by(|a, b| by_rank(a, b))?;
    let eldest = graph.eldest()?;
    let decision = decision(policy, &eldest.sealed.record.kind, &newest.sealed.record.kind);
    let by_fields = matches!(view.strategy, Strategy::Merge | Strategy::Custom);
    let mut fields = if heads.len() == 1 || (by_fields && heads.len() <= MERGE_HEADS_MAX) {
        let none = Rules::new();
        let other = zoo::planted(Bug::WhyWithoutRules);
        decide(graph, &heads, if other { &none } else { &decision.rules }, true)
    } else {
        whole(graph, newest, &heads)
    };
    // What nobody has and nobody fought about is no field.
    fields.retain(|_, field| field.value.is_some() || !field.others.is_empty());
    if view.record.deleted {
        let (gone, kept): (Vec<&Node>, Vec<&Node>) =
            heads.iter().partition(|head| head.sealed.record.deleted);
        let last = gone.iter().max_by(|a, b| by_rank(a, b));
        let mut others = kept;
        others.sort_by(|a, b| by_rank(b, a));
        let field = last.map(|node| Field {
            value: Some(Value::Bool(true)),
            writer: node.sealed.digest,
            ruling: if others.is_empty() {
                Ruling::Agreed
            } else {
                Ruling::Deletion
            },
            others: others.iter().map(|node| node.sealed.digest).collect(),
        });
        fields.extend(field.map(|field| (vec![DELETED.to_owned()], field)));
    }
    Some(Why { view, fields })
}

/// The newest head whole; each of its fields by who wrote it last on the way to it, against the other heads.
fn whole(graph: &Graph, newest: &Node, heads: &[&Node]) -> BTreeMap<Path, Field> {
    let mut fields = decide(graph, &[newest], &Rules::new(), true);
    let mut paths = BTreeSet::new();
    heads
        .iter()
        .for_each(|head| leaves(&head.sealed.record, &mut paths));
    let mut others: Vec<&&Node> = heads
        .iter()
        .filter(|head| head.sealed.digest != newest.sealed.digest)
        .collect();
    others.sort_by(|a, b| by_rank(b, a));
    let value = |node: &Node, path: &Path| leaf(&node.sealed.record, path).map(Leaf::to_value);
    for path in paths {
        let shown = value(newest, &path);
        let differ = others.iter().filter(|node| value(node, &path) != shown);
        let differ: Vec<Digest> = differ.map(|node| node.sealed.digest).collect();
        if differ.is_empty() {
            continue;
        }
        let field = fields.entry(path).or_insert_with(|| Field {
            value: None,
            writer: newest.sealed.digest,
            ruling: Ruling::LastWrite,
            others: Vec::new(),
        });
        (field.ruling, field.others) = (Ruling::LastWrite, differ);
    }
    fields
}

/// Where a record says something.
pub fn paths(record: &Record) -> BTreeSet<Path> {
    let mut paths = BTreeSet::new();
    leaves(record, &mut paths);
    paths
}

/// What a record says at a path, for those who tell of it.
pub fn value_at(record: &Record, path: &Path) -> Option<Value> {
    if path.len() == 1 && path[0] == DELETED {
        return Some(Value::Bool(record.deleted));
    }
    leaf(record, path).map(Leaf::to_value)
}

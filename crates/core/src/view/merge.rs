//! The field merge: each field goes to its last writers among the heads' ancestors.
//!
//! No common ancestor is searched and no pairs are folded, so any number of heads gives one answer, and a field that
//! was deleted stays deleted (absent is a value like any other).

use std::collections::{BTreeMap, BTreeSet};

use super::fields::{Leaf, assemble, leaf, leaves};
use super::graph::{Graph, Node};
use super::rules;
use crate::domain::{Path, Rule, Rules};
use crate::hash::Digest;
use crate::record::Record;
use crate::value::Value;
use crate::zoo::{self, Bug};

/// What was decided for one field: its value (None: absent) and the record that wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// The value taken.
    pub value: Option<Value>,
    /// Who wrote it last. Of a union: the newest of those who brought or took an element.
    pub writer: Digest,
    /// By what it was decided.
    pub ruling: Ruling,
    /// The other last writers, the newest first.
    pub others: Vec<Digest>,
}

/// By what a field was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ruling {
    /// There was nothing to decide: one writer, or all of one mind.
    Agreed,
    /// The writer with the largest (order time, version, digest).
    Newest,
    /// A declared rule of this name.
    Declared(&'static str),
    /// The newest, because a declared rule of this name does not fit the values.
    Unfit(&'static str),
    /// A leaf stood against fields below it, and the larger writer took the whole path.
    Shape,
    /// The newest head, whole.
    LastWrite,
    /// A deletion stands against anything.
    Deletion,
}

/// What is looked at while versions are walked: a field, or one element of a list.
pub(super) enum Lens<'l> {
    Field(&'l Path),
    Element(&'l Path, &'l Value),
}

impl Lens<'_> {
    fn same(&self, a: &Record, b: &Record) -> bool {
        match self {
            Lens::Field(path) => leaf(a, path) == leaf(b, path),
            Lens::Element(path, element) => has(a, path, element) == has(b, path, element),
        }
    }

    fn absent(&self, record: &Record) -> bool {
        match self {
            Lens::Field(path) => leaf(record, path).is_none(),
            Lens::Element(path, element) => !has(record, path, element),
        }
    }
}

fn has(record: &Record, path: &Path, element: &Value) -> bool {
    matches!(leaf(record, path), Some(Leaf::Value(Value::List(list))) if list.contains(element))
}

/// The versions below some heads, on the way to the last writers.
pub(super) struct Walk<'g> {
    graph: &'g Graph,
    pub heads: &'g [&'g Node],
    levels: BTreeMap<Digest, usize>,
}

impl<'g> Walk<'g> {
    pub fn new(graph: &'g Graph, heads: &'g [&'g Node]) -> Walk<'g> {
        Walk {
            graph,
            heads,
            levels: graph.levels(),
        }
    }

    /// The writers that no other writer descends from, by rank, the newest last. Never empty: every head has a root
    /// above it, and a root writes all.
    pub fn last_writers(&self, lens: &Lens<'_>) -> Vec<&'g Node> {
        let graph = self.graph;
        // From each head down to the first writers met; what lies below a writer is replaced by it.
        let mut writers = BTreeSet::new();
        let mut seen = BTreeSet::new();
        let mut open: Vec<Digest> = self.heads.iter().map(|head| head.sealed.digest).collect();
        while let Some(digest) = open.pop() {
            if !seen.insert(digest) {
                continue;
            }
            if writes(graph, &digest, lens) {
                writers.insert(digest);
            } else {
                open.extend(graph.parents(&digest));
            }
        }
        // A writer met on one way down may lie below another: those are no last writers. None lies below the lowest.
        let lowest = writers.iter().map(|writer| self.levels[writer]).min();
        let mut below = BTreeSet::new();
        let mut open: Vec<&Digest> = writers.iter().flat_map(|writer| graph.parents(writer)).collect();
        while let Some(digest) = open.pop() {
            if Some(self.levels[digest]) >= lowest && below.insert(*digest) {
                open.extend(graph.parents(digest));
            }
        }
        let mut last: Vec<&Node> = writers
            .iter()
            .filter(|writer| !below.contains(*writer))
            .filter_map(|writer| graph.node(writer))
            .collect();
        last.sort_by(|a, b| super::by_rank(a, b));
        last
    }
}

/// A record writes a field if its value differs from the one its parents agree on, or if they disagree; without known
/// parents, or on top of one whose content is forgotten, it writes all.
fn writes(graph: &Graph, digest: &Digest, lens: &Lens<'_>) -> bool {
    let Some(own) = graph.node(digest).map(|node| &node.sealed.record) else {
        return true;
    };
    if zoo::planted(Bug::TwoWayMerge) || (zoo::planted(Bug::AbsentIsNoValue) && lens.absent(own)) {
        return zoo::planted(Bug::TwoWayMerge);
    }
    let mut parents = graph
        .parents(digest)
        .filter_map(|parent| graph.node(parent))
        .peekable();
    parents.peek().is_none()
        || parents.any(|parent| parent.forgotten || !lens.same(&parent.sealed.record, own))
}

/// The heads' fields merged, as a record whose version and parents the caller sets, and the fields whose declared rule
/// did not fit.
pub fn merged(graph: &Graph, heads: &[&Node], rules: &Rules, eldest: &Record) -> (Record, Vec<Path>) {
    let fields = decide(graph, heads, rules, false);
    let unfit =
        |(path, field): (&Path, &Field)| matches!(field.ruling, Ruling::Unfit(_)).then(|| path.clone());
    let record = assemble(
        fields.iter().map(|(path, field)| (path, field.value.as_ref())),
        eldest,
    );
    (record, fields.iter().filter_map(unfit).collect())
}

/// Decides every field that any head has; with `thorough` every field that any version has, and who wrote those on
/// which all heads agree.
///
/// Fields on which all heads agree are taken as they are: their last writers all wrote that value. For the others the
/// ancestors are walked once per field, from the heads down, stopping at the first writers met.
pub fn decide(graph: &Graph, heads: &[&Node], rules: &Rules, thorough: bool) -> BTreeMap<Path, Field> {
    let mut paths = BTreeSet::new();
    heads
        .iter()
        .for_each(|head| leaves(&head.sealed.record, &mut paths));
    let walk = Walk::new(graph, heads);
    if thorough {
        let above = graph.with_ancestors(heads.iter().map(|head| head.sealed.digest));
        let above = above.iter().filter_map(|digest| graph.node(digest));
        // What was let go says nothing, whether or not its bytes are still here.
        let above = above.filter(|node| !node.forgotten);
        above.for_each(|node| leaves(&node.sealed.record, &mut paths));
    }
    let newest = heads.iter().max_by(|a, b| super::by_rank(a, b));
    let newest = newest.map_or(Digest([0; 32]), |node| node.sealed.digest);
    let mut fields = BTreeMap::new();
    for path in paths {
        let mut values = heads.iter().map(|head| leaf(&head.sealed.record, &path));
        let first = values.next().flatten();
        let field = if values.all(|value| value == first) && !thorough {
            Field {
                value: first.map(Leaf::to_value),
                writer: newest,
                ruling: Ruling::Agreed,
                others: Vec::new(),
            }
        } else if zoo::planted(Bug::FoldOfPairs) {
            folded(graph, heads, &path)
        } else {
            field(&walk, rules.get(&path), &path)
        };
        fields.insert(path, field);
    }
    settle_shapes(graph, &mut fields);
    fields
}

/// A planted bug: heads are folded two by two, with the newest common ancestor of all as the base of each pair.
fn folded(graph: &Graph, heads: &[&Node], path: &Path) -> Field {
    let field = |node: &Node| Field {
        value: leaf(&node.sealed.record, path).map(Leaf::to_value),
        writer: node.sealed.digest,
        ruling: Ruling::Newest,
        others: Vec::new(),
    };
    let mut common = graph.with_ancestors(heads.first().map(|head| head.sealed.digest));
    for head in heads {
        let above = graph.with_ancestors([head.sealed.digest]);
        common.retain(|digest| above.contains(digest));
    }
    let base = common.iter().filter_map(|digest| graph.node(digest));
    let base = base.max_by(|a, b| super::by_rank(a, b)).map(field);
    let base = base.and_then(|base| base.value);
    let mut heads = heads.iter();
    let mut newest = *heads.next().unwrap_or_else(|| panic!("a merge of nothing"));
    let mut so_far = field(newest);
    for head in heads {
        let other = field(head);
        let later = super::by_rank(head, newest).is_gt();
        if so_far.value == base || (other.value != base && later) {
            so_far = other;
        }
        if later {
            newest = head;
        }
    }
    so_far
}

/// Candidates are the last writers. If they differ a declared rule decides, else the largest of them.
fn field(walk: &Walk<'_>, rule: Option<&Rule>, path: &Path) -> Field {
    let candidates = if rule.is_some() && zoo::planted(Bug::RuleOfHeads) {
        let mut heads = walk.heads.to_vec();
        heads.sort_by(|a, b| super::by_rank(a, b));
        heads
    } else {
        walk.last_writers(&Lens::Field(path))
    };
    let value = |at: usize| leaf(&candidates[at].sealed.record, path).map(Leaf::to_value);
    let newest = candidates.len() - 1;
    let agreed = (0..newest).all(|at| value(at) == value(newest));
    let (winner, value, ruling) = match rule {
        _ if agreed => (newest, value(newest), Ruling::Agreed),
        None => (newest, value(newest), Ruling::Newest),
        Some(Rule::Union) => match rules::union(walk, path, &candidates) {
            Some(list) => (newest, Some(list), Ruling::Declared("union")),
            None => (newest, value(newest), Ruling::Unfit("union")),
        },
        Some(rule) => match rules::pick(rule, &candidates, path) {
            Some(at) => (at, value(at), Ruling::Declared(rule.name())),
            None => (newest, value(newest), Ruling::Unfit(rule.name())),
        },
    };
    let others = (0..candidates.len()).rev().filter(|at| *at != winner);
    Field {
        value,
        writer: candidates[winner].sealed.digest,
        ruling,
        others: others.map(|at| candidates[at].sealed.digest).collect(),
    }
}

/// Where one writer has a leaf and another has fields below it, the larger writer takes the whole path.
fn settle_shapes(graph: &Graph, fields: &mut BTreeMap<Path, Field>) {
    let rank = |digest: &Digest| graph.node(digest).map(Node::rank);
    let leaves: Vec<Path> = fields
        .iter()
        .filter(|(_, f)| f.value.is_some())
        .map(|(path, _)| path.clone())
        .collect();
    for leaf in leaves {
        let Some(Field {
            value: Some(_),
            writer,
            ..
        }) = fields.get(&leaf)
        else {
            continue;
        };
        let writer = *writer;
        let below: Vec<Path> = fields
            .range(leaf.clone()..)
            .skip(1)
            .take_while(|(path, _)| path.starts_with(&leaf))
            .filter(|(_, field)| field.value.is_some())
            .map(|(path, _)| path.clone())
            .collect();
        let Some(largest) = below.iter().max_by_key(|path| rank(&fields[*path].writer)) else {
            continue;
        };
        let larger = fields[largest].writer;
        let (lost, winner) = if rank(&writer) > rank(&larger) {
            (below, writer)
        } else {
            (vec![leaf], larger)
        };
        for path in lost {
            if let Some(field) = fields.get_mut(&path) {
                field.value = None;
                field
                    .others
                    .insert(0, std::mem::replace(&mut field.writer, winner));
                field.ruling = Ruling::Shape;
            }
        }
    }
}

/// Whether a record wrote something that the view does not show: it lost a conflict, at least in part.
pub fn overruled(graph: &Graph, rules: &Rules, shown: &Record, digest: &Digest) -> bool {
    let Some(node) = graph.node(digest) else {
        return false;
    };
    let record = &node.sealed.record;
    if shown.deleted != record.deleted {
        return true;
    }
    let mut paths = BTreeSet::new();
    leaves(record, &mut paths);
    leaves(shown, &mut paths);
    paths.iter().any(|path| {
        let (own, seen) = (leaf(record, path), leaf(shown, path));
        if own == seen || !writes(graph, digest, &Lens::Field(path)) {
            return false;
        }
        match (rules.get(path), own, seen) {
            // Of a list that is put together, what it brought is there and what it took is not.
            (
                Some(Rule::Union),
                Some(Leaf::Value(Value::List(own))),
                Some(Leaf::Value(Value::List(seen))),
            ) => own.iter().chain(seen).any(|element| {
                own.contains(element) != seen.contains(element)
                    && writes(graph, digest, &Lens::Element(path, element))
            }),
            _ => true,
        }
    })
}

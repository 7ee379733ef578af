//! The field merge: each field goes to its last writers among the heads' ancestors.
//!
//! No common ancestor is searched and no pairs are folded, so any number of heads gives one answer, and a field that
//! was deleted stays deleted (absent is a value like any other).

use std::collections::{BTreeMap, BTreeSet};

use super::graph::{Graph, Node};
use crate::hash::Digest;
use crate::id::Id;
use crate::record::{Kind, Record};
use crate::value::{Map, Value};
use crate::zoo::{self, Bug};

/// Where a field stands: a list of keys, never a dotted string. The first is a field of the envelope, `content` (of
/// relationships too), or `extra`.
pub type Path = Vec<String>;

/// What was decided for one field: its value (None: absent) and the record that wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// The value taken.
    pub value: Option<Value>,
    /// Who wrote it last.
    pub writer: Digest,
}

/// One leaf of a record, where it stands.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Leaf<'r> {
    /// A field of the envelope.
    Text(&'r str),
    /// Anything in the content that is no non-empty map, or an unknown field of the envelope.
    Value(&'r Value),
}

impl Leaf<'_> {
    fn to_value(self) -> Value {
        match self {
            Leaf::Text(text) => Value::from(text),
            Leaf::Value(value) => value.clone(),
        }
    }
}

/// Notes where a record has leaves.
fn leaves(record: &Record, out: &mut BTreeSet<Path>) {
    for field in ENVELOPE {
        if envelope(record, field).is_some() {
            out.insert(vec![field.to_owned()]);
        }
    }
    for key in record.extra.keys() {
        out.insert(vec![EXTRA.to_owned(), key.clone()]);
    }
    collect(&mut vec![CONTENT.to_owned()], &record.content, out);
}

/// The leaf at a path, if the record has one there.
fn leaf<'r>(record: &'r Record, path: &[String]) -> Option<Leaf<'r>> {
    match path {
        [first, key] if first == EXTRA => record.extra.get(key).map(Leaf::Value),
        [first, key, below @ ..] if first == CONTENT => {
            let mut value = record.content.get(key)?;
            for key in below {
                value = value.as_map()?.get(key)?;
            }
            let deeper = value.as_map().is_some_and(|map| !map.is_empty());
            (!deeper).then_some(Leaf::Value(value))
        }
        [field] => envelope(record, field).map(Leaf::Text),
        _ => None,
    }
}

/// The fields of the envelope that merge one by one.
const ENVELOPE: [&str; 5] = [
    "name",
    "source_type",
    "from_entity_id",
    "to_entity_id",
    "relationship_type",
];

fn envelope<'r>(record: &'r Record, field: &str) -> Option<&'r str> {
    match (&record.kind, field) {
        (Kind::Entity { name, .. }, "name") => name.as_deref(),
        (Kind::Entity { source_type, .. }, "source_type") => source_type.as_deref(),
        (Kind::Relationship { from, .. }, "from_entity_id") => Some(from.as_str()),
        (Kind::Relationship { to, .. }, "to_entity_id") => Some(to.as_str()),
        (
            Kind::Relationship {
                relationship_type, ..
            },
            "relationship_type",
        ) => Some(relationship_type),
        _ => None,
    }
}

/// The free-form part has one name here, whether the wire calls it `content` or `properties`.
const CONTENT: &str = "content";
/// What stands before the name of an unknown field of the envelope: the first part of a path is never a writer's own.
const EXTRA: &str = "extra";

fn collect(path: &mut Path, map: &Map, out: &mut BTreeSet<Path>) {
    for (key, value) in map {
        path.push(key.clone());
        match value {
            Value::Map(inner) if !inner.is_empty() => collect(path, inner, out),
            _ => drop(out.insert(path.clone())),
        }
        path.pop();
    }
}

/// The heads' fields merged, as a record whose version and parents the caller sets.
pub fn merged(graph: &Graph, heads: &[&Node], eldest: &Record) -> Record {
    let fields = decide(graph, heads);
    assemble(&fields, eldest)
}

/// Decides every field that any head, or any ancestor that matters, has.
///
/// Fields on which all heads agree are taken as they are: their last writers all wrote that value. For the others the
/// ancestors are walked once per field, from the heads down, stopping at the first writers met.
pub fn decide(graph: &Graph, heads: &[&Node]) -> BTreeMap<Path, Field> {
    let mut paths = BTreeSet::new();
    heads
        .iter()
        .for_each(|head| leaves(&head.sealed.record, &mut paths));
    let newest = heads.iter().max_by(|a, b| super::by_rank(a, b));
    let newest = newest.map_or(Digest([0; 32]), |node| node.sealed.digest);
    let levels = graph.levels();
    let mut fields = BTreeMap::new();
    for path in paths {
        let mut values = heads.iter().map(|head| leaf(&head.sealed.record, &path));
        let first = values.next().flatten();
        let field = if values.all(|value| value == first) {
            Field {
                value: first.map(Leaf::to_value),
                writer: newest,
            }
        } else if zoo::planted(Bug::FoldOfPairs) {
            folded(graph, heads, &path)
        } else {
            last_writer(graph, &levels, heads, &path)
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

/// Candidates are the writers that no other writer descends from; the largest of them wins.
fn last_writer(graph: &Graph, levels: &BTreeMap<Digest, usize>, heads: &[&Node], path: &Path) -> Field {
    // From each head down to the first writers met; what lies below a writer is replaced by it.
    let mut writers = BTreeSet::new();
    let mut seen = BTreeSet::new();
    let mut open: Vec<Digest> = heads.iter().map(|head| head.sealed.digest).collect();
    while let Some(digest) = open.pop() {
        if !seen.insert(digest) {
            continue;
        }
        if writes(graph, &digest, path) {
            writers.insert(digest);
        } else {
            open.extend(graph.parents(&digest));
        }
    }
    // A writer met on one way down may lie below another: those are no last writers. None lies below the lowest.
    let lowest = writers.iter().map(|writer| levels[writer]).min().unwrap_or(0);
    let mut below = BTreeSet::new();
    let mut open: Vec<&Digest> = writers.iter().flat_map(|writer| graph.parents(writer)).collect();
    while let Some(digest) = open.pop() {
        if levels[digest] >= lowest && below.insert(*digest) {
            open.extend(graph.parents(digest));
        }
    }
    let last = writers
        .iter()
        .filter(|writer| !below.contains(*writer))
        .filter_map(|writer| graph.node(writer));
    let winner = last.max_by(|a, b| super::by_rank(a, b));
    // Every head has a root above it, and a root writes all: there is always a winner.
    let winner = winner.unwrap_or_else(|| panic!("no writer of {path:?} among {} heads", heads.len()));
    Field {
        value: leaf(&winner.sealed.record, path).map(Leaf::to_value),
        writer: winner.sealed.digest,
    }
}

/// A record writes a field if its value differs from the one its parents agree on, or if they disagree; without known
/// parents it writes all.
fn writes(graph: &Graph, digest: &Digest, path: &Path) -> bool {
    let value = |digest: &Digest| {
        graph
            .node(digest)
            .and_then(|node| leaf(&node.sealed.record, path))
    };
    let own = value(digest);
    if zoo::planted(Bug::TwoWayMerge) || (zoo::planted(Bug::AbsentIsNoValue) && own.is_none()) {
        return zoo::planted(Bug::TwoWayMerge);
    }
    let mut parents = graph.parents(digest).peekable();
    parents.peek().is_none() || parents.any(|parent| value(parent) != own)
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
        }) = fields.get(&leaf)
        else {
            continue;
        };
        let below: Vec<Path> = fields
            .range(leaf.clone()..)
            .skip(1)
            .take_while(|(path, _)| path.starts_with(&leaf))
            .filter(|(_, field)| field.value.is_some())
            .map(|(path, _)| path.clone())
            .collect();
        let Some(largest) = below.iter().map(|path| rank(&fields[path].writer)).max() else {
            continue;
        };
        if rank(writer) > largest {
            below.iter().for_each(|path| drop(fields.remove(path)));
        } else {
            fields.remove(&leaf);
        }
    }
}

fn assemble(fields: &BTreeMap<Path, Field>, eldest: &Record) -> Record {
    let mut record = eldest.clone();
    record.content = Map::new();
    record.extra = Map::new();
    let top = |key: &str| {
        let field = fields.get(&vec![key.to_owned()])?;
        field.value.as_ref().and_then(Value::as_text).map(str::to_owned)
    };
    match &mut record.kind {
        Kind::Entity {
            name, source_type, ..
        } => {
            *name = top("name");
            *source_type = top("source_type");
        }
        Kind::Relationship {
            from,
            to,
            relationship_type,
        } => {
            let end = |key: &str, or: &Id| {
                top(key)
                    .and_then(|text| Id::new(&text).ok())
                    .unwrap_or_else(|| or.clone())
            };
            *from = end("from_entity_id", from);
            *to = end("to_entity_id", to);
            if let Some(chosen) = top("relationship_type") {
                *relationship_type = chosen;
            }
        }
    }
    for (path, field) in fields {
        let Some(value) = &field.value else { continue };
        match &path[..] {
            [first, key] if first == EXTRA => drop(record.extra.insert(key.clone(), value.clone())),
            [first, inside @ ..] if first == CONTENT => insert(&mut record.content, inside, value),
            _ => {}
        }
    }
    record
}

fn insert(map: &mut Map, path: &[String], value: &Value) {
    match path {
        [] => {}
        [key] => {
            map.insert(key.clone(), value.clone());
        }
        [key, rest @ ..] => {
            let inner = map.entry(key.clone()).or_insert_with(|| Value::Map(Map::new()));
            if let Value::Map(inner) = inner {
                insert(inner, rest, value);
            }
        }
    }
}

/// Whether a record wrote something that the view does not show: it lost a conflict, at least in part.
pub fn overruled(graph: &Graph, shown: &Record, digest: &Digest) -> bool {
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
    paths
        .iter()
        .any(|path| leaf(record, path) != leaf(shown, path) && writes(graph, digest, path))
}

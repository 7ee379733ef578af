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

/// The leaves of a record: envelope fields and everything in its content that is no non-empty map.
fn leaves(record: &Record) -> BTreeMap<Path, Value> {
    let mut out = BTreeMap::new();
    let mut put = |key: &str, text: &str| out.insert(vec![key.to_owned()], Value::from(text));
    match &record.kind {
        Kind::Entity {
            name, source_type, ..
        } => {
            if let Some(name) = name {
                put("name", name);
            }
            if let Some(source_type) = source_type {
                put("source_type", source_type);
            }
        }
        Kind::Relationship {
            from,
            to,
            relationship_type,
        } => {
            put("from_entity_id", from.as_str());
            put("to_entity_id", to.as_str());
            put("relationship_type", relationship_type);
        }
    }
    for (key, value) in &record.extra {
        out.insert(vec![EXTRA.to_owned(), key.clone()], value.clone());
    }
    collect(&mut vec![CONTENT.to_owned()], &record.content, &mut out);
    out
}

/// The free-form part has one name here, whether the wire calls it `content` or `properties`.
const CONTENT: &str = "content";
/// What stands before the name of an unknown field of the envelope: the first part of a path is never a writer's own.
const EXTRA: &str = "extra";

fn collect(path: &mut Path, map: &Map, out: &mut BTreeMap<Path, Value>) {
    for (key, value) in map {
        path.push(key.clone());
        match value {
            Value::Map(inner) if !inner.is_empty() => collect(path, inner, out),
            leaf => {
                out.insert(path.clone(), leaf.clone());
            }
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
    let mut cache: BTreeMap<Digest, BTreeMap<Path, Value>> = BTreeMap::new();
    for head in heads {
        cache.insert(head.sealed.digest, leaves(&head.sealed.record));
    }
    let paths: BTreeSet<Path> = cache.values().flat_map(|leaves| leaves.keys().cloned()).collect();
    let mut fields = BTreeMap::new();
    for path in paths {
        let values: Vec<Option<&Value>> = heads.iter().map(|h| cache[&h.sealed.digest].get(&path)).collect();
        let agreed = values.iter().all(|value| *value == values[0]);
        let field = if agreed {
            let value = values[0].cloned();
            let newest = heads.iter().max_by(|a, b| super::by_rank(a, b));
            Field {
                value,
                writer: newest.map_or(Digest([0; 32]), |node| node.sealed.digest),
            }
        } else {
            last_writer(graph, heads, &path, &mut cache)
        };
        fields.insert(path, field);
    }
    settle_shapes(graph, &mut fields);
    fields
}

/// Candidates are the writers that no other writer descends from; the largest of them wins.
fn last_writer(
    graph: &Graph,
    heads: &[&Node],
    path: &Path,
    cache: &mut BTreeMap<Digest, BTreeMap<Path, Value>>,
) -> Field {
    // From each head down to the first writers met; what lies below a writer is replaced by it.
    let mut writers = BTreeSet::new();
    let mut seen = BTreeSet::new();
    let mut open: Vec<Digest> = heads.iter().map(|head| head.sealed.digest).collect();
    while let Some(digest) = open.pop() {
        if !seen.insert(digest) {
            continue;
        }
        if writes(graph, digest, path, cache) {
            writers.insert(digest);
        } else {
            open.extend(graph.parents(&digest));
        }
    }
    // A writer met on one way down may lie below another: those are no last writers.
    let mut below = BTreeSet::new();
    if writers.len() > 1 {
        for writer in &writers {
            if !below.contains(writer) {
                let mut ancestors = graph.with_ancestors(graph.parents(writer).copied());
                below.append(&mut ancestors);
            }
        }
    }
    let last = writers
        .iter()
        .filter(|writer| !below.contains(*writer))
        .filter_map(|writer| graph.node(writer));
    let winner = last.max_by(|a, b| super::by_rank(a, b));
    // Every head has a root above it, and a root writes all: there is always a winner.
    let winner = winner.unwrap_or_else(|| panic!("no writer of {path:?} among {} heads", heads.len()));
    let digest = winner.sealed.digest;
    Field {
        value: value_of(graph, digest, path, cache),
        writer: digest,
    }
}

/// A record writes a field if its value differs from the one its parents agree on, or if they disagree; without known
/// parents it writes all.
fn writes(
    graph: &Graph,
    digest: Digest,
    path: &Path,
    cache: &mut BTreeMap<Digest, BTreeMap<Path, Value>>,
) -> bool {
    let own = value_of(graph, digest, path, cache);
    let parents: Vec<Digest> = graph.parents(&digest).copied().collect();
    parents.is_empty()
        || parents
            .iter()
            .any(|parent| value_of(graph, *parent, path, cache) != own)
}

fn value_of(
    graph: &Graph,
    digest: Digest,
    path: &Path,
    cache: &mut BTreeMap<Digest, BTreeMap<Path, Value>>,
) -> Option<Value> {
    let known = cache.entry(digest).or_insert_with(|| {
        graph
            .node(&digest)
            .map_or_else(BTreeMap::new, |node| leaves(&node.sealed.record))
    });
    known.get(path).cloned()
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
    let mut cache = BTreeMap::new();
    let (own, seen) = (leaves(record), leaves(shown));
    let paths: BTreeSet<&Path> = own.keys().chain(seen.keys()).collect();
    paths
        .into_iter()
        .any(|path| own.get(path) != seen.get(path) && writes(graph, *digest, path, &mut cache))
}

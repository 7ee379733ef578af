//! The fields of a record: where they stand, what they say, and a record put together from them.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::{CONTENT, ENVELOPE, EXTRA, Path};
use crate::id::Id;
use crate::record::{Kind, RESTORE_ID, Record};
use crate::value::{Map, Value};

/// One leaf of a record, where it stands.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Leaf<'r> {
    /// A field of the envelope.
    Text(&'r str),
    /// Anything in the content that is no non-empty map, or an unknown field of the envelope.
    Value(&'r Value),
}

impl Leaf<'_> {
    pub fn to_value(self) -> Value {
        match self {
            Leaf::Text(text) => Value::from(text),
            Leaf::Value(value) => value.clone(),
        }
    }
}

/// Notes where a record has leaves.
pub(super) fn leaves(record: &Record, out: &mut BTreeSet<Path>) {
    for field in ENVELOPE {
        if envelope(record, field).is_some() {
            out.insert(vec![field.to_owned()]);
        }
    }
    for key in record.extra.keys().filter(|key| *key != RESTORE_ID) {
        out.insert(vec![EXTRA.to_owned(), key.clone()]);
    }
    collect(&mut vec![CONTENT.to_owned()], &record.content, out);
}

/// The leaf at a path, if the record has one there.
pub(super) fn leaf<'r>(record: &'r Record, path: &[String]) -> Option<Leaf<'r>> {
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

/// A record of these fields, in the envelope of the eldest; the caller sets version and parents.
pub(super) fn assemble<'f>(
    fields: impl IntoIterator<Item = (&'f Path, Option<&'f Value>)>,
    eldest: &Record,
) -> Record {
    let mut record = eldest.clone();
    record.content = Map::new();
    record.extra = Map::new();
    let mut top: BTreeMap<&str, &str> = BTreeMap::new();
    for (path, value) in fields {
        let Some(value) = value else { continue };
        match &path[..] {
            [first, key] if first == EXTRA => drop(record.extra.insert(key.clone(), value.clone())),
            [first, inside @ ..] if first == CONTENT => insert(&mut record.content, inside, value),
            [first] => top.extend(value.as_text().map(|text| (first.as_str(), text))),
            _ => {}
        }
    }
    let text = |key: &str| top.get(key).map(|text| (*text).to_owned());
    match &mut record.kind {
        Kind::Entity {
            name, source_type, ..
        } => {
            *name = text("name");
            *source_type = text("source_type");
        }
        Kind::Relationship {
            from,
            to,
            relationship_type,
        } => {
            let end = |key: &str, or: &Id| {
                top.get(key)
                    .and_then(|text| Id::new(text).ok())
                    .unwrap_or_else(|| or.clone())
            };
            *from = end("from_entity_id", from);
            *to = end("to_entity_id", to);
            if let Some(chosen) = text("relationship_type") {
                *relationship_type = chosen;
            }
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

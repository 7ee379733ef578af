//! I9: a merge gives each field to its last writers, as the design says it.
//!
//! Worked out here from the records and their edges alone, not with the core's graph: what all hubs and clients get wrong
//! in one way shows nowhere else.

use std::collections::{BTreeMap, BTreeSet};

use inbetweenies_core::domain::Strategy;
use inbetweenies_core::hash::Digest;
use inbetweenies_core::limits::MERGE_HEADS_MAX;
use inbetweenies_core::machine::{load_graph, load_view};
use inbetweenies_core::record::{Kind, Record};
use inbetweenies_core::value::{Map, Value};

use super::rows::{Held, above, by_id, edges, hubs};
use super::{Invariant, Violation, at};
use crate::watch::{Oracle, Seen};
use crate::world::World;

type Path = Vec<String>;
type Fields = BTreeMap<Path, Value>;

/// See the file.
pub struct Merge;

impl Invariant for Merge {
    fn id(&self) -> &'static str {
        "I9"
    }

    fn promise(&self) -> &'static str {
        "a merge gives each field to its last writers, and of several to the one with the largest order time"
    }

    fn saw(&mut self, world: &World, _oracle: &Oracle, seen: &Seen<'_>) -> Result<(), Violation> {
        match seen {
            Seen::Sample => hubs(world)
                .filter(|hub| !world.hubs[*hub].disk.is_damaged())
                .take(1)
                .try_for_each(|hub| check(world, hub)),
            Seen::End => hubs(world).take(1).try_for_each(|hub| check(world, hub)),
            _ => Ok(()),
        }
    }
}

fn check(world: &World, hub: usize) -> Result<(), Violation> {
    let disk = world.hubs[hub].disk.image().snapshot();
    let Some(process) = &world.hubs[hub].process else {
        return Ok(());
    };
    for (id, versions) in by_id(&disk) {
        let late = versions.iter().any(|held| !held.row.late.is_empty());
        let things = versions.iter().filter(|held| held.record.is_entity()).count();
        // Names that nobody knew, and ids of two kinds, are left to the core's own tests; what was let go to I10.
        let forgotten = load_graph(&disk, &id).is_ok_and(|graph| graph.nodes().any(|node| node.forgotten));
        if late || forgotten || (things > 0 && things < versions.len()) {
            continue;
        }
        let Ok(Some(view)) = load_view(&disk, &process.policy, &id) else {
            continue;
        };
        if view.strategy != Strategy::Merge || !(2..=MERGE_HEADS_MAX).contains(&view.heads.len()) {
            continue;
        }
        let expected = merged(&versions);
        let shown = fields(&view.record);
        if shown != expected {
            let differs = |path: &&Path| shown.get(*path) != expected.get(*path);
            let path = shown.keys().chain(expected.keys()).find(differs);
            let path = path.map_or_else(String::new, |path| path.join("."));
            let is = |fields: &Fields| {
                let value = fields.iter().find(|(at, _)| at.join(".") == path);
                value.map_or_else(|| "nothing".to_owned(), |(_, value)| format!("{value:?}"))
            };
            return at(
                hub,
                format!(
                    "shows {} as {path} of {id}, and its last writers say {}",
                    is(&shown),
                    is(&expected)
                ),
            );
        }
    }
    Ok(())
}

/// What the versions of one id come to.
fn merged(versions: &[Held]) -> Fields {
    let records: BTreeMap<Digest, &Held> = versions.iter().map(|held| (held.digest, held)).collect();
    let said: BTreeMap<Digest, Fields> = versions
        .iter()
        .map(|held| (held.digest, fields(&held.record)))
        .collect();
    let parents = edges(versions);
    let above = above(&parents);
    let followed: BTreeSet<&Digest> = parents.values().flatten().collect();
    let heads: Vec<&Digest> = records
        .keys()
        .filter(|digest| !followed.contains(digest))
        .collect();
    let rank = |digest: &Digest| {
        let held = records[digest];
        (held.row.order_time, held.record.version.clone(), *digest)
    };
    let paths: BTreeSet<&Path> = heads.iter().flat_map(|head| said[*head].keys()).collect();
    let writes = |digest: &Digest, path: &Path| {
        let own = said[digest].get(path);
        let parents = &parents[digest];
        parents.is_empty() || parents.iter().any(|parent| said[parent].get(path) != own)
    };
    let mut decided: BTreeMap<Path, (Digest, Value)> = BTreeMap::new();
    for path in paths {
        let writers: Vec<&Digest> = records.keys().filter(|digest| writes(digest, path)).collect();
        let last = writers
            .iter()
            .filter(|writer| !writers.iter().any(|other| above[*other].contains(**writer)));
        let Some(winner) = last.max_by_key(|writer| rank(writer)) else {
            continue;
        };
        if let Some(value) = said[*winner].get(path) {
            decided.insert(path.clone(), (**winner, value.clone()));
        }
    }
    // Where one writer has a leaf and another has fields below it, the larger takes the whole path.
    let leaves: Vec<Path> = decided.keys().cloned().collect();
    for leaf in leaves {
        let Some((writer, _)) = decided.get(&leaf) else {
            continue;
        };
        let inside = |path: &Path| path.len() > leaf.len() && path.starts_with(&leaf);
        let below = decided.iter().filter(|(path, _)| inside(path));
        match below.map(|(_, (other, _))| rank(other)).max() {
            Some(largest) if rank(writer) > largest => decided.retain(|path, _| !inside(path)),
            Some(_) => drop(decided.remove(&leaf)),
            None => {}
        }
    }
    decided
        .into_iter()
        .map(|(path, (_, value))| (path, value))
        .collect()
}

/// The leaves of a record: anything in it but a map that holds something.
fn fields(record: &Record) -> Fields {
    let mut fields = Fields::new();
    let mut put = |name: &str, text: Option<&str>| {
        if let Some(text) = text {
            fields.insert(vec![name.to_owned()], Value::from(text));
        }
    };
    match &record.kind {
        Kind::Entity {
            name, source_type, ..
        } => {
            put("name", name.as_deref());
            put("source_type", source_type.as_deref());
        }
        Kind::Relationship {
            from,
            to,
            relationship_type,
        } => {
            put("from", Some(from.as_str()));
            put("to", Some(to.as_str()));
            put("type", Some(relationship_type));
        }
    }
    spread(&["content".to_owned()], &record.content, &mut fields);
    for (key, value) in &record.extra {
        fields.insert(vec!["extra".to_owned(), key.clone()], value.clone());
    }
    fields
}

fn spread(path: &[String], map: &Map, fields: &mut Fields) {
    for (key, value) in map {
        let path = [path, std::slice::from_ref(key)].concat();
        match value {
            Value::Map(inner) if !inner.is_empty() => spread(&path, inner, fields),
            _ => drop(fields.insert(path, value.clone())),
        }
    }
}

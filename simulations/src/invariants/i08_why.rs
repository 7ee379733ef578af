//! I8: whoever asks why a thing is shown as it is, is told of each field who wrote it last, what it beat and by which
//! rule, and that is what is shown.

use std::collections::BTreeMap;

use inbetweenies_core::conflict::read::{self, BeatenRow, FieldRow};
use inbetweenies_core::domain::{CONTENT, Decision, Path};
use inbetweenies_core::id::Id;
use inbetweenies_core::machine::load_graph;
use inbetweenies_core::value::Value;
use inbetweenies_core::view::DELETED;

use super::model::Model;
use super::rows::by_id;
use super::{Invariant, Violation, at};
use crate::watch::{Oracle, Seen};
use crate::world::World;

/// See the file.
pub struct Reasons;

impl Invariant for Reasons {
    fn id(&self) -> &'static str {
        "I8"
    }

    fn promise(&self) -> &'static str {
        "whoever asks why is told of each field who wrote it, what it beat and by which rule, and that is what is shown"
    }

    fn saw(&mut self, world: &World, _oracle: &Oracle, seen: &Seen<'_>) -> Result<(), Violation> {
        let Seen::End = seen else { return Ok(()) };
        let hub = 0;
        let disk = world.hubs[hub].disk.image().snapshot();
        let Some(process) = &world.hubs[hub].process else {
            return Ok(());
        };
        for (id, versions) in by_id(&disk) {
            let late = versions.iter().any(|held| !held.row.late.is_empty());
            let things = versions.iter().filter(|held| held.record.is_entity()).count();
            let forgotten =
                load_graph(&disk, &id).is_ok_and(|graph| graph.nodes().any(|node| node.forgotten));
            if late || forgotten || (things > 0 && things < versions.len()) {
                continue; // as for merges
            }
            let model = Model::new(&versions);
            let decision = process.policy.manifest.decision(model.kind());
            let why = read::why(&disk, &process.policy, &id, things > 0, None);
            let Some(why) = why.ok().flatten() else {
                return at(hub, format!("does not say why {id} is as it is"));
            };
            if let Some(text) = differs(&id, &model, decision, why.fields) {
                return at(hub, text);
            }
        }
        Ok(())
    }
}

/// How the reasons differ from what should be told.
fn differs(id: &Id, model: &Model<'_>, decision: &Decision, rows: Vec<FieldRow>) -> Option<String> {
    let mut told: BTreeMap<Path, FieldRow> = BTreeMap::new();
    for row in rows {
        let mut path = row.field.clone();
        if path[0] == "properties" {
            path[0] = CONTENT.to_owned();
        }
        told.insert(path, row);
    }
    let mut seen = model.seen(decision);
    let deleted = told.remove(&vec![DELETED.to_owned()]);
    let gone = deleted.is_some_and(|row| row.value == Value::Bool(true));
    if gone != seen.deleted {
        return Some(format!(
            "says of {id} that it is deleted: {gone}, and it is shown otherwise"
        ));
    }
    for (path, row) in &told {
        let shown = seen.fields.remove(path);
        if shown != row.present.then(|| row.value.clone()) {
            let path = path.join(".");
            return Some(format!(
                "says why {path} of {id} is {:?}, and {shown:?} is shown",
                row.value
            ));
        }
    }
    if let Some(path) = seen.fields.keys().next() {
        return Some(format!("does not say why {} of {id} is as it is", path.join(".")));
    }
    if model.heads.len() > 1 && !model.is_merged(decision) {
        return None; // the newest whole: its fields are all there is to tell
    }
    for (path, expected) in model.decide(&decision.rules, true) {
        if expected.value.is_none() && expected.others.is_empty() {
            continue; // nobody has it and nobody fought about it
        }
        let digest = |row: &BeatenRow| row.digest.clone();
        let found = told.get(&path).map(|row| {
            (
                digest(&row.written),
                row.rule,
                row.unfit,
                row.beaten.iter().map(digest).collect(),
            )
        });
        let others: Vec<String> = expected.others.iter().map(ToString::to_string).collect();
        let expected = (expected.writer.to_string(), expected.rule, expected.unfit, others);
        if found.as_ref() != Some(&expected) {
            let path = path.join(".");
            return Some(format!(
                "tells {found:?} of {path} of {id}, and it is {expected:?}"
            ));
        }
    }
    None
}

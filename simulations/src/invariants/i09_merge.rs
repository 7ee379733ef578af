//! I9: each strategy gives what the design says: a merge gives each field to its last writers, a declared rule decides
//! between several where it fits them, and otherwise the newest stands whole.

use std::collections::BTreeSet;

use inbetweenies_core::domain::Decision;
use inbetweenies_core::machine::{load_graph, load_view};
use inbetweenies_core::view::View;

use super::model::{Model, Seen as Shown, fields};
use super::rows::{by_id, hubs};
use super::{Invariant, Violation, at};
use crate::watch::{Oracle, Seen};
use crate::world::World;

/// See the file.
pub struct Merge;

impl Invariant for Merge {
    fn id(&self) -> &'static str {
        "I9"
    }

    fn promise(&self) -> &'static str {
        "a merge gives each field to its last writers, and of several to the one that its rule or its order time names"
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
        if view.heads.len() < 2 {
            continue;
        }
        let model = Model::new(&versions);
        let decision = process.policy.manifest.decision(model.kind());
        if let Some(differs) = differs(&view, &model.seen(decision), decision) {
            return at(hub, format!("of {id} it {differs}"));
        }
    }
    Ok(())
}

/// How a view differs from what should be seen.
fn differs(view: &View, expected: &Shown, decision: &Decision) -> Option<String> {
    let shown = Shown {
        fields: fields(&view.record),
        entity_type: view.record.entity_type().map(str::to_owned),
        deleted: view.record.deleted,
        unfit: view.unfit.clone(),
        provisional: view.provisional,
        queued: view.queued,
    };
    if shown == *expected {
        return None;
    }
    let paths: BTreeSet<_> = shown.fields.keys().chain(expected.fields.keys()).collect();
    let path = paths
        .into_iter()
        .find(|path| shown.fields.get(*path) != expected.fields.get(*path));
    let Some(path) = path else {
        let tell = |seen: &Shown| {
            format!(
                "type {:?}, deleted: {}, rules that do not fit: {:?}, provisional: {}, queued: {}",
                seen.entity_type, seen.deleted, seen.unfit, seen.provisional, seen.queued
            )
        };
        return Some(format!("shows {}, not {}", tell(&shown), tell(expected)));
    };
    let is = |seen: &Shown| {
        let value = seen.fields.get(path);
        value.map_or_else(|| "nothing".to_owned(), |value| format!("{value:?}"))
    };
    let rule = decision.rules.get(path).map_or("", |rule| rule.name());
    Some(format!(
        "shows {} as {}, and under {} {rule} its last writers say {}",
        is(&shown),
        path.join("."),
        decision.strategy.name(),
        is(expected)
    ))
}

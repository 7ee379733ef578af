//! I1: hubs that hold the same entries hold and show the same of everything.

use std::collections::BTreeMap;

use inbetweenies_core::conflict::read;
use inbetweenies_core::machine::load_graph;
use inbetweenies_core::store::{Family, IdRow, RecordRow, Snapshot};

use super::rows::{Held, by_id, hubs, keys, records, rows};
use super::{Invariant, Violation, between};
use crate::plan::Lane;
use crate::watch::{Oracle, Seen};
use crate::world::World;

/// See the file.
pub struct SameState;

impl Invariant for SameState {
    fn id(&self) -> &'static str {
        "I1"
    }

    fn promise(&self) -> &'static str {
        "hubs that hold the same change sets hold and show the same of everything"
    }

    fn saw(&mut self, world: &World, oracle: &Oracle, seen: &Seen<'_>) -> Result<(), Violation> {
        match seen {
            Seen::Sample => {
                // The first two that are equal: all of them would cost more than it tells.
                let mut first = BTreeMap::new();
                for hub in hubs(world) {
                    if let Some(other) = first.insert(oracle.tips(hub), hub) {
                        return same(world, other, hub, false);
                    }
                }
                Ok(())
            }
            Seen::End => hubs(world).skip(1).try_for_each(|hub| same(world, 0, hub, true)),
            _ => Ok(()),
        }
    }
}

fn same(world: &World, one: usize, other: usize, shown: bool) -> Result<(), Violation> {
    let (a, b) = (
        world.hubs[one].disk.image().snapshot(),
        world.hubs[other].disk.image().snapshot(),
    );
    let names = || {
        format!(
            "{} and {}",
            world.name_of(Lane::Hub(one)),
            world.name_of(Lane::Hub(other))
        )
    };
    let (ours, theirs) = (records(&a), records(&b));
    if ours.len() != theirs.len() {
        return between(format!(
            "{} hold the same change sets, and {} and {} records",
            names(),
            ours.len(),
            theirs.len()
        ));
    }
    for (x, y) in ours.iter().zip(&theirs) {
        // Whether the bytes of what is forgotten are gone yet is each hub's own business.
        if x.row != y.row && left(&a, x) != left(&b, y) {
            return between(format!(
                "{} hold {} {} differently",
                names(),
                x.record.id,
                x.record.version
            ));
        }
    }
    if rows::<IdRow>(&a, Family::Ids) != rows::<IdRow>(&b, Family::Ids) {
        return between(format!("{} have other heads of some id", names()));
    }
    for family in [Family::Types, Family::Edges, Family::Queue] {
        if keys(&a, family) != keys(&b, family) {
            return between(format!("{} list other {}", names(), family.name()));
        }
    }
    let policies = [one, other].map(|hub| {
        world.hubs[hub]
            .process
            .as_ref()
            .map(|process| process.policy.clone())
    });
    let [Some(p), Some(q)] = policies else {
        return Ok(());
    };
    if !shown {
        return Ok(());
    }
    for id in by_id(&a).keys() {
        let view = |store, policy| {
            [true, false].map(|entity| {
                let mut shown = read::one(store, policy, id, entity, None).ok().flatten();
                shown.iter_mut().for_each(|shown| shown.complete_to.clear());
                shown
            })
        };
        if view(&a, &p) != view(&b, &q) {
            return between(format!("{} show {id} differently", names()));
        }
    }
    Ok(())
}

/// A record as it counts: what is forgotten by what is left of it.
fn left(store: &dyn Snapshot, held: &Held) -> RecordRow {
    let mut row = held.row.clone();
    let graph = load_graph(store, &held.record.id).ok();
    if graph.is_some_and(|graph| graph.node(&held.digest).is_some_and(|node| node.forgotten)) {
        (row.record, row.forgotten) = (held.record.skeleton().canonical(), true);
    }
    row
}

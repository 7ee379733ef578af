//! I7: the versions of an id are a graph without circles, and its heads are those that no other follows.
//!
//! Worked out here from the records and their edges alone, not with the core's graph.

use std::collections::BTreeSet;

use inbetweenies_core::hash::Digest;
use inbetweenies_core::store::id_key;

use super::rows::{Held, by_id, edges, heads, hubs, log};
use super::{Invariant, Violation, at};
use crate::watch::{Oracle, Seen};
use crate::world::World;

/// See the file.
pub struct Heads;

impl Invariant for Heads {
    fn id(&self) -> &'static str {
        "I7"
    }

    fn promise(&self) -> &'static str {
        "the heads of a thing are exactly the versions that no other version follows"
    }

    fn saw(&mut self, world: &World, _oracle: &Oracle, seen: &Seen<'_>) -> Result<(), Violation> {
        match seen {
            Seen::Sample => hubs(world).take(1).try_for_each(|hub| check(world, hub)),
            Seen::End => hubs(world).try_for_each(|hub| chain(world, hub).and_then(|()| check(world, hub))),
            _ => Ok(()),
        }
    }
}

/// Every log is a chain from its first entry on.
fn chain(world: &World, hub: usize) -> Result<(), Violation> {
    let mut before = None;
    for (dot, row, entry) in log(&world.hubs[hub].disk.image().snapshot()) {
        let prev = before.filter(|(of, _, _)| *of == dot.replica);
        let prev = prev.map(|(_, sequence, hash)| (sequence, hash));
        if entry.prev != prev {
            return at(
                hub,
                format!(
                    "entry {} of {} does not follow the one before it",
                    dot.sequence, dot.replica
                ),
            );
        }
        before = Some((dot.replica, dot.sequence, row.hash));
    }
    Ok(())
}

fn check(world: &World, hub: usize) -> Result<(), Violation> {
    let disk = world.hubs[hub].disk.image().snapshot();
    let kept = heads(&disk);
    for (id, versions) in by_id(&disk) {
        // Names that no accepting hub knew are resolved by whoever reads; those are left to I9 and I1.
        if versions.iter().any(|held| !held.row.late.is_empty()) {
            continue;
        }
        let expected = maximal(&versions);
        let Some(row) = kept.get(&id_key(&id)) else {
            return at(hub, format!("keeps no row of {id}"));
        };
        let found: BTreeSet<Digest> = row.heads.iter().copied().collect();
        if found != expected {
            return at(
                hub,
                format!(
                    "keeps {} heads of {id}, and {} versions are followed by none",
                    found.len(),
                    expected.len()
                ),
            );
        }
    }
    Ok(())
}

/// Versions that no other follows.
fn maximal(versions: &[Held]) -> BTreeSet<Digest> {
    let edges = edges(versions);
    let followed: BTreeSet<&Digest> = edges.values().flatten().collect();
    let stands = |digest: &&Digest| !followed.contains(*digest);
    edges.keys().filter(stands).copied().collect()
}

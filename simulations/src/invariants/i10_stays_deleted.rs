//! I10: what was deleted stays deleted: an older version that comes late revives nothing, and an edit made beside the
//! deletion leaves it deleted and waits for a person.

use std::collections::BTreeSet;

use inbetweenies_core::conflict::read;
use inbetweenies_core::hash::Digest;

use super::rows::{by_id, hubs};
use super::{Invariant, Violation, at};
use crate::watch::{Oracle, Seen};
use crate::world::World;

/// See the file.
pub struct StaysDeleted;

impl Invariant for StaysDeleted {
    fn id(&self) -> &'static str {
        "I10"
    }

    fn promise(&self) -> &'static str {
        "a deleted thing stays deleted until somebody who saw the deletion says otherwise"
    }

    fn saw(&mut self, world: &World, _oracle: &Oracle, seen: &Seen<'_>) -> Result<(), Violation> {
        match seen {
            Seen::Sample => hubs(world).take(1).try_for_each(|hub| check(world, hub)),
            Seen::End => hubs(world).try_for_each(|hub| check(world, hub)),
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
        if versions.iter().any(|held| !held.row.late.is_empty()) {
            continue; // names that nobody knew may stand for more than their edges say
        }
        let followed: BTreeSet<Digest> = versions.iter().flat_map(|held| held.row.edges.clone()).collect();
        let deletions: Vec<_> = versions.iter().filter(|held| held.record.deleted).collect();
        let standing = deletions.iter().any(|held| !followed.contains(&held.digest));
        if !standing {
            continue;
        }
        let entity = versions.iter().any(|held| held.record.is_entity());
        let live = versions
            .iter()
            .any(|held| !held.record.deleted && !followed.contains(&held.digest));
        let Ok(Some(shown)) = read::one(&disk, &process.policy, &id, entity, None) else {
            continue;
        };
        if !shown.is_deleted() {
            return at(
                hub,
                format!("shows {id}, which was deleted by a version that none follows"),
            );
        }
        let queue = read::queue(&disk, &process.policy, 100_000).unwrap_or_default();
        let queued = queue.iter().any(|shown| {
            let map = shown.entity.as_ref().or(shown.relationship.as_ref());
            map.and_then(|map| map.get("id")?.as_text()) == Some(id.as_str())
        });
        if live && !queued {
            return at(
                hub,
                format!("{id} was deleted beside an edit, and no person is asked"),
            );
        }
    }
    Ok(())
}

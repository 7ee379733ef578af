//! I8: of versions that do not follow each other, both stay readable, and whoever looks is told which one lost.

use inbetweenies_core::conflict::read;

use super::rows::{by_id, hubs};
use super::{Invariant, Violation, at};
use crate::watch::{Oracle, Seen};
use crate::world::World;

/// See the file.
pub struct NoSilentConflict;

impl Invariant for NoSilentConflict {
    fn id(&self) -> &'static str {
        "I8"
    }

    fn promise(&self) -> &'static str {
        "no edit is lost in silence: every version stays readable, and history says which ones lost"
    }

    fn saw(&mut self, world: &World, _oracle: &Oracle, seen: &Seen<'_>) -> Result<(), Violation> {
        let Seen::End = seen else { return Ok(()) };
        for hub in hubs(world) {
            let disk = world.hubs[hub].disk.image().snapshot();
            let Some(process) = &world.hubs[hub].process else {
                continue;
            };
            for (id, versions) in by_id(&disk) {
                let read = |entity| {
                    let page = read::history(&disk, &process.policy, &id, entity, None, None, usize::MAX);
                    page.ok().flatten()
                };
                let history = read(true).or_else(|| read(false));
                let history = history.map_or_else(Vec::new, |page| page.versions);
                if history.len() != versions.len() {
                    return at(
                        hub,
                        format!("tells {} of {} versions of {id}", history.len(), versions.len()),
                    );
                }
                let standing = history
                    .iter()
                    .filter(|row| matches!(row.state, "head" | "lost"))
                    .count();
                if standing == 0 {
                    return at(hub, format!("says that every version of {id} was superseded"));
                }
            }
        }
        Ok(())
    }
}

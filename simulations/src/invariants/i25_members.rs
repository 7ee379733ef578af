//! I25: hubs that come, go and come back leave no false conflicts and no ghosts in clocks.

use std::collections::BTreeMap;

use super::rows::{by_id, hubs};
use super::{Invariant, Violation, at};
use crate::plan::Lane;
use crate::watch::{Oracle, Seen, is_hubs_own};
use crate::world::World;
use inbetweenies_core::conflict::read;

/// See the file.
pub struct Members;

impl Invariant for Members {
    fn id(&self) -> &'static str {
        "I25"
    }

    fn promise(&self) -> &'static str {
        "who belongs to the home is no conflict, each running hub has a name of its own, and clocks have no entry that no hub's life accounts for"
    }

    fn saw(&mut self, world: &World, oracle: &Oracle, seen: &Seen<'_>) -> Result<(), Violation> {
        let Seen::End = seen else { return Ok(()) };
        let mut names = BTreeMap::new();
        for hub in hubs(world) {
            let name = world.hubs[hub]
                .process
                .as_ref()
                .map(|process| process.identity.hub_id);
            if let Some(other) = name.and_then(|name| names.insert(name, hub)) {
                let other = world.name_of(Lane::Hub(other));
                return at(hub, format!("goes by one name with {other}, and both run"));
            }
            let disk = world.hubs[hub].disk.image().snapshot();
            let Some(process) = &world.hubs[hub].process else {
                continue;
            };
            for (id, versions) in by_id(&disk) {
                if !versions.iter().any(|held| is_hubs_own(held.record.entity_type())) {
                    continue;
                }
                let shown = read::one(&disk, &process.policy, &id, true, None).ok().flatten();
                if shown.is_some_and(|shown| shown.provisional) {
                    return at(hub, format!("asks a person about its own record {id}"));
                }
            }
            let lives: u64 = hubs(world).map(|hub| oracle.lives(hub)).sum();
            if oracle.tips(hub).len() as u64 > lives {
                return at(
                    hub,
                    format!(
                        "its clock has {} logs, and hubs had {lives} lives",
                        oracle.tips(hub).len()
                    ),
                );
            }
        }
        Ok(())
    }
}

//! I3: what was acknowledged is never lost while a disk holds it: it is there after every start, and in the end
//! everywhere.

use inbetweenies_core::store::{Family, Snapshot, record_key};

use super::{Invariant, Violation, at};
use crate::watch::{Oracle, Seen};
use crate::world::World;

/// See the file.
pub struct NoAckedLoss;

impl Invariant for NoAckedLoss {
    fn id(&self) -> &'static str {
        "I3"
    }

    fn promise(&self) -> &'static str {
        "an acknowledged change is on the disk that acknowledged it after every restart, and in the end on every hub"
    }

    fn saw(&mut self, world: &World, oracle: &Oracle, seen: &Seen<'_>) -> Result<(), Violation> {
        match seen {
            // A disk that went back has honestly less; what is left to ask of it is asked in the end.
            Seen::Started { hub } if !oracle.may_go_back() => held(world, oracle, *hub, Some(*hub)),
            Seen::End => (0..world.hubs.len()).try_for_each(|hub| held(world, oracle, hub, None)),
            _ => Ok(()),
        }
    }
}

fn held(world: &World, oracle: &Oracle, hub: usize, by: Option<usize>) -> Result<(), Violation> {
    let disk = world.hubs[hub].disk.image().snapshot();
    for (digest, acked) in oracle.acked() {
        if by.is_some_and(|by| by != acked.hub) {
            continue;
        }
        let row = disk.get(Family::Records, &record_key(&acked.id, digest));
        if row.is_ok_and(|row| row.is_none()) {
            return at(
                hub,
                format!(
                    "{} ({}), which {} acknowledged at {:?}, is not there",
                    acked.id,
                    digest.short(),
                    world.hubs[acked.hub].name,
                    acked.at
                ),
            );
        }
    }
    Ok(())
}

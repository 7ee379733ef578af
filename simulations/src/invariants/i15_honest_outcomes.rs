//! I15: every request gets an outcome, and "refused" means that nothing of it will ever be seen.

use std::time::Duration;

use inbetweenies_core::store::{Family, Snapshot, record_key};

use super::{Invariant, Violation, at};
use crate::watch::{Oracle, Seen};
use crate::world::World;

/// See the file.
pub struct HonestOutcomes;

impl Invariant for HonestOutcomes {
    fn id(&self) -> &'static str {
        "I15"
    }

    fn promise(&self) -> &'static str {
        "every request is answered or its connection closed, and what was refused is never seen anywhere"
    }

    fn saw(&mut self, world: &World, oracle: &Oracle, seen: &Seen<'_>) -> Result<(), Violation> {
        match seen {
            Seen::NoAnswer { hub, call } => answered(world, oracle, *hub, *call),
            Seen::Answered { hub, .. } => match oracle.untold() {
                Some(id) => at(*hub, format!("answers and does not say what became of {id}")),
                None => Ok(()),
            },
            Seen::End => {
                for (at_hub, hub) in world.hubs.iter().enumerate() {
                    let disk = hub.disk.image().snapshot();
                    for (digest, id) in oracle.refused() {
                        let row = disk.get(Family::Records, &record_key(id, digest));
                        if row.is_ok_and(|row| row.is_some()) {
                            return at(
                                at_hub,
                                format!("holds {id} ({}), which was refused", digest.short()),
                            );
                        }
                    }
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

/// A hub that ran all the while and had no trouble should have answered.
fn answered(world: &World, oracle: &Oracle, hub: usize, call: u64) -> Result<(), Violation> {
    let Some(process) = &world.hubs[hub].process else {
        return Ok(());
    };
    let waits = process.calls.values().any(|waiting| *waiting == call);
    let begun = world.calls.get(&call).map_or(Duration::ZERO, |call| call.sent_at);
    let well = oracle.troubled(hub).is_none_or(|at| at < begun) && process.started < begun;
    if waits && well {
        return at(hub, "has not answered a request within a minute");
    }
    Ok(())
}

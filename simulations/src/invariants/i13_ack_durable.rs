//! I13: an acknowledgement leaves only after what it acknowledges is on disk; so does everything else that follows from
//! it.

use inbetweenies_core::store::{Family, Snapshot, record_key};
use inbetweenies_core::wire::Message;

use super::{Invariant, Violation, at};
use crate::plan::Lane;
use crate::watch::{Oracle, Seen};
use crate::world::World;

/// See the file.
pub struct AckDurable;

impl Invariant for AckDurable {
    fn id(&self) -> &'static str {
        "I13"
    }

    fn promise(&self) -> &'static str {
        "a hub acknowledges a change, and passes it on, only when it is on its disk"
    }

    fn saw(&mut self, world: &World, oracle: &Oracle, seen: &Seen<'_>) -> Result<(), Violation> {
        match seen {
            Seen::Answered { hub, .. } => {
                let disk = world.hubs[*hub].disk.image().snapshot();
                for landed in oracle.landed() {
                    let row = disk.get(Family::Records, &record_key(&landed.id, &landed.digest));
                    if row.is_ok_and(|row| row.is_none()) {
                        return at(
                            *hub,
                            format!("acknowledges {}, which is not on its disk", landed.id),
                        );
                    }
                }
                Ok(())
            }
            Seen::Sent {
                from: Lane::Hub(hub),
                message: Message::Push { bundles },
                ..
            } => {
                let disk = world.hubs[*hub].disk.image().snapshot();
                for bundle in bundles {
                    let whole = |at: &usize| !bundle.forgotten.contains(at);
                    let whole = (0..bundle.records.len())
                        .filter(whole)
                        .map(|at| &bundle.records[at]);
                    for bytes in whole {
                        let Ok(record) = inbetweenies_core::record::Record::from_stored(bytes) else {
                            continue;
                        };
                        let digest = inbetweenies_core::hash::Digest::of(bytes);
                        let row = disk.get(Family::Records, &record_key(&record.id, &digest));
                        if row.is_ok_and(|row| row.is_none()) && !oracle.may_go_back() {
                            return at(*hub, format!("passes on {}, which is not on its disk", record.id));
                        }
                    }
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

//! I6: a client that has synced with a hub finds there everything that any hub told it before: its own writes, and what
//! it has read.

use inbetweenies_core::store::{Family, Snapshot, record_key};

use super::{Invariant, Violation, at};
use crate::watch::{Oracle, Seen};
use crate::world::World;

/// See the file.
pub struct CausesFirst;

impl Invariant for CausesFirst {
    fn id(&self) -> &'static str {
        "I6"
    }

    fn promise(&self) -> &'static str {
        "a client that synced with a hub finds there what it wrote and what it has read anywhere"
    }

    fn saw(&mut self, world: &World, oracle: &Oracle, seen: &Seen<'_>) -> Result<(), Violation> {
        let Seen::Synced { client, hub } = seen else {
            return Ok(());
        };
        // Where a disk went back, what it alone had told is gone, and the client is told so.
        if oracle.may_go_back() {
            return Ok(());
        }
        let disk = world.hubs[*hub].disk.image().snapshot();
        for held in world.clients[*client].replica.all() {
            let sealed = &held.sealed;
            let key = record_key(&sealed.record.id, &sealed.digest);
            if !held.stamps.is_empty() && disk.get(Family::Records, &key).is_ok_and(|row| row.is_none()) {
                let name = &world.clients[*client].name;
                return at(
                    *hub,
                    format!(
                        "{name} has synced and holds {}, which is not there",
                        sealed.record.id
                    ),
                );
            }
        }
        Ok(())
    }
}

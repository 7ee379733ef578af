//! I14: however often and wherever a change set is pushed, each log holds it once at most, and it counts once.

use std::collections::{BTreeMap, BTreeSet};

use inbetweenies_core::hash::Digest;
use inbetweenies_core::id::Dot;

use super::rows::{hubs, log, records};
use super::{Invariant, Violation, at};
use crate::watch::{Oracle, Seen};
use crate::world::World;

/// See the file.
pub struct ExactlyOnce;

impl Invariant for ExactlyOnce {
    fn id(&self) -> &'static str {
        "I14"
    }

    fn promise(&self) -> &'static str {
        "pushing the same change again, anywhere, changes nothing: each log holds it once at most"
    }

    fn saw(&mut self, world: &World, oracle: &Oracle, seen: &Seen<'_>) -> Result<(), Violation> {
        // What a disk has lost is unknown there, and taken for new when it is pushed again.
        if oracle.has_rotted() {
            return Ok(());
        }
        let Seen::End = seen else { return Ok(()) };
        for hub in hubs(world) {
            let disk = world.hubs[hub].disk.image().snapshot();
            let mut named: BTreeMap<Digest, BTreeSet<Dot>> = BTreeMap::new();
            let mut sets = BTreeSet::new();
            for (dot, _, entry) in log(&disk) {
                // Two sets may share a record: each is logged whole.
                let set: BTreeSet<Digest> = entry.stamps.iter().map(|stamp| stamp.digest).collect();
                for digest in &set {
                    named.entry(*digest).or_default().insert(dot);
                }
                if !sets.insert((dot.replica, set)) {
                    return at(hub, format!("the log {} holds one change set twice", dot.replica));
                }
            }
            for held in records(&disk) {
                let dots: BTreeSet<Dot> = held.row.dots.iter().copied().collect();
                if named.get(&held.digest) != Some(&dots) {
                    return at(
                        hub,
                        format!(
                            "the entries of {} and its row say different things",
                            held.record.id
                        ),
                    );
                }
            }
        }
        Ok(())
    }
}

//! P4: a change set is logged whole, and travels to clients whole.

use std::collections::BTreeSet;

use inbetweenies_core::entry::Entry;
use inbetweenies_core::hash::Digest;
use inbetweenies_core::id::Dot;
use inbetweenies_core::store::{Family, LogRow, decode_row, read_log};

use super::{Invariant, Violation, at};
use crate::watch::{Oracle, Seen};
use crate::world::World;

/// See the file.
pub struct WholeSets;

impl Invariant for WholeSets {
    fn id(&self) -> &'static str {
        "P4"
    }

    fn promise(&self) -> &'static str {
        "a change set becomes visible whole or not at all: each entry is a set as it was pushed, each page has whole sets"
    }

    fn saw(&mut self, world: &World, oracle: &Oracle, seen: &Seen<'_>) -> Result<(), Violation> {
        match seen {
            Seen::Committed { hub, commit } => {
                for (family, _, value) in &commit.writes {
                    let (Family::Log, Some(value)) = (family, value) else {
                        continue;
                    };
                    let row = decode_row::<LogRow>(Family::Log, value).ok();
                    let Some(entry) = row.and_then(|row| Entry::from_stored(&row.entry).ok()) else {
                        continue;
                    };
                    let digests: BTreeSet<Digest> = entry.stamps.iter().map(|stamp| stamp.digest).collect();
                    // What hubs write themselves nobody pushed.
                    let peoples = digests.iter().any(|digest| oracle.issued(digest).is_some());
                    if peoples && !oracle.pushed_together(&digests) {
                        return at(
                            *hub,
                            format!(
                                "entry {} of {} has {} records that were never pushed as one set",
                                entry.dot.sequence,
                                entry.dot.replica,
                                digests.len()
                            ),
                        );
                    }
                }
                Ok(())
            }
            // Clients of these runs ask without filters.
            Seen::Answered {
                hub,
                answer: Ok(response),
                ..
            } => {
                let disk = world.hubs[*hub].disk.image().snapshot();
                for row in &response.entries {
                    let Ok(replica) = row.replica.parse() else {
                        continue;
                    };
                    let sequence = row.sequence;
                    let held = read_log(&disk, Dot { replica, sequence }).ok().flatten();
                    if held.is_some_and(|held| held.ids.len() != row.order_times.len()) {
                        return at(
                            *hub,
                            format!(
                                "tells a client {} records of entry {sequence} of {replica}, which has more",
                                row.order_times.len()
                            ),
                        );
                    }
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

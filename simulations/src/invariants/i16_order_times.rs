//! I16: a hub's clock for order times never goes back, whatever its wall clock does; no stamp leads it by more than the
//! protocol's bound, except to follow a parent; and a record's order time only ever decreases.

use std::collections::BTreeMap;

use inbetweenies_core::entry::Entry;
use inbetweenies_core::store::{Family, LogRow, MetaRow, RecordRow, Snapshot, decode_row, record_key};
use inbetweenies_core::time::{EPSILON, Micros};

use super::{Invariant, Violation, at};
use crate::watch::{Oracle, Seen};
use crate::world::World;

/// See the file.
#[derive(Default)]
pub struct OrderTimes {
    last: BTreeMap<usize, Micros>,
}

impl Invariant for OrderTimes {
    fn id(&self) -> &'static str {
        "I16"
    }

    fn promise(&self) -> &'static str {
        "order times never go back, follow their parents, and lead the accepting hub's clock by 5 minutes at most"
    }

    fn saw(&mut self, world: &World, oracle: &Oracle, seen: &Seen<'_>) -> Result<(), Violation> {
        match seen {
            Seen::Replaced { hub, .. } | Seen::Ended { hub, lost: true, .. } => {
                self.last.remove(hub);
                Ok(())
            }
            Seen::Committed { hub, commit } => {
                let meta = commit
                    .writes
                    .iter()
                    .rev()
                    .find(|(family, _, _)| *family == Family::Meta);
                let meta =
                    meta.and_then(|(_, _, value)| decode_row::<MetaRow>(Family::Meta, value.as_ref()?).ok());
                self.last.extend(meta.map(|meta| (*hub, meta.hlc)));
                Ok(())
            }
            Seen::Committing { hub, commit } => {
                let before = world.hubs[*hub].disk.image().snapshot();
                let mut meta: Option<MetaRow> = None;
                for (family, key, value) in &commit.writes {
                    match (family, value) {
                        (Family::Meta, Some(value)) => meta = decode_row(Family::Meta, value).ok(),
                        // Where branches part, an entry that counted is taken back, and its stamp with it.
                        (Family::Records, Some(value)) if !oracle.may_go_back() => {
                            let old = before.get(Family::Records, key).ok().flatten();
                            let old = old.and_then(|old| decode_row::<RecordRow>(Family::Records, &old).ok());
                            let new = decode_row::<RecordRow>(Family::Records, value).ok();
                            if let (Some(old), Some(new)) = (old, new)
                                && new.order_time > old.order_time
                            {
                                return at(*hub, "a record's order time has grown");
                            }
                        }
                        _ => {}
                    }
                }
                match meta {
                    Some(meta) => self.own(world, *hub, &meta, commit),
                    None => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }
}

impl OrderTimes {
    fn own(
        &self,
        world: &World,
        hub: usize,
        meta: &MetaRow,
        commit: &inbetweenies_core::store::Commit,
    ) -> Result<(), Violation> {
        let last = self.last.get(&hub).copied().unwrap_or_default();
        if meta.hlc < last {
            return at(
                hub,
                format!("its clock for order times went back from {last} to {}", meta.hlc),
            );
        }
        let before = world.hubs[hub].disk.image().snapshot();
        let mut times: BTreeMap<Vec<u8>, Micros> = BTreeMap::new();
        for (family, key, value) in &commit.writes {
            if let (Family::Records, Some(value)) = (family, value)
                && let Ok(row) = decode_row::<RecordRow>(Family::Records, value)
            {
                times.insert(key.clone(), row.order_time);
            }
        }
        for (family, _, value) in &commit.writes {
            let (Family::Log, Some(value)) = (family, value) else {
                continue;
            };
            let Ok(row) = decode_row::<LogRow>(Family::Log, value) else {
                continue;
            };
            let Ok(entry) = Entry::from_stored(&row.entry) else {
                continue;
            };
            if Some(entry.dot.replica) != meta.replica {
                continue;
            }
            for (stamp, id) in entry.stamps.iter().zip(&row.ids) {
                if stamp.order_time <= meta.hlc.plus(EPSILON) {
                    continue;
                }
                // Only to follow a parent, which may have got a smaller time in this very commit.
                let parent = |digest| {
                    let key = record_key(id, digest);
                    let row = before.get(Family::Records, &key).ok().flatten();
                    let row = row.and_then(|row| decode_row::<RecordRow>(Family::Records, &row).ok());
                    let old = row.map(|row| row.order_time);
                    times.get(&key).copied().max(old)
                };
                let key = record_key(id, &stamp.digest);
                let edges = commit.writes.iter().find_map(|(family, at, value)| {
                    let row = (*family == Family::Records && *at == key).then_some(value.as_ref()?)?;
                    Some(decode_row::<RecordRow>(Family::Records, row).ok()?.edges)
                });
                let follows = edges
                    .iter()
                    .flatten()
                    .filter_map(parent)
                    .any(|time| time.next() >= stamp.order_time);
                if !follows {
                    return at(
                        hub,
                        format!(
                            "stamps {id} with {}, beyond its clock {}",
                            stamp.order_time, meta.hlc
                        ),
                    );
                }
            }
        }
        Ok(())
    }
}

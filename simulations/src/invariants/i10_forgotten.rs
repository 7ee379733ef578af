//! I10: content is let go only at or below a horizon that every unfenced hub had reached when it was written, and never
//! of what stands.

use std::collections::BTreeMap;

use inbetweenies_core::domain::HORIZON;
use inbetweenies_core::id::{HubId, ReplicaId};
use inbetweenies_core::machine::load_members;
use inbetweenies_core::record::Record;
use inbetweenies_core::store::{
    Commit, Family, LogRow, MemorySnapshot, RecordRow, ReplicaRow, Snapshot, decode_row, read_id, read_meta,
};
use inbetweenies_core::view::horizon;

use super::rows::{digest, rows};
use super::{Invariant, Violation, at};
use crate::watch::{Oracle, Seen};
use crate::world::World;

/// See the file.
#[derive(Default)]
pub struct Forgotten {
    /// How far each hub has ever held each log, durably.
    reached: BTreeMap<HubId, BTreeMap<ReplicaId, u64>>,
}

impl Invariant for Forgotten {
    fn id(&self) -> &'static str {
        "I10"
    }

    fn promise(&self) -> &'static str {
        "content is let go only where every unfenced hub had come, and never of what stands"
    }

    fn saw(&mut self, world: &World, oracle: &Oracle, seen: &Seen<'_>) -> Result<(), Violation> {
        match seen {
            // What a failed sync left behind counts when it is found again.
            Seen::Started { hub } => {
                self.hold(world, *hub);
                Ok(())
            }
            Seen::Committing { hub, commit } if !oracle.may_go_back() => {
                stands(*hub, &world.hubs[*hub].disk.image().snapshot(), commit)
            }
            Seen::Committed { hub, commit } => {
                self.hold(world, *hub);
                let disk = world.hubs[*hub].disk.image().snapshot();
                match read_meta(&disk) {
                    Ok(Some(meta)) => self.written(*hub, &disk, meta.hub_id, commit),
                    _ => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }
}

impl Forgotten {
    /// Notes how far a hub's disk holds each log.
    fn hold(&mut self, world: &World, hub: usize) {
        let disk = world.hubs[hub].disk.image().snapshot();
        let Ok(Some(meta)) = read_meta(&disk) else { return };
        let reached = self.reached.entry(meta.hub_id).or_default();
        for (key, row) in rows::<ReplicaRow>(&disk, Family::Replicas) {
            if let Ok(replica) = <[u8; 16]>::try_from(key.as_slice()) {
                let last = reached.entry(ReplicaId(replica)).or_default();
                *last = row.sequence.max(*last);
            }
        }
    }

    /// A horizon that this hub writes itself.
    fn written(
        &self,
        hub: usize,
        disk: &MemorySnapshot,
        hub_id: HubId,
        commit: &Commit,
    ) -> Result<(), Violation> {
        let own = |row: &RecordRow| Record::from_stored(&row.record).ok();
        for (family, _, value) in &commit.writes {
            let (Family::Log, Some(value)) = (family, value) else {
                continue;
            };
            let horizons = decode_row::<LogRow>(Family::Log, value)
                .is_ok_and(|row| row.ids.iter().any(|id| id.as_str() == HORIZON));
            if !horizons {
                continue;
            }
            let records = commit
                .writes
                .iter()
                .filter(|(family, _, _)| *family == Family::Records);
            let records = records
                .filter_map(|(_, _, value)| decode_row::<RecordRow>(Family::Records, value.as_ref()?).ok());
            let name = hub_id.to_string();
            let written = records
                .filter_map(|row| own(&row))
                .filter(|record| record.user_id.as_ref() == Some(&name));
            let before = before(disk, commit);
            for limit in written.filter_map(|record| horizon(&record)) {
                for member in load_members(disk).unwrap_or_default() {
                    if member.left || member.fenced {
                        continue;
                    }
                    let reached = self.reached.get(&member.hub_id);
                    let held =
                        |replica: &ReplicaId| reached.and_then(|reached| reached.get(replica)).copied();
                    if let Some((replica, sequence)) = limit.iter().find(|(replica, sequence)| {
                        let known = before.get(*replica).copied().unwrap_or(0);
                        **sequence > known && held(replica).unwrap_or(0) < **sequence
                    }) {
                        return at(
                            hub,
                            format!(
                                "lets go what lies below {sequence} of {replica}, and {} never held that",
                                member.name
                            ),
                        );
                    }
                }
            }
        }
        Ok(())
    }
}

/// How far the horizons of before reached, which a new one holds too: who counts now may not have counted then.
fn before(disk: &MemorySnapshot, commit: &Commit) -> BTreeMap<ReplicaId, u64> {
    let new = |key: &Vec<u8>| {
        let mut writes = commit.writes.iter();
        writes.any(|(family, at, _)| *family == Family::Records && at == key)
    };
    let mut joined: BTreeMap<ReplicaId, u64> = BTreeMap::new();
    for (key, row) in rows::<RecordRow>(disk, Family::Records) {
        let record = Record::from_stored(&row.record).ok();
        let record = record.filter(|record| record.id.as_str() == HORIZON && !new(&key));
        for (replica, sequence) in record.and_then(|record| horizon(&record)).into_iter().flatten() {
            let last = joined.entry(replica).or_default();
            *last = sequence.max(*last);
        }
    }
    joined
}

/// What a hub has and lets go is replaced, as far as it knows. (A hub that is new may be sent what is left of a record
/// before it is sent what replaced it.)
fn stands(hub: usize, before: &MemorySnapshot, commit: &Commit) -> Result<(), Violation> {
    for (family, key, value) in &commit.writes {
        let (Family::Records, Some(value)) = (family, value) else {
            continue;
        };
        let Ok(row) = decode_row::<RecordRow>(Family::Records, value) else {
            continue;
        };
        let Some(record) = Record::from_stored(&row.record).ok().filter(|_| row.forgotten) else {
            continue;
        };
        let had = before.get(Family::Records, key).ok().flatten();
        let had = had.and_then(|had| decode_row::<RecordRow>(Family::Records, &had).ok());
        if had.is_none_or(|had| had.forgotten) {
            continue;
        }
        let heads = read_id(before, &record.id)
            .ok()
            .flatten()
            .map_or_else(Vec::new, |row| row.heads);
        if digest(key, &row).is_some_and(|digest| heads.contains(&digest)) {
            return at(
                hub,
                format!(
                    "lets the content of {} {} go, which nothing replaces",
                    record.id, record.version
                ),
            );
        }
    }
    Ok(())
}

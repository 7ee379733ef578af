//! I18: what counts as held of a blob is there, synced, and is what its name says; what records refer to is never
//! collected; nothing that was verified and written is fetched again; and what one hub has, all come to have.

use std::collections::{BTreeMap, BTreeSet};

use inbetweenies_core::blob::{BlobId, CHUNK_BYTES, Stored, chunk_len, unpack};
use inbetweenies_core::node::Notice;
use inbetweenies_core::store::{
    Family, HeldRow, OfBlob, Snapshot, blob_key, blob_of, decode_row, read_manifest, read_ref,
};
use inbetweenies_core::transfer::{Done, Taken};

use super::{Invariant, Violation, at};
use crate::plan::Lane;
use crate::recording::FaultKind;
use crate::watch::{Oracle, Seen};
use crate::world::{World, blobs_of, is_whole};

/// See the file.
#[derive(Default)]
pub struct Blobs {
    /// Chunks written, by hub, since its disk last lost anything.
    written: BTreeMap<usize, BTreeSet<(BlobId, u32)>>,
    /// Bytes of chunks taken, by hub and process.
    taken: BTreeMap<(usize, u64), u64>,
    /// What may have come twice for a good reason, in chunks.
    excused: u64,
    /// Bytes of all that each hub was to fetch.
    needed: BTreeMap<usize, BTreeMap<BlobId, u64>>,
    /// Hubs that asked two for one chunk since their last start.
    hedged: BTreeSet<usize>,
    /// What clients have let go of.
    safe: BTreeSet<BlobId>,
}

impl Invariant for Blobs {
    fn id(&self) -> &'static str {
        "I18"
    }

    fn promise(&self) -> &'static str {
        "a blob that counts as held is there, synced, and is what its name says; nothing of it that was stored comes twice"
    }

    fn saw(&mut self, world: &World, oracle: &Oracle, seen: &Seen<'_>) -> Result<(), Violation> {
        match seen {
            Seen::Committed { hub, commit } => {
                for (family, key, row) in &commit.writes {
                    let held = *family == Family::Blobs && key.first() == Some(&(OfBlob::Held as u8));
                    let Some(id) = blob_of(key).filter(|_| held) else {
                        continue;
                    };
                    match row {
                        Some(row) => self.held(world, *hub, id, row)?,
                        None => let_go(world, *hub, id)?,
                    }
                }
                Ok(())
            }
            Seen::Worked { hub, done } => self.worked(*hub, done),
            Seen::Safe { id, .. } => {
                self.safe.insert(*id);
                Ok(())
            }
            Seen::Ended { hub, how, .. } => {
                if *how == FaultKind::PowerCut {
                    // What was not synced is gone.
                    self.written.remove(hub);
                    self.excused += world.plan.tuning.blob_sync_bytes.div_ceil(CHUNK_BYTES) as u64;
                }
                self.excused += 1 + (world.plan.tuning.blob_window_bytes_max / CHUNK_BYTES) as u64;
                Ok(())
            }
            Seen::Cut { .. } | Seen::FrameRefused { .. } | Seen::Mishap(_) => {
                self.excused += 1;
                Ok(())
            }
            Seen::Replaced { hub, .. } => {
                self.written.remove(hub);
                self.needed.remove(hub);
                self.taken.retain(|(of, _), _| of != hub);
                Ok(())
            }
            Seen::Notice {
                hub,
                notice: Notice::Blobs(told),
            } => {
                self.excused = self.excused.max(told.bad_chunks + told.hedged_chunks);
                if told.hedged_chunks > 0 {
                    self.hedged.insert(*hub);
                }
                self.taken
                    .insert((*hub, world.hubs[*hub].boots), told.taken_bytes);
                Ok(())
            }
            Seen::End => self.end(world, oracle),
            _ => Ok(()),
        }
    }
}

impl Blobs {
    fn held(&mut self, world: &World, hub: usize, id: BlobId, row: &[u8]) -> Result<(), Violation> {
        let Ok(row) = decode_row::<HeldRow>(Family::Blobs, row) else {
            return at(hub, format!("what it holds of {id:?} does not read"));
        };
        self.needed.entry(hub).or_default().insert(id, row.size);
        check(world, hub, id, &row)
    }

    fn worked(&mut self, hub: usize, done: &Done) -> Result<(), Violation> {
        match done {
            Done::Took {
                id,
                index,
                taken: Taken::Written,
                ..
            } => {
                let again = !self.written.entry(hub).or_default().insert((*id, *index));
                if again && !self.hedged.contains(&hub) {
                    let text = format!("chunk {index} of {id:?} was written before, and came again");
                    return at(hub, text);
                }
            }
            // What has rotted comes again.
            Done::Checked {
                id,
                index,
                good: false,
            } => {
                self.written.entry(hub).or_default().remove(&(*id, *index));
            }
            Done::Removed { id } => {
                let written = self.written.entry(hub).or_default();
                written.retain(|(of, _)| of != id);
            }
            _ => {}
        }
        Ok(())
    }

    fn end(&self, world: &World, oracle: &Oracle) -> Result<(), Violation> {
        for hub in 0..world.hubs.len() {
            let store = world.hubs[hub].disk.image().snapshot();
            for id in blobs_of(&store, OfBlob::Held) {
                if let Ok(Some(row)) = inbetweenies_core::store::read_held(&store, &id) {
                    check(world, hub, id, &row)?;
                }
            }
            let exact = !oracle.may_go_back() && !oracle.has_rotted();
            for id in self.safe.iter().filter(|_| exact) {
                let wanted = read_ref(&store, id).is_ok_and(|row| row.is_some());
                if wanted && !is_whole(&store, id) {
                    return at(
                        hub,
                        format!("does not hold {id:?}, which a client trusted a hub with"),
                    );
                }
            }
            let needed: u64 = self
                .needed
                .get(&hub)
                .into_iter()
                .flatten()
                .map(|(_, size)| size)
                .sum();
            let taken = self.taken.iter().filter(|((of, _), _)| *of == hub);
            let taken: u64 = taken.map(|(_, bytes)| bytes).sum();
            let bound = needed + needed / 50 + self.excused * CHUNK_BYTES as u64;
            if exact && taken > bound {
                return at(
                    hub,
                    format!("took {taken} bytes of chunks where {needed} were needed, {bound} at most"),
                );
            }
        }
        Ok(())
    }
}

/// Nothing is let go while a record refers to it: here nobody has a budget.
fn let_go(world: &World, hub: usize, id: BlobId) -> Result<(), Violation> {
    let store = world.hubs[hub].disk.image().snapshot();
    if read_ref(&store, &id).is_ok_and(|row| row.is_some()) {
        return at(hub, format!("let {id:?} go, to which a record refers"));
    }
    Ok(())
}

/// Whether all that a row says is there would survive a loss of power, and is what it should be.
fn check(world: &World, hub: usize, id: BlobId, row: &HeldRow) -> Result<(), Violation> {
    let image = world.hubs[hub].disk.image();
    let store = image.snapshot();
    let Ok(Some(manifest)) = read_manifest(&store, &id, row.size) else {
        return at(
            hub,
            format!("holds something of {id:?} and has no manifest for it"),
        );
    };
    let bytes = store
        .get(Family::Blobs, &blob_key(OfBlob::Bytes, &id))
        .ok()
        .flatten();
    let rotten = |index: u32| world.rotten_chunks.contains(&(hub, id, index));
    let held = (0..manifest.chunks()).filter(|index| row.whole || row.have.has(*index));
    for index in held.filter(|index| !rotten(*index)) {
        let stored = match &bytes {
            Some(row) => row.split_first().map(|(packed, bytes)| Stored {
                packed: *packed == 1,
                bytes: bytes.to_vec().into(),
            }),
            None => image.files.synced(id, index).cloned(),
        };
        let raw = stored.and_then(|stored| unpack(stored, chunk_len(row.size, index)));
        if !raw.is_some_and(|raw| manifest.verifies(index, &raw)) {
            let name = world.name_of(Lane::Hub(hub));
            return at(
                hub,
                format!("{name} counts chunk {index} of {id:?} as held, and it is not there"),
            );
        }
    }
    Ok(())
}

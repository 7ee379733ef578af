//! Disks that rot: rows vanish, change or come from nowhere, and no read says so. Anti-entropy has to notice.

use std::collections::BTreeMap;

use inbetweenies_core::blob::BlobId;
use inbetweenies_core::hash::Digest;
use inbetweenies_core::machine::sound_entry;
use inbetweenies_core::store::{
    Family, LogRow, MemorySnapshot, OfBlob, RecordRow, Snapshot, TREE_KEY, decode_row, read_held, read_meta,
};
use inbetweenies_core::transfer::read_verified;

use super::{World, blobs_of, is_whole};
use crate::chance::Stream;
use crate::recording::FaultKind;
use crate::watch::Seen;

impl World {
    /// Rows change behind a hub's back: only such as another sound hub holds too, for what is nowhere else is lost.
    pub(super) fn rot(&mut self, hub: usize) {
        if self.rotten.iter().any(|other| *other != hub)
            || self.hubs[hub]
                .process
                .as_ref()
                .is_some_and(|p| p.flight.is_some())
        {
            return; // one disk at a time, and not in the middle of a write
        }
        let others: Vec<_> = (0..self.hubs.len())
            .filter(|other| *other != hub)
            .map(|other| self.hubs[other].disk.image().snapshot())
            .collect();
        let chance = self.chance.of(Stream::Damage(hub as u64));
        let mut what = self.hubs[hub].disk.rot(&others, chance);
        what.extend(self.rot_chunk(hub, &others));
        if !what.is_empty() {
            self.rotten.insert(hub);
            self.fault(
                hub,
                FaultKind::Disk,
                &format!("its disk rots unnoticed: {}", what.join(", ")),
            );
        }
    }

    /// A bit of a chunk flips, where another hub holds its blob whole.
    fn rot_chunk(&mut self, hub: usize, others: &[MemorySnapshot]) -> Option<&'static str> {
        let image = self.hubs[hub].disk.image();
        let store = image.snapshot();
        let elsewhere = |id: &BlobId| others.iter().any(|other| is_whole(other, id));
        let in_files = image.files.chunks();
        let in_rows = blobs_of(&store, OfBlob::Bytes).map(|id| (id, 0));
        let mut chunks: Vec<(BlobId, u32)> = in_files
            .chain(in_rows)
            .filter(|(id, _)| is_whole(&store, id) && elsewhere(id))
            .collect();
        let chance = self.chance.of(Stream::Chunk(hub as u64));
        if chunks.is_empty() || chance.below(2) == 0 {
            return None;
        }
        let (id, index) = chunks.swap_remove(chance.below(chunks.len()));
        self.hubs[hub].disk.rot_chunk(id, index);
        self.rotten_chunks.insert((hub, id, index));
        Some("a bit of a photo is another")
    }

    /// Takes note that rotten disks hold again what the others do.
    pub(super) fn look_at_rot(&mut self) {
        let mended: Vec<usize> = self
            .rotten
            .iter()
            .copied()
            .filter(|hub| self.rot_at(*hub).is_none())
            .collect();
        for hub in mended {
            self.rotten.remove(&hub);
            self.rotten_chunks.retain(|(of, ..)| *of != hub);
            self.saw(&Seen::RotMended { hub });
        }
    }

    /// What a rotten disk still has otherwise than a sound one, in words.
    pub fn rot_at(&self, hub: usize) -> Option<String> {
        let sound = (0..self.hubs.len()).find(|other| !self.rotten.contains(other))?;
        for family in [Family::Log, Family::Records] {
            let (ours, theirs) = (self.print_rows(hub, family), self.print_rows(sound, family));
            if ours != theirs {
                let lacking = theirs.keys().filter(|key| !ours.contains_key(*key)).count();
                let beyond = ours.keys().filter(|key| !theirs.contains_key(*key)).count();
                return Some(format!(
                    "of {} it lacks {lacking} rows, has {beyond} more, and others differ",
                    family.name()
                ));
            }
        }
        let believed = |chunk: &&(usize, BlobId, u32)| {
            let (of, id, index) = **chunk;
            of == hub && self.believes_wrongly(hub, id, index)
        };
        if let Some((_, id, index)) = self.rotten_chunks.iter().find(believed) {
            return Some(format!("it believes that it holds chunk {index} of {id:?}"));
        }
        (!self.tree_is_true(hub)).then(|| "its tree is not that of its records".to_owned())
    }

    /// Whether a chunk counts as held that is not what it should be.
    fn believes_wrongly(&self, hub: usize, id: BlobId, index: u32) -> bool {
        let image = self.hubs[hub].disk.image();
        let store = image.snapshot();
        let counts = read_held(&store, &id)
            .is_ok_and(|held| held.is_some_and(|held| held.whole || held.have.has(index)));
        let read = read_verified(&mut image.files.clone(), &store, id, index);
        counts && !read.is_ok_and(|chunk| chunk.is_some())
    }

    /// The rows of a family by what all hubs must have alike.
    fn print_rows(&self, hub: usize, family: Family) -> BTreeMap<Vec<u8>, String> {
        let disk = self.hubs[hub].disk.image().snapshot();
        let mut rows = BTreeMap::new();
        let read = disk.scan(family, &[], None, &mut |key, value| {
            if family == Family::Log {
                let row = decode_row::<LogRow>(family, value).ok();
                let sound = row.is_some_and(|row| sound_entry(&row).is_some());
                rows.insert(key.to_vec(), sound.to_string());
                return true;
            }
            let row = decode_row::<RecordRow>(family, value).ok();
            let print = row.map_or_else(String::new, |mut row| {
                row.dots.sort();
                let sound = row.forgotten || key.ends_with(&Digest::of(&row.record).0);
                format!(
                    "{:?} {:?} {:?} {:?} {sound}",
                    row.order_time, row.edges, row.late, row.dots
                )
            });
            rows.insert(key.to_vec(), print);
            true
        });
        debug_assert!(read.is_ok(), "memory reads");
        rows
    }

    /// Whether what a hub keeps in memory is what its disk holds.
    fn tree_is_true(&self, hub: usize) -> bool {
        let Some(process) = &self.hubs[hub].process else {
            return false;
        };
        let disk = self.hubs[hub].disk.image().snapshot();
        let mut mirror = process.merkle.mirror().clone();
        if mirror.catch_up(&disk).is_err() || !mirror.is_ready() {
            return false;
        }
        let counted = read_meta(&disk)
            .ok()
            .flatten()
            .map(|meta| (meta.records, meta.leaves));
        let (count, sum) = mirror.plain();
        if !matches!(disk.get(Family::Merkle, TREE_KEY), Ok(Some(_))) {
            return false;
        }
        let strip = mirror.read_strip(&disk, 0, usize::MAX);
        strip.is_ok_and(|strip| !strip.differs) && counted == Some((count, sum.to_bytes()))
    }
}

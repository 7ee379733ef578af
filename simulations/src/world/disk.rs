//! A hub's disk: what is on it now, what of that would survive a power cut, and how it can fail.
//!
//! It keeps the contract of the real store: a commit is a mark (synced), a batch (atomic, synced) and a note (not
//! synced), in this order. Only a disk that lies about a sync loses what was promised.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use inbetweenies_core::blob::{BlobId, MemoryFiles};
use inbetweenies_core::entry::Entry;
use inbetweenies_core::record::Record;
use inbetweenies_core::rng::Rng;
use inbetweenies_core::store::{
    Commit, Family, HighWater, LogRow, Marks, MemorySnapshot, MemoryStore, Note, OfBlob, RecordRow, Snapshot,
    Store, StoreError, TREE_AT, TREE_KEY, Visit, Write, blob_key, decode_row, encode_row,
};
use inbetweenies_core::time::Micros;

/// After so long the system has written a note to the disk by itself.
const WRITEBACK: Duration = Duration::from_secs(30);
/// What a hub keeps free on its disk: `storage.headroom_min`.
const HEADROOM: u64 = 64 << 20;

/// Everything that is on a disk.
#[derive(Debug, Clone, Default)]
pub struct Image {
    /// The tables.
    pub tables: MemoryStore,
    /// Beside them.
    pub marks: Marks,
    /// Bytes of large blobs.
    pub files: MemoryFiles,
}

/// A part of a commit that lands whole or not at all.
#[derive(Debug, Clone)]
enum Piece {
    Mark(HighWater),
    Batch(Vec<Write>),
    Note(Note),
}

impl Image {
    fn take(&mut self, piece: Piece) {
        match piece {
            Piece::Mark(mark) => self.marks.high_water = Some(mark),
            Piece::Batch(writes) => {
                let commit = Commit {
                    writes,
                    ..Commit::default()
                };
                if let Err(error) = self.tables.commit(&commit) {
                    panic!("memory does not fail: {error}");
                }
            }
            Piece::Note(note) => self.marks.note = Some(note),
        }
    }

    /// One instant of the tables.
    pub fn snapshot(&self) -> MemorySnapshot {
        self.tables.snapshot()
    }
}

fn pieces(commit: &Commit) -> Vec<Piece> {
    let mut pieces = Vec::new();
    pieces.extend(commit.high_water.clone().map(Piece::Mark));
    if !commit.writes.is_empty() {
        pieces.push(Piece::Batch(commit.writes.clone()));
    }
    pieces.extend(commit.note.clone().map(Piece::Note));
    pieces
}

/// What a disk that says "synced" and is not has really kept.
#[derive(Debug, Clone)]
struct Lie {
    kept: Image,
    promised: Vec<Piece>,
}

/// The disk of one hub.
#[derive(Debug, Clone, Default)]
pub struct Disk {
    image: Image,
    /// Notes that the system has not written back, the oldest first, with the one before each.
    notes: VecDeque<(Duration, Option<Note>)>,
    lie: Option<Lie>,
    /// Rows that cannot be read.
    damaged: Arc<BTreeSet<(Family, Vec<u8>)>>,
    /// Bytes left, if it is full.
    free: Option<u64>,
    /// Nothing is written before this.
    pub stalled_until: Duration,
    /// The next sync fails.
    pub fails_next: bool,
}

impl Disk {
    /// A disk with this on it.
    pub fn of(image: Image) -> Disk {
        Disk {
            image,
            ..Disk::default()
        }
    }

    /// What is on it, in the eyes of a running process.
    pub fn image(&self) -> &Image {
        &self.image
    }

    /// The bytes of large blobs, to be written.
    pub fn files(&mut self) -> &mut MemoryFiles {
        &mut self.image.files
    }

    /// What a step reads.
    pub fn reader(&self) -> Reader {
        Reader {
            tables: self.image.snapshot(),
            damaged: self.damaged.clone(),
        }
    }

    /// Whether there is room for so many bytes above the headroom: what the hub asks before it takes changes.
    pub fn has_room(&self, bytes: usize) -> bool {
        self.free.is_none_or(|free| free >= HEADROOM + bytes as u64)
    }

    /// No room is left but the headroom.
    pub fn fill(&mut self) {
        self.free = Some(HEADROOM);
    }

    /// There is room again.
    pub fn empty(&mut self) {
        self.free = None;
    }

    /// Whether it is full.
    pub fn is_full(&self) -> bool {
        self.free.is_some()
    }

    /// A commit comes back: it is on disk, as far as anybody can tell.
    pub fn commit(&mut self, now: Duration, commit: &Commit) -> Result<(), StoreError> {
        let io = |detail: &str| StoreError::Io {
            doing: "commit",
            detail: detail.to_owned(),
        };
        if std::mem::take(&mut self.fails_next) {
            return Err(io("the disk reports an error (EIO)"));
        }
        let bytes: usize = commit
            .writes
            .iter()
            .map(|(_, key, value)| key.len() + value.as_ref().map_or(0, Vec::len))
            .sum();
        if let Some(free) = &mut self.free {
            *free = free
                .checked_sub(bytes as u64)
                .ok_or_else(|| io("no space left on the device (ENOSPC)"))?;
        }
        self.write(now, pieces(commit));
        Ok(())
    }

    fn write(&mut self, now: Duration, pieces: Vec<Piece>) {
        while self.notes.front().is_some_and(|(at, _)| *at + WRITEBACK <= now) {
            self.notes.pop_front();
        }
        for piece in pieces {
            if let Piece::Note(_) = &piece {
                self.notes.push_back((now, self.image.marks.note.clone()));
            }
            if let Some(lie) = &mut self.lie {
                lie.promised.push(piece.clone());
            }
            self.image.take(piece);
        }
    }

    /// A process ends in the middle of a commit: its parts are there up to one drawn.
    pub fn torn(&mut self, now: Duration, commit: &Commit, chance: &mut Rng) -> usize {
        let mut pieces = pieces(commit);
        let landed = chance.below(pieces.len() + 1);
        pieces.truncate(landed);
        self.write(now, pieces);
        landed
    }

    /// The power fails. Returns whether something is gone that was said to be synced.
    pub fn lose_power(&mut self, now: Duration, chance: &mut Rng) -> bool {
        let recent = self
            .notes
            .iter()
            .position(|(at, _)| *at + WRITEBACK > now)
            .unwrap_or(self.notes.len());
        let unsynced = self.notes.len() - recent;
        let lost = chance.below(unsynced + 1);
        if lost > 0
            && let Some((_, before)) = self.notes.get(self.notes.len() - lost)
        {
            self.image.marks.note = before.clone();
        }
        self.notes.clear();
        self.image.files.lose_power(|| chance.below(2) == 0);
        let Some(mut lie) = self.lie.take() else {
            return false;
        };
        let kept = chance.below(lie.promised.len() + 1);
        let gone = kept < lie.promised.len();
        lie.promised.truncate(kept);
        lie.promised.into_iter().for_each(|piece| lie.kept.take(piece));
        self.image = lie.kept.clone();
        gone
    }

    /// From now on it says that it synced and does not; or it stops lying, and what is there is synced.
    pub fn lies(&mut self, lies: bool) {
        self.lie = lies.then(|| Lie {
            kept: self.image.clone(),
            promised: Vec::new(),
        });
    }

    /// Whether it lies.
    pub fn is_lying(&self) -> bool {
        self.lie.is_some()
    }

    /// A row of the records or the log, drawn, cannot be read any more. False if there is none.
    pub fn damage(&mut self, chance: &mut Rng) -> bool {
        let family = [Family::Records, Family::Log][chance.below(2)];
        let mut keys = Vec::new();
        let scanned = self.image.snapshot().scan(family, &[], None, &mut |key, _| {
            keys.push(key.to_vec());
            true
        });
        if scanned.is_err() || keys.is_empty() {
            return false;
        }
        let key = keys.swap_remove(chance.below(keys.len()));
        Arc::make_mut(&mut self.damaged).insert((family, key));
        true
    }

    /// Some rows change, and nothing says so: of records and log only such as one of `others` holds too. In words.
    pub fn rot(&mut self, others: &[MemorySnapshot], chance: &mut Rng) -> Vec<&'static str> {
        let mut done = Vec::new();
        for _ in 0..1 + chance.below(4) {
            let tables = self.image.snapshot();
            let what = chance.below(8);
            let family = match what {
                0..=4 => Family::Records,
                5 => Family::Log,
                _ => Family::Merkle,
            };
            let mut rows = Vec::new();
            let scanned = tables.scan(family, &[], None, &mut |key, value| {
                let elsewhere = |other: &MemorySnapshot| matches!(other.get(family, key), Ok(Some(_)));
                if family == Family::Merkle && key != TREE_KEY || others.iter().any(elsewhere) {
                    rows.push((key.to_vec(), value.to_vec()));
                }
                true
            });
            if scanned.is_err() || rows.is_empty() {
                continue;
            }
            let (mut key, value) = rows.swap_remove(chance.below(rows.len()));
            let row = decode_row::<RecordRow>(Family::Records, &value);
            let (text, value) = match (what, row) {
                (0 | 1, _) => ("a record is gone", None),
                (2, Ok(mut row)) => {
                    row.order_time = Micros(row.order_time.0.saturating_sub(1_000));
                    ("an order time is another", Some(encode_row(&row)))
                }
                (3, Ok(mut row)) if !row.forgotten => {
                    let byte = chance.below(row.record.len().max(1));
                    let flipped = row.record.get_mut(byte).map(|byte| *byte ^= 0x40);
                    let reads = flipped.is_some() && Record::from_stored(&row.record).is_ok();
                    if !reads {
                        continue; // that would be noticed by whoever reads it
                    }
                    ("a record's bytes are others", Some(encode_row(&row)))
                }
                (4, Ok(row)) => {
                    if let Some(last) = key.last_mut() {
                        *last ^= 1;
                    }
                    ("a record has come from nowhere", Some(encode_row(&row)))
                }
                (5, _) => match chance.below(2) {
                    0 => ("an entry of the log is gone", None),
                    _ => match other_bytes(&value, chance) {
                        Some(row) => ("an entry of the log says something else", Some(row)),
                        None => continue, // that would be noticed by whoever reads it
                    },
                },
                (6, _) => ("a part of the tree is gone", None),
                (7, _) if key == TREE_AT => continue,
                (7, _) if value.len() > 8 && key.starts_with(b"p") => {
                    let mut value = value.clone();
                    value[7] ^= 1;
                    ("a part of the tree is another", Some(value))
                }
                _ => continue,
            };
            self.image.take(Piece::Batch(vec![(family, key, value)]));
            done.push(text);
        }
        done
    }

    /// A bit of a chunk flips, in its file or its row, and nothing says so.
    pub fn rot_chunk(&mut self, id: BlobId, index: u32) {
        let key = blob_key(OfBlob::Bytes, &id);
        match self.image.snapshot().get(Family::Blobs, &key) {
            Ok(Some(mut row)) => {
                row.iter_mut().last().into_iter().for_each(|byte| *byte ^= 1);
                self.image
                    .take(Piece::Batch(vec![(Family::Blobs, key, Some(row))]));
            }
            _ => self.image.files.rot(id, index),
        }
    }

    /// Whether some row cannot be read.
    pub fn is_damaged(&self) -> bool {
        !self.damaged.is_empty()
    }

    /// Puts another image in the place of what is there.
    pub fn replace(&mut self, image: Image) {
        self.image = image;
        self.notes.clear();
        self.damaged = Arc::default();
        if self.lie.is_some() {
            self.lies(true);
        }
    }
}

/// A row of the log whose entry has a bit changed, and still reads.
fn other_bytes(row: &[u8], chance: &mut Rng) -> Option<Vec<u8>> {
    let mut row: LogRow = decode_row(Family::Log, row).ok()?;
    let byte = chance.below(row.entry.len().max(1));
    *row.entry.get_mut(byte)? ^= 1;
    Entry::from_stored(&row.entry).ok()?;
    Some(encode_row(&row))
}

/// One instant of a disk; reading a damaged row is an error, as a checksum makes it in the real store.
pub struct Reader {
    tables: MemorySnapshot,
    damaged: Arc<BTreeSet<(Family, Vec<u8>)>>,
}

impl Reader {
    fn damage(family: Family) -> StoreError {
        StoreError::Corrupt {
            family: family.name(),
            detail: "a block fails its checksum".to_owned(),
        }
    }
}

impl Snapshot for Reader {
    fn get(&self, family: Family, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        if !self.damaged.is_empty() && self.damaged.contains(&(family, key.to_vec())) {
            return Err(Reader::damage(family));
        }
        self.tables.get(family, key)
    }

    fn scan(
        &self,
        family: Family,
        from: &[u8],
        until: Option<&[u8]>,
        visit: &mut Visit<'_>,
    ) -> Result<(), StoreError> {
        if self.damaged.is_empty() {
            return self.tables.scan(family, from, until, visit);
        }
        let mut met = false;
        self.tables.scan(family, from, until, &mut |key, value| {
            met = self.damaged.contains(&(family, key.to_vec()));
            !met && visit(key, value)
        })?;
        if met { Err(Reader::damage(family)) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use inbetweenies_core::hash::Digest;
    use inbetweenies_core::id::ReplicaId;

    fn commit(n: u8) -> Commit {
        let replica = ReplicaId([1; 16]);
        Commit {
            number: u64::from(n),
            high_water: Some(HighWater {
                replica,
                lease_end: u64::from(n),
                last: None,
                clean: false,
            }),
            writes: vec![
                (Family::Meta, b"a".to_vec(), Some(vec![n])),
                (Family::Log, b"b".to_vec(), Some(vec![n])),
            ],
            note: Some(Note {
                replica,
                sequence: u64::from(n),
                hash: Digest([n; 32]),
            }),
        }
    }

    fn seen(disk: &Disk) -> (u8, u8, u64, u64) {
        let read = |family, key: &[u8]| {
            let value = disk.reader().get(family, key).unwrap();
            value.map_or(0, |value| value[0])
        };
        let marks = &disk.image().marks;
        (
            read(Family::Meta, b"a"),
            read(Family::Log, b"b"),
            marks.high_water.as_ref().map_or(0, |mark| mark.lease_end),
            marks.note.as_ref().map_or(0, |note| note.sequence),
        )
    }

    #[test]
    fn a_power_cut_takes_notes_and_nothing_that_was_synced() {
        for seed in 0..50 {
            let mut chance = Rng::new(seed, 0);
            let mut disk = Disk::default();
            disk.commit(Duration::ZERO, &commit(1)).unwrap();
            disk.commit(Duration::from_secs(40), &commit(2)).unwrap();
            assert!(!disk.lose_power(Duration::from_secs(41), &mut chance));
            let (a, b, mark, note) = seen(&disk);
            assert_eq!((a, b, mark), (2, 2, 2));
            assert!(note == 1 || note == 2, "the first note was written back: {note}");
        }
    }

    #[test]
    fn a_torn_commit_leaves_its_parts_in_their_order() {
        let mut met = BTreeSet::new();
        for seed in 0..50 {
            let mut disk = Disk::default();
            disk.torn(Duration::ZERO, &commit(1), &mut Rng::new(seed, 0));
            let (a, b, mark, note) = seen(&disk);
            assert_eq!(a, b, "the batch is atomic");
            assert!(mark >= u64::from(a) && u64::from(a) >= note);
            met.insert((a, mark, note));
        }
        assert_eq!(met.len(), 4, "none, the mark, the batch, the note");
    }

    #[test]
    fn a_disk_that_lies_goes_back_to_some_earlier_commit() {
        let mut met = BTreeSet::new();
        for seed in 0..50 {
            let mut disk = Disk::default();
            disk.commit(Duration::ZERO, &commit(1)).unwrap();
            disk.lies(true);
            disk.commit(Duration::ZERO, &commit(2)).unwrap();
            disk.commit(Duration::ZERO, &commit(3)).unwrap();
            let gone = disk.lose_power(Duration::from_secs(1), &mut Rng::new(seed, 0));
            let (a, b, ..) = seen(&disk);
            assert_eq!(a, b);
            assert!(a >= 1);
            assert!(gone || a == 3);
            met.insert(a);
        }
        assert_eq!(met, BTreeSet::from([1, 2, 3]));
    }

    #[test]
    fn a_damaged_row_is_never_read() {
        let mut disk = Disk::default();
        disk.commit(Duration::ZERO, &commit(1)).unwrap();
        assert!(
            (0..64).any(|seed| disk.damage(&mut Rng::new(seed, 0))),
            "one of the two tables has a row"
        );
        let reader = disk.reader();
        assert!(reader.get(Family::Log, b"b").is_err());
        assert!(reader.scan(Family::Log, &[], None, &mut |_, _| true).is_err());
        assert!(reader.get(Family::Meta, b"a").is_ok());
        disk.replace(Image::default());
        assert!(disk.reader().get(Family::Log, b"b").is_ok());
    }

    #[test]
    fn a_full_disk_takes_what_the_headroom_holds() {
        let mut disk = Disk::default();
        disk.fill();
        assert!(!disk.has_room(1));
        disk.commit(Duration::ZERO, &commit(1)).unwrap();
        let large = Commit {
            writes: vec![(Family::Log, vec![1], Some(vec![0; HEADROOM as usize]))],
            ..Commit::default()
        };
        assert!(disk.commit(Duration::ZERO, &large).is_err());
        disk.empty();
        assert!(disk.has_room(1));
        disk.fails_next = true;
        assert!(disk.commit(Duration::ZERO, &commit(2)).is_err());
        assert!(disk.commit(Duration::ZERO, &commit(2)).is_ok());
    }
}

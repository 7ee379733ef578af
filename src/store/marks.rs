//! The two files beside the database that tell whether it forgot something: `HIGH_WATER` and `NOTE`.
//!
//! Invariant: at every instant one whole high-water mark can be read, the last or the one before it; each is
//! `version, MessagePack, CRC-32`. The note is one record of fixed size, written over itself.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use inbetweenies_core::hash::Digest;
use inbetweenies_core::id::ReplicaId;
use inbetweenies_core::store::{HighWater, Marks, Note};

use super::folder;

/// The last high-water mark.
pub(super) const HIGH_WATER: &str = "HIGH_WATER";
/// The one before.
pub(super) const HIGH_WATER_OLD: &str = "HIGH_WATER.old";
/// The note.
pub(super) const NOTE: &str = "NOTE";

/// The version of both files' form.
const VERSION: u8 = 1;
const CRC_BYTES: usize = 4;
/// Version, replica, sequence, hash.
const NOTE_BODY_BYTES: usize = 1 + 16 + 8 + 32;

/// The files, and what stands in them.
pub(super) struct MarkFiles {
    folder: PathBuf,
    dir: File,
    note: File,
    marks: Marks,
    /// Whether `HIGH_WATER` is whole: a damaged one must not push a whole predecessor out.
    whole: bool,
}

impl MarkFiles {
    /// Reads what is there. What is missing, torn or damaged reads as None, a high-water mark as its predecessor.
    pub(super) fn open(folder: &Path) -> io::Result<MarkFiles> {
        let last = folder::read(&folder.join(HIGH_WATER))?.and_then(|bytes| decode_high_water(&bytes));
        let whole = last.is_some();
        let high_water = match last {
            Some(last) => Some(last),
            None => folder::read(&folder.join(HIGH_WATER_OLD))?
                .and_then(|bytes| decode_high_water(&bytes))
                // Something was to come after it, so it is not where a hub stopped.
                .map(|old| HighWater { clean: false, ..old }),
        };
        let note = folder::read(&folder.join(NOTE))?.and_then(|bytes| decode_note(&bytes));
        Ok(MarkFiles {
            folder: folder.to_owned(),
            dir: File::open(folder)?,
            note: File::options()
                .create(true)
                .truncate(false)
                .write(true)
                .open(folder.join(NOTE))?,
            marks: Marks { high_water, note },
            whole,
        })
    }

    /// What stands in the files.
    pub(super) fn marks(&self) -> &Marks {
        &self.marks
    }

    /// Makes a high-water mark durable. A crash between the two renames leaves the predecessor alone, which still
    /// holds: nothing was written under the new one yet.
    pub(super) fn write_high_water(&mut self, high_water: &HighWater) -> io::Result<()> {
        let temporary = folder::write_beside(&self.folder, HIGH_WATER, &encode_high_water(high_water)?)?;
        let place = self.folder.join(HIGH_WATER);
        if self.whole {
            fs::rename(&place, self.folder.join(HIGH_WATER_OLD))?;
        }
        fs::rename(temporary, place)?;
        self.dir.sync_all()?;
        self.whole = true;
        self.marks.high_water = Some(high_water.clone());
        Ok(())
    }

    /// Writes the note over the last one. It is not synced: it tells of what a sync before it made durable.
    pub(super) fn write_note(&mut self, note: &Note) -> io::Result<()> {
        self.note.write_all_at(&encode_note(note), 0)?;
        self.marks.note = Some(note.clone());
        Ok(())
    }
}

fn with_crc(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.extend_from_slice(&crc32fast::hash(&bytes).to_le_bytes());
    bytes
}

/// The bytes behind the version, if version and CRC are right.
fn without_crc(bytes: &[u8]) -> Option<&[u8]> {
    let (body, crc) = bytes.split_last_chunk::<CRC_BYTES>()?;
    let (version, rest) = body.split_first()?;
    (*version == VERSION && crc32fast::hash(body) == u32::from_le_bytes(*crc)).then_some(rest)
}

fn encode_high_water(high_water: &HighWater) -> io::Result<Vec<u8>> {
    let mut bytes = vec![VERSION];
    rmp_serde::encode::write(&mut bytes, high_water).map_err(io::Error::other)?;
    Ok(with_crc(bytes))
}

fn decode_high_water(bytes: &[u8]) -> Option<HighWater> {
    rmp_serde::from_slice(without_crc(bytes)?).ok()
}

fn encode_note(note: &Note) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(NOTE_BODY_BYTES + CRC_BYTES);
    bytes.push(VERSION);
    bytes.extend_from_slice(&note.replica.0);
    bytes.extend_from_slice(&note.sequence.to_le_bytes());
    bytes.extend_from_slice(&note.hash.0);
    with_crc(bytes)
}

fn decode_note(bytes: &[u8]) -> Option<Note> {
    let rest = without_crc(bytes.get(..NOTE_BODY_BYTES + CRC_BYTES)?)?;
    let (replica, rest) = rest.split_first_chunk::<16>()?;
    let (sequence, rest) = rest.split_first_chunk::<8>()?;
    Some(Note {
        replica: ReplicaId(*replica),
        sequence: u64::from_le_bytes(*sequence),
        hash: Digest(rest.try_into().ok()?),
    })
}

//! The port behind which the bytes of large blobs lie, and one in memory.
//!
//! What lies there is not visible by itself: rows of the store say which chunks are there. A chunk is told of only after it
//! was verified, and kept as told only after a sync.

use std::collections::{BTreeMap, BTreeSet};

use super::{BlobId, Stored};

/// Why the bytes could not be written or read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FileError {
    /// The disk is full, or nearly. Nothing was written.
    #[error("the disk has no room for a chunk")]
    NoRoom,
    /// The disk cannot give back what was written in one place; the rest of it may well be sound.
    #[error("a chunk cannot be read: {detail}")]
    Unreadable {
        /// What the system said.
        detail: String,
    },
    /// The disk or the file system failed.
    #[error("the file of a blob failed to {doing}: {detail}")]
    Io {
        /// What was attempted.
        doing: &'static str,
        /// What the system said.
        detail: String,
    },
}

/// Bytes of large blobs, by chunk.
pub trait BlobFiles {
    /// Writes a chunk; the system may still lose it. `size` is the blob's.
    fn write(&mut self, id: BlobId, size: u64, index: u32, stored: &Stored) -> Result<(), FileError>;
    /// What was written of a chunk, if anything; it may be damaged.
    fn read(&mut self, id: BlobId, size: u64, index: u32) -> Result<Option<Stored>, FileError>;
    /// After this, no loss of power takes away what was written of the blob.
    fn sync(&mut self, id: BlobId) -> Result<(), FileError>;
    /// Takes all of a blob away, if there is any.
    fn remove(&mut self, id: BlobId) -> Result<(), FileError>;
}

/// Files in memory, which remember what was synced.
#[derive(Debug, Clone, Default)]
pub struct MemoryFiles {
    written: BTreeMap<BlobId, BTreeMap<u32, Stored>>,
    synced: BTreeMap<BlobId, BTreeMap<u32, Stored>>,
    /// Chunks that cannot be read until they are written anew.
    unreadable: BTreeSet<(BlobId, u32)>,
}

impl MemoryFiles {
    /// The power fails: of each chunk that was not synced, `keeps` says whether it is there all the same.
    pub fn lose_power(&mut self, mut keeps: impl FnMut() -> bool) {
        for (id, chunks) in &mut self.written {
            let synced = self.synced.get(id);
            chunks.retain(|index, stored| {
                synced.and_then(|synced| synced.get(index)) == Some(stored) || keeps()
            });
        }
        self.written.retain(|_, chunks| !chunks.is_empty());
        self.synced = self.written.clone();
    }

    /// What lies there: each blob with its chunks.
    pub fn chunks(&self) -> impl Iterator<Item = (BlobId, u32)> + '_ {
        let chunks = |(id, chunks): (&BlobId, &BTreeMap<u32, Stored>)| {
            let id = *id;
            chunks.keys().map(move |index| (id, *index)).collect::<Vec<_>>()
        };
        self.written.iter().flat_map(chunks)
    }

    /// What a loss of power leaves of a chunk for certain.
    pub fn synced(&self, id: BlobId, index: u32) -> Option<&Stored> {
        self.synced.get(&id)?.get(&index)
    }

    /// A sector under a chunk goes bad: reading it is an error, writing it anew mends it.
    pub fn spoil(&mut self, id: BlobId, index: u32) {
        self.unreadable.insert((id, index));
    }

    /// A bit of a chunk flips, and nothing says so.
    pub fn rot(&mut self, id: BlobId, index: u32) {
        for files in [&mut self.written, &mut self.synced] {
            let chunk = files.get_mut(&id).and_then(|chunks| chunks.get_mut(&index));
            if let Some(stored) = chunk {
                let mut bytes = stored.bytes.to_vec();
                bytes.iter_mut().take(1).for_each(|byte| *byte ^= 1);
                stored.bytes = bytes.into();
            }
        }
    }
}

impl BlobFiles for MemoryFiles {
    fn write(&mut self, id: BlobId, _size: u64, index: u32, stored: &Stored) -> Result<(), FileError> {
        self.written.entry(id).or_default().insert(index, stored.clone());
        self.unreadable.remove(&(id, index));
        Ok(())
    }

    fn read(&mut self, id: BlobId, _size: u64, index: u32) -> Result<Option<Stored>, FileError> {
        if self.unreadable.contains(&(id, index)) {
            return Err(FileError::Unreadable {
                detail: "a sector is bad".to_owned(),
            });
        }
        Ok(self
            .written
            .get(&id)
            .and_then(|chunks| chunks.get(&index))
            .cloned())
    }

    fn sync(&mut self, id: BlobId) -> Result<(), FileError> {
        if let Some(chunks) = self.written.get(&id) {
            self.synced.insert(id, chunks.clone());
        }
        Ok(())
    }

    fn remove(&mut self, id: BlobId) -> Result<(), FileError> {
        self.written.remove(&id);
        self.synced.remove(&id);
        self.unreadable.retain(|(of, _)| *of != id);
        Ok(())
    }
}

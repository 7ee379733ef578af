//! Which chunks are there: a bit for each.

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

/// Bit n of byte n / 8, from the lowest, is chunk n. It only grows, but where damage is found.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Have(ByteBuf);

impl Have {
    /// All of so many.
    pub fn all(chunks: u32) -> Have {
        let mut have = Have::default();
        (0..chunks).for_each(|chunk| have.set(chunk));
        have
    }

    /// Whether a chunk is there.
    pub fn has(&self, chunk: u32) -> bool {
        let byte = self.0.get(chunk as usize / 8).copied().unwrap_or(0);
        byte & (1 << (chunk % 8)) != 0
    }

    /// A chunk has come.
    pub fn set(&mut self, chunk: u32) {
        let at = chunk as usize / 8;
        if self.0.len() <= at {
            self.0.resize(at + 1, 0);
        }
        self.0[at] |= 1 << (chunk % 8);
    }

    /// A chunk is found to be damaged.
    pub fn unset(&mut self, chunk: u32) {
        if let Some(byte) = self.0.get_mut(chunk as usize / 8) {
            *byte &= !(1 << (chunk % 8));
        }
    }

    /// Bytes that it takes.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether no chunk is there.
    pub fn is_empty(&self) -> bool {
        self.count() == 0
    }

    /// How many are there.
    pub fn count(&self) -> u32 {
        self.0.iter().map(|byte| byte.count_ones()).sum()
    }

    /// Whether no chunk is beyond so many: what a peer says is held against this.
    pub fn fits(&self, chunks: u32) -> bool {
        self.0.len() <= chunks.div_ceil(8) as usize
            && (chunks..chunks.div_ceil(8) * 8).all(|chunk| !self.has(chunk))
    }

    /// Those that are not there.
    pub fn missing(&self, chunks: u32) -> impl Iterator<Item = u32> + '_ {
        (0..chunks).filter(|chunk| !self.has(*chunk))
    }
}

//! Whether the disk has room: asked before writes are taken, since a disk that fills up in the midst of one ends the
//! process.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use super::errors::NoRoom;

/// The file system is asked again after this: others write to it too.
const AGE_MS_MAX: u64 = 200;
/// And after so many bytes of ours: what the database makes of them is more than what was counted.
const WRITTEN_BYTES_MAX: u64 = 1 << 20;
const NEVER: u64 = u64::MAX;

/// The free space of a file system, remembered for a moment. Threads share it; the counts stand alone, so that their
/// order among each other does not matter.
pub(super) struct Room {
    path: PathBuf,
    headroom: u64,
    start: Instant,
    /// Milliseconds from `start` to the last answer.
    asked: AtomicU64,
    free: AtomicU64,
    written: AtomicU64,
}

impl Room {
    /// Not asked yet.
    pub(super) fn new(path: &Path, headroom: u64) -> Room {
        Room {
            path: path.to_owned(),
            headroom,
            start: Instant::now(),
            asked: AtomicU64::new(NEVER),
            free: AtomicU64::new(0),
            written: AtomicU64::new(0),
        }
    }

    /// Counts bytes written since the file system was asked.
    pub(super) fn wrote(&self, bytes: usize) {
        self.written.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Whether so many bytes leave the headroom free.
    pub(super) fn for_bytes(&self, bytes: usize) -> Result<(), NoRoom> {
        let now = self.start.elapsed().as_millis() as u64;
        let asked = self.asked.load(Ordering::Relaxed);
        let old = asked == NEVER || now.saturating_sub(asked) >= AGE_MS_MAX;
        if old || self.written.load(Ordering::Relaxed) >= WRITTEN_BYTES_MAX {
            self.written.store(0, Ordering::Relaxed);
            self.free.store(free_bytes(&self.path), Ordering::Relaxed);
            self.asked.store(now, Ordering::Relaxed);
        }
        let free = self.free.load(Ordering::Relaxed);
        let free = free.saturating_sub(self.written.load(Ordering::Relaxed));
        if free >= self.headroom.saturating_add(bytes as u64) {
            return Ok(());
        }
        Err(NoRoom {
            free,
            headroom: self.headroom,
        })
    }
}

/// What the file system still gives us. One that does not answer counts as full: reading goes on, and no write is
/// risked on it.
fn free_bytes(path: &Path) -> u64 {
    rustix::io::retry_on_intr(|| rustix::fs::statvfs(path))
        .map_or(0, |answer| answer.f_bavail.saturating_mul(answer.f_frsize))
}

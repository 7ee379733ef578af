//! Looking at what is held: disks lose and change bytes without a word, so each chunk is read once in a while and held
//! against its manifest, while another hub still has what was lost.
//!
//! Where a pass is, is kept, so a hub that starts every day comes to its end too. What is found damaged counts as not held
//! and is fetched again, as if somebody had read it.

use std::time::Duration;

use super::{Output, Transfer, Work};
use crate::blob::{BlobId, chunk_len, chunks_of};
use crate::hash::Digest;
use crate::store::{
    Family, LookRow, OfBlob, Snapshot, StoreError, blob_kind, decode_row, encode_row, read_held,
};
use crate::time::Now;
use crate::zoo::{self, Bug};

/// How long a hub that has started has other things to do.
const FIRST: Duration = Duration::from_secs(30);
/// The least time between two chunks, whatever the period.
const PAUSE_MIN: Duration = Duration::from_millis(20);
/// The most: small homes are done long before the period ends, and rest.
const PAUSE_MAX: Duration = Duration::from_secs(60);
/// How often it is kept where a pass is, beginning with the first chunk after a start: so each start gets further.
const KEEP_EVERY: Duration = Duration::from_secs(600);
/// How long is rested at a time: the wall clock may be set meanwhile.
const REST_MAX: Duration = Duration::from_secs(3_600);

/// Where it is.
#[derive(Debug, Clone)]
pub(super) struct Checking {
    pass: LookRow,
    /// A chunk that is being read.
    under_way: Option<(BlobId, u32)>,
    /// When it goes on.
    next_at: Duration,
    /// When [`Checking::pass`] is kept again.
    keep_at: Duration,
}

impl Checking {
    pub fn open(store: &dyn Snapshot, period: Duration) -> Result<Checking, StoreError> {
        let row = store.get(Family::Blobs, &blob_kind(OfBlob::Look))?;
        // One that does not read costs a pass, not the start.
        let pass = row.and_then(|row| decode_row(Family::Blobs, &row).ok());
        Ok(Checking {
            pass: pass.unwrap_or_default(),
            under_way: None,
            next_at: FIRST.min(period),
            keep_at: Duration::ZERO,
        })
    }

    /// What is left of a blob need not be read in this pass.
    pub fn skip(&mut self, blob: BlobId) {
        if let Some((id, index)) = &mut self.pass.next
            && *id == blob
        {
            *index = u32::MAX;
        }
    }

    /// When there is something to do, if anything is held.
    pub fn wake_at(&self) -> Option<Duration> {
        let waits = self.under_way.is_none() && !zoo::planted(Bug::ChunkUnchecked);
        waits.then_some(self.next_at)
    }
}

impl Transfer {
    /// Has the next chunk read, when it is time.
    pub(super) fn check_on(
        &mut self,
        now: Now,
        store: &dyn Snapshot,
        out: &mut Vec<Output>,
    ) -> Result<(), StoreError> {
        let checking = &mut self.checking;
        if checking.under_way.is_some()
            || checking.next_at > now.mono
            || self.letting.counted.is_empty()
            || zoo::planted(Bug::ChunkUnchecked)
        {
            return Ok(());
        }
        if checking.pass.next.is_none() {
            let due = checking.pass.began.plus(self.settings.check_period);
            // A clock that has gone back to before the pass began says nothing.
            if (checking.pass.began..due).contains(&now.wall) {
                let rest = Duration::from_micros(due.0 - now.wall.0);
                checking.next_at = now.mono + rest.min(REST_MAX);
                return Ok(());
            }
            checking.pass = LookRow {
                began: now.wall,
                next: Some((FIRST_OF_ALL, 0)),
            };
        }
        let next = match checking.pass.next {
            Some((id, index)) => self.next_chunk(store, id, index)?,
            None => None,
        };
        let checking = &mut self.checking;
        checking.pass.next = next;
        match next {
            Some((id, index)) => {
                checking.under_way = Some((id, index));
                out.push(Output::Work(Work::Check { id, index }));
            }
            None => {
                checking.next_at = now.mono + PAUSE_MIN;
                self.keep_pass(now);
            }
        }
        Ok(())
    }

    fn keep_pass(&mut self, now: Now) {
        self.checking.keep_at = now.mono + KEEP_EVERY;
        let row = encode_row(&self.checking.pass);
        self.keeping.put(blob_kind(OfBlob::Look), Some(row));
    }

    /// The first chunk from this one on that is held: of this blob if any of it is, else of the next that is held whole.
    fn next_chunk(
        &self,
        store: &dyn Snapshot,
        id: BlobId,
        index: u32,
    ) -> Result<Option<(BlobId, u32)>, StoreError> {
        if !self.letting.removing.contains(&id)
            && let Some(held) = read_held(store, &id)?
        {
            let mut rest = index..chunks_of(held.size);
            let next = rest.find(|index| held.whole || held.have.has(*index));
            if next.is_some() {
                return Ok(next.map(|index| (id, index)));
            }
        }
        let mut after = self.letting.counted.range(id..);
        Ok(after.find(|(other, _)| **other != id).map(|(id, _)| (*id, 0)))
    }

    /// A chunk was read, by this or because a peer complained of it.
    pub(super) fn checked(
        &mut self,
        now: Now,
        store: &dyn Snapshot,
        id: BlobId,
        index: u32,
    ) -> Result<(), StoreError> {
        if self.checking.under_way != Some((id, index)) {
            return Ok(());
        }
        self.told.checked_chunks += 1;
        self.changed = true;
        let size = read_held(store, &id)?.map_or(0, |held| held.size);
        let len = if index < chunks_of(size) {
            chunk_len(size, index)
        } else {
            0
        };
        // At this pace a pass takes half of the period: it ends in time on a hub that does not run all day, too.
        let part = len as f64 / self.told.bytes.max(1) as f64;
        let pause = (self.settings.check_period / 2).mul_f64(part.min(1.0));
        let checking = &mut self.checking;
        checking.under_way = None;
        checking.pass.next = Some((id, index + 1));
        checking.next_at = now.mono + pause.clamp(PAUSE_MIN, PAUSE_MAX);
        if checking.keep_at <= now.mono {
            self.keep_pass(now);
        }
        Ok(())
    }
}

/// Before all names.
const FIRST_OF_ALL: BlobId = BlobId(Digest([0; 32]));

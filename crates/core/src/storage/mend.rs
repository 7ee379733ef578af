//! Repair: what another hub still holds is taken again exactly where rows of it are missing here, and what this hub's own
//! log does not bear out is set aside.
//!
//! Invariant: a row of a record is what the entries that this hub holds say of it. Nothing is dropped: what is set aside
//! stays among the evidence.

use std::sync::Arc;

use super::Event;
use super::group::Group;
use super::index::Lag;
use crate::domain::POLICY_ID;
use crate::entry::{Bundle, Sealed, Stamp};
use crate::hash::Digest;
use crate::id::{Dot, Id};
use crate::leaf::Sum;
use crate::machine::{Entries, restamped, sound_entry};
use crate::record::Record;
use crate::store::{
    Family, RecordRow, Snapshot, StoreError, TREE_KEY, encode_row, journal_key, read_record,
    record_evidence_key, record_key,
};

/// Where a log has an entry that is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gap {
    /// The chain names this very entry.
    Names,
    /// It may be in the gap; only an entry above it, which is missing too, can tell.
    Within,
    /// The chain names others.
    Denies,
}

impl Group<'_> {
    /// What our own chain has to say of an entry that our log does not have: in the `prev` of what lies above it.
    pub(super) fn gap_at(&self, dot: Dot, hash: &Digest) -> Result<Gap, StoreError> {
        let above = self.branch(dot.replica, dot.sequence, 1)?;
        let named = match above.first() {
            Some((_, row)) => match sound_entry(row) {
                Some(entry) => entry.prev,
                None => return Ok(Gap::Within),
            },
            None => {
                let tip = self.state.tips.get(&dot.replica);
                tip.map(|tip| (tip.sequence, tip.hash))
            }
        };
        Ok(match named {
            Some((sequence, named)) if sequence == dot.sequence && named == *hash => Gap::Names,
            Some((sequence, _)) if sequence > dot.sequence => Gap::Within,
            Some(_) | None => Gap::Denies,
        })
    }

    /// Puts an entry back that our own chain names and our log has lost.
    pub(super) fn fill_gap(&mut self, bundle: &Bundle) -> Result<usize, StoreError> {
        let arrival = self.arrival_before(bundle.entry.dot)?;
        self.put_log(bundle, arrival);
        Ok(1 + self.mend(bundle)?)
    }

    /// An arrival that sorts a lost entry where it was: before the one that follows it in its chain. Two entries of one
    /// replica may share one, for a page never holds both next.
    fn arrival_before(&mut self, dot: Dot) -> Result<u64, StoreError> {
        if let Some((_, row)) = self.branch(dot.replica, dot.sequence, 1)?.first() {
            return Ok(row.arrival);
        }
        self.state.meta.arrivals += 1;
        Ok(self.state.meta.arrivals - 1)
    }

    /// Holds the rows of an entry that we hold against what another hub sent of it; how many were mended.
    pub(super) fn mend(&mut self, bundle: &Bundle) -> Result<usize, StoreError> {
        let mut mended = 0;
        let (dot, mut entries) = (bundle.entry.dot, Entries::default());
        for (sealed, stamp) in bundle.records.iter().zip(&bundle.entry.stamps) {
            mended += usize::from(self.mend_record(sealed, dot, stamp, &mut entries)?);
        }
        Ok(mended)
    }

    fn mend_record(
        &mut self,
        sealed: &Arc<Sealed>,
        dot: Dot,
        stamp: &Stamp,
        entries: &mut Entries,
    ) -> Result<bool, StoreError> {
        let id = &sealed.record.id;
        let Some(row) = read_record(&self.overlay, id, &sealed.digest)? else {
            self.settle_heads(id)?;
            self.insert(sealed, dot, stamp)?;
            self.forget_again(&[dot]);
            // What the id's row still says of the record is not to be trusted.
            self.lags(id, Lag::Heads);
            return Ok(true);
        };
        if !row.dots.contains(&dot) {
            self.insert(sealed, dot, stamp)?;
            self.lags(id, Lag::Heads);
            return Ok(true);
        }
        self.recheck(id, &sealed.digest, row, entries)
    }

    /// Holds records against what this hub's own log says of them.
    pub fn recheck_all(&mut self, records: Vec<(Id, Digest)>) -> Result<(), StoreError> {
        let mut entries = Entries::default();
        for (id, digest) in records {
            self.touch(&id);
            // Whatever became of the record, what the id's row says of it is worked out again.
            self.lags(&id, Lag::Heads);
            if let Some(row) = read_record(&self.overlay, &id, &digest)? {
                self.recheck(&id, &digest, row, &mut entries)?;
            }
        }
        self.settle_ids()
    }

    /// Whether the row was another than it should be.
    pub(super) fn recheck(
        &mut self,
        id: &Id,
        digest: &Digest,
        row: RecordRow,
        entries: &mut Entries,
    ) -> Result<bool, StoreError> {
        if !row.forgotten && Digest::of(&row.record) != *digest {
            self.set_record_aside(id, digest, &row, "its bytes are not what its name says")?;
            return Ok(true);
        }
        let mut next = row.clone();
        let mut dots = Vec::with_capacity(row.dots.len());
        for dot in &row.dots {
            // A dot whose entry is lost is not denied by it.
            if entries.names(&self.overlay, *dot, digest)?.unwrap_or(true) {
                dots.push(*dot);
            }
        }
        next.dots = dots;
        if next.dots.is_empty() {
            self.set_record_aside(id, digest, &row, "no entry of the log names it")?;
            return Ok(true);
        }
        if let Some(said) = restamped(&self.overlay, entries, digest, &next, &|_| true)? {
            next = said;
        }
        if next == row {
            return Ok(false);
        }
        self.touch(id);
        self.forget_again(&next.dots);
        self.note_leaf(Some(row.leaf(id, digest)), Some(next.leaf(id, digest)));
        self.overlay
            .put(Family::Records, record_key(id, digest), encode_row(&next));
        self.lags(id, Lag::Heads);
        Ok(true)
    }

    /// What follows from records about the home itself is worked out again.
    fn touch(&mut self, id: &Id) {
        self.policy_touched |= id.as_str() == POLICY_ID;
        self.members_touched = true;
    }

    fn set_record_aside(
        &mut self,
        id: &Id,
        digest: &Digest,
        row: &RecordRow,
        why: &str,
    ) -> Result<(), StoreError> {
        self.overlay
            .put(Family::Evidence, record_evidence_key(id, digest), encode_row(row));
        self.overlay.delete(Family::Records, record_key(id, digest));
        if let Ok(record) = Record::from_stored(&row.record) {
            self.refer_no_more(&record, digest);
        }
        self.touch(id);
        self.forget_again(&row.dots);
        self.note_leaf(Some(row.leaf(id, digest)), None);
        self.state.meta.records = self.state.meta.records.saturating_sub(1);
        self.lags(id, Lag::Heads);
        self.event(Event::SetAside {
            id: id.clone(),
            digest: *digest,
            why: why.to_owned(),
        });
        Ok(())
    }

    /// Takes over what counting all rows came to.
    pub fn recount(&mut self, records: i64, leaves: &Sum) {
        self.meta_touched = true;
        self.state.meta.records = self.state.meta.records.saturating_add_signed(records);
        let mut sum = Sum::from_bytes(&self.state.meta.leaves);
        sum.plus(leaves);
        self.state.meta.leaves = sum.to_bytes();
    }

    /// Keeps the tree as it was after a row of the journal, and drops the journal up to there.
    pub fn keep_tree(&mut self, rows: Vec<(Vec<u8>, Vec<u8>)>, above: u64, upto: u64) {
        for (key, row) in rows {
            self.overlay.put(Family::Merkle, key, row);
        }
        for number in above + 1..=upto {
            self.overlay.delete(Family::Merkle, journal_key(number));
        }
    }

    /// Takes the home's key for short ids: of two the smaller, so that all hubs end with one.
    pub fn take_key(&mut self, key: [u8; 16]) -> Result<(), StoreError> {
        let held = self.overlay.get(Family::Merkle, TREE_KEY)?;
        if held.is_none_or(|held| held.as_slice() > key.as_slice()) {
            self.overlay.put(Family::Merkle, TREE_KEY.to_vec(), key.to_vec());
        }
        Ok(())
    }
}

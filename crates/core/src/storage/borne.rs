//! The log held against the records: whether all is there that it names, before anything is let go on its word.

use super::Output;
use super::group::Group;
use crate::entry::Entry;
use crate::id::{Dot, ReplicaId};
use crate::machine::{Entries, Horizon, sound_entry};
use crate::store::{Family, LogRow, Snapshot, StoreError, decode_row, log_end, log_key, read_record};
use crate::zoo::{self, Bug};

/// Records that one step looks for on behalf of the log, give or take those of one entry.
const SWEEP_RECORDS: usize = 1_024;
/// Log rows that are read at a time meanwhile.
const SWEEP_ROWS: usize = 64;

/// What a part of the log came to.
pub(super) enum Borne {
    /// All is there, up to the bounds.
    All,
    /// All is there up to this dot; there is more to look at.
    UpTo(Dot),
    /// After this dot something is lost.
    Lacks(Dot),
}

/// Before the first entry of the first replica.
pub(super) const BEGINNING: Dot = Dot {
    replica: ReplicaId([0; 16]),
    sequence: 0,
};

impl Group<'_> {
    /// Holds the next rows of the log, up to some bounds, against the records that they name, and mends what the log itself can
    /// mend. Where something is lost, others are asked for it.
    pub(super) fn bear_out(&mut self, upto: Dot, bounds: &Horizon) -> Result<Borne, StoreError> {
        if zoo::planted(Bug::HoleSwept) {
            return Ok(Borne::All);
        }
        let (mut at, mut left, mut entries) = (upto, SWEEP_RECORDS, Entries::default());
        for (replica, last) in bounds.range(upto.replica..) {
            if *replica != at.replica {
                at = Dot {
                    replica: *replica,
                    sequence: 0,
                };
            }
            while left > 0 && at.sequence < *last {
                // The first beyond the bound tells whether the last one below it is lost.
                let rows = self.rows(*replica, at.sequence, u64::MAX, SWEEP_ROWS)?;
                if rows.is_empty() {
                    break;
                }
                for (sequence, row) in rows {
                    let entry = sound_entry(&row);
                    let follows = entry.as_ref().map(|entry| entry.prev.map_or(0, |(prev, _)| prev));
                    let follows = follows == Some(at.sequence);
                    if !follows || !self.is_borne_out(&row, entry.as_ref(), &mut entries)? {
                        return Ok(self.lacks(at));
                    }
                    at.sequence = sequence;
                    left = left.saturating_sub(1 + row.ids.len());
                    if left == 0 || sequence >= *last {
                        break;
                    }
                }
            }
            if left == 0 {
                return Ok(Borne::UpTo(at));
            }
            if at.sequence < (*last).min(self.state.clock.sequence(replica)) {
                return Ok(self.lacks(at));
            }
        }
        Ok(Borne::All)
    }

    /// Whether all records are there that a row of the log names, as it names them.
    fn is_borne_out(
        &mut self,
        row: &LogRow,
        entry: Option<&Entry>,
        entries: &mut Entries,
    ) -> Result<bool, StoreError> {
        let Some(entry) = entry else { return Ok(false) };
        for (id, stamp) in row.ids.iter().zip(&entry.stamps) {
            let digest = &stamp.digest;
            let Some(row) = read_record(&self.overlay, id, digest)? else {
                return Ok(false);
            };
            if self.recheck(id, digest, row, entries)? && read_record(&self.overlay, id, digest)?.is_none() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The entry after this dot, or a record of it, is lost.
    fn lacks(&mut self, upto: Dot) -> Borne {
        let hole = Dot {
            sequence: upto.sequence + 1,
            ..upto
        };
        self.follow.push(Output::Holes { holes: vec![hole] });
        Borne::Lacks(upto)
    }

    /// Rows of a log above a sequence, up to another, so many at most.
    pub(super) fn rows(
        &self,
        replica: ReplicaId,
        above: u64,
        upto: u64,
        most: usize,
    ) -> Result<Vec<(u64, LogRow)>, StoreError> {
        let from = log_key(Dot {
            replica,
            sequence: above + 1,
        });
        let (mut rows, mut failed) = (Vec::new(), None);
        if most == 0 || above >= upto {
            return Ok(rows);
        }
        self.overlay.scan(
            Family::Log,
            &from,
            log_end(&replica).as_deref(),
            &mut |key, value| {
                let sequence = key.get(16..).and_then(|tail| tail.try_into().ok());
                let sequence = sequence.map_or(u64::MAX, u64::from_be_bytes);
                if sequence > upto {
                    return false;
                }
                match decode_row(Family::Log, value) {
                    Ok(row) => rows.push((sequence, row)),
                    Err(error) => failed = Some(error),
                }
                failed.is_none() && rows.len() < most
            },
        )?;
        failed.map_or(Ok(rows), Err)
    }
}

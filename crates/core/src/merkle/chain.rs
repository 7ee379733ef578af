//! Whether the log is what the clock says: every chain whole, every entry's bytes as they were, every record that an entry
//! names at hand and known to stand there.

use std::collections::BTreeMap;

use crate::hash::Digest;
use crate::id::{Dot, ReplicaId};
use crate::machine::sound_entry;
use crate::store::{
    Family, LogRow, ReplicaRow, Snapshot, StoreError, decode_row, log_key, prefix_end, read_record,
};

/// Where the check of the logs stands: the last entry that was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct At {
    replica: ReplicaId,
    /// Its sequence and hash; None where the chain begins, or after a hole.
    last: Option<(u64, Digest)>,
}

/// Some entries, read for a check.
#[derive(Debug, Default)]
pub struct Run {
    /// Where the next begins; None at the end of the last log.
    pub next: Option<At>,
    /// Entries that should be there and are not, or not whole: the first of each gap.
    pub holes: Vec<Dot>,
}

/// Reads some entries from a place on. O(entries + records).
pub fn read_run(store: &dyn Snapshot, from: Option<At>, entries_max: usize) -> Result<Run, StoreError> {
    let tips = tips(store)?;
    let mut run = Run::default();
    let mut left = entries_max;
    let start = from.map(|at| at.replica);
    for (replica, tip) in tips
        .iter()
        .filter(|(replica, _)| start.is_none_or(|start| **replica >= start))
    {
        let mut last = from.filter(|at| at.replica == *replica).and_then(|at| at.last);
        let begin = Dot {
            replica: *replica,
            sequence: last.map_or(0, |(sequence, _)| sequence + 1),
        };
        let (mut rows, mut failed, mut more) = (Vec::new(), None, false);
        let end = prefix_end(&replica.0);
        store.scan(Family::Log, &log_key(begin), end.as_deref(), &mut |key, value| {
            more = rows.len() >= left;
            if !more {
                match decode_row::<LogRow>(Family::Log, value) {
                    Ok(row) => rows.push((sequence_of(key), row)),
                    Err(error) => failed = Some(error),
                }
            }
            failed.is_none() && !more
        })?;
        if let Some(error) = failed {
            return Err(error);
        }
        left = left.saturating_sub(rows.len());
        for (sequence, row) in rows {
            let hole = |sequence| Dot {
                replica: *replica,
                sequence,
            };
            match sound_entry(&row) {
                Some(entry) => {
                    if entry.prev != last {
                        // The one before has another hash, or is not there.
                        let same = entry
                            .prev
                            .is_some_and(|(before, _)| last.is_some_and(|(at, _)| at == before));
                        let after = last.map_or(1, |(sequence, _)| sequence + u64::from(!same));
                        run.holes.push(hole(after));
                    }
                    for (id, stamp) in row.ids.iter().zip(&entry.stamps) {
                        let row = read_record(store, id, &stamp.digest)?;
                        if row.is_none_or(|row| !row.dots.contains(&hole(sequence))) {
                            run.holes.push(hole(sequence));
                        }
                    }
                }
                None => run.holes.push(hole(sequence)),
            }
            last = Some((sequence, row.hash));
        }
        if more {
            run.next = Some(At {
                replica: *replica,
                last,
            });
            return Ok(run);
        }
        if last != Some((tip.sequence, tip.hash)) {
            run.holes.push(Dot {
                replica: *replica,
                sequence: last.map_or(1, |(sequence, _)| sequence + 1),
            });
        }
    }
    Ok(run)
}

fn sequence_of(key: &[u8]) -> u64 {
    let tail = key.get(16..).and_then(|tail| tail.try_into().ok());
    tail.map_or(0, u64::from_be_bytes)
}

fn tips(store: &dyn Snapshot) -> Result<BTreeMap<ReplicaId, ReplicaRow>, StoreError> {
    let (mut tips, mut failed) = (BTreeMap::new(), None);
    store.scan(Family::Replicas, &[], None, &mut |key, value| {
        match (key.try_into(), decode_row(Family::Replicas, value)) {
            (Ok(replica), Ok(row)) => drop(tips.insert(ReplicaId(replica), row)),
            (_, Err(error)) => failed = Some(error),
            (Err(_), _) => {}
        }
        failed.is_none()
    })?;
    failed.map_or(Ok(tips), Err)
}

//! Forks: two branches of one replica's log (a restored backup, a clone, a forgery).
//!
//! The branch whose first entry has the larger hash gives way: its entries are set aside as evidence, and what is
//! known under no surviving dot is accepted anew. Nothing is lost; nothing is decided twice.
//!
//! Invariant: a branch is set aside in the commit that takes in the first entry of the one that stands. Whoever gave a
//! branch up can so show the other by its clock, and all others find the fork there.

use std::sync::Arc;

use super::Event;
use super::group::Group;
use super::index::Lag;
use crate::entry::{Bundle, ChangeSet, Sealed};
use crate::hash::Digest;
use crate::id::{Dot, Id, ReplicaId};
use crate::machine::{Entries, node, restamped, stored_entry};
use crate::store::{
    Family, LogRow, RecordRow, ReplicaRow, Snapshot, StoreError, decode_row, encode_row, evidence_key,
    log_end, log_key, read_log, read_record, record_key,
};
use crate::zoo::{self, Bug};

/// What became of an entry that hangs on another chain than ours.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Parting {
    /// What lies before it is not in our chain either: the place where the branches part must be found first.
    Below,
    /// Our branch stands.
    Ours,
    /// Ours is set aside, and the entry is the next one.
    Theirs,
}

impl Group<'_> {
    /// Settles a fork with the first entry of the other branch in hand.
    pub fn settle_fork(&mut self, other: &Bundle) -> Result<Parting, StoreError> {
        let replica = other.entry.dot.replica;
        let Some(tip) = self.state.tips.get(&replica).cloned() else {
            return Ok(Parting::Below);
        };
        let (common, base) = match other.entry.prev {
            None => (0, None),
            Some((sequence, hash)) => match read_log(&self.overlay, Dot { replica, sequence })? {
                Some(row) if row.hash == hash => (
                    sequence,
                    Some(ReplicaRow {
                        sequence,
                        hash,
                        ..tip
                    }),
                ),
                _ => return Ok(Parting::Below),
            },
        };
        match self.branch(replica, common, 1)?.first() {
            None => return Ok(Parting::Below),
            Some((_, first)) if first.hash <= other.hash => {
                self.stands(replica, common);
                return Ok(Parting::Ours);
            }
            Some(_) => {}
        }
        let ours = self.branch(replica, common, usize::MAX)?;
        let own = self.state.meta.replica == Some(replica);
        let mut orphans = Vec::new();
        for (dot, row) in &ours {
            orphans.push(self.set_aside(*dot, row)?);
        }
        self.put_tip(replica, base);
        // What fell is not gossiped any more, whenever it was written.
        self.bundles
            .retain(|(bundle, _)| bundle.entry.dot.replica != replica || bundle.entry.dot.sequence <= common);
        if own {
            self.new_life("another store wrote under this replica, and its branch stands")?;
        }
        // What is accepted now is held against the ids as they are.
        self.settle_ids()?;
        let mut accepted_anew = 0;
        for records in orphans {
            let records: Vec<Arc<Sealed>> = self.without_dots(records)?;
            if zoo::planted(Bug::OrphansForgotten) {
                continue;
            }
            if !records.is_empty() && self.state.meta.replica.is_some() {
                self.write_own(&ChangeSet { records })?;
                accepted_anew += 1;
            }
        }
        self.event(Event::Fork {
            replica,
            common,
            yielded: true,
            accepted_anew,
        });
        Ok(Parting::Theirs)
    }

    /// Our branch of a replica stands: whoever holds the other sets it aside.
    pub fn stands(&mut self, replica: ReplicaId, common: u64) {
        self.event(Event::Fork {
            replica,
            common,
            yielded: false,
            accepted_anew: 0,
        });
    }

    /// The first entries above `common`, in the order of their chain.
    pub(super) fn branch(
        &self,
        replica: ReplicaId,
        common: u64,
        max: usize,
    ) -> Result<Vec<(Dot, LogRow)>, StoreError> {
        let from = log_key(Dot {
            replica,
            sequence: common + 1,
        });
        let mut rows = Vec::new();
        let mut failed = None;
        self.overlay.scan(
            Family::Log,
            &from,
            log_end(&replica).as_deref(),
            &mut |key, value| {
                let sequence = key
                    .get(16..)
                    .and_then(|tail| tail.try_into().ok())
                    .map(u64::from_be_bytes);
                match (sequence, decode_row(Family::Log, value)) {
                    (Some(sequence), Ok(row)) => rows.push((Dot { replica, sequence }, row)),
                    (_, Err(error)) => failed = Some(error),
                    (None, _) => {
                        failed = Some(StoreError::Corrupt {
                            family: "log",
                            detail: "a short key".to_owned(),
                        });
                    }
                }
                failed.is_none() && rows.len() < max
            },
        )?;
        failed.map_or(Ok(rows), Err)
    }

    /// Takes one entry out of the log, keeps it as evidence, and takes its dot from its records.
    fn set_aside(&mut self, dot: Dot, row: &LogRow) -> Result<Vec<(Id, Digest)>, StoreError> {
        self.overlay.delete(Family::Log, log_key(dot));
        self.overlay
            .put(Family::Evidence, evidence_key(dot, &row.hash), encode_row(row));
        let entry = stored_entry(row)?;
        let mut records = Vec::new();
        for (id, stamp) in row.ids.iter().zip(&entry.stamps) {
            let Some(mut record) = read_record(&self.overlay, id, &stamp.digest)? else {
                continue;
            };
            record.dots.retain(|held| *held != dot);
            let old = record.leaf(id, &stamp.digest);
            self.restamp(&stamp.digest, &mut record)?;
            self.note_leaf(Some(old), Some(record.leaf(id, &stamp.digest)));
            self.overlay.put(
                Family::Records,
                record_key(id, &stamp.digest),
                encode_row(&record),
            );
            records.push((id.clone(), stamp.digest));
            self.lags(id, Lag::Heads);
        }
        Ok(records)
    }

    /// What a record's entries still say of it, without the one that was set aside. A record left without any keeps
    /// what it had until it is accepted anew in the same commit.
    pub(super) fn restamp(&self, digest: &Digest, row: &mut RecordRow) -> Result<(), StoreError> {
        if let Some(next) = restamped(&self.overlay, &mut Entries::default(), digest, row, &|_| true)? {
            *row = next;
        }
        Ok(())
    }

    /// Those of one set's records that stand under no dot any more. If one does, the whole set goes again, so that it
    /// stays whole.
    fn without_dots(&self, records: Vec<(Id, Digest)>) -> Result<Vec<Arc<Sealed>>, StoreError> {
        let mut set = Vec::new();
        let mut orphaned = false;
        for (id, digest) in records {
            if let Some(row) = read_record(&self.overlay, &id, &digest)? {
                orphaned |= row.dots.is_empty();
                set.push(node(digest, row, &[])?.sealed);
            }
        }
        Ok(if orphaned { set } else { Vec::new() })
    }
}

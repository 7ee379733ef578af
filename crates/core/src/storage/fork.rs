//! Forks: two branches of one replica's log (a restored backup, a clone, a forgery).
//!
//! The branch whose first entry has the larger hash gives way: its entries are set aside as evidence, and what is
//! known under no surviving dot is accepted anew. Nothing is lost; nothing is decided twice.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Event;
use super::group::Group;
use crate::entry::{ChangeSet, Entry, Sealed, Stamp};
use crate::hash::Digest;
use crate::id::{Dot, Id, ReplicaId};
use crate::machine::node;
use crate::store::{
    Family, LogRow, RecordRow, ReplicaRow, Snapshot, StoreError, decode_row, encode_row, evidence_key,
    log_end, log_key, read_id, read_log, read_record, record_key,
};

impl Group<'_> {
    /// Settles a fork of `replica` whose branches part above `common`; `theirs` is the other branch's first hash.
    pub fn fork(&mut self, replica: ReplicaId, common: u64, theirs: Digest) -> Result<(), StoreError> {
        let Some(tip) = self.state.tips.get(&replica).cloned() else {
            return Ok(());
        };
        let ours = self.branch(replica, common)?;
        let Some((_, first)) = ours.first() else {
            return Ok(());
        }; // ours is a part of theirs: no fork
        if first.hash <= theirs {
            // Theirs gives way (or is this very branch): whoever holds it will set it aside.
            if first.hash < theirs {
                self.event(Event::Fork {
                    replica,
                    common,
                    yielded: false,
                    accepted_anew: 0,
                });
            }
            return Ok(());
        }
        let base = match common {
            0 => None,
            sequence => match read_log(&self.overlay, Dot { replica, sequence })? {
                Some(row) => Some(ReplicaRow {
                    sequence,
                    hash: row.hash,
                    ..tip
                }),
                None => return Ok(()), // the other end erred about the common entry: it will be traced again
            },
        };
        let own = self.state.meta.replica == Some(replica);
        let mut orphans = Vec::new();
        for (dot, row) in &ours {
            orphans.push(self.set_aside(*dot, row)?);
        }
        self.put_tip(replica, base);
        // The set-back clock is news: peers must not think that we hold the branch.
        self.meta_touched = true;
        if own {
            self.new_life("another store wrote under this replica, and its branch stands")?;
        }
        let mut accepted_anew = 0;
        for records in orphans {
            let records: Vec<Arc<Sealed>> = self.without_dots(records)?;
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
        Ok(())
    }

    /// The entries above `common`, in the order of their chain.
    fn branch(&self, replica: ReplicaId, common: u64) -> Result<Vec<(Dot, LogRow)>, StoreError> {
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
                failed.is_none()
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
            self.restamp(id, &stamp.digest, &mut record)?;
            self.overlay.put(
                Family::Records,
                record_key(id, &stamp.digest),
                encode_row(&record),
            );
            records.push((id.clone(), stamp.digest));
            let id_row = read_id(&self.overlay, id)?;
            self.rework(id, id_row)?;
        }
        Ok(records)
    }

    /// What a record's entries still say of it, without the one that was set aside. A record left without any keeps
    /// what it had until it is accepted anew in the same commit.
    fn restamp(&self, id: &Id, digest: &Digest, row: &mut RecordRow) -> Result<(), StoreError> {
        let mut stamps: Vec<Stamp> = Vec::new();
        for dot in &row.dots {
            let Some(log) = read_log(&self.overlay, *dot)? else {
                continue;
            };
            stamps.extend(
                stored_entry(&log)?
                    .stamps
                    .into_iter()
                    .filter(|stamp| stamp.digest == *digest),
            );
        }
        let Some(order_time) = stamps.iter().map(|stamp| stamp.order_time).min() else {
            return Ok(());
        };
        let sealed = node(*digest, row.clone())?.sealed;
        debug_assert_eq!(sealed.record.id, *id);
        let (mut all_edges, mut all_late) = (BTreeSet::new(), BTreeSet::new());
        for stamp in &stamps {
            let (edges, late) = stamp.edges(&sealed.record);
            all_edges.extend(edges);
            all_late.extend(late);
        }
        row.order_time = order_time;
        row.edges = all_edges.into_iter().collect();
        row.late = all_late.into_iter().collect();
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
                set.push(node(digest, row)?.sealed);
            }
        }
        Ok(if orphaned { set } else { Vec::new() })
    }
}

fn stored_entry(row: &LogRow) -> Result<Entry, StoreError> {
    Entry::from_stored(&row.entry).map_err(|error| StoreError::Corrupt {
        family: Family::Log.name(),
        detail: error.to_string(),
    })
}

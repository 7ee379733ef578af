//! Pages: what a clock lacks, in this hub's order of arrival, whole sets, bounded in records and bytes.

use std::collections::{BTreeMap, VecDeque};

use serde_bytes::ByteBuf;

use crate::clock::Clock;
use crate::entry::Entry;
use crate::hash::Digest;
use crate::id::{Dot, Id, ReplicaId};
use crate::machine::sound_entry;
use crate::record::Record;
use crate::store::{
    Family, LogRow, ReplicaRow, Snapshot, StoreError, decode_row, log_end, log_key, read_id, read_log,
    read_record,
};
use crate::wire::{Filters, SyncType, WireBundle};
use crate::zoo::{self, Bug};

/// Log rows read ahead of each replica.
const AHEAD: usize = 64;
/// Sets that a page may pass over, for each record it may hold, before it ends early and says that there is more.
const PASSED_PER_RECORD: usize = 20;

/// What a page leaves out; nothing by default.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Only entities, only relationships, or both.
    pub sync_type: Option<SyncType>,
    /// By type, writer, acceptance.
    pub filters: Filters,
    /// Superseded records.
    pub heads_only: bool,
}

impl Filter {
    /// Whether it leaves nothing out, but for the time of acceptance.
    pub fn is_all(&self) -> bool {
        let all = matches!(self.sync_type, None | Some(SyncType::Full | SyncType::Delta));
        all && !self.heads_only && self.filters.entity_types.is_none() && self.filters.modified_by.is_none()
    }
}

/// One set of a page.
#[derive(Debug, Clone)]
pub struct Emitted {
    /// Its place.
    pub dot: Dot,
    /// The log row: the entry's bytes and hash.
    pub row: LogRow,
    /// The records that passed the filter.
    pub records: Vec<Picked>,
}

/// One record of a page.
#[derive(Debug, Clone)]
pub struct Picked {
    /// Its position in the entry.
    pub at: usize,
    /// Its id.
    pub id: Id,
    /// Its canonical form; its skeleton's, if it is forgotten.
    pub bytes: Vec<u8>,
    /// Whether only the skeleton is left.
    pub forgotten: bool,
}

impl Emitted {
    /// For a peer: all of it.
    pub fn to_wire(&self) -> WireBundle {
        WireBundle {
            entry: ByteBuf::from(self.row.entry.clone()),
            signature: self.row.signature.clone(),
            records: self
                .records
                .iter()
                .map(|picked| ByteBuf::from(picked.bytes.clone()))
                .collect(),
            forgotten: self
                .records
                .iter()
                .filter(|picked| picked.forgotten)
                .map(|picked| picked.at)
                .collect(),
        }
    }
}

/// A page and the place to go on from.
#[derive(Debug, Clone)]
pub struct PageOf {
    /// In this hub's order of arrival.
    pub emitted: Vec<Emitted>,
    /// The clock given, and everything in or passed over by this page.
    pub next: Clock,
    /// Whether there is more.
    pub more: bool,
    /// Entries that this hub should hold and does not, or not whole, each the first of its replica: nothing above it is
    /// served.
    pub holes: Vec<Dot>,
    /// Canonical bytes of the records.
    pub bytes: usize,
}

/// The log of one replica from a sequence on, read ahead in runs.
struct Reader {
    replica: ReplicaId,
    from: u64,
    /// The last entry that this hub says it holds.
    tip: u64,
    rows: VecDeque<(u64, LogRow)>,
    ended: bool,
}

impl Reader {
    /// Puts the next row among those that may be taken. Where there is none and should be, the log has lost its end.
    fn offer(&self, at: usize, open: &mut BTreeMap<u64, usize>, page: &mut PageOf) {
        let last = page.next.sequence(&self.replica);
        match self.rows.front() {
            Some((_, row)) => drop(open.insert(row.arrival, at)),
            None if last < self.tip => page.holes.push(Dot {
                replica: self.replica,
                sequence: last + 1,
            }),
            None => {}
        }
    }

    fn fill(&mut self, store: &dyn Snapshot) -> Result<(), StoreError> {
        if !self.rows.is_empty() || self.ended {
            return Ok(());
        }
        let start = log_key(Dot {
            replica: self.replica,
            sequence: self.from,
        });
        let mut failed = None;
        store.scan(
            Family::Log,
            &start,
            log_end(&self.replica).as_deref(),
            &mut |key, value| {
                let sequence = key
                    .get(16..)
                    .and_then(|tail| tail.try_into().ok())
                    .map_or(0, u64::from_be_bytes);
                match decode_row(Family::Log, value) {
                    Ok(row) => self.rows.push_back((sequence, row)),
                    Err(error) => failed = Some(error),
                }
                failed.is_none() && self.rows.len() < AHEAD
            },
        )?;
        self.ended = self.rows.len() < AHEAD;
        self.from = self.rows.back().map_or(self.from, |(sequence, _)| sequence + 1);
        failed.map_or(Ok(()), Err)
    }
}

/// Reads one page of what `from` lacks. `limit` and `bytes_max` are exceeded by at most one set.
///
/// A merge of the replicas' logs by arrival: O(page · log replicas), whatever the store holds.
pub fn page(
    store: &dyn Snapshot,
    from: &Clock,
    filter: &Filter,
    records_max: usize,
    bytes_max: usize,
) -> Result<PageOf, StoreError> {
    let mut readers = readers(store, from)?;
    let mut page = PageOf {
        emitted: Vec::new(),
        next: from.clone(),
        more: false,
        holes: Vec::new(),
        bytes: 0,
    };
    let (mut records, mut passed) = (0, 0);
    // The next row of each replica, by arrival.
    let mut open: BTreeMap<u64, usize> = BTreeMap::new();
    for (at, reader) in readers.iter_mut().enumerate() {
        reader.fill(store)?;
        reader.offer(at, &mut open, &mut page);
    }
    while let Some((_, at)) = open.pop_first() {
        if records >= records_max
            || page.bytes >= bytes_max
            || passed > records_max.saturating_mul(PASSED_PER_RECORD)
        {
            page.more = true;
            break;
        }
        let reader = &mut readers[at];
        let Some((sequence, row)) = reader.rows.pop_front() else {
            continue;
        };
        let dot = Dot {
            replica: reader.replica,
            sequence,
        };
        let follows = page.next.sequence(&dot.replica);
        let whole = match sound_entry(&row) {
            Some(entry) if entry.prev.map_or(0, |(before, _)| before) <= follows => {
                select(store, &row, &entry, filter)?
            }
            _ => None,
        };
        let Some(mut found) = whole else {
            page.holes.push(Dot {
                sequence: follows + 1,
                ..dot
            });
            continue; // and nothing more of this replica
        };
        page.next.set(dot.replica, sequence, Some(row.hash.check()));
        reader.fill(store)?;
        reader.offer(at, &mut open, &mut page);
        if zoo::planted(Bug::SetSplit) && filter.sync_type.is_some() {
            found.truncate(records_max - records);
        }
        if found.is_empty() && !row.ids.is_empty() {
            passed += 1;
            continue;
        }
        records += found.len();
        page.bytes += found.iter().map(|picked| picked.bytes.len()).sum::<usize>() + row.entry.len();
        page.emitted.push(Emitted {
            dot,
            row,
            records: found,
        });
    }
    Ok(page)
}

fn readers(store: &dyn Snapshot, from: &Clock) -> Result<Vec<Reader>, StoreError> {
    let mut readers = Vec::new();
    let mut failed = None;
    store.scan(Family::Replicas, &[], None, &mut |key, value| {
        let tip = match decode_row::<ReplicaRow>(Family::Replicas, value) {
            Ok(row) => row.sequence,
            Err(error) => {
                failed = Some(error);
                return false;
            }
        };
        if let Ok(replica) = key.try_into().map(ReplicaId) {
            let from = from.sequence(&replica).saturating_add(1);
            readers.push(Reader {
                replica,
                from,
                tip,
                rows: VecDeque::new(),
                ended: false,
            });
        }
        true
    })?;
    failed.map_or(Ok(readers), Err)
}

/// One entry with all its records, to be taken again elsewhere; None if it is not held whole.
pub fn whole(store: &dyn Snapshot, dot: Dot) -> Result<Option<Emitted>, StoreError> {
    let Some(row) = read_log(store, dot)? else {
        return Ok(None);
    };
    let Some(entry) = sound_entry(&row) else {
        return Ok(None);
    };
    let records = select(store, &row, &entry, &Filter::default())?;
    Ok(records.map(|records| Emitted { dot, row, records }))
}

/// None if a record that the entry names is not there, or not as it was.
fn select(
    store: &dyn Snapshot,
    row: &LogRow,
    entry: &Entry,
    filter: &Filter,
) -> Result<Option<Vec<Picked>>, StoreError> {
    if filter.filters.since.is_some_and(|since| row.accepted < since) {
        return Ok(Some(Vec::new()));
    }
    let mut found = Vec::with_capacity(row.ids.len());
    for (at, (id, stamp)) in row.ids.iter().zip(&entry.stamps).enumerate() {
        let Some(record) = read_record(store, id, &stamp.digest)? else {
            return Ok(None);
        };
        // What a disk has changed is not passed on: who gets it would hold another record, and not this one.
        if !record.forgotten && Digest::of(&record.record) != stamp.digest {
            return Ok(None);
        }
        if passes(store, id, &stamp.digest, &record.record, filter)? {
            found.push(Picked {
                at,
                id: id.clone(),
                bytes: record.record,
                forgotten: record.forgotten,
            });
        }
    }
    Ok(Some(found))
}

pub(super) fn passes(
    store: &dyn Snapshot,
    id: &Id,
    digest: &Digest,
    bytes: &[u8],
    filter: &Filter,
) -> Result<bool, StoreError> {
    let wanted = &filter.filters;
    let all = matches!(filter.sync_type, None | Some(SyncType::Full | SyncType::Delta));
    if filter.heads_only && !read_id(store, id)?.is_some_and(|row| row.heads.contains(digest)) {
        return Ok(false);
    }
    if all && wanted.entity_types.is_none() && wanted.modified_by.is_none() {
        return Ok(true);
    }
    let record = Record::from_stored(bytes).map_err(|error| StoreError::Corrupt {
        family: Family::Records.name(),
        detail: error.detail,
    })?;
    let kind = match filter.sync_type {
        Some(SyncType::Entities) => record.is_entity(),
        Some(SyncType::Relationships) => !record.is_entity(),
        None | Some(SyncType::Full | SyncType::Delta) => true,
    };
    let of_type = match &wanted.entity_types {
        Some(types) => record.entity_type().is_some_and(|name| types.contains(name)),
        None => true,
    };
    let by = match &wanted.modified_by {
        Some(users) => record.user_id.as_ref().is_some_and(|user| users.contains(user)),
        None => true,
    };
    Ok(kind && of_type && by)
}

//! A hub's disk as a power cut leaves it, and what must hold of every disk at every moment.

use std::collections::{BTreeMap, BTreeSet};

use inbetweenies_core::entry::{ChangeSet, Entry};
use inbetweenies_core::hash::{Check, Digest};
use inbetweenies_core::id::{Dot, ReplicaId};
use inbetweenies_core::store::{
    Commit, Family, LogRow, Marks, MemorySnapshot, MemoryStore, Note, RecordRow, ReplicaRow, Snapshot, Store,
    decode_row, log_key, record_key,
};

use super::print::Print;

/// One entry of the log, as far as promises speak of it.
#[derive(Clone, PartialEq)]
pub struct Logged {
    pub hash: Digest,
    prev: Option<(u64, Digest)>,
    arrival: u64,
    digests: Vec<Digest>,
}

#[derive(Clone, Default)]
pub struct Disk {
    /// The rows. Its own marks are not used: below they can be lost one by one.
    tables: MemoryStore,
    pub marks: Marks,
    /// What stood in the note before: a note is not synced, so a power cut may bring this back.
    note_before: Option<Note>,
    /// What the log rows say, kept in step with them.
    pub log: BTreeMap<Dot, Logged>,
    fallen: BTreeSet<(Dot, Digest)>,
    /// Of all rows: two disks with one print hold the same.
    rows: u64,
}

impl Disk {
    pub fn snapshot(&self) -> MemorySnapshot {
        self.tables.snapshot()
    }

    /// Writes mark, rows and note. What a commit must not do is the answer's error: after it the disk must be sound, no
    /// record may be gone, and no entry but for one that is kept as given up.
    pub fn write(&mut self, commit: &Commit) -> Result<(), String> {
        if commit.high_water.is_some() {
            self.marks.high_water = commit.high_water.clone();
        }
        if commit.note.is_some() {
            self.note_before = std::mem::replace(&mut self.marks.note, commit.note.clone());
        }
        let rows = Commit {
            writes: commit.writes.clone(),
            ..Commit::default()
        };
        self.tables.commit(&rows).map_err(|error| error.to_string())?;
        self.rows = self.print_rows();
        let before = self.log.clone();
        for (family, key, value) in &commit.writes {
            match (family, value) {
                (Family::Records, None) => return Err("a record is taken out of the store".to_owned()),
                (Family::Log, Some(value)) => self.note_entry(value)?,
                (Family::Log, None) => self.log.retain(|dot, _| log_key(*dot) != *key),
                (Family::Evidence, Some(value)) => {
                    let row: LogRow = decode_row(*family, value).map_err(|error| error.to_string())?;
                    let dot = entry(&row)?.dot;
                    self.fallen.insert((dot, row.hash));
                }
                _ => {}
            }
        }
        for (dot, logged) in before {
            let check = Some(logged.hash.check());
            if !self.has(dot, check) && !self.had(dot, check) {
                return Err(format!("{dot:?} is gone without a trace"));
            }
        }
        self.audit()
    }

    /// Whether a power cut now may bring an older note back.
    pub fn note_can_be_lost(&self) -> bool {
        self.marks.note != self.note_before
    }

    pub fn lose_the_note(&mut self) {
        self.marks.note = self.note_before.clone();
    }

    /// From here on the note is what a power cut leaves.
    pub fn rest(&mut self) {
        self.note_before = self.marks.note.clone();
    }

    fn note_entry(&mut self, value: &[u8]) -> Result<(), String> {
        let row: LogRow = decode_row(Family::Log, value).map_err(|error| error.to_string())?;
        let entry = entry(&row)?;
        if Digest::of(&row.entry) != row.hash {
            return Err(format!("{:?} does not have its hash", entry.dot));
        }
        let logged = Logged {
            hash: row.hash,
            prev: entry.prev,
            arrival: row.arrival,
            digests: entry.stamps.iter().map(|stamp| stamp.digest).collect(),
        };
        self.log.insert(entry.dot, logged);
        Ok(())
    }

    /// Each log is one chain without a gap, in the order of arrival, with each record at most once, ends where its
    /// replica's row says, and holds nothing that was given up.
    fn audit(&self) -> Result<(), String> {
        let mut before: Option<(Dot, &Logged)> = None;
        let mut seen: BTreeSet<(ReplicaId, Digest)> = BTreeSet::new();
        let mut tips: BTreeMap<ReplicaId, (u64, Digest)> = BTreeMap::new();
        for (dot, logged) in &self.log {
            let same = before.filter(|(before, _)| before.replica == dot.replica);
            let prev = same.map(|(before, logged)| (before.sequence, logged.hash));
            if logged.prev != prev {
                return Err(format!(
                    "{dot:?} follows {:?} and stands after {prev:?}",
                    logged.prev
                ));
            }
            if same.is_some_and(|(_, before)| before.arrival >= logged.arrival) {
                return Err(format!("{dot:?} arrived before what it follows"));
            }
            if let Some(twice) = logged
                .digests
                .iter()
                .find(|digest| !seen.insert((dot.replica, **digest)))
            {
                return Err(format!(
                    "the record {twice:?} stands twice in one log, again in {dot:?}"
                ));
            }
            if self.fallen.contains(&(*dot, logged.hash)) {
                return Err(format!("{dot:?} was given up and is taken again"));
            }
            tips.insert(dot.replica, (dot.sequence, logged.hash));
            before = Some((*dot, logged));
        }
        let mut rows = BTreeMap::new();
        let mut visit = |key: &[u8], value: &[u8]| {
            if let (Ok(replica), Ok(row)) =
                (key.try_into(), decode_row::<ReplicaRow>(Family::Replicas, value))
            {
                rows.insert(ReplicaId(replica), (row.sequence, row.hash));
            }
            true
        };
        let scanned = self
            .tables
            .snapshot()
            .scan(Family::Replicas, &[], None, &mut visit);
        scanned.map_err(|error| error.to_string())?;
        if rows == tips {
            Ok(())
        } else {
            Err(format!("logs end at {tips:?} and are said to end at {rows:?}"))
        }
    }

    pub fn holds(&self, set: &ChangeSet) -> bool {
        let snapshot = self.tables.snapshot();
        set.records.iter().all(|sealed| {
            let key = record_key(&sealed.record.id, &sealed.digest);
            matches!(snapshot.get(Family::Records, &key), Ok(Some(_)))
        })
    }

    /// Whether the entry at this dot has this check.
    pub fn has(&self, dot: Dot, check: Option<Check>) -> bool {
        self.log
            .get(&dot)
            .is_some_and(|logged| Some(logged.hash.check()) == check)
    }

    /// Whether it had, before its branch was given up.
    pub fn had(&self, dot: Dot, check: Option<Check>) -> bool {
        let mut fallen = self
            .fallen
            .range((dot, Digest([0; 32]))..=(dot, Digest([0xff; 32])));
        fallen.any(|(_, hash)| Some(hash.check()) == check)
    }

    /// All that hubs which have heard everything from each other hold alike: log, records with all that their entries
    /// say of them, and ids with their heads.
    pub fn told(&self) -> (BTreeMap<Dot, Digest>, BTreeMap<Vec<u8>, RecordRow>, u64) {
        let log = self.log.iter().map(|(dot, logged)| (*dot, logged.hash)).collect();
        let mut records = BTreeMap::new();
        let mut ids = Print::default();
        let snapshot = self.tables.snapshot();
        let mut record = |key: &[u8], value: &[u8]| {
            if let Ok(mut row) = decode_row::<RecordRow>(Family::Records, value) {
                row.dots.sort();
                records.insert(key.to_vec(), row);
            }
            true
        };
        let mut id = |key: &[u8], value: &[u8]| {
            ids.bytes(key);
            ids.bytes(value);
            true
        };
        let read = snapshot
            .scan(Family::Records, &[], None, &mut record)
            .and_then(|()| snapshot.scan(Family::Ids, &[], None, &mut id));
        read.unwrap_or_else(|error| panic!("{error}"));
        (log, records, ids.end())
    }

    /// What tells two disks apart.
    pub fn print(&self) -> u64 {
        let mut print = Print::default();
        print.number(self.rows);
        print.shown(&self.marks);
        print.shown(&self.note_before);
        print.end()
    }

    fn print_rows(&self) -> u64 {
        let mut print = Print::default();
        let snapshot = self.tables.snapshot();
        // The journal of leaves tells in which order it came to this, and nothing here reads it.
        let told = |family: &Family| *family != Family::Merkle;
        for family in Family::ALL.into_iter().filter(told) {
            print.bytes(family.name().as_bytes());
            let mut visit = |key: &[u8], value: &[u8]| {
                print.bytes(key);
                print.bytes(value);
                true
            };
            let scanned = snapshot.scan(family, &[], None, &mut visit);
            scanned.unwrap_or_else(|error| panic!("{error}"));
        }
        print.end()
    }
}

fn entry(row: &LogRow) -> Result<Entry, String> {
    Entry::from_canonical(&row.entry).map_err(|error| error.to_string())
}

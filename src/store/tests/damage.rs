//! What a power cut or a bad disk does to the database's files, and a store that failed once.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use inbetweenies_core::store::{Commit, Family, Marks, Snapshot, Store, StoreError};

use super::{OpenError, RocksStore, high_water, note, open, put, refusal, rows};

/// Makes tables of all rows.
pub(super) fn flush(store: &RocksStore) {
    let open = &store.reader().0;
    let families = Family::ALL.map(|family| open.family(family));
    let families: Vec<_> = families.iter().collect();
    open.db
        .flush_cfs_opt(&families, &rocksdb::FlushOptions::default())
        .unwrap();
}

/// The database's files of one kind, the oldest first.
pub(super) fn files(path: &Path, kind: &str) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(path.join("db"))
        .unwrap()
        .map(|file| file.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == kind))
        .collect();
    files.sort();
    files
}

pub(super) fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 1;
    fs::write(path, bytes).unwrap();
}

/// Commits of a small row in one family and a large one in another, and the note.
fn write(store: &mut RocksStore, commits: Range<u64>) {
    for number in commits {
        let key = number.to_be_bytes();
        let commit = Commit {
            writes: vec![
                put(Family::Log, &key, &[1; 90]),
                put(Family::Records, &key, &[2; 9_000]),
            ],
            note: Some(note(number)),
            ..Commit::default()
        };
        assert_eq!(store.commit(&commit), Ok(()));
    }
}

/// How many of the commits are there: the first so many, in both families.
fn prefix(store: &RocksStore) -> u64 {
    let snapshot = store.snapshot();
    let (log, records) = (rows(&snapshot, Family::Log), rows(&snapshot, Family::Records));
    assert_eq!(log.len(), records.len(), "half a commit");
    for (number, (key, _)) in log.iter().enumerate() {
        assert_eq!(key[..], (number as u64).to_be_bytes(), "a hole");
    }
    log.len() as u64
}

#[test]
fn a_log_that_is_cut_leaves_the_commits_before_the_cut() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    write(&mut store, 0..20);
    drop(store);
    let log = files(dir.path(), "log").pop().unwrap();
    let whole = fs::read(&log).unwrap();
    let mut last = 20;
    for len in (0..whole.len()).rev().step_by(whole.len() / 12) {
        let log = files(dir.path(), "log").pop().unwrap();
        // The last opening may have begun a log of its own; what it read stands in tables then.
        let bytes = fs::read(&log).unwrap();
        fs::write(&log, &bytes[..len.min(bytes.len())]).unwrap();
        let found = prefix(&open(dir.path()));
        assert!(found <= last, "{found} after {last}");
        last = found;
    }
}

/// Synced commits behind damage in the log are dropped without a word by the database; the note tells. Before all
/// families were flushed together, the database did not open here: one family's tables were ahead of the log.
#[test]
fn damage_within_the_log_shows_in_the_note() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    // Until the large rows have filled their share of the buffer and went to a table, and some more.
    let mut last = 0;
    while files(dir.path(), "sst").is_empty() {
        write(&mut store, last..last + 1);
        last += 1;
        assert!(last < 1_000, "nothing was flushed");
    }
    write(&mut store, last..last + 10);
    last += 9;
    drop(store);
    // All of them: the oldest may be one that is done with and not deleted yet.
    for log in files(dir.path(), "log") {
        let len = fs::metadata(&log).unwrap().len() as usize;
        if len > 0 {
            flip(&log, len / 2);
        }
    }
    let store = open(dir.path());
    let found = prefix(&store);
    assert!(found < last, "{found} commits of {last}");
    assert_eq!(store.marks().note, Some(note(last)));
}

#[test]
fn a_damaged_or_missing_manifest_is_damage() {
    for damage in [
        |path: &Path| flip(path, 30),
        |path: &Path| fs::remove_file(path).unwrap(),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let mut store = open(dir.path());
        write(&mut store, 0..3);
        drop(store);
        let manifest = fs::read_to_string(dir.path().join("db/CURRENT")).unwrap();
        damage(&dir.path().join("db").join(manifest.trim_end()));
        let error = refusal(dir.path(), true);
        assert!(matches!(error, OpenError::Damaged { .. }), "{error:?}");
    }
}

#[test]
fn a_missing_table_is_damage() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    write(&mut store, 0..3);
    flush(&store);
    drop(store);
    fs::remove_file(files(dir.path(), "sst").remove(0)).unwrap();
    let error = refusal(dir.path(), true);
    assert!(matches!(error, OpenError::Damaged { .. }), "{error:?}");
}

#[test]
fn after_a_failure_nothing_is_written_until_the_store_is_reopened() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    // The high-water mark comes first, so that with this in its way the rest must not happen.
    let obstacle = dir.path().join("HIGH_WATER.tmp");
    fs::create_dir(&obstacle).unwrap();
    let whole = Commit {
        number: 1,
        high_water: Some(high_water(1_000, false)),
        writes: vec![put(Family::Ids, b"key", b"value")],
        note: Some(note(1)),
    };
    let error = store.commit(&whole).unwrap_err();
    let expected = |error: &StoreError, what| matches!(error, StoreError::Io { doing, .. } if *doing == what);
    assert!(expected(&error, "write the high-water mark"), "{error}");
    fs::remove_dir(&obstacle).unwrap();
    let error = store.commit(&whole).unwrap_err();
    assert!(expected(&error, "write after an earlier failure"), "{error}");
    assert_eq!(
        store.snapshot().get(Family::Ids, b"key"),
        Ok(None),
        "reading goes on"
    );
    assert_eq!(store.marks(), Marks::default());
    drop(store);
    let mut store = open(dir.path());
    assert_eq!(store.commit(&whole), Ok(()));
    assert_eq!(rows(&store.snapshot(), Family::Ids).len(), 1);
}

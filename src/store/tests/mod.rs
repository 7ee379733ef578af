//! The store on real files: the suite that every store passes, and what only a disk can do to one.

mod blobs;
mod damage;
mod differential;
mod folder;
mod marks;

use std::cell::Cell;
use std::path::Path;

use inbetweenies_core::hash::Digest;
use inbetweenies_core::id::ReplicaId;
use inbetweenies_core::store::{Commit, Family, HighWater, Note, Snapshot, Store, Write, conformance};

use super::room::Room;
use super::{NoRoom, OpenError, RocksStore, ScrubReport, StoreOptions, verify};

/// Small ones, for a new hub.
fn options() -> StoreOptions {
    StoreOptions {
        init: true,
        cache_bytes: 1 << 20,
        write_buffer_bytes: 1 << 20,
        headroom_bytes: 0,
    }
}

fn open(path: &Path) -> RocksStore {
    RocksStore::open(path, &options()).unwrap_or_else(|error| panic!("{error}"))
}

/// Opens a folder that should not open.
fn refusal(path: &Path, init: bool) -> OpenError {
    let options = StoreOptions { init, ..options() };
    match RocksStore::open(path, &options) {
        Ok(_) => panic!("{} was opened", path.display()),
        Err(error) => error,
    }
}

fn put(family: Family, key: &[u8], value: &[u8]) -> Write {
    (family, key.to_vec(), Some(value.to_vec()))
}

fn commit(store: &mut RocksStore, writes: Vec<Write>) {
    let commit = Commit {
        writes,
        ..Commit::default()
    };
    assert_eq!(store.commit(&commit), Ok(()));
}

fn rows(snapshot: &dyn Snapshot, family: Family) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut rows = Vec::new();
    let read = snapshot.scan(family, b"", None, &mut |key, value| {
        rows.push((key.to_vec(), value.to_vec()));
        true
    });
    assert_eq!(read, Ok(()), "{}", family.name());
    rows
}

fn high_water(lease_end: u64, clean: bool) -> HighWater {
    HighWater {
        replica: ReplicaId([7; 16]),
        lease_end,
        last: Some((lease_end - 5, Digest([lease_end as u8; 32]))),
        clean,
    }
}

fn note(sequence: u64) -> Note {
    Note {
        replica: ReplicaId([7; 16]),
        sequence,
        hash: Digest([sequence as u8; 32]),
    }
}

#[test]
fn the_store_on_disk_conforms() {
    let dir = tempfile::tempdir().unwrap();
    let opened = Cell::new(0);
    conformance::check(|| {
        opened.set(opened.get() + 1);
        open(&dir.path().join(opened.get().to_string()))
    });
}

#[test]
fn rows_survive_a_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    let writes = Family::ALL.map(|family| put(family, b"key", family.name().as_bytes()));
    commit(&mut store, writes.to_vec());
    drop(store);
    let store = open(dir.path());
    for family in Family::ALL {
        let expected = vec![(b"key".to_vec(), family.name().as_bytes().to_vec())];
        assert_eq!(rows(&store.snapshot(), family), expected);
    }
}

#[test]
fn a_snapshot_goes_to_another_thread_and_outlives_the_store() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    commit(&mut store, vec![put(Family::Ids, b"key", b"before")]);
    let snapshot = store.reader().snapshot();
    commit(&mut store, vec![put(Family::Ids, b"key", b"after")]);
    drop(store);
    let read = std::thread::spawn(move || snapshot.get(Family::Ids, b"key"));
    assert_eq!(read.join().unwrap(), Ok(Some(b"before".to_vec())));
}

#[test]
fn a_full_disk_is_told_before_writes_are_taken() {
    let dir = tempfile::tempdir().unwrap();
    let options = StoreOptions {
        headroom_bytes: u64::MAX / 2,
        ..options()
    };
    let mut store = RocksStore::open(dir.path(), &options).unwrap_or_else(|error| panic!("{error}"));
    let refused = store.room_for(1).unwrap_err();
    assert_eq!(refused.headroom, u64::MAX / 2);
    assert!(refused.free > 0, "{refused}");
    // What was taken before is still written, and read.
    commit(&mut store, vec![put(Family::Ids, b"key", b"value")]);
    assert_eq!(rows(&store.snapshot(), Family::Ids).len(), 1);
}

#[test]
fn room_counts_what_was_written_since_the_disk_was_asked() {
    let dir = tempfile::tempdir().unwrap();
    let free = Room::new(dir.path(), u64::MAX).for_bytes(0).unwrap_err().free;
    // A wide margin: others write to this disk too.
    let margin = free / 2;
    let room = Room::new(dir.path(), margin);
    assert_eq!(room.for_bytes(0), Ok(()));
    assert!(room.for_bytes(free as usize).is_err());
    assert_eq!(
        Room::new(&dir.path().join("gone"), 1).for_bytes(0),
        Err(NoRoom { free: 0, headroom: 1 })
    );
}

#[test]
fn a_scrub_counts_rows_and_finds_damage() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    commit(
        &mut store,
        vec![
            put(Family::Records, b"key", &[5; 300]),
            put(Family::Log, b"k", b"v"),
        ],
    );
    let report = verify(&store.reader());
    assert_eq!(report, Ok(ScrubReport { rows: 2, bytes: 305 }));
    damage::flush(&store);
    drop(store);
    for table in damage::files(dir.path(), "sst") {
        damage::flip(&table, 20);
    }
    let error = verify(&open(dir.path()).reader()).unwrap_err();
    assert!(error.to_string().contains("damaged"), "{error}");
}

//! What every store must do, as one suite: the memory store, RocksDB and the simulator's disks all run it.

use super::{Commit, Family, HighWater, Note, Snapshot, Store};
use crate::hash::Digest;
use crate::id::ReplicaId;

fn rows(
    snapshot: &dyn Snapshot,
    family: Family,
    from: &[u8],
    until: Option<&[u8]>,
) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut rows = Vec::new();
    let read = snapshot.scan(family, from, until, &mut |key, value| {
        rows.push((key.to_vec(), value.to_vec()));
        true
    });
    assert_eq!(read, Ok(()), "a scan of a healthy store");
    rows
}

/// Runs the suite on fresh stores from `open`; panics at the first difference.
pub fn check<S: Store>(open: impl Fn() -> S) {
    puts_gets_and_deletes(open());
    scans_in_key_order_within_bounds(open());
    keeps_snapshots_apart_from_later_commits(open());
    keeps_families_apart(open());
    remembers_marks(open());
}

fn put(family: Family, key: &[u8], value: &[u8]) -> super::Write {
    (family, key.to_vec(), Some(value.to_vec()))
}

fn commit<S: Store>(store: &mut S, writes: Vec<super::Write>) {
    assert_eq!(
        store.commit(&Commit {
            writes,
            ..Commit::default()
        }),
        Ok(()),
        "a commit to a healthy store"
    );
}

fn puts_gets_and_deletes<S: Store>(mut store: S) {
    assert_eq!(
        store.snapshot().get(Family::Ids, b"k"),
        Ok(None),
        "an empty store has nothing"
    );
    commit(
        &mut store,
        vec![put(Family::Ids, b"k", b"1"), put(Family::Ids, b"empty", b"")],
    );
    assert_eq!(store.snapshot().get(Family::Ids, b"k"), Ok(Some(b"1".to_vec())));
    assert_eq!(
        store.snapshot().get(Family::Ids, b"empty"),
        Ok(Some(Vec::new())),
        "an empty value is a value"
    );
    commit(
        &mut store,
        vec![put(Family::Ids, b"k", b"2"), (Family::Ids, b"k".to_vec(), None)],
    );
    assert_eq!(
        store.snapshot().get(Family::Ids, b"k"),
        Ok(None),
        "writes of one batch apply in order"
    );
    commit(&mut store, vec![(Family::Ids, b"never".to_vec(), None)]);
}

fn scans_in_key_order_within_bounds<S: Store>(mut store: S) {
    let keys: [&[u8]; 5] = [b"b", b"a", b"\xff\xff", b"", b"ab"];
    commit(
        &mut store,
        keys.iter().map(|key| put(Family::Log, key, b"v")).collect(),
    );
    let snapshot = store.snapshot();
    let found = |from: &[u8], until: Option<&[u8]>| -> Vec<Vec<u8>> {
        rows(&snapshot, Family::Log, from, until)
            .into_iter()
            .map(|(key, _)| key)
            .collect()
    };
    assert_eq!(found(b"", None), [&b""[..], b"a", b"ab", b"b", b"\xff\xff"]);
    assert_eq!(
        found(b"a", Some(b"b")),
        [&b"a"[..], b"ab"],
        "from is included, until is not"
    );
    assert_eq!(
        found(b"b", Some(b"a")),
        Vec::<Vec<u8>>::new(),
        "a backward range is empty"
    );
    let mut count = 0;
    let stopped = snapshot.scan(Family::Log, b"", None, &mut |_, _| {
        count += 1;
        count < 2
    });
    assert_eq!((stopped, count), (Ok(()), 2), "a scan stops when told");
}

fn keeps_snapshots_apart_from_later_commits<S: Store>(mut store: S) {
    commit(&mut store, vec![put(Family::Ids, b"k", b"before")]);
    let snapshot = store.snapshot();
    commit(
        &mut store,
        vec![put(Family::Ids, b"k", b"after"), put(Family::Ids, b"l", b"new")],
    );
    assert_eq!(snapshot.get(Family::Ids, b"k"), Ok(Some(b"before".to_vec())));
    assert_eq!(rows(&snapshot, Family::Ids, b"", None).len(), 1);
    assert_eq!(rows(&store.snapshot(), Family::Ids, b"", None).len(), 2);
}

fn keeps_families_apart<S: Store>(mut store: S) {
    commit(
        &mut store,
        Family::ALL
            .iter()
            .map(|family| put(*family, b"k", family.name().as_bytes()))
            .collect(),
    );
    for family in Family::ALL {
        assert_eq!(
            store.snapshot().get(family, b"k"),
            Ok(Some(family.name().as_bytes().to_vec()))
        );
        assert_eq!(rows(&store.snapshot(), family, b"", None).len(), 1);
    }
}

fn remembers_marks<S: Store>(mut store: S) {
    assert_eq!(store.marks(), super::Marks::default(), "a new store has no marks");
    let replica = ReplicaId([9; 16]);
    let high_water = HighWater {
        replica,
        lease_end: 1_000,
        last: Some((7, Digest([1; 32]))),
        clean: false,
    };
    let note = Note {
        replica,
        sequence: 8,
        hash: Digest([2; 32]),
    };
    let done = store.commit(&Commit {
        high_water: Some(high_water.clone()),
        note: Some(note.clone()),
        ..Commit::default()
    });
    assert_eq!(done, Ok(()));
    assert_eq!(
        store.marks(),
        super::Marks {
            high_water: Some(high_water),
            note: Some(note)
        }
    );
}

//! Which folders are opened, which are made, and which are refused with what advice.

use std::fs;
use std::path::Path;

use inbetweenies_core::store::{Family, Store};

use super::{OpenError, RocksStore, StoreOptions, commit, damage, open, options, put, refusal};

fn entries(path: &Path) -> usize {
    fs::read_dir(path).unwrap().count()
}

#[test]
fn a_folder_that_no_hub_wrote_to_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let error = refusal(dir.path(), false);
    assert!(matches!(error, OpenError::NoMarker { .. }), "{error:?}");
    assert!(error.to_string().contains("--init"), "{error}");
    assert!(error.to_string().contains("mount it"), "{error}");
    assert_eq!(entries(dir.path()), 0, "the folder is left alone");
    let error = refusal(&dir.path().join("none"), false);
    assert!(matches!(error, OpenError::NoMarker { .. }), "{error:?}");
    assert_eq!(entries(dir.path()), 0, "nor is one made");
}

#[test]
fn init_makes_a_folder_once_and_then_just_opens_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("deep/down");
    let mut store = open(&path);
    assert_eq!(
        fs::read_to_string(path.join("INBETWEENIES")).unwrap(),
        "format 1\n"
    );
    commit(&mut store, vec![put(Family::Ids, b"key", b"value")]);
    drop(store);
    for init in [true, false] {
        let store = RocksStore::open(&path, &StoreOptions { init, ..options() });
        let store = store.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(super::rows(&store.snapshot(), Family::Ids).len(), 1);
    }
}

#[test]
fn a_second_opening_is_refused_while_the_first_lives() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let locked = |what: &str| {
        let error = refusal(dir.path(), true);
        assert!(matches!(error, OpenError::Locked { .. }), "{what}: {error:?}");
    };
    locked("the store lives");
    let reader = store.reader();
    drop(store);
    locked("a reader lives");
    let snapshot = reader.snapshot();
    drop(reader);
    locked("a snapshot lives");
    drop(snapshot);
    drop(open(dir.path()));
}

#[test]
fn files_of_a_store_without_a_marker_are_refused_even_with_init() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()));
    fs::remove_file(dir.path().join("INBETWEENIES")).unwrap();
    for init in [true, false] {
        let error = refusal(dir.path(), init);
        assert!(matches!(error, OpenError::Unmarked { .. }), "{error:?}");
    }
    assert!(!dir.path().join("INBETWEENIES").exists());
    let bare = tempfile::tempdir().unwrap();
    fs::write(bare.path().join("CURRENT"), "MANIFEST-000001\n").unwrap();
    let error = refusal(bare.path(), true);
    assert!(matches!(error, OpenError::Unmarked { .. }), "{error:?}");
}

#[test]
fn a_later_format_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()));
    fs::write(dir.path().join("INBETWEENIES"), "format 2\n").unwrap();
    let error = refusal(dir.path(), true);
    assert!(matches!(error, OpenError::Later { .. }), "{error:?}");
    for unreadable in ["", "format", "format 0\n", "format one\n", "\0\0\0\0"] {
        fs::write(dir.path().join("INBETWEENIES"), unreadable).unwrap();
        let error = refusal(dir.path(), true);
        assert!(matches!(error, OpenError::Damaged { .. }), "{error:?}");
    }
}

#[test]
fn a_family_of_a_later_version_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()));
    let path = dir.path().join("db");
    let known = rocksdb::DB::list_cf(&rocksdb::Options::default(), &path).unwrap();
    let mut db = rocksdb::DB::open_cf(&rocksdb::Options::default(), &path, known).unwrap();
    db.create_cf("later", &rocksdb::Options::default()).unwrap();
    drop(db);
    let error = refusal(dir.path(), true);
    assert!(matches!(error, OpenError::Later { .. }), "{error:?}");
}

#[test]
fn rows_that_are_gone_are_not_replaced_by_none_unasked() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()));
    fs::remove_dir_all(dir.path().join("db")).unwrap();
    let error = refusal(dir.path(), false);
    assert!(matches!(error, OpenError::NoRows { .. }), "{error:?}");
    drop(open(dir.path()));
}

/// RocksDB would begin an empty database here and delete the tables.
#[test]
fn tables_without_their_index_are_damage_even_with_init() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    commit(&mut store, vec![put(Family::Records, b"key", b"value")]);
    damage::flush(&store);
    drop(store);
    fs::remove_file(dir.path().join("db/CURRENT")).unwrap();
    let error = refusal(dir.path(), true);
    assert!(matches!(error, OpenError::Damaged { .. }), "{error:?}");
    assert_eq!(damage::files(dir.path(), "sst").len(), 1, "they are still there");
}

//! The files beside the database: what is read after they were torn, damaged or lost.

use std::fs;
use std::path::Path;

use inbetweenies_core::store::{Commit, HighWater, Marks, Store};

use super::super::marks::MarkFiles;
use super::{high_water, note, open};

fn marks(path: &Path) -> Marks {
    MarkFiles::open(path).unwrap().marks().clone()
}

/// A folder in which three high-water marks and two notes were written.
fn written() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let mut files = MarkFiles::open(dir.path()).unwrap();
    for lease_end in [1_000, 2_000, 3_000] {
        files.write_high_water(&high_water(lease_end, true)).unwrap();
    }
    for sequence in [11, 12] {
        files.write_note(&note(sequence)).unwrap();
    }
    dir
}

/// The mark before the last, which was not the last to come.
fn previous() -> Option<HighWater> {
    Some(high_water(2_000, false))
}

#[test]
fn marks_survive_a_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    assert_eq!(store.marks(), Marks::default());
    let mut last = Commit::default();
    for number in 1..4 {
        last = Commit {
            number,
            high_water: Some(high_water(number * 1_000, number == 3)),
            writes: Vec::new(),
            note: Some(note(number)),
        };
        assert_eq!(store.commit(&last), Ok(()));
    }
    drop(store);
    let expected = Marks {
        high_water: last.high_water,
        note: last.note,
    };
    assert_eq!(open(dir.path()).marks(), expected);
}

#[test]
fn a_high_water_mark_torn_anywhere_falls_back_to_the_one_before() {
    let dir = written();
    let file = dir.path().join("HIGH_WATER");
    let whole = fs::read(&file).unwrap();
    assert_eq!(marks(dir.path()).high_water, Some(high_water(3_000, true)));
    for len in 0..whole.len() {
        fs::write(&file, &whole[..len]).unwrap();
        assert_eq!(marks(dir.path()).high_water, previous(), "torn at byte {len}");
        // Or the rest of its block reads as zeros.
        let mut padded = whole[..len].to_vec();
        padded.resize(512, 0);
        fs::write(&file, &padded).unwrap();
        assert_eq!(marks(dir.path()).high_water, previous(), "zeros from byte {len}");
    }
    for bit in 0..whole.len() * 8 {
        let mut flipped = whole.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        fs::write(&file, &flipped).unwrap();
        assert_eq!(marks(dir.path()).high_water, previous(), "bit {bit}");
    }
    fs::remove_file(&file).unwrap();
    assert_eq!(
        marks(dir.path()).high_water,
        previous(),
        "a crash between the renames"
    );
    fs::remove_file(dir.path().join("HIGH_WATER.old")).unwrap();
    assert_eq!(marks(dir.path()).high_water, None);
}

/// Two damages in a row took both copies once: the damaged one was kept as the old one.
#[test]
fn a_damaged_high_water_mark_does_not_push_a_whole_one_out() {
    let dir = written();
    let file = dir.path().join("HIGH_WATER");
    fs::write(&file, b"torn").unwrap();
    let mut files = MarkFiles::open(dir.path()).unwrap();
    files.write_high_water(&high_water(4_000, false)).unwrap();
    assert_eq!(marks(dir.path()).high_water, Some(high_water(4_000, false)));
    fs::write(&file, b"torn again").unwrap();
    assert_eq!(marks(dir.path()).high_water, previous());
}

#[test]
fn a_note_torn_or_damaged_anywhere_is_none() {
    let dir = written();
    let file = dir.path().join("NOTE");
    let whole = fs::read(&file).unwrap();
    assert_eq!(marks(dir.path()).note, Some(note(12)));
    for len in 0..whole.len() {
        fs::write(&file, &whole[..len]).unwrap();
        assert_eq!(marks(dir.path()).note, None, "torn at byte {len}");
    }
    for bit in 0..whole.len() * 8 {
        let mut flipped = whole.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        fs::write(&file, &flipped).unwrap();
        assert_eq!(marks(dir.path()).note, None, "bit {bit}");
    }
    // And it is written over, wherever it was torn.
    let mut files = MarkFiles::open(dir.path()).unwrap();
    files.write_note(&note(13)).unwrap();
    assert_eq!(marks(dir.path()).note, Some(note(13)));
}

//! What a pushed record met, told from the store.

use super::*;
use crate::entry::Sealed;
use crate::id::Version;
use crate::record::{Kind, Parent, Record};
use crate::store::{
    Commit, Family, IdRow, MemoryStore, RecordRow, Shown, Store, encode_row, id_key, record_key,
};
use crate::time::Micros;
use crate::value::{Map, Value};

fn record(version: &str, parents: &[&Sealed], watts: i64, deleted: bool) -> Sealed {
    Sealed::new(Record {
        id: Id::new("lamp").unwrap(),
        version: Version::new(version).unwrap(),
        kind: Kind::Entity {
            entity_type: "device".into(),
            name: None,
            source_type: None,
        },
        user_id: None,
        parents: parents
            .iter()
            .map(|parent| Parent {
                version: parent.record.version.clone(),
                digest: Some(parent.digest),
            })
            .collect(),
        deleted,
        content: Map::from([("watts".to_owned(), Value::Int(watts))]),
        extra: Map::new(),
    })
}

/// A store that holds these records in this order of time; those at the end of `heads` are heads.
fn store(records: &[&Sealed], heads: &[&Sealed]) -> MemoryStore {
    let id = Id::new("lamp").unwrap();
    let mut writes = Vec::new();
    for (at, sealed) in records.iter().enumerate() {
        let row = RecordRow {
            order_time: Micros(at as u64 + 1),
            dots: Vec::new(),
            edges: sealed
                .record
                .parents
                .iter()
                .filter_map(|parent| parent.digest)
                .collect(),
            late: Vec::new(),
            record: sealed.bytes.clone(),
            forgotten: false,
        };
        writes.push((
            Family::Records,
            record_key(&id, &sealed.digest),
            Some(encode_row(&row)),
        ));
    }
    let row = IdRow {
        entity_type: Some("device".into()),
        eldest: (Micros(1), records[0].record.version.clone(), records[0].digest),
        heads: heads.iter().map(|head| head.digest).collect(),
        late: false,
        gaps: false,
        records: records.len() as u64,
        shown: Shown::Entity {
            entity_type: "device".into(),
        },
        queued: false,
        newest: Micros(records.len() as u64),
        timed: false,
    };
    writes.push((Family::Ids, id_key(&id), Some(encode_row(&row))));
    let mut store = MemoryStore::default();
    store
        .commit(&Commit {
            writes,
            ..Commit::default()
        })
        .unwrap();
    store
}

fn judge(store: &MemoryStore, pushed: &Sealed) -> (Vec<ConflictRow>, Vec<Digest>) {
    let mut room = Conflict::new(Arc::default());
    let landed = vec![Landed {
        id: pushed.record.id.clone(),
        version: pushed.record.version.clone(),
        digest: pushed.digest,
        entity: true,
        known: false,
        contested: true,
    }];
    let mut out = Vec::new();
    let now = Now {
        wall: Micros(0),
        mono: Duration::ZERO,
    };
    room.step(
        now,
        &store.snapshot(),
        vec![Input::Judge {
            ticket: Ticket(1),
            landed,
        }],
        &mut out,
    )
    .unwrap();
    let Some(Output::Judged { conflicts, lost, .. }) = out.pop() else {
        panic!()
    };
    (conflicts, lost)
}

#[test]
fn the_earlier_of_two_writers_of_one_field_has_lost_and_is_told() {
    let base = record("v1", &[], 1, false);
    let (early, late) = (record("v2", &[&base], 2, false), record("v3", &[&base], 3, false));
    let store = store(&[&base, &early, &late], &[&early, &late]);
    let (conflicts, lost) = judge(&store, &early);
    assert_eq!(lost, vec![early.digest]);
    assert_eq!(
        (
            conflicts[0].local_version.as_str(),
            conflicts[0].remote_version.as_str()
        ),
        ("v3", "v2")
    );
    assert_eq!(conflicts[0].resolution_strategy, "merge");
    let (conflicts, lost) = judge(&store, &late);
    assert!(
        lost.is_empty() && conflicts.len() == 1,
        "the winner is told of the conflict, too"
    );
}

#[test]
fn an_edit_against_a_deletion_waits_for_a_person() {
    let base = record("v1", &[], 1, false);
    let (gone, edit) = (record("v2", &[&base], 1, true), record("v3", &[&base], 3, false));
    let (conflicts, lost) = judge(&store(&[&base, &gone, &edit], &[&gone, &edit]), &edit);
    assert!(conflicts[0].queued);
    assert_eq!(lost, vec![edit.digest], "it stays deleted until somebody answers");
}

#[test]
fn heads_of_equal_content_are_no_conflict() {
    let base = record("v1", &[], 1, false);
    let (one, two) = (record("v2", &[&base], 2, false), record("v3", &[&base], 2, false));
    assert_eq!(
        judge(&store(&[&base, &one, &two], &[&one, &two]), &one),
        (Vec::new(), Vec::new())
    );
}

/// A new policy made a change of every thing that had been edited: of how its heads would become one, had it several.
#[test]
fn another_policy_changes_nothing_of_a_thing_with_one_head() {
    let base = record("v1", &[], 1, false);
    let next = record("v2", &[&base], 2, false);
    let store = store(&[&base, &next], &[&next]);
    let policy = Policy {
        manifest: crate::domain::Manifest::unreadable(),
        short: "12345678".to_owned(),
        since: Micros(10),
        ..Policy::default()
    };
    let changes = |from, to| {
        let page = read::diff(&store.snapshot(), &policy, Micros(from), Micros(to), None, 10);
        page.unwrap().changes.len()
    };
    assert_eq!((changes(1, 2), changes(5, 20)), (1, 0));
}

/// An older record that comes late gives an id another type: it stood in a list of the past under both.
#[test]
fn a_list_of_the_past_has_an_id_once_under_the_type_that_it_has() {
    use crate::store::past_type_key;
    let base = record("v1", &[], 1, false);
    let gone = record("v2", &[&base], 1, true);
    let mut store = store(&[&base, &gone], &[&gone]);
    let past = ["device", "room"].map(|name| {
        (
            Family::Past,
            past_type_key(name, &base.record.id),
            Some(Vec::new()),
        )
    });
    store
        .commit(&Commit {
            writes: past.into(),
            ..Commit::default()
        })
        .unwrap();
    let listed = |entity_type| {
        let at = Some(Micros(1));
        let page = read::entities(&store.snapshot(), &Policy::default(), entity_type, at, None, 10);
        page.unwrap().items.entities.len()
    };
    assert_eq!([None, Some("device"), Some("room")].map(listed), [1, 1, 0]);
}

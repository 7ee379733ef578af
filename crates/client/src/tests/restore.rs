//! Putting back more than one change set holds.

use std::collections::BTreeSet;

use inbetweenies_core::id::Id;
use inbetweenies_core::record::RESTORE_ID;
use inbetweenies_core::time::Micros;
use inbetweenies_core::value::{Map, Value};

use crate::{Draft, Frame, Opened, Replica, Scope, house};

const NOON: Micros = Micros(1_781_516_462_000_000);

fn keep(replica: &mut Replica, sets: Vec<Vec<Draft>>, now: Micros) {
    for drafts in sets {
        let edited = replica.stamp(drafts, now).unwrap();
        replica.apply(&Frame::Edited(edited)).unwrap();
    }
}

#[test]
fn a_restore_beyond_the_bound_of_a_set_goes_in_several_with_one_name() {
    let first = Opened::new("device".to_owned(), "alice".to_owned(), 7);
    let mut replica = Replica::open(first).unwrap();
    let note = |n: usize| {
        let id = Id::new(&format!("note-{n}")).unwrap();
        let content = Map::from([("n".to_owned(), Value::Int(n as i64))]);
        Draft::entity(id, "note", None, "manual", content)
    };
    let notes: Vec<Draft> = (0..10_001).map(note).collect();
    keep(
        &mut replica,
        notes.chunks(5_001).map(<[Draft]>::to_vec).collect(),
        NOON,
    );
    let (policy, before) = (house(), Micros(NOON.0 - 1));
    let restore = |replica: &Replica, to| {
        replica
            .restore(policy, &Scope::Home, to, "one-restore", NOON)
            .unwrap()
    };
    let done = restore(&replica, before);
    let sizes: Vec<usize> = done.sets.iter().map(Vec::len).collect();
    assert_eq!((sizes, done.deleted, done.changed), (vec![10_000, 1], 10_001, 0));
    let names = done
        .sets
        .iter()
        .flatten()
        .map(|draft| draft.extra.get(RESTORE_ID).cloned());
    let names: BTreeSet<Option<String>> = names
        .map(|name| name.and_then(|name| name.as_text().map(str::to_owned)))
        .collect();
    assert_eq!(names, BTreeSet::from([Some("one-restore".to_owned())]));
    keep(&mut replica, done.sets, done.now);
    assert!(replica.entities(policy, None).is_empty());
    // And back: the same again, the other way round.
    let undone = restore(&replica, done.undo);
    assert_eq!((undone.changed, undone.deleted), (10_001, 0));
    keep(&mut replica, undone.sets, undone.now);
    assert_eq!(replica.entities(policy, None).len(), 10_001);
    assert!(restore(&replica, done.undo).sets.is_empty(), "it is as it was");
}

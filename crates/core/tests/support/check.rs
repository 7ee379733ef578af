//! What must hold of hubs that have heard everything from each other: they hold, show and count the same, and what they
//! keep of it is what their entries give when it is worked out again.

use std::collections::{BTreeMap, BTreeSet};

use inbetweenies_core::conflict::read;
use inbetweenies_core::domain::is_reserved;
use inbetweenies_core::entry::Entry;
use inbetweenies_core::hash::Digest;
use inbetweenies_core::id::{Dot, Id};
use inbetweenies_core::machine::{Totals, load_graph, load_view_at};
use inbetweenies_core::merkle::mirror::Mirror;
use inbetweenies_core::record::{Kind, Record};
use inbetweenies_core::store::{
    End, Family, IdRow, LogRow, MemorySnapshot, RecordRow, Shown, Snapshot, Store, decode_row, edge_key,
    id_key, read_meta, record_key, type_key,
};
use inbetweenies_core::time::Micros;
use inbetweenies_core::view::{Policy, view};

use super::World;

/// All running hubs hold, show and count the same, each for itself soundly.
pub fn all_alike(world: &World) {
    let running: Vec<usize> = (0..world.hubs.len())
        .filter(|at| world.hubs[*at].is_some())
        .collect();
    let first = world.hub(running[0]).store.snapshot();
    for at in running.iter().copied() {
        let hub = world.hub(at);
        let store = hub.store.snapshot();
        check_log(&store);
        check_index(&store, &hub.policy, hub.storage.totals());
        check_tree(world, at);
        assert_eq!(
            world.clock(running[0]),
            world.clock(at),
            "the clocks of {} and {at}",
            running[0]
        );
        same_records(&first, &store, at);
        assert_eq!(
            rows::<IdRow>(&first, Family::Ids),
            rows::<IdRow>(&store, Family::Ids),
            "the ids of {} and {at}",
            running[0]
        );
        for id in ids(&store) {
            assert_eq!(
                seen(world, running[0], &id),
                seen(world, at, &id),
                "{id} at {} and {at}",
                running[0]
            );
        }
    }
}

/// The tree that a hub keeps is the one that its records make, and the root that it tells is its own.
pub fn check_tree(world: &World, at: usize) {
    let hub = world.hub(at);
    let store = hub.store.snapshot();
    let mut kept = Mirror::open(2, 256, &store).unwrap();
    let mut built = kept.clone();
    built.rebuild();
    while let Some(from) = built.frontier() {
        built.read_strip(&store, from, 7).unwrap();
    }
    assert!(kept.root().is_some(), "a tree at hub {at}");
    assert_eq!(kept.root(), built.root(), "the tree of hub {at}");
    assert_eq!(kept.plain(), built.plain(), "the leaves of hub {at}");
    kept.catch_up(&store).unwrap();
    let told = hub.root.as_ref().unwrap();
    assert_eq!(told.root, kept.root(), "what hub {at} tells");
    let meta = read_meta(&store).unwrap().unwrap();
    let (count, sum) = kept.plain();
    assert_eq!((meta.records, meta.leaves), (count, sum.to_bytes()));
}

/// All that readers are shown of an id.
fn seen(world: &World, at: usize, id: &Id) -> String {
    let hub = world.hub(at);
    let snapshot = hub.store.snapshot();
    let one = |entity| {
        let mut shown = read::one(&snapshot, &hub.policy, id, entity, None).unwrap();
        if let Some(shown) = &mut shown {
            shown.complete_to.clear();
        }
        shown
    };
    let history = |entity| read::history(&snapshot, &hub.policy, id, entity, None, None, usize::MAX).unwrap();
    let past = |entity| {
        let instants = load_graph(&snapshot, id).unwrap();
        let instants: Vec<Micros> = instants.nodes().map(|node| node.order_time).collect();
        let then = |at: Micros| read::one(&snapshot, &hub.policy, id, entity, Some(at)).unwrap();
        let told = instants
            .into_iter()
            .map(|at| format!("{:?}", then(at).map(|shown| shown.heads)));
        told.collect::<Vec<_>>()
    };
    let told = |entity| (one(entity), history(entity), past(entity));
    format!("{:?} {:?}", told(true), told(false))
}

fn rows<T: serde::de::DeserializeOwned>(store: &MemorySnapshot, family: Family) -> BTreeMap<Vec<u8>, T> {
    let mut rows = BTreeMap::new();
    let mut visit = |key: &[u8], value: &[u8]| {
        rows.insert(key.to_vec(), decode_row(family, value).unwrap());
        true
    };
    store.scan(family, &[], None, &mut visit).unwrap();
    rows
}

fn keys(store: &MemorySnapshot, family: Family) -> BTreeSet<Vec<u8>> {
    let mut keys = BTreeSet::new();
    let mut visit = |key: &[u8], _: &[u8]| {
        keys.insert(key.to_vec());
        true
    };
    store.scan(family, &[], None, &mut visit).unwrap();
    keys
}

/// Records with all that entries say of them, whatever the order they came in.
pub fn records(store: &MemorySnapshot) -> BTreeMap<Vec<u8>, RecordRow> {
    let mut records = rows::<RecordRow>(store, Family::Records);
    records.values_mut().for_each(|row| row.dots.sort());
    records
}

fn same_records(one: &MemorySnapshot, other: &MemorySnapshot, at: usize) {
    let (one, other) = (records(one), records(other));
    assert_eq!(one.len(), other.len(), "how many records 0 and {at} hold");
    for (ours, theirs) in one.values().zip(other.values()) {
        let record = Record::from_stored(&ours.record).unwrap();
        let said = |row: &RecordRow| {
            format!(
                "{:?} {:?} {:?} {:?}",
                row.order_time, row.dots, row.edges, row.late
            )
        };
        assert_eq!(
            said(ours),
            said(theirs),
            "{} {} at 0 and {at}",
            record.id,
            record.version
        );
        assert_eq!(ours.record, theirs.record);
    }
}

fn ids(store: &MemorySnapshot) -> BTreeSet<Id> {
    let ids = rows::<RecordRow>(store, Family::Records);
    ids.values()
        .map(|row| Record::from_stored(&row.record).unwrap().id)
        .collect()
}

/// Every log is one chain from its first entry on, and every record stands in the entries that name it.
fn check_log(store: &MemorySnapshot) {
    let mut before: Option<(Dot, Digest)> = None;
    let mut named: BTreeMap<Vec<u8>, Vec<Dot>> = BTreeMap::new();
    for row in rows::<LogRow>(store, Family::Log).values() {
        let entry = Entry::from_canonical(&row.entry).unwrap();
        assert_eq!(Digest::of(&row.entry), row.hash);
        let prev = before
            .filter(|(dot, _)| dot.replica == entry.dot.replica)
            .map(|(dot, hash)| (dot.sequence, hash));
        assert_eq!(entry.prev, prev, "the chain before {:?}", entry.dot);
        before = Some((entry.dot, row.hash));
        for (id, stamp) in row.ids.iter().zip(&entry.stamps) {
            named
                .entry(record_key(id, &stamp.digest))
                .or_default()
                .push(entry.dot);
        }
    }
    let dots: BTreeMap<Vec<u8>, Vec<Dot>> = records(store)
        .into_iter()
        .map(|(key, row)| (key, row.dots))
        .collect();
    assert_eq!(named, dots, "records and the entries that name them");
}

/// Index, queue and counts are what the records give when everything is worked out again.
fn check_index(store: &MemorySnapshot, policy: &Policy, totals: Totals) {
    let (mut types, mut edges, mut queue) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    let mut count = Totals::default();
    let kept = rows::<IdRow>(store, Family::Ids);
    for id in ids(store) {
        let graph = load_graph(store, &id).unwrap();
        let view = view(&graph, policy).unwrap();
        let eldest = graph.eldest().unwrap();
        let entity_type = eldest.sealed.record.entity_type().map(str::to_owned);
        let shown = match (&view.record.kind, &entity_type) {
            _ if view.record.deleted => Shown::Nothing,
            (Kind::Entity { .. }, Some(entity_type)) => {
                types.insert(type_key(entity_type, &id));
                count.entities += u64::from(!is_reserved(entity_type));
                Shown::Entity {
                    entity_type: entity_type.clone(),
                }
            }
            (
                Kind::Relationship {
                    from,
                    to,
                    relationship_type,
                },
                _,
            ) => {
                edges.insert(edge_key(from, End::From, relationship_type, &id));
                edges.insert(edge_key(to, End::To, relationship_type, &id));
                count.relationships += 1;
                Shown::Relationship {
                    from: from.clone(),
                    to: to.clone(),
                    relationship_type: relationship_type.clone(),
                }
            }
            (Kind::Entity { .. }, None) => Shown::Nothing,
        };
        if view.queued {
            queue.insert(id_key(&id));
            count.conflicts += 1;
        }
        count.records += graph.nodes().count() as u64;
        let row = IdRow {
            entity_type,
            eldest: (
                eldest.order_time,
                eldest.sealed.record.version.clone(),
                eldest.sealed.digest,
            ),
            heads: graph.heads().iter().map(|head| head.sealed.digest).collect(),
            late: graph.nodes().any(|node| !node.late.is_empty()),
            gaps: !view.missing_parents.is_empty(),
            records: graph.nodes().count() as u64,
            shown,
            queued: view.queued,
            newest: graph.nodes().map(|node| node.order_time).max().unwrap(),
            // Whether instants are told is checked by looking at them.
            timed: kept.get(&id_key(&id)).is_some_and(|row| row.timed),
        };
        for node in graph.nodes() {
            let at = node.order_time;
            assert_eq!(
                load_view_at(store, policy, &id, at).unwrap(),
                inbetweenies_core::view::view(&graph.until(at), policy.at(at)),
                "{id} at {at}"
            );
        }
        assert_eq!(kept.get(&id_key(&id)), Some(&row), "the row of {id}");
    }
    assert_eq!(keys(store, Family::Types), types);
    assert_eq!(keys(store, Family::Edges), edges);
    assert_eq!(keys(store, Family::Queue), queue);
    assert_eq!(totals, count);
}

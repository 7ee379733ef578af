//! Bugs of storage that were, each told once more by the steps that showed it.

use std::cell::Cell;

use uuid::Uuid;

use super::*;
use crate::entry::{Entry, Genesis, Stamp};
use crate::hash::Digest;
use crate::id::HubId;
use crate::store::{Family, Visit, read_log};

#[test]
fn what_is_written_under_a_clock_gone_mad_can_be_read_back() {
    let mut bench = Bench::founded();
    let mad = Now {
        wall: Micros(u64::MAX),
        mono: Duration::ZERO,
    };
    let mut out = Vec::new();
    let input = Input::Accept {
        ticket: Ticket(7),
        sets: vec![set(device("v1", &[], 1))],
    };
    bench
        .storage
        .step(mad, &bench.store.snapshot(), vec![input], &mut out)
        .unwrap();
    let Some(Output::Commit(commit)) = out.first() else {
        panic!("{:?}", names(&out))
    };
    bench.store.commit(commit).unwrap();
    let replica = bench.storage.identity().replica.unwrap();
    let sequence = bench.storage.clock().sequence(&replica);
    let row = read_log(&bench.store.snapshot(), Dot { replica, sequence })
        .unwrap()
        .unwrap();
    Entry::from_canonical(&row.entry).unwrap();
}

/// Counts the rows that are read of a store.
struct Counting<'s> {
    store: &'s dyn Snapshot,
    rows: Cell<usize>,
}

impl Snapshot for Counting<'_> {
    fn get(&self, family: Family, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.rows.set(self.rows.get() + 1);
        self.store.get(family, key)
    }

    fn scan(
        &self,
        family: Family,
        from: &[u8],
        until: Option<&[u8]>,
        visit: &mut Visit<'_>,
    ) -> Result<(), StoreError> {
        self.store.scan(family, from, until, &mut |key, value| {
            self.rows.set(self.rows.get() + 1);
            visit(key, value)
        })
    }
}

/// An old client's lineage: hundreds of versions of one id, each naming the one before it by its bare version.
#[test]
fn a_long_lineage_of_one_id_is_worked_out_once_and_not_once_for_each_record() {
    let mut bench = Bench::founded();
    let bare = |version: String| Parent {
        version: Version::new(&version).unwrap(),
        digest: None,
    };
    let lineage = |range: std::ops::Range<i64>| -> Vec<Arc<Sealed>> {
        let record = |n: i64| device(&format!("v{n}"), &[bare(format!("v{}", n - 1))], n);
        range.map(|n| Arc::new(Sealed::new(record(n)))).collect()
    };
    let accept = |sets: Vec<ChangeSet>| Input::Accept {
        ticket: Ticket(7),
        sets,
    };
    bench.settle(vec![accept(vec![ChangeSet {
        records: lineage(0..300),
    }])]);
    let one_set = vec![ChangeSet {
        records: lineage(300..600),
    }];
    let many_sets = lineage(600..900).into_iter().map(|record| ChangeSet {
        records: vec![record],
    });
    for sets in [one_set, many_sets.collect()] {
        let store = bench.store.snapshot();
        let counting = Counting {
            store: &store,
            rows: Default::default(),
        };
        let mut out = Vec::new();
        bench
            .storage
            .step(now(), &counting, vec![accept(sets)], &mut out)
            .unwrap();
        let rows = counting.rows.get();
        assert!(rows < 20_000, "{rows} rows read");
        let Some(Output::Commit(commit)) = out.first() else {
            panic!("{:?}", names(&out))
        };
        let number = commit.number;
        bench.store.commit(commit).unwrap();
        bench.step(vec![Input::Committed { number }]);
    }
    let row = read_id(&bench.store.snapshot(), &Id::new("lamp").unwrap())
        .unwrap()
        .unwrap();
    assert_eq!((row.heads.len(), row.records), (1, 900));
}

/// The log of another hub of this home, written by hand: each entry holds one record and what its bare names stood for.
fn foreign_log(bench: &Bench, entries: &[(Record, Vec<Vec<Digest>>)]) -> Vec<Bundle> {
    let replica = ReplicaId([9; 16]);
    let mut bundles: Vec<Bundle> = Vec::new();
    for (at, (record, resolved)) in entries.iter().enumerate() {
        let sealed = Arc::new(Sealed::new(record.clone()));
        let prev = bundles.last().map(|bundle| (at as u64, bundle.hash));
        let genesis = prev.is_none().then(|| Genesis {
            home_id: bench.storage.identity().home_id.unwrap(),
            hub_id: HubId(Uuid::from_u128(9)),
            life: 1,
            earlier: None,
        });
        let stamp = Stamp {
            digest: sealed.digest,
            order_time: Micros(WALL),
            resolved: resolved.clone(),
        };
        let entry = Entry {
            dot: Dot {
                replica,
                sequence: at as u64 + 1,
            },
            prev,
            genesis,
            stamps: vec![stamp],
            extra: Map::new(),
        };
        bundles.push(Bundle::seal(entry, vec![sealed]));
    }
    bundles
}

fn heads_after(entries: &[(Record, Vec<Vec<Digest>>)], apart: bool) -> Option<Vec<Digest>> {
    let mut bench = Bench::founded();
    let bundles = foreign_log(&bench, entries);
    let groups = if apart { 1 } else { bundles.len() };
    for group in bundles.chunks(groups) {
        bench.settle(vec![Input::Apply {
            link: Link(1),
            bundles: group.to_vec(),
            mend: false,
        }]);
    }
    read_id(&bench.store.snapshot(), &Id::new("lamp").unwrap())
        .unwrap()
        .map(|row| row.heads)
}

fn bare(version: &str) -> Parent {
    Parent {
        version: Version::new(version).unwrap(),
        digest: None,
    }
}

/// Two hubs each resolved a bare name to the other's record, and the entries that did not know the names fell with a
/// branch: a circle of resolved names alone. Its edges count as absent, as in any circle.
#[test]
fn records_that_name_each_other_are_both_heads() {
    let (one, two) = (device("v1", &[bare("v2")], 1), device("v2", &[bare("v1")], 2));
    let digest = |record: &Record| Sealed::new(record.clone()).digest;
    let mut both = vec![digest(&one), digest(&two)];
    both.sort();
    let entries = [
        (one.clone(), vec![vec![digest(&two)]]),
        (two.clone(), vec![vec![digest(&one)]]),
    ];
    for apart in [false, true] {
        assert_eq!(heads_after(&entries, apart), Some(both.clone()), "apart: {apart}");
    }
}

/// A second entry resolves a name of a record that is known to one that has not come yet: it is awaited all the same.
#[test]
fn a_parent_that_only_a_later_entry_names_is_awaited() {
    let digest = |record: &Record| Sealed::new(record.clone()).digest;
    let (first, child) = (device("v", &[], 1), device("c", &[bare("v")], 2));
    let second = device("v", &[bare("c")], 3);
    let entries = [
        (first.clone(), vec![]),
        (child.clone(), vec![vec![digest(&first)]]),
        (child.clone(), vec![vec![digest(&second)]]),
        (second.clone(), vec![vec![digest(&child)]]),
    ];
    let mut both = vec![digest(&child), digest(&second)];
    both.sort();
    for apart in [false, true] {
        assert_eq!(heads_after(&entries, apart), Some(both.clone()), "apart: {apart}");
    }
}

/// Strategies come with the policy's record. A hub that takes conflicts in before it, or in one group with it, must
/// queue the same as all others.
#[test]
fn the_queue_follows_the_policy_that_comes_with_or_after_the_conflicts() {
    let strategy = |name: &str| Value::Map(Map::from([("strategy".to_owned(), Value::from(name))]));
    let mut settings = settings();
    let manual = Value::Map(Map::from([("device".to_owned(), strategy("manual"))]));
    settings.policy.insert("entity".to_owned(), manual);
    let store = MemoryStore::default();
    let storage = Storage::open(settings, &store.snapshot(), &store.marks()).unwrap();
    let mut founder = Bench { store, storage };
    let new = |out: Vec<Output>| -> Vec<Bundle> {
        let bundles = out.into_iter().filter_map(|output| match output {
            Output::Durable { bundles, .. } => Some(bundles),
            _ => None,
        });
        bundles.flatten().map(|(bundle, _)| (*bundle).clone()).collect()
    };
    let mut own = new(founder.settle(Vec::new()));
    own.extend(new(founder.accept(device("v1", &[], 1))));
    own.extend(new(founder.accept(device("v2", &[], 2))));
    assert_eq!(founder.storage.totals().conflicts, 1);
    let home_id = own[0].entry.genesis.clone().unwrap().home_id;
    // The same two heads, accepted by a hub that had not heard the policy yet.
    let elsewhere = [
        (device("v1", &[], 1), Vec::new()),
        (device("v2", &[], 2), Vec::new()),
    ];
    let elsewhere = foreign_log(&founder, &elsewhere);
    for groups in [vec![own.clone()], vec![elsewhere, own]] {
        let mut other = Bench::open(MemoryStore::default());
        other.storage.settings.found = false;
        other.storage.settings.seed = [3, 4];
        other.settle(vec![Input::Join { home_id }]);
        for bundles in groups {
            let link = Link(1);
            other.settle(vec![Input::Apply {
                link,
                bundles,
                mend: false,
            }]);
        }
        assert_eq!(other.storage.totals().conflicts, 1);
    }
}

/// A computed name is nine bytes a head in a push and 66 in the entry that says what it stood for.
#[test]
fn an_entry_says_what_names_stood_for_only_as_far_as_a_message_can_carry_it() {
    let mut bench = Bench::founded();
    let roots: Vec<Arc<Sealed>> = (0..20)
        .map(|n| Arc::new(Sealed::new(device(&format!("v{n}"), &[], n))))
        .collect();
    let heads: Vec<String> = roots.iter().map(|root| root.digest.short()).collect();
    let names = |of: usize| -> Vec<Parent> {
        (0..1_024)
            .map(|n| bare(&format!("{of}-{n}-000000-merge.0.{}", heads.join("."))))
            .collect()
    };
    let many: Vec<Arc<Sealed>> = (0..10)
        .map(|n| Arc::new(Sealed::new(device(&format!("w{n}"), &names(n), 0))))
        .collect();
    let sets = vec![ChangeSet { records: roots }, ChangeSet { records: many }];
    let input = Input::Accept {
        ticket: Ticket(7),
        sets,
    };
    let out = bench.settle(vec![input]);
    let bundles = out.iter().find_map(|output| match output {
        Output::Durable { bundles, .. } => Some(bundles),
        _ => None,
    });
    let entry = &bundles.unwrap().last().unwrap().0.entry;
    assert_eq!(entry.stamps.len(), 10);
    let said: usize = entry
        .stamps
        .iter()
        .flat_map(|stamp| &stamp.resolved)
        .map(Vec::len)
        .sum();
    assert!(said <= crate::limits::RESOLVED_MAX, "{said} digests");
    // What is left open stands for the same all the same.
    let row = read_id(&bench.store.snapshot(), &Id::new("lamp").unwrap())
        .unwrap()
        .unwrap();
    assert_eq!(row.heads.len(), 10);
}

fn codes(out: &[Output]) -> Vec<String> {
    let refused = out.iter().find_map(|output| match output {
        Output::Accepted { results, .. } => Some(results.clone()),
        _ => None,
    });
    let rows = refused.unwrap().into_iter().flat_map(|result| match result {
        SetResult::Refused(rows) => rows,
        SetResult::Landed(_) => Vec::new(),
    });
    rows.map(|row| row.code).collect()
}

fn push(bench: &mut Bench, records: Vec<Record>) -> Vec<String> {
    let records = records
        .into_iter()
        .map(|record| Arc::new(Sealed::new(record)))
        .collect();
    codes(&bench.settle(vec![Input::Accept {
        ticket: Ticket(7),
        sets: vec![ChangeSet { records }],
    }]))
}

/// What the door checks against what it holds, it must check against the set itself too.
#[test]
fn a_set_cannot_bring_what_one_record_after_the_other_could_not() {
    let mut bench = Bench::founded();
    let edge = |mut record: Record| {
        record.kind = Kind::Relationship {
            from: Id::new("a").unwrap(),
            to: Id::new("b").unwrap(),
            relationship_type: "any".into(),
        };
        record.deleted = true;
        record
    };
    let two_kinds = vec![device("v1", &[], 1), edge(device("v2", &[], 2))];
    assert_eq!(push(&mut bench, two_kinds), ["set_refused", "type_changed"]);
    let heads = |count: i64| {
        (0..count)
            .map(|n| device(&format!("v{n}"), &[], n))
            .collect::<Vec<_>>()
    };
    let refused = push(&mut bench, heads(1_025));
    assert_eq!(refused.iter().filter(|code| *code == "limit_heads").count(), 1);
    assert_eq!(push(&mut bench, heads(1_024)), Vec::<String>::new());
    let parent = |n: i64| Parent {
        version: Version::new(&format!("v{n}")).unwrap(),
        digest: Some(Sealed::new(device(&format!("v{n}"), &[], n)).digest),
    };
    assert_eq!(
        push(&mut bench, vec![device("w1", &[parent(1)], 1)]),
        Vec::<String>::new()
    );
    let two = vec![device("w2", &[parent(2)], 1), device("w3", &[parent(2)], 1)];
    assert_eq!(push(&mut bench, two), ["set_refused", "limit_heads"]);
}

/// A record under the policy's id, or a hub's reserved word, would take its type away from it.
#[test]
fn reserved_ids_are_refused_of_every_kind_deleted_or_not() {
    let mut bench = Bench::founded();
    for deleted in [false, true] {
        for id in ["_policy", "_anything"] {
            let mut record = device("v1", &[], 1);
            (record.id, record.deleted) = (Id::new(id).unwrap(), deleted);
            assert_eq!(push(&mut bench, vec![record.clone()]), ["reserved_type"], "{id}");
            record.kind = Kind::Relationship {
                from: Id::new("a").unwrap(),
                to: Id::new("b").unwrap(),
                relationship_type: "any".into(),
            };
            assert_eq!(push(&mut bench, vec![record]), ["reserved_type"], "{id}");
        }
    }
}

/// The first record of an edge, replaced in the group that brought it: while its row lagged nobody noted where it stood,
/// and lists of that instant left it out.
#[test]
fn an_edge_that_was_moved_in_the_group_that_brought_it_is_found_where_it_stood() {
    use crate::store::past_edge_key;
    let mut settings = settings();
    let any = Map::from([("near".to_owned(), Value::Map(Map::new()))]);
    settings.policy.insert("relationship".to_owned(), Value::Map(any));
    let mut bench = Bench::with(settings, MemoryStore::default());
    bench.settle(Vec::new());
    let edge = |second: u8, to: &str, parent: Parent| {
        let mut record = device(&format!("2026-06-15T00:00:0{second}Z-x"), &[parent], 1);
        record.kind = Kind::Relationship {
            from: Id::new("a").unwrap(),
            to: Id::new(to).unwrap(),
            relationship_type: "near".into(),
        };
        record
    };
    let bare = Version::new("nobody knows it").unwrap();
    let first = edge(
        1,
        "b",
        Parent {
            version: bare,
            digest: None,
        },
    );
    let known = Parent {
        version: first.version.clone(),
        digest: Some(Sealed::new(first.clone()).digest),
    };
    let second = edge(2, "c", known);
    assert_eq!(push(&mut bench, vec![first, second]), Vec::<String>::new());
    let key = past_edge_key(&Id::new("b").unwrap(), &Id::new("lamp").unwrap());
    let stood = bench.store.snapshot().get(Family::Past, &key).unwrap();
    assert!(stood.is_some());
}

//! Steps of storage: what goes in, what comes out, and in which order.

mod mended;

use super::*;
use crate::entry::Sealed;
use crate::id::{Id, Version};
use crate::record::{Kind, Parent, Record};
use crate::store::{MemoryStore, Store, read_id, read_record};
use crate::time::Micros;
use crate::value::{Map, Value};

const WALL: u64 = 1_781_516_462_000_000;

fn now() -> Now {
    Now {
        wall: Micros(WALL),
        mono: Duration::ZERO,
    }
}

fn settings() -> Settings {
    let house = Value::Map(Map::from([("name".to_owned(), Value::from("house"))]));
    let device = Value::Map(Map::from([("device".to_owned(), Value::Map(Map::new()))]));
    Settings {
        name: "kitchen".to_owned(),
        address: None,
        found: true,
        policy: Map::from([("domain".to_owned(), house), ("entity".to_owned(), device)]),
        group_records_max: 4_096,
        group_bytes_max: 1 << 20,
        content_min: None,
        horizon_interval: Duration::from_secs(86_400),
        seed: [1, 2],
    }
}

fn names(outputs: &[Output]) -> Vec<&'static str> {
    let name = |output: &Output| match output {
        Output::Commit(_) => "commit",
        Output::Governed { .. } => "governed",
        Output::Accepted { .. } => "accepted",
        Output::Applied { .. } => "applied",
        Output::Durable { .. } => "durable",
        Output::Identity(_) => "identity",
        Output::Members(_) => "members",
        Output::Policy(_) => "policy",
        Output::Event(_) => "event",
        Output::ClockDoubt(_) => "clock doubt",
        Output::Horizon(_) => "horizon",
        Output::Holes { .. } => "holes",
        Output::BlobsKept { .. } => "blobs kept",
        Output::Refs { .. } => "refs",
        Output::Stopped => "stopped",
    };
    outputs.iter().map(name).collect()
}

fn device(version: &str, parents: &[Parent], watts: i64) -> Record {
    Record {
        id: Id::new("lamp").unwrap(),
        version: Version::new(version).unwrap(),
        kind: Kind::Entity {
            entity_type: "device".into(),
            name: Some("Lamp".into()),
            source_type: None,
        },
        user_id: None,
        parents: parents.to_vec(),
        deleted: false,
        content: Map::from([("watts".to_owned(), Value::Int(watts))]),
        extra: Map::new(),
    }
}

fn set(record: Record) -> ChangeSet {
    ChangeSet {
        records: vec![Arc::new(Sealed::new(record))],
    }
}

/// A hub on a memory store, stepped by hand.
struct Bench {
    store: MemoryStore,
    storage: Storage,
}

impl Bench {
    fn open(store: MemoryStore) -> Bench {
        Bench::with(settings(), store)
    }

    fn with(settings: Settings, store: MemoryStore) -> Bench {
        let storage = Storage::open(settings, &store.snapshot(), &store.marks()).unwrap();
        Bench { store, storage }
    }

    fn founded() -> Bench {
        let mut bench = Bench::open(MemoryStore::default());
        bench.settle(Vec::new());
        bench
    }

    fn step(&mut self, inputs: Vec<Input>) -> Vec<Output> {
        let mut out = Vec::new();
        self.storage
            .step(now(), &self.store.snapshot(), inputs, &mut out)
            .unwrap();
        out
    }

    /// Steps, makes every commit durable, and collects what follows.
    fn settle(&mut self, inputs: Vec<Input>) -> Vec<Output> {
        let mut out = self.step(inputs);
        let mut at = 0;
        while at < out.len() {
            if let Output::Commit(commit) = &out[at] {
                self.store.commit(commit).unwrap();
                let number = commit.number;
                out.extend(self.step(vec![Input::Committed { number }]));
            }
            at += 1;
        }
        out
    }

    fn accept(&mut self, record: Record) -> Vec<Output> {
        self.settle(vec![Input::Accept {
            ticket: Ticket(7),
            sets: vec![set(record)],
        }])
    }
}

#[test]
fn nothing_is_said_before_the_commit_comes_back() {
    let mut bench = Bench::open(MemoryStore::default());
    let out = bench.step(Vec::new());
    assert_eq!(
        names(&out),
        ["commit"],
        "founding a home says nothing before it is on disk"
    );
    let Output::Commit(commit) = &out[0] else { panic!() };
    let mark = commit.high_water.clone().unwrap();
    assert!(
        mark.lease_end > 1 && !mark.clean,
        "the lease is durable before the first sequence is used: {mark:?}"
    );
    bench.store.commit(commit).unwrap();
    let out = bench.step(vec![Input::Committed {
        number: commit.number,
    }]);
    assert_eq!(names(&out), ["policy", "members", "identity", "durable"]);

    let lamp = device("v1", &[], 1);
    let out = bench.step(vec![Input::Accept {
        ticket: Ticket(7),
        sets: vec![set(lamp.clone())],
    }]);
    assert_eq!(names(&out), ["commit"]);
    let Output::Commit(first) = out.into_iter().next().unwrap() else {
        panic!()
    };
    // While it is under way the next group collects.
    let again = bench.step(vec![Input::Accept {
        ticket: Ticket(8),
        sets: vec![set(lamp)],
    }]);
    assert_eq!(names(&again), Vec::<&str>::new());
    bench.store.commit(&first).unwrap();
    let out = bench.step(vec![Input::Committed { number: first.number }]);
    assert_eq!(
        names(&out),
        ["durable", "accepted", "accepted"],
        "what is known by now needs no second commit"
    );
}

#[test]
fn a_known_set_gets_no_dot_and_is_acknowledged_again() {
    let mut bench = Bench::founded();
    bench.accept(device("v1", &[], 1));
    let clock = bench.storage.clock().clone();
    let out = bench.accept(device("v1", &[], 1));
    assert_eq!(names(&out), ["accepted"]);
    let Output::Accepted { results, .. } = &out[0] else {
        panic!()
    };
    let SetResult::Landed(rows) = &results[0] else {
        panic!("{results:?}")
    };
    assert!(rows[0].known);
    assert_eq!(*bench.storage.clock(), clock);
}

/// A hub that had just joined refused good records for good: it knew its home, and not yet which types there are.
#[test]
fn a_set_that_comes_before_the_policy_is_early_and_not_bad() {
    let joining = Settings {
        found: false,
        ..settings()
    };
    let mut bench = Bench::with(joining, MemoryStore::default());
    bench.settle(vec![Input::Join {
        home_id: HomeId(uuid::Uuid::from_u128(1)),
    }]);
    let out = bench.accept(device("v1", &[], 1));
    let Output::Accepted { results, .. } = &out[0] else {
        panic!("{out:?}")
    };
    let SetResult::Refused(rows) = &results[0] else {
        panic!("{results:?}")
    };
    assert_eq!(rows[0].code, "no_home");
}

#[test]
fn a_twin_that_is_told_of_twice_costs_one_name_and_one_life() {
    let mut bench = Bench::founded();
    let of = bench.storage.identity().hub_id;
    bench.settle(vec![Input::Twin { of }, Input::Twin { of }]);
    let now = bench.storage.identity();
    assert_ne!(now.hub_id, of);
    assert_eq!(now.life, 2);
    bench.settle(vec![Input::Twin { of }]);
    assert_eq!(bench.storage.identity(), now);
}

#[test]
fn a_refused_set_changes_nothing() {
    let mut bench = Bench::founded();
    let totals = bench.storage.totals();
    let mut other = device("v1", &[], 1);
    other.kind = Kind::Entity {
        entity_type: "dragon".into(),
        name: None,
        source_type: None,
    };
    let sets = vec![ChangeSet {
        records: vec![
            Arc::new(Sealed::new(other)),
            Arc::new(Sealed::new(device("v2", &[], 1))),
        ],
    }];
    let out = bench.settle(vec![Input::Accept {
        ticket: Ticket(7),
        sets,
    }]);
    assert_eq!(names(&out), ["accepted"]);
    let Output::Accepted { results, .. } = &out[0] else {
        panic!()
    };
    let SetResult::Refused(rows) = &results[0] else {
        panic!("{results:?}")
    };
    let codes: Vec<&str> = rows.iter().map(|row| row.code.as_str()).collect();
    assert_eq!(codes, ["unknown_entity_type", "set_refused"]);
    assert_eq!(bench.storage.totals(), totals);
}

#[test]
fn one_commit_holds_entry_record_heads_index_and_state() {
    let mut bench = Bench::founded();
    let out = bench.step(vec![Input::Accept {
        ticket: Ticket(7),
        sets: vec![set(device("v1", &[], 1))],
    }]);
    let [Output::Commit(commit)] = &out[..] else {
        panic!("{:?}", names(&out))
    };
    let mut families: Vec<&str> = commit.writes.iter().map(|(family, _, _)| family.name()).collect();
    families.dedup();
    assert_eq!(
        families,
        ["meta", "replicas", "log", "records", "ids", "types", "merkle"]
    );
    assert_eq!(commit.high_water, None, "within the lease");
    assert!(commit.note.is_some());
}

#[test]
fn order_times_follow_the_rule_and_never_go_down_along_a_line() {
    let mut bench = Bench::founded();
    let far = "9999-01-01T00:00:00.000000+00:00-000001-x";
    let past = "1980-01-01T00:00:00.000000+00:00-000001-x";
    let first = device(far, &[], 1);
    let digest = Sealed::new(first.clone()).digest;
    bench.accept(first);
    let parent = Parent {
        version: Version::new(far).unwrap(),
        digest: Some(digest),
    };
    let second = device(past, &[parent], 2);
    let second_digest = Sealed::new(second.clone()).digest;
    bench.accept(second);
    let id = Id::new("lamp").unwrap();
    let time = |digest| {
        read_record(&bench.store.snapshot(), &id, digest)
            .unwrap()
            .unwrap()
            .order_time
    };
    let bound = bench.storage.state.hlc.last().plus(crate::time::EPSILON);
    assert!(time(&digest) <= bound, "a claim leads by ε at most");
    assert_eq!(
        time(&second_digest),
        time(&digest).next(),
        "an edit does not lose to what it was made on top of"
    );
    assert_eq!(
        read_id(&bench.store.snapshot(), &id).unwrap().unwrap().heads,
        vec![second_digest]
    );
}

#[test]
fn entries_are_taken_in_the_order_of_their_chain_alone() {
    let mut one = Bench::founded();
    let mut bundles: Vec<Bundle> = Vec::new();
    for n in 0..3 {
        let out = one.accept(device(&format!("v{n}"), &[], n));
        bundles.extend(out.iter().find_map(|output| match output {
            Output::Durable { bundles, .. } => Some((*bundles[0].0).clone()),
            _ => None,
        }));
    }
    let mut other = Bench::open(MemoryStore::default());
    other.storage.settings.found = false;
    other.storage.settings.seed = [3, 4];
    other.settle(Vec::new());
    let apply = |bench: &mut Bench, bundles: &[Bundle]| {
        let out = bench.settle(vec![Input::Apply {
            link: Link(1),
            bundles: bundles.to_vec(),
            mend: false,
        }]);
        out.into_iter()
            .find(|output| matches!(output, Output::Applied { .. }))
            .unwrap()
    };
    let expected = |applied, gap| Output::Applied {
        link: Link(1),
        applied,
        gap,
        forks: Vec::new(),
        mended: None,
    };
    assert_eq!(
        apply(&mut other, &bundles),
        expected(0, true),
        "what comes before its prev is dropped"
    );
    let genesis = one.store.snapshot();
    let page = crate::store::read_log(
        &genesis,
        Dot {
            sequence: 1,
            ..bundles[0].entry.dot
        },
    )
    .unwrap()
    .unwrap();
    let entry = crate::entry::Entry::from_canonical(&page.entry).unwrap();
    let records = page.ids.iter().zip(&entry.stamps).map(|(id, stamp)| {
        let row = read_record(&genesis, id, &stamp.digest).unwrap().unwrap();
        Arc::new(Sealed::new(Record::from_canonical(&row.record).unwrap()))
    });
    let first = Bundle::seal(entry.clone(), records.collect());
    assert_eq!(
        apply(&mut other, std::slice::from_ref(&first)),
        expected(0, false),
        "no home yet: another home's data is not taken"
    );
    let home_id = entry.genesis.unwrap().home_id;
    other.settle(vec![Input::Join { home_id }]);
    assert_eq!(apply(&mut other, &[first]), expected(1, false));
    assert_eq!(apply(&mut other, &[bundles[1].clone()]), expected(0, true));
    assert_eq!(apply(&mut other, &bundles), expected(3, false));
    assert_eq!(apply(&mut other, &bundles), expected(0, false), "twice is once");
}

#[test]
fn a_crash_between_the_mark_and_the_batch_uses_no_sequence_twice() {
    let mut bench = Bench::founded();
    let before = bench.storage.clock().clone();
    bench.settle(vec![Input::Stop]);
    let mut bench = Bench::open(bench.store);
    let out = bench.step(vec![Input::Accept {
        ticket: Ticket(7),
        sets: vec![set(device("v1", &[], 1))],
    }]);
    let Some(Output::Commit(commit)) = out.first() else {
        panic!("{:?}", names(&out))
    };
    // Power fails after the high-water mark is on disk and before the batch is.
    let mark_alone = Commit {
        high_water: commit.high_water.clone(),
        ..Commit::default()
    };
    assert!(mark_alone.high_water.is_some());
    bench.store.commit(&mark_alone).unwrap();
    let mut bench = Bench::open(bench.store);
    assert_eq!(*bench.storage.clock(), before);
    bench.settle(Vec::new());
    bench.accept(device("v2", &[], 2));
    let replica = bench.storage.identity().replica.unwrap();
    assert!(bench.storage.clock().sequence(&replica) > commit.high_water.as_ref().unwrap().lease_end);
    assert_eq!(bench.storage.identity().life, 1, "the same life");
}

//! Two hubs' machines beside each other, on stores made for it: what each rung finds, to the last leaf.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use proptest::prelude::*;

use super::sketch::Key;
use super::tree::Element;
use super::*;
use crate::entry::{Entry, Genesis, Stamp};
use crate::id::{HomeId, ReplicaId, Version};
use crate::record::{Kind, Record};
use crate::store::{
    Commit, FORMAT, Family, LeafChange, LogRow, META_KEY, MemoryStore, MetaRow, RecordRow, ReplicaRow, Store,
    TREE_KEY, encode_changes, encode_row, journal_key, log_key, record_key,
};
use crate::time::Micros;
use crate::value::Map;

const KEY: Key = Key([9; 16]);
const REPLICA: ReplicaId = ReplicaId([7; 16]);

/// Entry `n` of a log, with its one record.
fn entry(n: u64, prev: Option<(u64, Digest)>) -> (Id, Digest, Vec<u8>, Entry) {
    let id = Id::new(&format!("thing-{}", n / 3)).unwrap();
    let record = Record {
        id: id.clone(),
        version: Version::new(&format!("v{n}")).unwrap(),
        kind: Kind::Entity {
            entity_type: "note".to_owned(),
            name: None,
            source_type: None,
        },
        user_id: None,
        parents: Vec::new(),
        deleted: false,
        content: Map::new(),
        extra: Map::new(),
    };
    let bytes = record.canonical();
    let digest = Digest::of(&bytes);
    let genesis = prev.is_none().then_some(Genesis {
        home_id: HomeId(uuid::Uuid::from_u128(1)),
        hub_id: HubId(uuid::Uuid::from_u128(2)),
        life: 1,
        earlier: None,
    });
    let entry = Entry {
        dot: Dot {
            replica: REPLICA,
            sequence: n + 1,
        },
        prev,
        genesis,
        stamps: vec![Stamp {
            digest,
            order_time: Micros(1_000 + n),
            resolved: Vec::new(),
        }],
        extra: Map::new(),
    };
    (id, digest, bytes, entry)
}

/// A store whose log says that it holds entries 0..all, and that has the records of these alone: as disks leave them.
fn store(all: u64, held: &BTreeSet<u64>, journalled: bool) -> MemoryStore {
    let mut writes = Vec::new();
    let (mut prev, mut changes, mut sum) = (None, Vec::new(), Sum::ZERO);
    for n in 0..all {
        let (id, digest, bytes, entry) = entry(n, prev);
        let canonical = entry.canonical();
        let hash = Digest::of(&canonical);
        prev = Some((n + 1, hash));
        let row = LogRow {
            arrival: n,
            accepted: Micros(1),
            hash,
            ids: vec![id.clone()],
            entry: canonical,
            signature: None,
        };
        writes.push((Family::Log, log_key(entry.dot), Some(encode_row(&row))));
        if held.contains(&n) {
            let row = RecordRow {
                order_time: Micros(1_000 + n),
                dots: vec![entry.dot],
                edges: Vec::new(),
                late: Vec::new(),
                record: bytes,
                forgotten: false,
            };
            let leaf = row.leaf(&id, &digest);
            sum.add(&leaf.hash.0);
            changes.push(LeafChange {
                position: leaf.position,
                old: None,
                new: Some(leaf.hash),
            });
            writes.push((Family::Records, record_key(&id, &digest), Some(encode_row(&row))));
        }
    }
    let (sequence, hash) = prev.unwrap_or((0, Digest([0; 32])));
    if sequence > 0 {
        let tip = ReplicaRow {
            hub_id: HubId(uuid::Uuid::from_u128(2)),
            life: 1,
            sequence,
            hash,
        };
        writes.push((Family::Replicas, REPLICA.0.to_vec(), Some(encode_row(&tip))));
    }
    let mut journal = 0;
    if journalled {
        for some in changes.chunks(7) {
            journal += 1;
            writes.push((Family::Merkle, journal_key(journal), Some(encode_changes(some))));
        }
    }
    let meta = MetaRow {
        format: FORMAT,
        hub_id: HubId(uuid::Uuid::from_u128(2)),
        home_id: Some(HomeId(uuid::Uuid::from_u128(1))),
        replica: Some(REPLICA),
        life: 1,
        hlc: Micros(0),
        arrivals: all,
        records: held.len() as u64,
        entities: 0,
        relationships: 0,
        queued: 0,
        journal,
        leaves: sum.to_bytes(),
    };
    writes.push((Family::Meta, META_KEY.to_vec(), Some(encode_row(&meta))));
    writes.push((Family::Merkle, TREE_KEY.to_vec(), Some(KEY.0.to_vec())));
    let mut store = MemoryStore::default();
    store
        .commit(&Commit {
            writes,
            ..Commit::default()
        })
        .unwrap();
    store
}

fn now(millis: u64) -> Now {
    Now {
        wall: Micros(1),
        mono: Duration::from_millis(millis),
    }
}

/// What a comparison came to.
#[derive(Debug, Default, PartialEq, Eq)]
struct Found {
    equal: bool,
    /// Entries that the first was found to lack, and the second.
    first_lacks: BTreeSet<u64>,
    second_lacks: BTreeSet<u64>,
    messages: usize,
}

/// Lets the first compare with the second until both sides' differences are named. `cells` of the second's sketch.
fn compare(a: &MemoryStore, b: &MemoryStore, all: u64, cells: usize) -> Found {
    let settings = Settings {
        depth: 2,
        cells,
        ..Settings::default()
    };
    let stores = [a, b];
    let open = |store: &MemoryStore| {
        let mut merkle = Merkle::open(settings.clone(), &store.snapshot()).unwrap();
        while merkle.mirror().is_rebuilding() {
            merkle
                .step(now(0), &store.snapshot(), Vec::new(), &mut Vec::new())
                .unwrap();
        }
        // The check of the log would find by itself what is missing here.
        merkle.checking = check::Checking::resting();
        merkle
    };
    let mut hubs = [open(a), open(b)];
    let link = Link(1);
    let mut mail: VecDeque<(usize, Input)> = VecDeque::new();
    for at in 0..2 {
        let hub_id = HubId(uuid::Uuid::from_u128(at as u128));
        mail.push_back((at, Input::LinkUp { link, hub_id }));
    }
    let shorts: BTreeMap<u64, u64> = (0..all)
        .map(|n| {
            let (id, digest, _, entry) = entry(n, None);
            let leaf = crate::leaf::Leaf::of(&id, &digest, entry.stamps[0].order_time, &[], &[]);
            (Element::of(&KEY, leaf.position, &leaf.hash).short(), n)
        })
        .collect();
    let mut found = Found::default();
    let mut millis = 0;
    let mut ended = false;
    while !ended {
        let (at, inputs) = match mail.pop_front() {
            Some((at, input)) => (at, vec![input]),
            None => {
                millis += 100;
                assert!(millis < 60_000, "it does not end: {found:?}");
                (0, Vec::new())
            }
        };
        let mut out = Vec::new();
        hubs[at]
            .step(now(millis), &stores[at].snapshot(), inputs, &mut out)
            .unwrap();
        for output in out {
            match output {
                Output::Send { message, .. } => {
                    if let TreeMessage::Want { leaves, .. } = &message {
                        for short in leaves.as_chunks::<8>().0 {
                            found.first_lacks.insert(shorts[&u64::from_be_bytes(*short)]);
                        }
                        ended = true;
                    }
                    // The second asks too, when it is time; that is another comparison.
                    let theirs = at == 1 && matches!(message, TreeMessage::Roots { .. });
                    if !theirs && !matches!(message, TreeMessage::Key { .. }) {
                        found.messages += 1;
                    }
                    mail.push_back((1 - at, Input::Message { link, message }));
                }
                Output::Serve { dots, .. } if at == 0 => {
                    found.second_lacks.extend(dots.iter().map(|dot| dot.sequence - 1));
                    ended = true;
                }
                Output::Compared(comparison) => {
                    assert!(comparison.equal, "{comparison:?}");
                    found.equal = true;
                    ended = true;
                }
                Output::Recheck { .. } => panic!("what is held is borne out"),
                _ => {}
            }
        }
    }
    found
}

fn expected(a: &BTreeSet<u64>, b: &BTreeSet<u64>) -> (bool, BTreeSet<u64>, BTreeSet<u64>) {
    let only = |x: &BTreeSet<u64>, y: &BTreeSet<u64>| x.difference(y).copied().collect();
    (a == b, only(b, a), only(a, b))
}

fn check(all: u64, a: &BTreeSet<u64>, b: &BTreeSet<u64>, cells: usize) {
    let found = compare(&store(all, a, true), &store(all, b, false), all, cells);
    let (equal, first, second) = expected(a, b);
    assert_eq!(
        (found.equal, &found.first_lacks, &found.second_lacks),
        (equal, &first, &second)
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// Every rung finds exactly the difference, whatever is held on either side.
    #[test]
    fn each_rung_finds_exactly_the_difference(
        all in 1u64..240,
        a in proptest::collection::vec(any::<bool>(), 240),
        b in proptest::collection::vec(any::<bool>(), 240),
        keep in 0u64..8,
        cells in prop_oneof![Just(0usize), Just(16), Just(1_024)],
    ) {
        // From nearly all alike to nothing alike.
        let one = |bits: &[bool], salt: u64| -> BTreeSet<u64> {
            (0..all).filter(|n| (n * 7 + salt) % 8 < keep || bits[*n as usize]).collect()
        };
        check(all, &one(&a, 0), &one(&b, 0), cells);
    }
}

#[test]
fn every_number_of_differences_on_either_side_is_found() {
    let all = 90;
    let whole: BTreeSet<u64> = (0..all).collect();
    for lost in (0..14).chain([20, 40, 89, 90]) {
        let rest: BTreeSet<u64> = (lost..all).collect();
        for cells in [0, 16, 1_024] {
            check(all, &whole, &rest, cells);
            check(all, &rest, &whole, cells);
            let other: BTreeSet<u64> = (0..all - lost).collect();
            check(all, &rest, &other, cells);
        }
    }
}

#[test]
fn twelve_differences_take_one_round_trip_and_no_more_bytes_than_told() {
    let all = 200;
    let whole: BTreeSet<u64> = (0..all).collect();
    let some: BTreeSet<u64> = (12..all).collect();
    let found = compare(&store(all, &whole, true), &store(all, &some, true), all, 1_024);
    assert_eq!(
        (found.second_lacks.len(), found.messages),
        (12, 2),
        "a question and its answer"
    );
    let size = |message: TreeMessage| {
        rmp_serde::to_vec_named(&crate::wire::Message::Tree(message))
            .unwrap()
            .len()
    };
    let half = Half([1; 16]);
    assert!(
        size(TreeMessage::Roots {
            clock: half,
            root: half
        }) <= 64
    );
    assert!(
        size(TreeMessage::Equal {
            clock: half,
            root: half
        }) <= 64
    );
    let few = TreeMessage::Few {
        at: half,
        root: half,
        syndromes: serde_bytes::ByteBuf::from(vec![0; 8 * mirror::FEW]),
    };
    assert!(
        size(few)
            + size(TreeMessage::Roots {
                clock: half,
                root: half
            })
            <= 304
    );
}

/// All 65,536 subsets of 16 leaves have roots of their own: over four thousand million pairs, each in any order.
#[test]
fn equal_roots_mean_equal_sets_over_all_subsets() {
    let elements: Vec<[u8; 32]> = (0..16u8).map(|n| Digest::of(&[n]).0).collect();
    let mut roots = BTreeSet::new();
    for subset in 0..1u32 << 16 {
        let mut node = tree::Node::default();
        // Backwards in every second: order is of no account.
        let order: Vec<usize> = if subset % 2 == 0 {
            (0..16).collect()
        } else {
            (0..16).rev().collect()
        };
        for at in order.into_iter().filter(|at| subset & 1 << at != 0) {
            node.add(&elements[at]);
        }
        assert!(roots.insert(node.root()), "two sets with one root");
    }
}

/// Any order, any batches, any restart, kept or not: one set, one root; built anew it is the same.
#[test]
fn a_root_is_a_function_of_the_set() {
    let all = 150;
    let held: BTreeSet<u64> = (0..all).filter(|n| n % 4 != 1).collect();
    let mut store = store(all, &held, true);
    let mut kept = Mirror::open(2, 64, &store.snapshot()).unwrap();
    let root = kept.root().unwrap();
    for depth in 2..=4 {
        let mut built = Mirror::open(depth, 32, &store.snapshot()).unwrap();
        built.rebuild();
        while let Some(from) = built.frontier() {
            built.read_strip(&store.snapshot(), from, 5).unwrap();
        }
        assert_eq!(built.root(), Some(root), "depth {depth}");
    }
    let checkpoint = kept.checkpoint(1).unwrap();
    assert_eq!(kept.checkpoint(1), None, "nothing has changed since");
    let mut writes: Vec<_> = checkpoint
        .rows
        .into_iter()
        .map(|(key, row)| (Family::Merkle, key, Some(row)))
        .collect();
    writes.extend(
        (checkpoint.above + 1..=checkpoint.upto).map(|number| (Family::Merkle, journal_key(number), None)),
    );
    store
        .commit(&Commit {
            writes,
            ..Commit::default()
        })
        .unwrap();
    let again = Mirror::open(2, 64, &store.snapshot()).unwrap();
    assert!(!again.is_rebuilding());
    assert_eq!((again.root(), again.plain()), (Some(root), kept.plain()));
    // Kept under another number of levels or cells: read from the records.
    for (depth, cells) in [(3, 64), (2, 65)] {
        let other = Mirror::open(depth, cells, &store.snapshot()).unwrap();
        assert!(other.is_rebuilding() && other.root().is_none());
    }
}

/// A store some of whose records cannot be read.
struct Unreadable<'s>(&'s dyn Snapshot);

impl Snapshot for Unreadable<'_> {
    fn get(&self, family: Family, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.0.get(family, key)
    }

    fn scan(
        &self,
        family: Family,
        from: &[u8],
        until: Option<&[u8]>,
        visit: &mut crate::store::Visit<'_>,
    ) -> Result<(), StoreError> {
        if family == Family::Records {
            return Err(StoreError::Corrupt {
                family: family.name(),
                detail: "a block fails its checksum".to_owned(),
            });
        }
        self.0.scan(family, from, until, visit)
    }
}

/// A hub that got on for a year with a row that nobody reads must not end because its own check reads it.
#[test]
fn a_check_that_meets_what_cannot_be_read_tells_of_it_and_rests() {
    let held: BTreeSet<u64> = (0..30).collect();
    let store = store(30, &held, true);
    let snapshot = store.snapshot();
    let mut merkle = Merkle::open(Settings::default(), &snapshot).unwrap();
    let (mut out, unreadable) = (Vec::new(), Unreadable(&snapshot));
    let verify = Input::Verify { hub_id: None };
    merkle.step(now(0), &unreadable, vec![verify], &mut out).unwrap();
    let told = out.iter().find_map(|output| match output {
        Output::Checked(check) => Some(check.damaged),
        _ => None,
    });
    assert_eq!(told, Some(1));
    assert!(
        merkle.wake_at().unwrap() >= Settings::default().check_period,
        "it rests"
    );
    assert!(merkle.mirror().root().is_some(), "and what it keeps stands");
}

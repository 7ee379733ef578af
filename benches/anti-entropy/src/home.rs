//! A home's records, drawn from a seed, and the rows that a hub keeps of them.
//!
//! Both hubs have logs of equal length, so equal clocks; the records that they differ in stand in both logs, and in one
//! store only, as after a disk has lost rows silently. Nobody's log tells what differs. Entries of the log are there for
//! those records alone: a comparison at equal clocks reads no other.

use inbetweenies_core::entry::{Entry, Genesis, Sealed, Stamp};
use inbetweenies_core::hash::Digest;
use inbetweenies_core::id::{Dot, HomeId, HubId, Id, ReplicaId, Version};
use inbetweenies_core::leaf::Sum;
use inbetweenies_core::merkle::sketch::Key;
use inbetweenies_core::merkle::tree::Element;
use inbetweenies_core::record::{Kind, Record};
use inbetweenies_core::rng::Rng;
use inbetweenies_core::store::{
    Commit, FORMAT, Family, LeafChange, LogRow, META_KEY, MemoryStore, MetaRow, RecordRow, ReplicaRow, Store,
    TREE_KEY, Write, encode_row, log_key, record_key,
};
use inbetweenies_core::time::Micros;
use inbetweenies_core::value::{Map, Value};

/// Rows of one commit while a store is filled: bounds what is in memory twice.
const BATCH: usize = 16_384;
/// Records were written over one year from here on, in seconds.
const EPOCH: u64 = 1_750_000_000;
const YEAR: usize = 31_536_000;

/// What a rival keeps of a record.
#[derive(Debug, Clone, Copy)]
pub struct Thing {
    /// Its id, a UUID.
    pub id: [u8; 16],
    /// What is compared of it: 32 bytes.
    pub leaf: [u8; 32],
    /// When it was written, in seconds.
    pub written: u64,
}

/// A record that one of the stores lacks.
#[derive(Debug)]
pub struct Planted {
    /// As rivals see it.
    pub thing: Thing,
    /// As ours names it to a peer.
    pub short: u64,
    /// The row of its record.
    pub row: (Vec<u8>, Vec<u8>),
    /// What a journal says when it comes.
    pub change: LeafChange,
}

/// What both hubs hold, and what one of them does not.
pub struct Home {
    /// What both hold.
    pub common: Vec<Thing>,
    /// Each is missing at one of the two: which one, alternates.
    pub planted: Vec<Planted>,
    /// A store that holds what both hold, and the whole log.
    pub store: MemoryStore,
    /// Its row about itself.
    pub meta: MetaRow,
    seed: u64,
}

impl Home {
    /// Draws a home of `records` records that both hubs hold and `planted` that one of them does not.
    pub fn draw(records: usize, planted: usize, seed: u64) -> Home {
        let mut rng = Rng::new(seed, 1);
        let replica = ReplicaId(bytes(&mut rng));
        let key: [u8; 16] = bytes(&mut rng);
        let mut filler = Filler::default();
        let mut log = Log::new(replica);
        let planted: Vec<Planted> = (0..planted)
            .map(|_| {
                let (thing, sealed, row) = log.draw(&mut rng);
                filler.put(log.append(&sealed, &row));
                let leaf = row.leaf(&sealed.record.id, &sealed.digest);
                Planted {
                    thing,
                    short: Element::of(&Key(key), leaf.position, &leaf.hash).short(),
                    row: (record_key(&sealed.record.id, &sealed.digest), encode_row(&row)),
                    change: LeafChange {
                        position: leaf.position,
                        old: None,
                        new: Some(leaf.hash),
                    },
                }
            })
            .collect();
        let mut leaves = Sum::ZERO;
        let common = (0..records)
            .map(|_| {
                let (thing, sealed, row) = log.draw(&mut rng);
                log.dot.sequence += 1;
                leaves.add(&thing.leaf);
                let key = record_key(&sealed.record.id, &sealed.digest);
                filler.put((Family::Records, key, Some(encode_row(&row))));
                thing
            })
            .collect();
        let tip = ReplicaRow {
            hub_id: hub_id(0),
            life: 1,
            sequence: log.dot.sequence - 1,
            hash: Digest::of(b"the last entry"),
        };
        let meta = MetaRow {
            format: FORMAT,
            hub_id: hub_id(0),
            home_id: Some(home_id()),
            replica: Some(replica),
            life: 1,
            hlc: Micros((EPOCH + YEAR as u64) * 1_000_000),
            arrivals: tip.sequence,
            records: records as u64,
            entities: records as u64,
            relationships: 0,
            queued: 0,
            journal: 0,
            leaves: leaves.to_bytes(),
        };
        filler.put((Family::Replicas, replica.0.to_vec(), Some(encode_row(&tip))));
        filler.put((Family::Merkle, TREE_KEY.to_vec(), Some(key.to_vec())));
        filler.put((Family::Meta, META_KEY.to_vec(), Some(encode_row(&meta))));
        Home {
            common,
            planted,
            store: filler.done(),
            meta,
            seed,
        }
    }

    /// At which of the two hubs a planted record is.
    pub fn holder(&self, planted: usize) -> usize {
        (planted + self.seed as usize) % 2
    }

    /// The planted record that stands in the log's entry of this number.
    pub fn planted_at(&self, sequence: u64) -> usize {
        sequence as usize - 1
    }

    /// Those of the first `differences` planted records that one hub holds.
    pub fn held_by(&self, hub: usize, differences: usize) -> impl Iterator<Item = (usize, &Planted)> {
        let planted = self.planted[..differences].iter().enumerate();
        planted.filter(move |(at, _)| self.holder(*at) == hub)
    }
}

/// The one log of the home.
struct Log {
    /// Of the next entry.
    dot: Dot,
    prev: Option<(u64, Digest)>,
}

impl Log {
    fn new(replica: ReplicaId) -> Log {
        let dot = Dot { replica, sequence: 1 };
        Log { dot, prev: None }
    }

    /// A record that stands in the next entry.
    fn draw(&self, rng: &mut Rng) -> (Thing, Sealed, RecordRow) {
        let id: [u8; 16] = bytes(rng);
        let written = EPOCH + rng.below(YEAR) as u64;
        let order_time = Micros(written * 1_000_000 + rng.below(1_000_000) as u64);
        let sealed = Sealed::new(device(&id, order_time, rng));
        let row = RecordRow {
            order_time,
            dots: vec![self.dot],
            edges: Vec::new(),
            late: Vec::new(),
            record: sealed.bytes.clone(),
            forgotten: false,
        };
        let leaf = row.leaf(&sealed.record.id, &sealed.digest).hash.0;
        (Thing { id, leaf, written }, sealed, row)
    }

    /// The row of the next entry, which holds one record.
    fn append(&mut self, sealed: &Sealed, row: &RecordRow) -> Write {
        let entry = Entry {
            dot: self.dot,
            prev: self.prev,
            genesis: self.prev.is_none().then(|| Genesis {
                home_id: home_id(),
                hub_id: hub_id(0),
                life: 1,
                earlier: None,
            }),
            stamps: vec![Stamp {
                digest: sealed.digest,
                order_time: row.order_time,
                resolved: Vec::new(),
            }],
            extra: Map::new(),
        };
        let entry = entry.canonical();
        let hash = Digest::of(&entry);
        let kept = LogRow {
            arrival: self.dot.sequence,
            accepted: row.order_time,
            hash,
            ids: vec![sealed.record.id.clone()],
            entry,
            signature: None,
        };
        let key = log_key(self.dot);
        self.prev = Some((self.dot.sequence, hash));
        self.dot.sequence += 1;
        (Family::Log, key, Some(encode_row(&kept)))
    }
}

/// A store that is being filled.
#[derive(Default)]
struct Filler {
    store: MemoryStore,
    commit: Commit,
}

impl Filler {
    fn put(&mut self, write: Write) {
        self.commit.writes.push(write);
        if self.commit.writes.len() >= BATCH {
            self.flush();
        }
    }

    fn flush(&mut self) {
        write(&mut self.store, std::mem::take(&mut self.commit.writes));
    }

    fn done(mut self) -> MemoryStore {
        self.flush();
        self.store
    }
}

/// Commits rows to a store in memory.
pub fn write(store: &mut MemoryStore, writes: Vec<Write>) {
    let commit = Commit {
        writes,
        ..Commit::default()
    };
    store.commit(&commit).expect("memory does not fail");
}

/// Names one of the two hubs.
pub fn hub_id(at: usize) -> HubId {
    let text = format!("00000000-0000-4000-8000-00000000000{at}");
    text.parse().expect("a UUID")
}

fn home_id() -> HomeId {
    let text = "00000000-0000-4000-8000-0000000000ff";
    text.parse().expect("a UUID")
}

fn bytes(rng: &mut Rng) -> [u8; 16] {
    (u128::from(rng.draw()) << 64 | u128::from(rng.draw())).to_be_bytes()
}

/// Some 200 bytes: a small device, with a UUID for an id.
fn device(id: &[u8; 16], at: Micros, rng: &mut Rng) -> Record {
    let hex = format!("{:032x}", u128::from_be_bytes(*id));
    let parts = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]];
    Record {
        id: Id::new(&parts.join("-")).expect("36 bytes"),
        version: Version::new(&format!("{at}-000001-alice")).expect("some 45 bytes"),
        kind: Kind::Entity {
            entity_type: "device".to_owned(),
            name: Some(format!("Lamp {}", rng.below(1_000))),
            source_type: None,
        },
        user_id: Some("alice".to_owned()),
        parents: Vec::new(),
        deleted: false,
        content: Map::from([
            ("brightness".to_owned(), Value::Int(rng.below(256) as i64)),
            ("power".to_owned(), Value::Text("on".to_owned())),
        ]),
        extra: Map::new(),
    }
}

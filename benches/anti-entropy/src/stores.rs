//! The stores of two hubs that hold the same but for what is planted, and the trees that are built from them.

use std::time::Duration;

use inbetweenies_core::leaf::Sum;
use inbetweenies_core::machine::Machine;
use inbetweenies_core::merkle::{Merkle, Output, Settings};
use inbetweenies_core::store::{
    Family, META_KEY, MemorySnapshot, MemoryStore, MetaRow, Store, encode_changes, encode_row, journal_key,
};
use inbetweenies_core::time::{Micros, Now};

use crate::home::{Home, hub_id, write};

/// The store of one hub.
struct Held {
    store: MemoryStore,
    meta: MetaRow,
    /// Which planted records have come since the tree was built.
    come: Vec<usize>,
}

/// The stores of both hubs.
pub struct Stores<'h> {
    home: &'h Home,
    held: [Held; 2],
}

impl<'h> Stores<'h> {
    /// Both without any planted record.
    pub fn new(home: &'h Home) -> Stores<'h> {
        let held = [0, 1].map(|at| Held {
            store: home.store.clone(),
            meta: MetaRow {
                hub_id: hub_id(at),
                ..home.meta.clone()
            },
            come: Vec::new(),
        });
        Stores { home, held }
    }

    /// What a hub's store holds now.
    pub fn snapshot(&self, hub: usize) -> MemorySnapshot {
        self.held[hub].store.snapshot()
    }

    /// Puts planted records into the store of a hub, as one commit with its row of the journal.
    pub fn put(&mut self, hub: usize, planted: &[usize]) {
        let held = &mut self.held[hub];
        let mut leaves = Sum::from_bytes(&held.meta.leaves);
        let mut changes = Vec::with_capacity(planted.len());
        let mut writes = Vec::with_capacity(planted.len() + 2);
        for at in planted {
            let planted = &self.home.planted[*at];
            let (key, row) = planted.row.clone();
            writes.push((Family::Records, key, Some(row)));
            changes.push(planted.change);
            leaves.add(&planted.thing.leaf);
        }
        held.meta.journal += 1;
        held.meta.records += planted.len() as u64;
        held.meta.leaves = leaves.to_bytes();
        let journal = (journal_key(held.meta.journal), encode_changes(&changes));
        writes.push((Family::Merkle, journal.0, Some(journal.1)));
        writes.push((Family::Meta, META_KEY.to_vec(), Some(encode_row(&held.meta))));
        write(&mut held.store, writes);
        held.come.extend(planted);
    }

    /// Takes all planted records out again, and the journal, as if they had never come.
    pub fn reset(&mut self) {
        for (at, held) in self.held.iter_mut().enumerate() {
            let planted = held.come.drain(..).map(|at| &self.home.planted[at].row.0);
            let mut writes: Vec<_> = planted.map(|key| (Family::Records, key.clone(), None)).collect();
            let journal = 1..=held.meta.journal;
            writes.extend(journal.map(|number| (Family::Merkle, journal_key(number), None)));
            held.meta = MetaRow {
                hub_id: hub_id(at),
                ..self.home.meta.clone()
            };
            writes.push((Family::Meta, META_KEY.to_vec(), Some(encode_row(&held.meta))));
            write(&mut held.store, writes);
        }
    }

    /// The machines of both hubs over these stores, their trees built from the records, nothing linked yet.
    pub fn open(&self, cells: usize) -> [Merkle; 2] {
        [0, 1].map(|hub| {
            let settings = Settings {
                cells,
                seed: hub as u64,
                // The slow check of all records is another work, and must not begin in the middle of this one.
                check_period: Duration::from_secs(1 << 32),
                ..Settings::default()
            };
            let store = self.snapshot(hub);
            let mut merkle = Merkle::open(settings, &store).expect("memory does not fail");
            let mut out = Vec::new();
            while !merkle.mirror().is_ready() {
                let stepped = merkle.step(now(Duration::ZERO), &store, Vec::new(), &mut out);
                stepped.expect("memory does not fail");
            }
            let odd = out
                .iter()
                .find(|output| !matches!(output, Output::Root(_) | Output::Keep { .. }));
            assert_eq!(odd, None, "the rows that were built are not what a hub keeps");
            assert_eq!(merkle.mirror().plain().0, self.held[hub].meta.records);
            merkle
        })
    }
}

/// So long after a hub's process began.
pub fn now(mono: Duration) -> Now {
    Now {
        wall: Micros(1_781_516_462_000_000).plus(mono),
        mono,
    }
}

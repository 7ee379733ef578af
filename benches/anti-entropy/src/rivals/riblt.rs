//! riblt 0.1: a rateless invertible Bloom lookup table (Yang, Gilad & Alizadeh 2024) over items of 32 bytes.
//!
//! A cell counts as the paper writes it: the item, 8 bytes of check, 1 of count. As few cells as will do are sent one
//! way, as if the sender knew when to stop; that word is counted as a message of no bytes. The crate keeps no cells with
//! its set, so its work begins with encoding both sets; and it looks through its cells from the first on for each item
//! that it peels, which takes more than a minute for 100,000.

use std::time::Duration;

use riblt::{CodedSymbol, RandomMapping, RatelessIBLT, Symbol, UnmanagedRatelessIBLT};

use crate::cost::{Cost, timed};
use crate::home::Home;

/// Bytes of a cell on the wire.
const CELL_BYTES: u64 = 41;
/// An item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item([u8; 32]);

impl Symbol for Item {
    const BYTE_ARRAY_LENGTH: usize = 32;

    fn encode_to_bytes(&self) -> Vec<u8> {
        self.0.to_vec()
    }

    fn decode_from_bytes(bytes: &Vec<u8>) -> Item {
        Item(bytes.as_slice().try_into().expect("32 bytes"))
    }
}

/// The set of each hub.
pub struct Sets([Vec<Item>; 2]);

impl Sets {
    /// Of a home with so many differences.
    pub fn build(home: &Home, differences: usize) -> Sets {
        Sets([0, 1].map(|hub| {
            let held = home
                .held_by(hub, differences)
                .map(|(_, planted)| Item(planted.thing.leaf));
            let common = home.common.iter().map(|thing| Item(thing.leaf));
            common.chain(held).collect()
        }))
    }

    /// Compares the two sets; unless the crate shall `peel` what they differ in, its work is left out.
    pub fn compare(&self, home: &Home, differences: usize, peel: bool) -> Cost {
        let cells = cells_needed(home, differences);
        let mut cost = Cost {
            bytes: cells as u64 * CELL_BYTES,
            messages: 2,
            ..Cost::default()
        };
        let [ours, theirs] = self
            .0
            .each_ref()
            .map(|set| encode(set, cells, &mut cost.encoding));
        if !peel {
            return cost;
        }
        let mut cpu = Duration::ZERO;
        let found = timed(&mut cpu, || {
            let mut rest = ours.collapse(&theirs);
            let found = rest.peel_all_symbols();
            assert!(rest.is_empty(), "riblt: {cells} cells do not decode");
            found
        });
        cost.cpu = cost.encoding + cpu;
        let told = |mut all: Vec<String>| {
            all.sort_unstable();
            all
        };
        let found = told(found.iter().map(|peeled| format!("{peeled:?}")).collect());
        let planted = (0..differences).map(|at| format!("{:?}", alone(home, at).peel_peek()));
        assert_eq!(found, told(planted.collect()), "riblt: what it finds");
        cost
    }
}

/// The first cells of a set.
fn encode(set: &[Item], cells: usize, cpu: &mut Duration) -> UnmanagedRatelessIBLT<Item> {
    let mut table = timed(cpu, || {
        let mut table = RatelessIBLT::new(set.iter().cloned());
        table.extend_coded_symbols(cells - 1);
        table
    });
    table.coded_symbols.truncate(cells);
    UnmanagedRatelessIBLT {
        coded_symbols: table.coded_symbols,
    }
}

/// A cell that one planted record is alone in, as the first hub sees it. The crate does not export what it peels into.
fn alone(home: &Home, planted: usize) -> CodedSymbol<Item> {
    let item = Item(home.planted[planted].thing.leaf);
    let mut cell = CodedSymbol::new();
    cell.sum = item.encode_to_bytes();
    cell.hash = item.hash_();
    cell.count = if home.holder(planted) == 0 { 1 } else { -1 };
    cell
}

/// The smallest number of cells that decodes. What both sets have in common cancels out, and more cells never decode
/// less.
fn cells_needed(home: &Home, differences: usize) -> usize {
    let items: Vec<Item> = home.planted[..differences]
        .iter()
        .map(|planted| Item(planted.thing.leaf))
        .collect();
    let (mut few, mut enough) = (0, 2 * differences + 16);
    while !decodes(&items, enough) {
        (few, enough) = (enough, 2 * enough);
    }
    while enough - few > 1 {
        let middle = (few + enough) / 2;
        if decodes(&items, middle) {
            enough = middle;
        } else {
            few = middle;
        }
    }
    enough
}

/// Whether so many cells decode: peels with a queue, as the crate's own way is quadratic.
fn decodes(items: &[Item], cells: usize) -> bool {
    // Of each cell how many items are in it, and the xor of their places in the list.
    let mut holds = vec![(0usize, 0usize); cells];
    let places = |item: &Item| RandomMapping::new(item).take_while(move |place| *place < cells);
    for (at, item) in items.iter().enumerate() {
        for place in places(item) {
            holds[place] = (holds[place].0 + 1, holds[place].1 ^ at);
        }
    }
    let mut single: Vec<usize> = (0..cells).filter(|cell| holds[*cell].0 == 1).collect();
    let mut peeled = 0;
    while let Some(cell) = single.pop() {
        let (1, at) = holds[cell] else { continue };
        peeled += 1;
        for place in places(&items[at]) {
            holds[place] = (holds[place].0 - 1, holds[place].1 ^ at);
            if holds[place].0 == 1 {
                single.push(place);
            }
        }
    }
    peeled == items.len()
}

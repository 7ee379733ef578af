//! A rateless invertible Bloom lookup table: the difference of two sets of short ids from a few cells of each.
//!
//! Yang, Gilad & Alizadeh, "Practical Rateless Set Reconciliation", SIGCOMM 2024 (arXiv 2402.02668). A set is an endless
//! row of cells, each the sum of the ids that fall into it; cell 0 holds them all, cell i each with probability
//! 1 / (1 + i/2). The sums are xors, so the cells of a difference are the difference of the cells, whatever the sets
//! have in common. A cell that holds a single id gives it away; taken out of its other cells, it lays bare more. About
//! 1.35 d cells uncover a difference of d ids when d is large, up to about 2 d when it is small; whoever has too few
//! asks for the next ones, and nothing sent before is wasted.
//!
//! Which cells an id falls into, and its check, hang on a secret key: who does not know it cannot choose ids that
//! collide. Who does (a hub of the home) can send cells that mean nothing: the [`Decoder`] ends all the same.
//!
//! Invariant: cells are a function of the key and the set alone, the same on every machine, whatever order it grew in
//! (the only floating point is `+ * /` and the square root, which IEEE 754 rounds exactly).

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};
use std::fmt;
use std::ops::Range;

/// The home's secret, 128 bits: all hubs that compare cells or counters must share it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Key(pub [u8; 16]);

impl Key {
    /// SipHash-1-3 (Aumasson & Bernstein 2012) of the eight little-endian bytes of an id.
    pub(super) fn hash(&self, id: u64) -> u64 {
        let both = u128::from_le_bytes(self.0);
        let (k0, k1) = (both as u64, (both >> 64) as u64);
        let mut v = [
            k0 ^ 0x736f_6d65_7073_6575,
            k1 ^ 0x646f_7261_6e64_6f6d,
            k0 ^ 0x6c79_6765_6e65_7261,
            k1 ^ 0x7465_6462_7974_6573,
        ];
        for word in [id, 8 << 56] {
            v[3] ^= word;
            sip_round(&mut v);
            v[0] ^= word;
        }
        v[2] ^= 0xff;
        sip_round(&mut v);
        sip_round(&mut v);
        sip_round(&mut v);
        v[0] ^ v[1] ^ v[2] ^ v[3]
    }
}

/// Keeps the secret.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

#[inline(always)]
fn sip_round(v: &mut [u64; 4]) {
    v[0] = v[0].wrapping_add(v[1]);
    v[1] = v[1].rotate_left(13) ^ v[0];
    v[0] = v[0].rotate_left(32);
    v[2] = v[2].wrapping_add(v[3]);
    v[3] = v[3].rotate_left(16) ^ v[2];
    v[0] = v[0].wrapping_add(v[3]);
    v[3] = v[3].rotate_left(21) ^ v[0];
    v[2] = v[2].wrapping_add(v[1]);
    v[1] = v[1].rotate_left(17) ^ v[2];
    v[2] = v[2].rotate_left(32);
}

/// The `index`-th number of the stream of a keyed hash (SplitMix64, Steele et al. 2014).
#[inline(always)]
pub(super) fn draw(hash: u64, index: u64) -> u64 {
    let mut z = hash.wrapping_add(index.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// 24 bits that tell a single id from a sum of several, which passes for one with probability 2^-24.
fn check(hash: u64) -> u32 {
    (hash >> 40) as u32
}

/// The sum of the ids that fall into one place: 16 bytes in memory, [`WIRE_BYTES`] on the wire.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cell {
    /// The xor of the ids.
    pub ids: u64,
    /// The xor of their checks, 24 bits.
    pub checks: u32,
}

impl Cell {
    fn xor(self, other: Cell) -> Cell {
        Cell {
            ids: self.ids ^ other.ids,
            checks: self.checks ^ other.checks,
        }
    }

    fn is_empty(self) -> bool {
        self == Cell::default()
    }
}

/// The bytes of a cell on the wire: 8 of ids, 3 of checks, both little-endian.
pub const WIRE_BYTES: usize = 11;

/// The wire form: [`WIRE_BYTES`] a cell, one after the other.
pub fn encode(cells: &[Cell]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(cells.len() * WIRE_BYTES);
    for cell in cells {
        bytes.extend_from_slice(&cell.ids.to_le_bytes());
        bytes.extend_from_slice(&cell.checks.to_le_bytes()[..3]);
    }
    bytes
}

/// Reads the wire form; None unless it is a whole number of cells. Whoever calls bounds the bytes.
pub fn decode(bytes: &[u8]) -> Option<Vec<Cell>> {
    let (cells, rest) = bytes.as_chunks::<WIRE_BYTES>();
    let cell = |[i @ .., x, y, z]: &[u8; WIRE_BYTES]| Cell {
        ids: u64::from_le_bytes(*i),
        checks: u32::from_le_bytes([*x, *y, *z, 0]),
    };
    rest.is_empty().then(|| cells.iter().map(cell).collect())
}

/// The cells of one id, in ascending order, without end.
#[derive(Debug, Clone, Copy)]
struct Walk {
    /// The number of the cell where it stands, plus 1.5: starts at cell 0 and grows with every step.
    place: f64,
    hash: u64,
    steps: u64,
}

impl Walk {
    fn new(hash: u64) -> Walk {
        Walk {
            place: 1.5,
            hash,
            steps: 0,
        }
    }

    /// The number of the cell where it stands.
    #[inline(always)]
    fn at(&self) -> u64 {
        self.place as i64 as u64 - 1
    }

    /// The paper's gap, `ceil((i + 1.5) * (1/sqrt(u) - 1))`, which comes to cell `round((i + 1.5) / sqrt(u)) - 1`.
    ///
    /// With u from 2^-53 to 1 nothing overflows. What is added to the factor, 2^-20, makes every gap at least 1.
    #[inline(always)]
    fn step(&mut self) {
        /// Added to a number from 0 to 2^52 and taken away again, it rounds to a whole one, on processors of any age.
        const ROUND: f64 = (1_u64 << 52) as f64;
        const UNIT: f64 = 1.0 / (1_u64 << 53) as f64;
        self.steps += 1;
        let drawn = (draw(self.hash, self.steps) >> 11) as i64 + 1;
        let factor = 1.0 / (drawn as f64 * UNIT).sqrt() + 1.0 / (1 << 20) as f64;
        self.place = self.place * factor + ROUND - (ROUND - 0.5);
    }
}

/// Puts an id into a copied range of cells, `cells[0]` being cell number `from`, or takes it out again.
///
/// About 2 ln(end / 2) + 2 steps, however long the range.
pub fn toggle_into(key: &Key, cells: &mut [Cell], from: usize, id: u64) {
    let hash = key.hash(id);
    let own = Cell {
        ids: id,
        checks: check(hash),
    };
    let from = from as u64;
    let end = from.saturating_add(cells.len() as u64);
    let mut walk = Walk::new(hash);
    while walk.at() < end {
        if let Some(at) = walk.at().checked_sub(from) {
            let cell = &mut cells[at as usize];
            *cell = cell.xor(own);
        }
        walk.step();
    }
}

/// The first cells of a set, kept with every write: 16 bytes of memory a cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sketch {
    key: Key,
    cells: Vec<Cell>,
}

impl Sketch {
    /// The first `cells` cells of the empty set.
    pub fn new(key: Key, cells: usize) -> Sketch {
        Sketch::from_cells(key, vec![Cell::default(); cells])
    }

    /// A sketch that was kept elsewhere, under the same key.
    pub fn from_cells(key: Key, cells: Vec<Cell>) -> Sketch {
        Sketch { key, cells }
    }

    /// Puts an id in, or takes it out: twice is nothing. About 2 ln(cells) steps (15 at 4,096 cells).
    pub fn toggle(&mut self, id: u64) {
        toggle_into(&self.key, &mut self.cells, 0, id);
    }

    /// The cells of a range, as far as they are kept: fewer than asked for, or none, beyond that.
    pub fn cells(&self, range: Range<usize>) -> &[Cell] {
        let end = range.end.min(self.cells.len());
        &self.cells[range.start.min(end)..end]
    }
}

/// Uncovers the difference of two sets from their first cells, as these come in.
///
/// For d ids in m cells O(d log m (1 + log d)) in all, however the cells were cut; 16 m + about 100 d bytes.
/// Ends on any input: an id is peeled once, and no more than `found_max` are.
#[derive(Debug, Clone)]
pub struct Decoder {
    key: Key,
    found_max: usize,
    /// The cells of what is not yet found.
    cells: Vec<Cell>,
    /// How many of them are not empty.
    occupied: usize,
    /// The cells that changed and may hold a single id now, each once, the far ones last, which are looked at first:
    /// in cell i a sum of several passes for one with probability 2^-24 / (1 + i/2), as it must also fall into it.
    suspects: Vec<usize>,
    suspected: Vec<bool>,
    found: Vec<u64>,
    seen: BTreeSet<u64>,
    /// Of each found id what it adds to a cell, and the next cell that it falls into.
    peeled: Vec<(Walk, Cell)>,
    /// These next cells, the nearest first, with the place of the id in `found` and `peeled`.
    waiting: BinaryHeap<(Reverse<u64>, usize)>,
    broken: bool,
}

impl Decoder {
    /// Before the first cell. A difference of more than `found_max` ids counts as broken.
    pub fn new(key: Key, found_max: usize) -> Decoder {
        Decoder {
            key,
            found_max,
            cells: Vec::new(),
            occupied: 0,
            suspects: Vec::new(),
            suspected: Vec::new(),
            found: Vec::new(),
            seen: BTreeSet::new(),
            peeled: Vec::new(),
            waiting: BinaryHeap::new(),
            broken: false,
        }
    }

    /// Takes the next cells of both sides, from number [`Decoder::taken`] on, and finds what can be found.
    /// If one side has more, what it has more is not looked at.
    pub fn extend(&mut self, ours: &[Cell], theirs: &[Cell]) {
        if self.broken {
            return;
        }
        let from = self.cells.len();
        self.cells.extend(ours.iter().zip(theirs).map(|(a, b)| a.xor(*b)));
        let end = self.cells.len() as u64;
        while let Some(mut nearest) = self.waiting.peek_mut().filter(|nearest| nearest.0.0 < end) {
            let (walk, own) = &mut self.peeled[nearest.1];
            while walk.at() < end {
                let cell = &mut self.cells[walk.at() as usize];
                *cell = cell.xor(*own);
                walk.step();
            }
            nearest.0.0 = walk.at();
        }
        self.occupied += self.cells[from..].iter().filter(|cell| !cell.is_empty()).count();
        self.suspects.extend(from..self.cells.len());
        self.suspected.resize(self.cells.len(), true);
        self.peel();
    }

    /// How many cells were taken so far: the number of the next one.
    pub fn taken(&self) -> usize {
        self.cells.len()
    }

    /// Whether everything is found: cell 0, which holds every id, is empty, and so are all others.
    pub fn is_done(&self) -> bool {
        !self.broken && self.occupied == 0 && !self.cells.is_empty()
    }

    /// Whether these are not the cells of two sets under this key, or of sets that differ in more than `found_max`:
    /// an id came twice, or cell 0 is empty and another is not. More cells cannot mend it. True sets that differ in d
    /// ids come to this with a probability below d / 2^24, when a sum of several passed for a single id.
    pub fn is_broken(&self) -> bool {
        self.broken
    }

    /// The ids that one side has and the other has not, in no particular order; which side has one is for the caller
    /// to look up. All of them when [`Decoder::is_done`]. Before that (and with probability 2^-24 also then, if hardly
    /// more than one cell was taken), one may be a sum of several that passed for a single id, which nobody holds.
    pub fn found(&self) -> &[u64] {
        &self.found
    }

    fn peel(&mut self) {
        let mut path = Vec::new();
        while let Some(at) = self.suspects.pop() {
            self.suspected[at] = false;
            let cell = self.cells[at];
            let hash = self.key.hash(cell.ids);
            if cell.is_empty() || check(hash) != cell.checks {
                continue;
            }
            path.clear();
            let mut walk = Walk::new(hash);
            while walk.at() < self.cells.len() as u64 {
                path.push(walk.at() as usize);
                walk.step();
            }
            // A sum of several whose check fits by chance, or a forgery: no single id, so there is nothing to peel.
            if path.binary_search(&at).is_err() {
                continue;
            }
            if self.found.len() >= self.found_max || !self.seen.insert(cell.ids) {
                self.broken = true;
                break;
            }
            self.waiting.push((Reverse(walk.at()), self.found.len()));
            self.found.push(cell.ids);
            self.peeled.push((walk, cell));
            for &place in &path {
                let before = self.cells[place];
                let after = before.xor(cell);
                self.occupied -= usize::from(!before.is_empty());
                self.occupied += usize::from(!after.is_empty());
                self.cells[place] = after;
                if !std::mem::replace(&mut self.suspected[place], true) {
                    self.suspects.push(place);
                }
            }
        }
        let all_found = self.cells.first().is_some_and(|cell| cell.is_empty());
        self.broken |= all_found && self.occupied > 0;
    }
}

#[cfg(test)]
mod tests;

//! How many ids two sets differ in, from 256 bytes of each.
//!
//! The tug-of-war sketch of Alon, Matias & Szegedy, "The space complexity of approximating the frequency moments",
//! STOC 1996. Every id pulls each counter up or down by one, as a keyed hash says. What two sets have in common pulls
//! alike on both sides, so the difference of two counters is the sum of d signs: its square is d on average, with a
//! variance of 2 d (d - 1). The mean over 128 counters has a standard error of sqrt(2 / 128) = 12.5 % of d.
//!
//! Invariant: the counters are a function of the key and the set alone, whatever order it grew in.

use super::sketch::{Key, draw};

/// How many counters: four times as many would halve the error.
pub const COUNTERS: usize = 128;

/// The bytes of the wire form: the counters in order, little-endian.
pub const WIRE_BYTES: usize = 2 * COUNTERS;

/// Parts these hashes from those that the cells of a sketch are chosen by.
const STREAM: u64 = 1 << 32;

/// What the set pulled so far: 256 bytes and the key.
///
/// The counters wrap at 16 bits. A set may have any size; a difference is told right as long as d signs stay within
/// half of that, which they do (beyond five standard deviations) up to d = 40 million. Beyond, more looks like less.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Estimator {
    key: Key,
    counters: [i16; COUNTERS],
}

impl Estimator {
    /// The empty set.
    pub fn new(key: Key) -> Estimator {
        Estimator {
            key,
            counters: [0; COUNTERS],
        }
    }

    /// Puts an id in, which must not be there. 128 additions, without a branch.
    pub fn add(&mut self, id: u64) {
        self.pull(id, 0);
    }

    /// Takes an id out, which must be there.
    pub fn remove(&mut self, id: u64) {
        self.pull(id, u64::MAX);
    }

    /// The wire form.
    pub fn to_wire(&self) -> [u8; WIRE_BYTES] {
        let mut bytes = [0; WIRE_BYTES];
        for (pair, counter) in bytes.as_chunks_mut().0.iter_mut().zip(self.counters) {
            *pair = counter.to_le_bytes();
        }
        bytes
    }

    /// Reads the wire form of a peer with the same key; None unless it has [`WIRE_BYTES`].
    pub fn from_wire(key: Key, bytes: &[u8]) -> Option<Estimator> {
        let bytes: &[u8; WIRE_BYTES] = bytes.try_into().ok()?;
        let mut counters = [0; COUNTERS];
        for (counter, pair) in counters.iter_mut().zip(bytes.as_chunks().0) {
            *counter = i16::from_le_bytes(*pair);
        }
        Some(Estimator { key, counters })
    }

    /// About how many ids are in one set and not in the other: exact for 0 and 1, else with a standard error of
    /// 12.5 %. A forged peer can make it any number up to 2^30.
    pub fn difference(&self, other: &Estimator) -> u64 {
        let squares: u64 = self
            .counters
            .iter()
            .zip(&other.counters)
            .map(|(a, b)| u64::from(a.wrapping_sub(*b).unsigned_abs()).pow(2))
            .sum();
        (squares + COUNTERS as u64 / 2) / COUNTERS as u64
    }

    /// 128 bits of hash, in eight words of 16: bit b of word w pulls counter 8 b + w, down where it is set, up where
    /// not; `flip` turns all around. So laid out, a compiler does eight or more at once.
    #[inline]
    fn pull(&mut self, id: u64, flip: u64) {
        let hash = self.key.hash(id);
        let bits = [draw(hash, STREAM) ^ flip, draw(hash, STREAM + 1) ^ flip];
        let words: [i16; 8] = std::array::from_fn(|word| (bits[word / 4] >> (16 * (word % 4))) as i16);
        for (bit, counters) in self.counters.as_chunks_mut::<8>().0.iter_mut().enumerate() {
            for (counter, word) in counters.iter_mut().zip(words) {
                let down = word << (15 - bit) >> 15;
                *counter = counter.wrapping_add(down | 1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(seed: u64) -> Key {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&draw(seed, 0).to_le_bytes());
        Key(bytes)
    }

    fn of(key: Key, ids: impl IntoIterator<Item = u64>) -> Estimator {
        let mut estimator = Estimator::new(key);
        for id in ids {
            estimator.add(id);
        }
        estimator
    }

    /// The mean over some keys lies within four standard errors, and single ones spread no more than they should.
    #[test]
    fn estimates_are_true_on_average_and_within_their_error() {
        for (d, seeds) in [(10, 200), (100, 200), (1000, 100), (10_000, 20), (100_000, 4)] {
            let estimates: Vec<f64> = (0..seeds)
                .map(|seed| {
                    let ours = of(key(seed), (0..200 + d / 3).map(|index| draw(seed, index)));
                    let theirs = of(
                        key(seed),
                        (0..200)
                            .chain(1_000_000..1_000_000 + d - d / 3)
                            .map(|index| draw(seed, index)),
                    );
                    ours.difference(&theirs) as f64 / d as f64 - 1.0
                })
                .collect();
            let mean = estimates.iter().sum::<f64>() / seeds as f64;
            let spread = (estimates.iter().map(|e| e * e).sum::<f64>() / seeds as f64).sqrt();
            assert!(mean.abs() < 4.0 * 0.125 / (seeds as f64).sqrt(), "{d}: {mean}");
            assert!(spread < 0.25, "{d}: {spread}");
            assert!(seeds < 100 || (0.09..0.16).contains(&spread), "{d}: {spread}");
        }
    }

    #[test]
    fn nothing_and_one_are_exact() {
        let (none, one) = (Estimator::new(key(1)), of(key(1), [7]));
        assert_eq!(none.difference(&none), 0);
        assert_eq!(none.difference(&one), 1);
        assert_eq!(one.difference(&none), 1);
    }

    /// Two hubs must agree on every sign for ever: to change this is to change the protocol.
    #[test]
    fn an_id_pulls_its_way_for_ever() {
        let counters = of(key(1), [1]).counters;
        let signs = counters
            .iter()
            .fold(0_u128, |signs, counter| signs << 1 | u128::from(*counter == 1));
        assert_eq!(signs, 0xc6b9_e7cf_1c2d_7967_c0e7_2fcc_064c_a4d7);
    }

    #[test]
    fn another_key_pulls_another_way() {
        assert_ne!(of(key(1), [7]).counters, of(key(2), [7]).counters);
    }

    #[test]
    fn counters_wrap() {
        let mut ours = Estimator::new(key(1));
        ours.counters = [i16::MAX; COUNTERS];
        let mut theirs = ours.clone();
        for id in 0..100 {
            theirs.add(id);
        }
        assert!((50..200).contains(&ours.difference(&theirs)));
        for id in 0..100 {
            theirs.remove(id);
        }
        assert_eq!(ours, theirs);
    }

    proptest! {
        #[test]
        fn order_makes_no_difference_and_remove_takes_out(
            ids in prop::collection::vec(any::<u64>(), 0..50).prop_shuffle(), more: Vec<u64>,
        ) {
            let mut sorted = ids.clone();
            sorted.sort_unstable();
            let whole = of(key(3), sorted);
            let mut other = of(key(3), more.iter().chain(&ids).copied());
            for id in more {
                other.remove(id);
            }
            prop_assert_eq!(other, whole);
        }

        #[test]
        fn the_wire_form_comes_back(ids: Vec<u64>, wrong in 0..600_usize) {
            let estimator = of(key(4), ids);
            let bytes = estimator.to_wire();
            prop_assert_eq!(Estimator::from_wire(key(4), &bytes), Some(estimator));
            prop_assert_eq!(Estimator::from_wire(key(4), &vec![0; wrong]).is_some(), wrong == WIRE_BYTES);
        }
    }
}

//! PinSketch: the exact difference of two sets of ids from 8 bytes for each id that may differ.
//!
//! Dodis, Reyzin & Smith, "Fuzzy extractors", EUROCRYPT 2004; the algorithms are those of minisketch
//! (github.com/sipa/minisketch). The sums of the odd powers of all ids, in the field of 2^64 elements, are the
//! syndromes of a BCH code: what two sets have in common cancels out, and c sums tell apart all differences of up to c
//! ids. They are the coefficients of a recurrence (Berlekamp & Massey find it) whose polynomial has the ids as its roots
//! (Berlekamp's trace algorithm finds those).
//!
//! As few bytes as can be, 8 for each id, but the work grows with the square of the capacity: for small differences.
//!
//! Invariant: syndromes are a function of the set alone, whatever order it grew in, and those of a smaller capacity are
//! a prefix of those of a larger one.

mod field;
mod roots;

#[cfg(test)]
mod tests;

use field::{Times, invert, multiply, square};

/// No sketch holds more: it bounds what a forged one can cost, to some 10 ms.
pub const CAPACITY_MAX: usize = 64;

/// The sums of the odd powers of a set of ids: 8 bytes each, in memory and on the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Syndromes {
    /// Number i is the sum of the powers 2 i + 1.
    odd: Vec<u64>,
}

impl Syndromes {
    /// The empty set. Differences of up to `capacity` ids (1 to [`CAPACITY_MAX`]) can be found.
    pub fn new(capacity: usize) -> Syndromes {
        assert!(
            (1..=CAPACITY_MAX).contains(&capacity),
            "a capacity of {capacity} ids"
        );
        Syndromes {
            odd: vec![0; capacity],
        }
    }

    /// Puts an id in, or takes it out: twice is nothing. It must not be 0, which leaves no trace in any sum.
    /// As many products as the capacity.
    pub fn toggle(&mut self, id: u64) {
        assert!(id != 0, "an id of 0 cannot be kept");
        let squared = square(id);
        // Two rows of powers side by side, as each product waits for the one before it.
        let times = Times::new(square(squared));
        let mut powers = [id, multiply(squared, id)];
        let (pairs, last) = self.odd.as_chunks_mut::<2>();
        for sums in pairs {
            sums[0] ^= powers[0];
            sums[1] ^= powers[1];
            powers = [times.of(powers[0]), times.of(powers[1])];
        }
        if let [sum] = last {
            *sum ^= powers[0];
        }
    }

    /// How many ids the difference may have.
    pub fn capacity(&self) -> usize {
        self.odd.len()
    }

    /// The wire form: the sums in order, little-endian.
    pub fn to_wire(&self) -> Vec<u8> {
        self.odd.iter().flat_map(|sum| sum.to_le_bytes()).collect()
    }

    /// Reads the wire form; None unless it holds 1 to [`CAPACITY_MAX`] sums.
    pub fn from_wire(bytes: &[u8]) -> Option<Syndromes> {
        let (sums, rest) = bytes.as_chunks();
        let fits = rest.is_empty() && (1..=CAPACITY_MAX).contains(&sums.len());
        fits.then(|| Syndromes {
            odd: sums.iter().map(|sum| u64::from_le_bytes(*sum)).collect(),
        })
    }

    /// The syndromes of the ids that one side has and the other has not, with the smaller capacity of the two.
    pub fn difference(&self, other: &Syndromes) -> Syndromes {
        Syndromes {
            odd: self.odd.iter().zip(&other.odd).map(|(a, b)| a ^ b).collect(),
        }
    }

    /// The ids of the set, ascending: exact if there are no more of them than the capacity c.
    ///
    /// None if there are more, or if no set has these syndromes. With a probability of about 1 / c! more ids look
    /// like c others that nobody holds (1 in 479 million for c = 12): there are sets of c ids for so many syndromes.
    /// O(c^2) products for the recurrence and O(64 d log d + 32 d^2) for the roots; see [`CAPACITY_MAX`] for the worst.
    pub fn decode(&self) -> Option<Vec<u64>> {
        let mut ids = roots::roots(self.locator()?)?;
        let mut again = Syndromes::new(self.capacity());
        for id in &ids {
            again.toggle(*id);
        }
        ids.sort_unstable();
        (again == *self).then_some(ids)
    }

    /// The monic polynomial, without its leading 1, whose roots are the ids: the shortest recurrence that all
    /// syndromes obey (Massey 1969). None if it is longer than the capacity, or 0 is a root.
    fn locator(&self) -> Option<Vec<u64>> {
        let capacity = self.capacity();
        // Number n is the sum of the powers n + 1; squares of sums are sums of squares.
        let mut sums: Vec<u64> = vec![0; 2 * capacity];
        for n in 0..2 * capacity {
            sums[n] = if n % 2 == 0 {
                self.odd[n / 2]
            } else {
                square(sums[n / 2])
            };
        }
        let sums: Vec<Times> = sums.into_iter().map(Times::new).collect();
        let (mut current, mut before) = (vec![1_u64], vec![1_u64]);
        let mut discrepancy_before = 1;
        // The odd ones follow from those before them and never disagree.
        for n in (0..2 * capacity).step_by(2) {
            let discrepancy = current
                .iter()
                .enumerate()
                .fold(0, |sum, (index, c)| sum ^ sums[n - index].of(*c));
            if discrepancy == 0 {
                continue;
            }
            let (length, shift) = (current.len() - 1, n + 2 - current.len() - (before.len() - 1));
            let factor = Times::new(multiply(discrepancy, invert(discrepancy_before)));
            let grows = 2 * length <= n;
            let old = current.clone();
            if grows {
                if before.len() + shift - 1 > capacity {
                    return None;
                }
                current.resize(before.len() + shift, 0);
            }
            for (index, c) in before.iter().enumerate() {
                current[index + shift] ^= factor.of(*c);
            }
            if grows {
                before = old;
                discrepancy_before = discrepancy;
            }
        }
        if current.last() == Some(&0) {
            return None;
        }
        // The constant is 1; read backwards it leads.
        current.reverse();
        current.pop();
        Some(current)
    }
}

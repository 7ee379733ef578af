//! The roots of a polynomial over the field of 2^64 elements, if it has as many different ones as its degree.
//!
//! The trace algorithm of Berlekamp, "Factoring polynomials over large finite fields", 1970. The trace
//! Tr(a) = a + a^2 + a^4 + ... + a^(2^63) is 0 for half of all elements and 1 for the others, so the common divisor of f
//! and Tr(b x) holds about half of the roots; of two different roots one of the 64 b of a basis tells one from the other.
//!
//! Polynomials are lists of coefficients, the constant first. Of a `Monic` one the leading 1 is left out.

use super::field::{Times, invert, square};

type Monic = Vec<u64>;

/// The bits of an element: after so many squares it is itself again.
const BITS: usize = 64;

/// All roots of a monic polynomial; None unless they are different and all in the field.
///
/// For degree d about 32 d^2 products, and 64 d + 2 d^2 more for each split: about 2 log2 d of them, at worst 64.
pub(super) fn roots(f: Monic) -> Option<Vec<u64>> {
    let powers = if f.len() > 1 { frobenius(&f)? } else { Vec::new() };
    let mut roots = Vec::with_capacity(f.len());
    let mut factors = vec![f];
    for bit in 0..=BITS {
        factors.retain(|factor| {
            if let [root] = factor[..] {
                roots.push(root);
            }
            factor.len() > 1
        });
        if factors.is_empty() {
            return Some(roots);
        }
        assert!(bit < BITS, "every b of the basis leaves {factors:?} whole");
        let trace = trace(1 << bit, &powers);
        factors = factors
            .into_iter()
            .flat_map(|factor| split(factor, &trace))
            .collect();
    }
    unreachable!("the last round returns or panics")
}

/// x^(2^i) modulo f for i below 64; None unless x^(2^64) comes back to x, which is to say that f is a product of
/// different x - r. Of degree 2 at least.
fn frobenius(f: &Monic) -> Option<Vec<Vec<u64>>> {
    let degree = f.len();
    // Squaring is linear in the squares of the coefficients: x^m modulo f for every even m from the degree on.
    let mut far = Vec::new();
    let mut power = f.clone();
    for exponent in degree..2 * degree - 1 {
        if exponent % 2 == 0 {
            far.push(power.clone());
        }
        let top = Times::new(power[degree - 1]);
        power.rotate_right(1);
        power[0] = 0;
        add(&mut power, &top, f);
    }
    let squared = |power: &Vec<u64>| {
        let mut sum = vec![0; degree];
        for (index, coefficient) in power.iter().enumerate() {
            let own = square(*coefficient);
            match (2 * index).checked_sub(degree + degree % 2) {
                None => sum[2 * index] ^= own,
                Some(beyond) => add(&mut sum, &Times::new(own), &far[beyond / 2]),
            }
        }
        sum
    };
    let mut x = vec![0; degree];
    x[1] = 1;
    let mut powers = vec![x];
    for index in 1..=BITS {
        powers.push(squared(&powers[index - 1]));
    }
    (powers.pop()? == powers[0]).then_some(powers)
}

/// Tr(b x) modulo f: the sum of b^(2^i) times x^(2^i).
fn trace(b: u64, powers: &[Vec<u64>]) -> Vec<u64> {
    let mut sum = vec![0; powers[0].len()];
    let mut b = b;
    for power in powers {
        add(&mut sum, &Times::new(b), power);
        b = square(b);
    }
    sum
}

/// The factors of one: those roots whose trace is 0, and those whose trace is 1.
fn split(factor: Monic, trace: &[u64]) -> Vec<Monic> {
    let zeros = common(factor.clone(), trace.to_vec());
    if zeros.is_empty() || zeros.len() == factor.len() {
        return vec![factor];
    }
    let mut rest = factor;
    rest.push(1);
    let mut ones = divide(&mut rest, &zeros);
    ones.pop();
    vec![zeros, ones]
}

/// The greatest common divisor (Euclid).
fn common(mut a: Monic, mut b: Vec<u64>) -> Monic {
    divide(&mut b, &a);
    loop {
        while b.last() == Some(&0) {
            b.pop();
        }
        let Some(top) = b.pop() else { return a };
        let over = Times::new(invert(top));
        for coefficient in &mut b {
            *coefficient = over.of(*coefficient);
        }
        a.push(1);
        divide(&mut a, &b);
        std::mem::swap(&mut a, &mut b);
    }
}

/// The quotient; what is left over stays in `a`.
fn divide(a: &mut Vec<u64>, by: &Monic) -> Vec<u64> {
    let mut quotient = Vec::new();
    while a.len() > by.len() {
        let top = a.pop().expect("longer than another");
        let from = a.len() - by.len();
        add(&mut a[from..], &Times::new(top), by);
        quotient.push(top);
    }
    quotient.reverse();
    quotient
}

/// Adds a multiple.
fn add(sum: &mut [u64], times: &Times, a: &[u64]) {
    for (sum, a) in sum.iter_mut().zip(a) {
        *sum ^= times.of(*a);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::super::field::multiply;
    use super::*;

    fn product(roots: &[u64]) -> Monic {
        let mut f = vec![1];
        for root in roots {
            let mut next = [vec![0], f.clone()].concat();
            add(&mut next, &Times::new(*root), &f);
            f = next;
        }
        f.pop();
        f
    }

    #[test]
    fn a_polynomial_without_roots_has_none() {
        // x^2 + x + c has roots exactly if the trace of c is 0.
        let trace = |c: u64| (0..63).fold((c, c), |(sum, a), _| (sum ^ square(a), square(a))).0;
        for c in (0..64).map(|bit| 1 << bit) {
            assert_eq!(roots(vec![c, 1]).is_some(), trace(c) == 0, "{c}");
        }
        assert_eq!((trace(1 << 60), trace(1 << 61)), (0, 1));
    }

    #[test]
    fn double_roots_are_none() {
        assert_eq!(roots(product(&[7, 7])), None);
        assert_eq!(roots(product(&[7, 9, 7])), None);
        assert_eq!(
            roots(product(&[7, 9])).map(BTreeSet::from_iter),
            Some(BTreeSet::from([7, 9]))
        );
    }

    /// Roots whose traces agree for 63 of the 64 b.
    #[test]
    fn the_worst_roots_take_the_whole_basis() {
        let traces = |a: u64| {
            (0..64).fold(0, |sum, bit| {
                let mut power = multiply(1 << bit, a);
                let trace = (0..63).fold(power, |sum, _| {
                    power = square(power);
                    sum ^ power
                });
                sum | trace << bit
            })
        };
        // Gauss: the combination of single bits whose traces are those of the last b alone.
        let mut rows: Vec<(u64, u64)> = (0..64).map(|bit| (traces(1 << bit), 1 << bit)).collect();
        for bit in 0..64 {
            let pivot = (bit..64).find(|row| rows[*row].0 >> bit & 1 == 1).unwrap();
            rows.swap(bit, pivot);
            let (traces, a) = rows[bit];
            for (other, row) in rows.iter_mut().enumerate() {
                if other != bit && row.0 >> bit & 1 == 1 {
                    *row = (row.0 ^ traces, row.1 ^ a);
                }
            }
        }
        let near = [5, 5 ^ rows[63].1];
        assert_eq!(
            roots(product(&near)).map(BTreeSet::from_iter),
            Some(BTreeSet::from(near))
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn roots_are_found(of in prop::collection::btree_set(any::<u64>(), 0..25)) {
            let f = product(&of.iter().copied().collect::<Vec<_>>());
            prop_assert_eq!(roots(f).map(BTreeSet::from_iter), Some(of));
        }
    }
}

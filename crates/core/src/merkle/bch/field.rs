//! The field of 2^64 elements: polynomials over GF(2) modulo x^64 + x^4 + x^3 + x + 1, bit n of a word for x^n.
//!
//! Adding is xor. Multiplying goes through a table of the sixteen multiples that four bits can ask for, as no
//! instruction for it is to be had without `unsafe`. Time depends on no value but through the cache.

/// x^64, reduced.
const MODULUS: u64 = 0b1_1011;

fn double(a: u64) -> u64 {
    a << 1 ^ (MODULUS & (a >> 63).wrapping_neg())
}

/// `high` times x^64 as far as it fits, which is all of it below 2^60.
fn fold(high: u64) -> u64 {
    high ^ high << 1 ^ high << 3 ^ high << 4
}

/// Multiplies by one element again and again: 128 bytes, made by 14 operations.
#[derive(Clone, Copy)]
pub(super) struct Times([u64; 16]);

impl Times {
    pub(super) fn new(a: u64) -> Times {
        let mut multiples = [0; 16];
        multiples[1] = a;
        for half in 1..8 {
            multiples[2 * half] = double(multiples[half]);
            multiples[2 * half + 1] = multiples[2 * half] ^ a;
        }
        Times(multiples)
    }

    #[inline]
    pub(super) fn of(&self, b: u64) -> u64 {
        let multiple = |place: usize| self.0[(b >> (4 * place)) as usize & 15];
        let (mut low, mut high) = (multiple(0), 0);
        for place in 1..16 {
            low ^= multiple(place) << (4 * place);
            high ^= multiple(place) >> (64 - 4 * place);
        }
        // What is above x^64 has no more than 60 bits, so that one fold reduces it.
        low ^ fold(high)
    }
}

pub(super) fn multiply(a: u64, b: u64) -> u64 {
    Times::new(a).of(b)
}

pub(super) fn square(a: u64) -> u64 {
    let (low, high) = (spread(a as u32), spread((a >> 32) as u32));
    low ^ fold(high) ^ fold(high >> 63 ^ high >> 61 ^ high >> 60)
}

/// A zero before every bit.
fn spread(half: u32) -> u64 {
    let mut a = u64::from(half);
    a = (a | a << 16) & 0x0000_ffff_0000_ffff;
    a = (a | a << 8) & 0x00ff_00ff_00ff_00ff;
    a = (a | a << 4) & 0x0f0f_0f0f_0f0f_0f0f;
    a = (a | a << 2) & 0x3333_3333_3333_3333;
    (a | a << 1) & 0x5555_5555_5555_5555
}

/// One over `a`, which is a^(2^64 - 2): 63 squares and 10 products (Itoh & Tsujii 1988). That of 0 is 0.
pub(super) fn invert(a: u64) -> u64 {
    // a^(2^bits - 1), for 1, 3, 7, 15, 31, 63 bits.
    let mut power = a;
    for bits in [1, 3, 7, 15, 31] {
        let shifted = (0..bits).fold(power, |power, _| square(power));
        power = multiply(square(multiply(shifted, power)), a);
    }
    square(power)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn by_hand(a: u64, b: u64) -> u64 {
        (0..64)
            .rev()
            .fold(0, |sum, bit| double(sum) ^ (a & (b >> bit & 1).wrapping_neg()))
    }

    #[test]
    fn x_to_the_64th_is_the_modulus() {
        assert_eq!(multiply(1 << 63, 2), MODULUS);
        assert_eq!(square(1 << 32), MODULUS);
    }

    proptest! {
        #[test]
        fn products_are_what_they_are_by_hand(a: u64, b: u64) {
            prop_assert_eq!(multiply(a, b), by_hand(a, b));
            prop_assert_eq!(multiply(b, a), by_hand(a, b));
            prop_assert_eq!(square(a), by_hand(a, a));
        }

        #[test]
        fn products_distribute(a: u64, b: u64, c: u64) {
            prop_assert_eq!(multiply(a, b ^ c), multiply(a, b) ^ multiply(a, c));
            prop_assert_eq!(multiply(a, multiply(b, c)), multiply(multiply(a, b), c));
        }

        #[test]
        fn an_inverse_multiplies_to_one(a in 1..u64::MAX) {
            prop_assert_eq!(multiply(a, invert(a)), 1);
            prop_assert_eq!((0..64).fold(a, |power, _| square(power)), a);
        }
    }
}

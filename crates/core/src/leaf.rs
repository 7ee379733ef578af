//! Leaves: what anti-entropy compares of a record, where it stands among all, and sums that do not depend on order.
//!
//! Invariant: a leaf follows from (id, digest, order time, resolved parents) alone, never from stored bytes; so content
//! that was forgotten is no difference.

use crate::hash::Digest;
use crate::id::{Id, Version};
use crate::time::Micros;

/// Bytes of a [`Position`] in keys.
pub const POSITION_BYTES: usize = 3;

/// Where an id and all its records stand: the first 24 bits of SHA-256 over the id. Uniform whatever ids look like, so
/// that a range of positions holds its share of all records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(pub u32);

impl Position {
    /// How many there are.
    pub const ALL: u32 = 1 << 24;

    /// Of an id.
    pub fn of(id: &Id) -> Position {
        let hash = Digest::of(id.as_str().as_bytes()).0;
        Position(u32::from_be_bytes([0, hash[0], hash[1], hash[2]]))
    }

    /// In keys.
    pub fn bytes(self) -> [u8; POSITION_BYTES] {
        let [_, a, b, c] = self.0.to_be_bytes();
        [a, b, c]
    }

    /// From the beginning of a key.
    pub fn of_key(key: &[u8]) -> Option<Position> {
        let (bytes, _) = key.split_first_chunk::<POSITION_BYTES>()?;
        Some(Position(u32::from_be_bytes([0, bytes[0], bytes[1], bytes[2]])))
    }
}

/// What stands for one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Leaf {
    /// Of its id.
    pub position: Position,
    /// SHA-256 of what is compared: see [`Leaf::of`].
    pub hash: Digest,
}

impl Leaf {
    /// Hashes, one after the other: the length of the id (1 byte) and the id; the digest (32 bytes); the order time in
    /// microseconds (8 bytes, big-endian); how many parents are resolved (4 bytes, big-endian) and their digests, sorted;
    /// then, for each parent's name that some accepting hub did not know, sorted, its length (1 byte) and the name.
    pub fn of(id: &Id, digest: &Digest, order_time: Micros, edges: &[Digest], late: &[Version]) -> Leaf {
        let mut bytes = Vec::with_capacity(128 + 32 * edges.len());
        bytes.push(id.as_str().len() as u8);
        bytes.extend_from_slice(id.as_str().as_bytes());
        bytes.extend_from_slice(&digest.0);
        bytes.extend_from_slice(&order_time.0.to_be_bytes());
        bytes.extend_from_slice(&(edges.len() as u32).to_be_bytes());
        edges.iter().for_each(|edge| bytes.extend_from_slice(&edge.0));
        for name in late {
            bytes.push(name.as_str().len() as u8);
            bytes.extend_from_slice(name.as_str().as_bytes());
        }
        Leaf {
            position: Position::of(id),
            hash: Digest::of(&bytes),
        }
    }
}

/// A sum of hashes mod 2^256, each read as a big-endian number: the same for a set whatever the order, and kept up with
/// one addition a change (Bellare & Micciancio 1997, AdHash).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sum([u64; 4]);

impl Sum {
    /// Nothing.
    pub const ZERO: Sum = Sum([0; 4]);

    fn limbs(bytes: &[u8; 32]) -> [u64; 4] {
        let limb = |at: usize| {
            let mut eight = [0; 8];
            eight.copy_from_slice(&bytes[8 * at..8 * at + 8]);
            u64::from_be_bytes(eight)
        };
        [limb(0), limb(1), limb(2), limb(3)]
    }

    /// Puts a hash in.
    pub fn add(&mut self, hash: &[u8; 32]) {
        self.plus(&Sum(Sum::limbs(hash)));
    }

    /// Takes a hash out.
    pub fn take(&mut self, hash: &[u8; 32]) {
        self.minus(&Sum(Sum::limbs(hash)));
    }

    /// Adds another sum.
    pub fn plus(&mut self, other: &Sum) {
        let mut carry = false;
        for at in (0..4).rev() {
            let (sum, over) = self.0[at].overflowing_add(other.0[at]);
            let (sum, over_again) = sum.overflowing_add(u64::from(carry));
            self.0[at] = sum;
            carry = over | over_again;
        }
    }

    /// Takes another sum away.
    pub fn minus(&mut self, other: &Sum) {
        let mut borrow = false;
        for at in (0..4).rev() {
            let (rest, under) = self.0[at].overflowing_sub(other.0[at]);
            let (rest, under_again) = rest.overflowing_sub(u64::from(borrow));
            self.0[at] = rest;
            borrow = under | under_again;
        }
    }

    /// Big-endian.
    pub fn to_bytes(self) -> [u8; 32] {
        let mut bytes = [0; 32];
        for (eight, limb) in bytes.chunks_exact_mut(8).zip(self.0) {
            eight.copy_from_slice(&limb.to_be_bytes());
        }
        bytes
    }

    /// Back from [`Sum::to_bytes`].
    pub fn from_bytes(bytes: &[u8; 32]) -> Sum {
        Sum(Sum::limbs(bytes))
    }
}

/// What a client compares with a hub: SHA-256 over how many records there are (8 bytes, big-endian) and the sum of their
/// leaves' hashes (32 bytes). Equal digests mean equal records and stamps. Not keyed, so that any client can work it out; it tells a
/// damaged replica, and proves nothing against somebody who writes records in order to deceive.
pub fn state_digest(records: u64, sum: &Sum) -> Digest {
    let mut bytes = [0; 40];
    bytes[..8].copy_from_slice(&records.to_be_bytes());
    bytes[8..].copy_from_slice(&sum.to_bytes());
    Digest::of(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_leaf_and_a_state_have_fixed_hashes() {
        let id = Id::new("0b3f").unwrap();
        let leaf = Leaf::of(
            &id,
            &Digest([1; 32]),
            Micros(1_781_516_462_581_234),
            &[Digest([2; 32])],
            &[Version::new("v0").unwrap()],
        );
        assert_eq!(
            leaf.hash.to_string(),
            "4a1c8f74b9d0c5ffdcb01a7ec5eb8269233aba4d101fae5a088e117141791119"
        );
        assert_eq!(Position::of_key(&leaf.position.bytes()), Some(leaf.position));
        let mut sum = Sum::ZERO;
        sum.add(&leaf.hash.0);
        assert_eq!(
            state_digest(1, &sum).to_string(),
            "4a18e1ac4a1ff8ea246ac33debfa4e4b68b7f9b81c78eba3a2fe10ac5d759a68"
        );
    }

    #[test]
    fn what_bears_on_a_leaf_changes_it() {
        let id = Id::new("a").unwrap();
        let other = Id::new("b").unwrap();
        let (one, two) = (Digest([1; 32]), Digest([2; 32]));
        let name = Version::new("v").unwrap();
        let leaves = [
            Leaf::of(&id, &one, Micros(1), &[], &[]),
            Leaf::of(&other, &one, Micros(1), &[], &[]),
            Leaf::of(&id, &two, Micros(1), &[], &[]),
            Leaf::of(&id, &one, Micros(2), &[], &[]),
            Leaf::of(&id, &one, Micros(1), &[two], &[]),
            Leaf::of(&id, &one, Micros(1), &[], &[name]),
        ];
        for (at, leaf) in leaves.iter().enumerate() {
            assert!(leaves[..at].iter().all(|before| before.hash != leaf.hash));
        }
    }

    proptest! {
        #[test]
        fn sums_are_a_group(a in any::<[u8; 32]>(), b in any::<[u8; 32]>(), c in any::<[u8; 32]>()) {
            let sum = |order: [&[u8; 32]; 3]| {
                let mut sum = Sum::ZERO;
                order.into_iter().for_each(|hash| sum.add(hash));
                sum
            };
            let all = sum([&a, &b, &c]);
            prop_assert_eq!(all, sum([&c, &a, &b]));
            prop_assert_eq!(Sum::from_bytes(&all.to_bytes()), all);
            let mut rest = all;
            rest.take(&b);
            rest.take(&a);
            prop_assert_eq!(rest.to_bytes(), c);
            rest.take(&c);
            prop_assert_eq!(rest, Sum::ZERO);
        }
    }
}

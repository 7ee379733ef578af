//! Vector clocks with checks: how far each replica's log is durable somewhere, and which chain that is.
//!
//! Invariant: a component only stands for entries whose whole `prev` chain is held.

use std::collections::BTreeMap;

use crate::hash::Check;
use crate::id::{Dot, ReplicaId};

/// How far one replica's log is held: the last entry's sequence and the first 8 bytes of its hash. A client may
/// leave the check out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Point {
    /// Of the last entry held.
    pub sequence: u64,
    /// Of that entry.
    pub check: Option<Check>,
}

/// The four answers to "which clock is later?".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Causality {
    /// Both hold the same.
    Equal,
    /// The first lacks something, the second nothing.
    Before,
    /// The second lacks something, the first nothing.
    After,
    /// Each lacks something.
    Concurrent,
}

/// A vector clock (Fidge 1988, Mattern 1989) over replicas.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Clock(BTreeMap<ReplicaId, Point>);

impl Clock {
    /// The clock of an empty store.
    pub fn new() -> Clock {
        Clock::default()
    }

    /// How far `replica` is held: 0 for not at all.
    pub fn sequence(&self, replica: &ReplicaId) -> u64 {
        self.0.get(replica).map_or(0, |point| point.sequence)
    }

    /// Sequence and check of one component.
    pub fn point(&self, replica: &ReplicaId) -> Option<Point> {
        self.0.get(replica).copied()
    }

    /// Whether the entry at `dot` is held.
    pub fn covers(&self, dot: Dot) -> bool {
        self.sequence(&dot.replica) >= dot.sequence
    }

    /// Sets one component, forwards or (after a fork) backwards; sequence 0 takes it out.
    pub fn set(&mut self, replica: ReplicaId, sequence: u64, check: Option<Check>) {
        if sequence == 0 {
            self.0.remove(&replica);
        } else {
            self.0.insert(replica, Point { sequence, check });
        }
    }

    /// The component-wise maximum; the check goes with the larger sequence.
    pub fn join(&mut self, other: &Clock) {
        for (replica, point) in &other.0 {
            if point.sequence > self.sequence(replica) {
                self.0.insert(*replica, *point);
            }
        }
    }

    /// Compares by sequences alone; see [`Clock::forks`] for chains that differ.
    pub fn compare(&self, other: &Clock) -> Causality {
        match (self.lacks(other), other.lacks(self)) {
            (false, false) => Causality::Equal,
            (true, false) => Causality::Before,
            (false, true) => Causality::After,
            (true, true) => Causality::Concurrent,
        }
    }

    /// Whether `other` holds something that this one does not.
    pub fn lacks(&self, other: &Clock) -> bool {
        other
            .0
            .iter()
            .any(|(replica, point)| self.sequence(replica) < point.sequence)
    }

    /// Replicas whose component stands at the same sequence with another check: forks seen at a glance.
    pub fn forks(&self, other: &Clock) -> Vec<ReplicaId> {
        let differs = |replica: &&ReplicaId| match (self.0.get(*replica), other.0.get(*replica)) {
            (Some(a), Some(b)) => {
                a.sequence == b.sequence && matches!((a.check, b.check), (Some(x), Some(y)) if x != y)
            }
            _ => false,
        };
        self.0.keys().filter(differs).copied().collect()
    }

    /// The components in the order of their replicas.
    pub fn iter(&self) -> impl Iterator<Item = (&ReplicaId, &Point)> {
        self.0.iter()
    }

    /// How many components it has.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing is held.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<(ReplicaId, Point)> for Clock {
    fn from_iter<I: IntoIterator<Item = (ReplicaId, Point)>>(points: I) -> Clock {
        Clock(
            points
                .into_iter()
                .filter(|(_, point)| point.sequence > 0)
                .collect(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn clock(points: &[(u8, u64)]) -> Clock {
        points
            .iter()
            .map(|(replica, sequence)| {
                (
                    ReplicaId([*replica; 16]),
                    Point {
                        sequence: *sequence,
                        check: None,
                    },
                )
            })
            .collect()
    }

    #[test]
    fn comparing_has_four_answers() {
        let cases = [
            (clock(&[]), clock(&[]), Causality::Equal),
            (clock(&[(1, 1)]), clock(&[(1, 2)]), Causality::Before),
            (clock(&[(1, 1), (2, 1)]), clock(&[(1, 1)]), Causality::After),
            (clock(&[(1, 1)]), clock(&[(2, 1)]), Causality::Concurrent),
        ];
        for (a, b, expected) in cases {
            assert_eq!(a.compare(&b), expected);
        }
    }

    #[test]
    fn a_fork_at_the_same_sequence_is_seen() {
        let replica = ReplicaId([1; 16]);
        let (mut a, mut b) = (Clock::new(), Clock::new());
        a.set(replica, 5, Some(Check([1; 8])));
        b.set(replica, 5, Some(Check([2; 8])));
        assert_eq!(a.forks(&b), vec![replica]);
        b.set(replica, 6, Some(Check([2; 8])));
        assert!(
            a.forks(&b).is_empty(),
            "a longer chain may hold ours: only its entries can tell"
        );
    }

    proptest! {
        #[test]
        fn join_is_commutative_associative_idempotent(a in points(), b in points(), c in points()) {
            let (a, b, c) = (clock(&a), clock(&b), clock(&c));
            let join = |x: &Clock, y: &Clock| { let mut z = x.clone(); z.join(y); z };
            prop_assert_eq!(join(&a, &b), join(&b, &a));
            prop_assert_eq!(join(&join(&a, &b), &c), join(&a, &join(&b, &c)));
            prop_assert_eq!(join(&a, &a), a.clone());
            prop_assert!(!join(&a, &b).lacks(&a), "a join holds both");
        }
    }

    fn points() -> impl Strategy<Value = Vec<(u8, u64)>> {
        proptest::collection::vec((0u8..4, 0u64..5), 0..4)
    }
}

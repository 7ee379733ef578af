//! What a PinSketch promises: the exact difference up to its capacity, None beyond, and an end on any input.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

fn of(capacity: usize, ids: impl IntoIterator<Item = u64>) -> Syndromes {
    let mut syndromes = Syndromes::new(capacity);
    for id in ids {
        syndromes.toggle(id);
    }
    syndromes
}

fn ids(count: impl Into<prop::collection::SizeRange>) -> impl Strategy<Value = BTreeSet<u64>> {
    prop::collection::btree_set(1..u64::MAX, count)
}

/// Two hubs must agree on every sum for ever: to change this is to change the protocol.
#[test]
fn the_powers_of_x_are_sums_for_ever() {
    // x, x^3, ..., x^63; x^65 = x^5 + x^4 + x^2 + x.
    let sums = of(33, [2]).odd;
    assert_eq!(
        sums[..32],
        std::array::from_fn::<u64, 32, _>(|index| 2 << (2 * index))
    );
    assert_eq!(sums[32], 0b11_0110);
}

#[test]
fn equal_sets_differ_in_nothing() {
    let syndromes = of(12, 1..1000);
    assert_eq!(syndromes.difference(&syndromes).decode(), Some(vec![]));
}

#[test]
#[should_panic(expected = "an id of 0")]
fn zero_is_no_id() {
    Syndromes::new(4).toggle(0);
}

/// One sum that is not 0 after zeros: a recurrence longer than the capacity, or a root of 0.
#[test]
fn syndromes_of_no_set_are_none() {
    for capacity in 2..=20 {
        for place in 1..capacity {
            let mut forged = Syndromes::new(capacity);
            forged.odd[place] = 5;
            assert_eq!(forged.decode(), None, "{place} of {capacity}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn up_to_the_capacity_it_is_exact(
        ours in ids(0..12), theirs in ids(0..12), common in ids(0..100), spare in 0..5_usize, other in 0..5_usize,
    ) {
        let differ: Vec<u64> = ours.symmetric_difference(&theirs).copied().collect();
        let capacity = (differ.len() + spare).max(1);
        let a = of(capacity, ours.into_iter().chain(common.iter().copied()));
        let b = of(capacity + other, theirs.into_iter().chain(common.iter().copied()));
        prop_assert_eq!(a.difference(&b).decode(), Some(differ.clone()));
        prop_assert_eq!(b.difference(&a).decode(), Some(differ));
    }

    #[test]
    fn small_ids_close_together_are_found(from in 1..1000_u64, count in 0..20_u64) {
        prop_assert_eq!(of(20, from..from + count).decode(), Some((from..from + count).collect()));
    }

    /// By chance one in 12! would pass.
    #[test]
    fn beyond_the_capacity_it_is_none(ids in ids(13..60), capacity in 12..20_usize) {
        prop_assume!(ids.len() > capacity);
        prop_assert_eq!(of(capacity, ids).decode(), None);
    }

    #[test]
    fn forged_sums_end(odd in prop::collection::vec(any::<u64>(), 12..CAPACITY_MAX)) {
        prop_assert_eq!(Syndromes { odd }.decode(), None);
    }

    #[test]
    fn order_makes_no_difference_and_twice_is_nothing(
        ids in prop::collection::vec(1..u64::MAX, 0..30).prop_shuffle(), capacity in 1..30_usize,
    ) {
        let mut sorted = ids.clone();
        sorted.sort_unstable();
        let whole = of(capacity, sorted);
        prop_assert_eq!(&of(capacity, ids.clone()), &whole);
        prop_assert_eq!(&of(capacity + 1, ids.clone()).odd[..capacity], &whole.odd);
        prop_assert_eq!(of(capacity, ids.iter().chain(&ids).copied()), Syndromes::new(capacity));
    }

    #[test]
    fn the_wire_form_comes_back(odd in prop::collection::vec(any::<u64>(), 1..=CAPACITY_MAX), wrong in 0..600_usize) {
        let syndromes = Syndromes { odd };
        let bytes = syndromes.to_wire();
        prop_assert_eq!(bytes.len(), 8 * syndromes.capacity());
        prop_assert_eq!(Syndromes::from_wire(&bytes), Some(syndromes));
        let whole = wrong % 8 == 0 && (8..=8 * CAPACITY_MAX).contains(&wrong);
        prop_assert_eq!(Syndromes::from_wire(&vec![0; wrong]).is_some(), whole);
    }
}

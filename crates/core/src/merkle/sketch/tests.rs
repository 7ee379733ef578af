//! What a sketch and its decoder promise, for sets of any size and cells of any origin.

use proptest::prelude::*;

use super::*;

const KEY: Key = Key(*b"the home's key..");

fn ids(seed: u64, count: usize) -> Vec<u64> {
    (0..count as u64).map(|index| draw(seed, index)).collect()
}

fn sketch(key: Key, cells: usize, ids: &[u64]) -> Sketch {
    let mut sketch = Sketch::new(key, cells);
    for id in ids {
        sketch.toggle(*id);
    }
    sketch
}

/// Decodes with cells handed over in pieces of these sizes, the last one again and again.
fn difference(ours: &Sketch, theirs: &Sketch, pieces: &[usize]) -> Option<Vec<u64>> {
    let cells = ours.cells.len();
    let mut decoder = Decoder::new(KEY, cells);
    let mut pieces = pieces.iter().chain(std::iter::repeat(pieces.last().unwrap()));
    while !decoder.is_done() {
        let from = decoder.taken();
        if from == cells || decoder.is_broken() {
            return None;
        }
        let to = from + *pieces.next().unwrap();
        decoder.extend(ours.cells(from..to), theirs.cells(from..to));
    }
    let mut found = decoder.found().to_vec();
    found.sort_unstable();
    Some(found)
}

fn expected(ours: &[u64], theirs: &[u64]) -> Vec<u64> {
    let (ours, theirs): (BTreeSet<_>, BTreeSet<_>) =
        (ours.iter().copied().collect(), theirs.iter().copied().collect());
    ours.symmetric_difference(&theirs).copied().collect()
}

/// The vector for the eight bytes 0 to 7 of the reference implementation (github.com/veorq/SipHash, 1-3).
#[test]
fn siphash_has_its_published_value() {
    let key = Key(std::array::from_fn(|index| index as u8));
    let id = u64::from_le_bytes(std::array::from_fn(|index| index as u8));
    assert_eq!(
        key.hash(id).to_le_bytes(),
        [0x8e, 0x9a, 0x29, 0x8d, 0x11, 0x95, 0x90, 0x36]
    );
}

/// Two hubs must agree on every cell for ever: to change this is to change the protocol.
#[test]
fn an_id_has_its_cells_for_ever() {
    let mut walk = Walk::new(KEY.hash(1));
    let places: Vec<u64> = std::iter::from_fn(|| {
        let at = walk.at();
        walk.step();
        Some(at)
    })
    .take(10)
    .collect();
    assert_eq!(places, [0_u64, 2, 4, 15, 16, 53, 61, 203, 277, 322]);
    assert_eq!(check(KEY.hash(1)), 0x36_26e0);
}

#[test]
fn a_walk_steps_forward_whatever_is_drawn() {
    for seed in 0..2000 {
        let mut walk = Walk::new(seed);
        while walk.at() < 1 << 48 {
            let from = walk.at();
            walk.step();
            assert!(walk.at() > from, "{walk:?}");
        }
    }
}

#[test]
fn cell_i_holds_an_id_with_the_probability_of_the_paper() {
    let mut held = [0_u32; 64];
    for id in 0..20_000 {
        let mut walk = Walk::new(KEY.hash(id));
        while walk.at() < 64 {
            held[walk.at() as usize] += 1;
            walk.step();
        }
    }
    for (index, held) in held.into_iter().enumerate() {
        let share = f64::from(held) / 20_000.0;
        let paper = 1.0 / (1.0 + index as f64 / 2.0);
        assert!((share / paper - 1.0).abs() < 0.15, "{index}: {share} {paper}");
    }
}

#[test]
fn equal_sets_need_one_cell() {
    let sketch = sketch(KEY, 8, &ids(1, 1000));
    assert_eq!(difference(&sketch, &sketch, &[1]), Some(vec![]));
}

#[test]
fn another_key_is_another_mapping() {
    let ids = ids(1, 100);
    let (one, other) = (sketch(KEY, 64, &ids), sketch(Key(*b"another home's.."), 64, &ids));
    let same = one.cells.iter().zip(&other.cells).filter(|(a, b)| a == b);
    assert_eq!(same.count(), 0);
}

#[test]
fn more_than_the_bound_is_broken() {
    let (ours, theirs) = (sketch(KEY, 400, &ids(1, 100)), Sketch::new(KEY, 400));
    let mut decoder = Decoder::new(KEY, 99);
    decoder.extend(&ours.cells, &theirs.cells);
    assert!(decoder.is_broken() && !decoder.is_done());
    assert_eq!(decoder.found().len(), 99);
}

/// The checks of 1 and 8,069,746 add up to that of their sum, as those of one pair in 2^24 do. Cell 0 alone cannot
/// tell. The others can: with them it comes out right, and once taken for one it is never confirmed.
#[test]
fn a_sum_that_passes_for_one_is_told_by_the_other_cells() {
    let (full, none) = (sketch(KEY, 100, &[1, 8_069_746]), Sketch::new(KEY, 100));
    assert_eq!(difference(&full, &none, &[8]), Some(vec![1, 8_069_746]));
    let mut decoder = Decoder::new(KEY, 100);
    decoder.extend(full.cells(0..1), none.cells(0..1));
    assert_eq!(
        (decoder.found(), decoder.is_done()),
        ([1 ^ 8_069_746].as_slice(), true)
    );
    for cell in 1..100 {
        decoder.extend(full.cells(cell..cell + 1), none.cells(cell..cell + 1));
        assert!(cell < 3 || !decoder.is_done());
    }
    assert!(decoder.is_broken());
}

/// A hub that knows the key sends an id that is in cell 3 only, and one whose cells lack cell 0.
#[test]
fn cells_of_no_set_are_broken_or_never_done() {
    let mut forged = sketch(KEY, 64, &[1, 2, 3]).cells;
    toggle_into(&KEY, &mut forged[..1], 0, 1);
    let mut decoder = Decoder::new(KEY, 1000);
    decoder.extend(&forged, &[Cell::default(); 64]);
    assert!(decoder.is_broken());

    let lone = (4..).find(|id| !maps(*id, 3)).unwrap();
    let mut forged = [Cell::default(); 64];
    forged[3].ids = lone;
    forged[3].checks = check(KEY.hash(lone));
    let mut decoder = Decoder::new(KEY, 1000);
    decoder.extend(&forged, &[Cell::default(); 64]);
    assert!(decoder.is_broken() && decoder.found().is_empty());
}

fn maps(id: u64, place: u64) -> bool {
    let mut walk = Walk::new(KEY.hash(id));
    while walk.at() < place {
        walk.step();
    }
    walk.at() == place
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_difference_of_any_size_is_found_exactly(
        seed: u64, common in 0..5000_usize, ours in 0..1500_usize, theirs in 0..1500_usize,
        small in 0..3_u32, piece in 1..200_usize,
    ) {
        let (ours, theirs) = (ours >> (5 * small), theirs >> (5 * small));
        let all = ids(seed, common + ours + theirs);
        let (a, b) = (&all[..common + ours], [&all[..common], &all[common + ours..]].concat());
        let cells = 2 * (ours + theirs) + 50;
        let found = difference(&sketch(KEY, cells, a), &sketch(KEY, cells, &b), &[piece]);
        prop_assert_eq!(found, Some(expected(a, &b)));
    }

    #[test]
    fn any_ids_are_found(a: BTreeSet<u64>, b: BTreeSet<u64>, near in 0..10_u64) {
        let (mut a, b): (Vec<_>, Vec<_>) = (a.into_iter().collect(), b.into_iter().collect());
        a.extend((0..near).filter(|id| !b.contains(id)));
        a.sort_unstable();
        a.dedup();
        let found = difference(&sketch(KEY, 1000, &a), &sketch(KEY, 1000, &b), &[1, 2, 3]);
        prop_assert_eq!(found, Some(expected(&a, &b)));
    }

    #[test]
    fn pieces_find_what_the_whole_finds(seed: u64, count in 0..300_usize, pieces in prop::collection::vec(1..50_usize, 1..20)) {
        let (full, none) = (sketch(KEY, 700, &ids(seed, count)), Sketch::new(KEY, 700));
        let whole = difference(&full, &none, &[700]);
        prop_assert!(whole.is_some());
        prop_assert_eq!(difference(&full, &none, &pieces), whole);
    }

    #[test]
    fn order_makes_no_cell_another(ids in prop::collection::vec(any::<u64>(), 0..50).prop_shuffle(), from in 0..100_usize) {
        let mut sorted = ids.clone();
        sorted.sort_unstable();
        let whole = sketch(KEY, 100, &sorted);
        prop_assert_eq!(&sketch(KEY, 100, &ids), &whole);
        let mut copied = vec![Cell::default(); 100 - from];
        for id in &ids {
            toggle_into(&KEY, &mut copied, from, *id);
        }
        prop_assert_eq!(&copied, &whole.cells[from..]);
    }

    #[test]
    fn twice_is_nothing(ids: Vec<u64>) {
        let twice = [ids.clone(), ids].concat();
        prop_assert_eq!(sketch(KEY, 100, &twice), Sketch::new(KEY, 100));
    }

    #[test]
    fn the_wire_form_comes_back(cells in prop::collection::vec((any::<u64>(), 0..1_u32 << 24), 0..20), extra in 1..WIRE_BYTES) {
        let cells: Vec<Cell> = cells.into_iter().map(|(ids, checks)| Cell { ids, checks }).collect();
        let mut bytes = encode(&cells);
        prop_assert_eq!(bytes.len(), cells.len() * WIRE_BYTES);
        prop_assert_eq!(decode(&bytes), Some(cells));
        bytes.extend(vec![0; extra]);
        prop_assert_eq!(decode(&bytes), None);
    }

    /// Single ids with true checks in arbitrary places, as only a holder of the key can make them, and noise.
    #[test]
    fn forged_cells_end(cells in prop::collection::vec((0..20_u64, any::<bool>(), any::<u32>()), 0..200), piece in 1..50_usize) {
        let forged: Vec<Cell> = cells
            .into_iter()
            .map(|(ids, valid, noise)| Cell { ids, checks: if valid { check(KEY.hash(ids)) } else { noise } })
            .collect();
        let mut decoder = Decoder::new(KEY, 50);
        for piece in forged.chunks(piece) {
            decoder.extend(piece, &vec![Cell::default(); piece.len()]);
        }
        prop_assert!(decoder.found().len() <= 50);
        prop_assert!(decoder.is_broken() || decoder.taken() == forged.len());
    }
}

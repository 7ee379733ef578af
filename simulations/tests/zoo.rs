//! The zoo: every planted bug is caught by some promise within its bound of seeds.
//!
//! `cargo test --profile simulation -p inbetweenies-simulations --features zoo --test zoo -- --include-ignored`

#![cfg(feature = "zoo")]

use inbetweenies_core::zoo::Bug;
use inbetweenies_simulations::{run, zoo};

/// These show in nearly every run; the others need faults that most runs do not have.
const PLAIN: [Bug; 16] = [
    Bug::AckBeforeSync,
    Bug::GossipBeforeSync,
    Bug::ClockBeforeSync,
    Bug::HlcForgotten,
    Bug::EditTimeTrusted,
    Bug::OrderTimeRecomputed,
    Bug::FirstStampKept,
    Bug::MergeWritten,
    Bug::TwoWayMerge,
    Bug::FoldOfPairs,
    Bug::AbsentIsNoValue,
    Bug::DeletionByRank,
    Bug::TombstoneDropped,
    Bug::HalfSetLogged,
    Bug::LoserUnacked,
    Bug::EditHidden,
];

fn jobs() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

#[test]
fn the_canary_falls_silent_at_once() {
    run::catch_panics();
    let found = zoo::hunt(Bug::Canary, 3, jobs());
    assert!(found.is_some_and(|found| found.promise == "canary" && found.seeds_needed == 1));
}

#[test]
fn plain_bugs_are_caught_within_a_few_seeds() {
    run::catch_panics();
    for bug in PLAIN {
        assert!(zoo::hunt(bug, 20, jobs()).is_some(), "{} got away", bug.name());
    }
}

#[test]
fn every_bug_has_a_name_of_its_own() {
    for bug in Bug::ALL {
        assert_eq!(Bug::named(bug.name()), Some(*bug));
    }
}

#[test]
#[ignore = "some ten minutes: every bug, each from several starting points"]
fn every_bug_is_caught() {
    assert!(zoo::campaign(zoo::SEEDS_MAX, jobs()), "some bug got away");
}

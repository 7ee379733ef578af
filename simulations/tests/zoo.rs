//! The zoo: every planted bug is caught by some promise within its bound of seeds. Long: run it in the profile
//! `simulation`, with the feature `zoo`.

#![cfg(feature = "zoo")]

use inbetweenies_core::zoo::Bug;
use inbetweenies_simulations::{run, zoo};

/// Hunts at a time.
fn jobs() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

#[test]
fn the_canary_sings() {
    run::catch_panics();
    let found = zoo::hunt(Bug::Canary, 3, jobs());
    assert!(found.is_some_and(|found| found.promise == "canary" && found.seeds_needed == 1));
}

#[test]
fn every_bug_has_a_name_of_its_own() {
    for bug in Bug::ALL {
        assert_eq!(Bug::named(bug.name()), Some(*bug));
    }
}

#[test]
#[ignore = "many minutes: every bug, each from several starting points"]
fn every_bug_is_caught() {
    assert!(zoo::campaign(zoo::SEEDS_MAX, jobs()), "some bug got away");
}

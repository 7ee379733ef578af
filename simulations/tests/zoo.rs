//! The zoo: every planted bug is caught by some promise within its bound of seeds.
//!
//! `cargo test --profile simulation -p inbetweenies-simulations --features zoo --test zoo -- --include-ignored`

#![cfg(feature = "zoo")]

use inbetweenies_core::zoo::Bug;
use std::time::{Duration, Instant};

use inbetweenies_simulations::{run, scenario, shrink, story, swarm, zoo};

/// These show in nearly every run; the others need faults that most runs do not have.
const PLAIN: [Bug; 25] = [
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
    Bug::PastIndexStale,
    Bug::PolicyOfNow,
    Bug::RuleOfHeads,
    Bug::RuleByTime,
    Bug::UnionForgetsRemoval,
    Bug::WhyWithoutRules,
    Bug::StalePath,
    Bug::ReplayLost,
    Bug::LeafOfBytes,
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

/// A failing seed of each of some planted bugs, shrunk to what a person can read.
#[test]
fn a_failing_seed_is_shrunk_to_a_short_story() {
    run::catch_panics();
    for bug in [
        Bug::AckBeforeSync,
        Bug::TombstoneDropped,
        Bug::TwoWayMerge,
        Bug::HalfSetLogged,
    ] {
        let found = zoo::hunt(bug, 40, jobs()).unwrap_or_else(|| panic!("{} got away", bug.name()));
        inbetweenies_core::zoo::plant(Some(bug));
        let begin = Instant::now();
        let shrunk = shrink::shrink(&swarm::plan(found.seed), Duration::from_secs(60));
        let shrunk = shrunk.unwrap_or_else(|| panic!("seed {} is green", found.seed));
        let report = run::run(&std::sync::Arc::new(shrunk.plan.clone()), true);
        inbetweenies_core::zoo::plant(None);
        println!(
            "{}: {} events, {} hubs, {} clients after {:?} and {} runs\n{}",
            bug.name(),
            shrunk.plan.events.len(),
            shrunk.plan.hubs.len(),
            shrunk.plan.clients.len(),
            begin.elapsed(),
            shrunk.tried,
            story::tell(&shrunk.plan, &report, "")
        );
        assert!(
            shrunk.plan.events.len() <= 12 && shrunk.plan.hubs.len() <= 3,
            "{}",
            scenario::write(&shrunk.plan)
        );
        assert_eq!(report.broken.map(|broken| broken.promise), Some(shrunk.promise));
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
    let named = std::env::var("ZOO_BUGS").unwrap_or_default();
    let named = named.split_whitespace();
    let named =
        named.map(|name| Bug::named(name).unwrap_or_else(|| panic!("ZOO_BUGS: no bug is called {name}")));
    let mut bugs: Vec<Bug> = named.collect();
    if bugs.is_empty() {
        bugs = Bug::ALL.to_vec();
    }
    assert!(zoo::campaign(&bugs, zoo::SEEDS_MAX, jobs()), "some bug got away");
}

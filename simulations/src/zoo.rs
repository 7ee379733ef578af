//! Hunting planted bugs: how many seeds of the swarm it takes until some promise breaks, and which.
//!
//! A seed counts only if it is green with nothing planted: what breaks a run then is the bug.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use inbetweenies_core::zoo::{self, Bug};

use crate::{run, swarm};

/// Where hunts start: a bug counts as found where most of them find it.
pub const STARTS: [u64; 5] = [0, 1_000_000, 2_000_000, 3_000_000, 4_000_000];
/// Seeds after which a hunt gives up.
pub const SEEDS_MAX: u64 = 2_000;

/// A bug that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The median over all starting points, those that did not find it counted as never.
    pub seeds_needed: u64,
    /// The promise that most hunts saw broken.
    pub promise: &'static str,
    /// The first seed that shows it, of the first start that found it.
    pub seed: u64,
    /// How it broke there.
    pub text: String,
    /// How often each promise was the one.
    pub by: BTreeMap<&'static str, usize>,
}

/// Where one hunt ended.
#[derive(Debug, Clone)]
struct Catch {
    seeds: u64,
    seed: u64,
    promise: &'static str,
    text: String,
}

fn broken(bug: Option<Bug>, seed: u64) -> Option<(&'static str, String)> {
    zoo::plant(bug);
    let report = run::run(&Arc::new(swarm::plan(seed)), false);
    zoo::plant(None);
    report.broken.map(|broken| (broken.promise, broken.text))
}

/// Consecutive seeds until the bug breaks one that is green without it.
fn search(bug: Bug, start: u64, seeds_max: u64) -> Option<Catch> {
    let mut skipped = 0;
    for seed in start..start + seeds_max {
        let Some((promise, text)) = broken(Some(bug), seed) else {
            continue;
        };
        if broken(None, seed).is_some() {
            skipped += 1;
            continue;
        }
        return Some(Catch {
            seeds: seed - start + 1 - skipped,
            seed,
            promise,
            text,
        });
    }
    None
}

/// Hunts one bug from several starting points, on so many threads. None if most of them do not find it.
pub fn hunt(bug: Bug, seeds_max: u64, jobs: usize) -> Option<Found> {
    let next = AtomicUsize::new(0);
    let caught = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..jobs.clamp(1, STARTS.len()) {
            scope.spawn(|| {
                while let Some(start) = STARTS.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let catch = search(bug, *start, seeds_max);
                    let mut caught = caught.lock().unwrap_or_else(PoisonError::into_inner);
                    caught.extend(catch);
                }
            });
        }
    });
    let caught = caught.into_inner().unwrap_or_else(PoisonError::into_inner);
    judge(caught)
}

fn judge(mut caught: Vec<Catch>) -> Option<Found> {
    let mut by = BTreeMap::new();
    for catch in &caught {
        *by.entry(catch.promise).or_insert(0) += 1;
    }
    let promise = by
        .iter()
        .max_by_key(|(_, times)| **times)
        .map(|(promise, _)| *promise)?;
    let first = caught.iter().min_by_key(|catch| catch.seed)?.clone();
    caught.sort_by_key(|catch| catch.seeds);
    let median = caught.get(STARTS.len() / 2)?;
    Some(Found {
        seeds_needed: median.seeds,
        promise,
        seed: first.seed,
        text: first.text,
        by,
    })
}

/// Hunts some bugs and prints what came of it. False where one gets away within `seeds_max` seeds.
pub fn campaign(bugs: &[Bug], seeds_max: u64, jobs: usize) -> bool {
    run::catch_panics();
    println!(
        "{:<24} {:<14} {:>12} {:>12}",
        "bug", "caught by", "median seeds", "first seed"
    );
    let mut away = Vec::new();
    for bug in bugs {
        match hunt(*bug, seeds_max, jobs) {
            Some(found) => println!("{}", row(*bug, &found)),
            None => {
                println!(
                    "{:<24} {:<14} {:>12} {:>12}",
                    bug.name(),
                    "nobody",
                    format!("> {seeds_max}"),
                    "-"
                );
                away.push(bug.name());
            }
        }
    }
    if !away.is_empty() {
        println!("not found: {}", away.join(", "));
    }
    away.is_empty()
}

/// One row of the table.
pub fn row(bug: Bug, found: &Found) -> String {
    let mut by = String::new();
    for promise in found.by.keys() {
        let _ = write!(by, "{}{promise}", if by.is_empty() { "" } else { " " });
    }
    format!(
        "{:<24} {by:<14} {:>12} {:>12}",
        bug.name(),
        found.seeds_needed,
        found.seed
    )
}

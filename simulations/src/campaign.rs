//! A campaign: many seeds on several threads, and what they came to together.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::run::{self, Report};
use crate::story::span;
use crate::swarm;
use crate::watch::{Broken, Fullest, MARKS};

/// One seed in so many is run twice, and must be the same to the last event.
pub const TWICE_EVERY: u64 = 50;
/// Broken seeds that a campaign goes on after.
const BROKEN_MAX: usize = 20;

/// What to run.
#[derive(Debug, Clone)]
pub struct Order {
    /// Which seeds.
    pub seeds: Range<u64>,
    /// On how many threads.
    pub jobs: usize,
    /// Until then, whatever is left of the seeds.
    pub budget: Option<Duration>,
}

/// What the seeds came to together.
#[derive(Debug, Clone, Default)]
pub struct Total {
    /// Homes.
    pub runs: u64,
    /// Of them run twice.
    pub twice: u64,
    /// Things that were due.
    pub events: u64,
    /// Virtual time of all runs.
    pub lasted: Duration,
    /// Virtual time, each hub's counted.
    pub hub_time: Duration,
    /// By kind.
    pub faults: BTreeMap<&'static str, u64>,
    /// Messages between hubs.
    pub messages: u64,
    /// Requests of clients.
    pub requests: u64,
    /// Acknowledged edits that were looked for in the end.
    pub acked: u64,
    /// Acknowledged edits that were lost with the only disk that held them.
    pub lost: u64,
    /// Rare states met.
    pub marks: BTreeMap<&'static str, u64>,
    /// The slowest convergence, its bound and its seed.
    pub slowest: Option<(Duration, Duration, u64)>,
    /// Queues at their fullest, in proportion.
    pub queues: BTreeMap<&'static str, Fullest>,
    /// Trace hashes, by seed.
    pub hashes: BTreeMap<u64, u64>,
    /// Broken promises, by seed.
    pub broken: BTreeMap<u64, Broken>,
    /// How long it took.
    pub took: Duration,
}

impl Total {
    fn add(&mut self, seed: u64, hubs: u32, report: &Report) {
        self.runs += 1;
        self.hashes.insert(seed, report.hash);
        let tally = &report.tally;
        self.events += tally.events;
        self.lasted += tally.lasted;
        self.hub_time += tally.lasted * hubs;
        self.messages += tally.messages.values().sum::<u64>();
        self.requests += tally.requests;
        self.acked += tally.acked;
        self.lost += report.lost as u64;
        for (kind, count) in &tally.faults {
            *self.faults.entry(kind).or_default() += count;
        }
        for (mark, count) in report.marks.met() {
            *self.marks.entry(mark).or_default() += count;
        }
        for (name, fullest) in &tally.queues {
            self.queues.entry(name).or_default().join(*fullest);
        }
        if let Some(took) = tally.converged_in
            && self.slowest.is_none_or(|(slowest, _, _)| took > slowest)
        {
            self.slowest = Some((took, report.bound, seed));
        }
        if let Some(broken) = &report.broken {
            self.broken.insert(seed, broken.clone());
        }
    }

    /// All faults.
    pub fn all_faults(&self) -> u64 {
        self.faults.values().sum()
    }

    /// Marks that were never met.
    pub fn never_met(&self) -> Vec<&'static str> {
        let all = MARKS.iter().map(|(mark, _)| *mark);
        all.filter(|mark| !self.marks.contains_key(mark)).collect()
    }

    /// For people.
    pub fn tell(&self) -> String {
        let mut text = String::new();
        let seconds = self.took.as_secs_f64().max(1e-9);
        let home_years = self.lasted.as_secs_f64() / (365.25 * 86_400.0);
        let _ = writeln!(
            text,
            "{} homes, {} of virtual time ({:.3} home-years) in {}: {:.0} times real time, {:.0} events a second",
            self.runs,
            span(self.lasted),
            home_years,
            span(self.took),
            self.lasted.as_secs_f64() / seconds,
            self.events as f64 / seconds,
        );
        let _ = writeln!(
            text,
            "{} events, {} messages between hubs, {} requests; {} acknowledged edits looked for in the end, {} more \
             were lost with the only disk that held them",
            self.events, self.messages, self.requests, self.acked, self.lost
        );
        let kinds: Vec<String> = self
            .faults
            .iter()
            .map(|(kind, count)| format!("{kind} {count}"))
            .collect();
        let _ = writeln!(text, "{} faults: {}", self.all_faults(), kinds.join(" · "));
        if let Some((took, bound, seed)) = self.slowest {
            let _ = writeln!(
                text,
                "slowest to become equal after everything was mended: {} (seed {seed}, bound {})",
                span(took),
                span(bound)
            );
        }
        let mut queues: Vec<(&str, Fullest)> =
            self.queues.iter().map(|(name, full)| (*name, *full)).collect();
        queues.sort_by(|a, b| b.1.share().total_cmp(&a.1.share()));
        let queues: Vec<String> = queues
            .iter()
            .map(|(name, full)| format!("{name} {} of {}", full.most, full.bound))
            .collect();
        let _ = writeln!(text, "queues at their fullest: {}", queues.join(" · "));
        let met: Vec<String> = MARKS
            .iter()
            .filter_map(|(mark, _)| Some(format!("{mark} {}", self.marks.get(mark)?)))
            .collect();
        let _ = writeln!(
            text,
            "rare states met, {} of {}: {}",
            met.len(),
            MARKS.len(),
            met.join(" · ")
        );
        let never = self.never_met();
        if !never.is_empty() {
            let _ = writeln!(text, "never met: {}", never.join(" · "));
        }
        let _ = writeln!(
            text,
            "{} seeds were run twice and were the same to the last event",
            self.twice
        );
        for (seed, broken) in &self.broken {
            let _ = writeln!(
                text,
                "BROKEN seed {seed}: {} ({}): {}",
                broken.promise, broken.says, broken.text
            );
            let _ = writeln!(text, "  inbetweenies simulate explain --seed {seed}");
        }
        if self.broken.is_empty() {
            let _ = writeln!(text, "every promise held");
        }
        text
    }
}

/// Runs seeds. `told` hears of every one that is done.
pub fn run(order: &Order, told: &(dyn Fn(u64, u64) + Sync)) -> Total {
    let begin = Instant::now();
    let next = AtomicU64::new(order.seeds.start);
    let enough = AtomicBool::new(false);
    let total = Mutex::new(Total::default());
    let worker = || {
        while !enough.load(Ordering::Relaxed) {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            let over = order.budget.is_some_and(|budget| begin.elapsed() >= budget);
            if seed >= order.seeds.end || over {
                break;
            }
            let plan = Arc::new(swarm::plan(seed));
            let mut report = run::run(&plan, false);
            let twice = seed.is_multiple_of(TWICE_EVERY);
            if twice && report.broken.is_none() {
                let again = run::run(&plan, false);
                if again.hash != report.hash {
                    report.broken = Some(Broken {
                        promise: "I29",
                        says: "one plan gives one run, to the last event",
                        at: Duration::ZERO,
                        lane: None,
                        text: format!(
                            "two runs have the hashes {:016x} and {:016x}",
                            report.hash, again.hash
                        ),
                    });
                }
            }
            let mut total = total.lock().unwrap_or_else(PoisonError::into_inner);
            total.add(seed, plan.hubs.len() as u32, &report);
            total.twice += u64::from(twice);
            told(total.runs, total.broken.len() as u64);
            if total.broken.len() >= BROKEN_MAX {
                enough.store(true, Ordering::Relaxed);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..order.jobs.max(1) {
            scope.spawn(worker);
        }
    });
    let mut total = total.into_inner().unwrap_or_else(PoisonError::into_inner);
    total.took = begin.elapsed();
    total
}

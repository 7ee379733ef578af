//! What conflicts, the past and histories cost, from a store on disk: `cargo bench --bench past`.
//!
//! Stores are filled through the storage machine and RocksDB as a hub fills them. Timings are printed, never a verdict.
//! `PAST_RECORDS_MAX=100000` leaves out the largest store.

#[path = "support/home.rs"]
mod home;

use std::sync::Arc;
use std::time::Instant;

use home::{Home, START, device, id, load};
use inbetweenies_core::conflict::read;
use inbetweenies_core::entry::Sealed;
use inbetweenies_core::hash::Digest;
use inbetweenies_core::id::Id;
use inbetweenies_core::machine::load_view;
use inbetweenies_core::store::{Snapshot, Store};
use inbetweenies_core::time::Micros;
use inbetweenies_core::view::Policy;

/// Versions of each entity; every tenth entity has two heads on top.
const VERSIONS: usize = 100;
/// Versions of the one entity whose history is read in pages.
const LONG: usize = 1_000;

fn main() {
    let most = std::env::var("PAST_RECORDS_MAX")
        .ok()
        .and_then(|text| text.parse().ok());
    let most: usize = most.unwrap_or(1_000_000);
    load("start");
    println!(
        "\nMedian and p99 in µs; as of: against a read of now, median of the ratios by turns [min..max].\n"
    );
    println!(
        "| records | filled, records/s | conflict resolved | read of now | as of | as of ÷ now | 100 listed now | listed as of | \
         page 1 of {LONG} | worst page ÷ page 1 | diff |"
    );
    println!("| ---: | ---: | ---: | ---: | ---: | --- | ---: | ---: | ---: | ---: | ---: |");
    let mut growth = Vec::new();
    for records in [1_000, 10_000, 100_000, 1_000_000]
        .into_iter()
        .filter(|records| *records <= most)
    {
        let folder = tempfile::tempdir().expect("a folder");
        let mut home = Home::open(folder.path());
        let filled = home.fill(records);
        growth.push((records as f64, home.measure(records, filled)));
    }
    println!("\ngrowth from the smallest store to the largest, as slopes of log over log:");
    if let (Some((x0, first)), Some((x1, last))) = (growth.first(), growth.last()) {
        for (at, name) in ["conflict resolved", "read of now", "as of", "page 1"]
            .iter()
            .enumerate()
        {
            println!("  {name}: {:.2}", (last[at] / first[at]).ln() / (x1 / x0).ln());
        }
    }
    load("end");
}

impl Home {
    /// Entities in rounds, as people edit them: one version of each, then the next. Records a second.
    fn fill(&mut self, records: usize) -> f64 {
        let entities = records / VERSIONS;
        let mut last: Vec<Arc<Sealed>> = Vec::new();
        let began = Instant::now();
        let mut waiting: Vec<Arc<Sealed>> = Vec::new();
        let mut made = 0;
        for version in 0..VERSIONS {
            for entity in 0..entities {
                self.now.wall = Micros(self.now.wall.0 + 1_000);
                let before: Vec<&Sealed> = last.get(entity).map(|sealed| &**sealed).into_iter().collect();
                let sealed = Arc::new(device(&id(entity), version, "alice", &before, self.now.wall.0));
                waiting.push(sealed.clone());
                match last.get_mut(entity) {
                    Some(last) => *last = sealed,
                    None => last.push(sealed),
                }
                if waiting.len() >= 2_000 {
                    made += self.push(&mut waiting);
                }
            }
        }
        made += self.push(&mut waiting);
        let filled = made as f64 / began.elapsed().as_secs_f64();
        for entity in (0..entities).step_by(10) {
            for user in ["bob", "carol"] {
                self.now.wall = Micros(self.now.wall.0 + 1_000);
                let sealed = device(&id(entity), VERSIONS, user, &[&last[entity]], self.now.wall.0);
                waiting.push(Arc::new(sealed));
            }
        }
        let long = id(usize::MAX);
        let mut before: Option<Arc<Sealed>> = None;
        for version in 0..LONG {
            self.now.wall = Micros(self.now.wall.0 + 1_000);
            let parents: Vec<&Sealed> = before.as_deref().into_iter().collect();
            let sealed = Arc::new(device(&long, version, "alice", &parents, self.now.wall.0));
            waiting.push(sealed.clone());
            before = Some(sealed);
        }
        self.push(&mut waiting);
        filled
    }

    fn measure(&mut self, records: usize, filled: f64) -> [f64; 4] {
        let entities = records / VERSIONS;
        let snapshot = self.store.snapshot();
        let policy = (*self.storage.policy()).clone();
        let mut chance = self.chance.clone();
        let end = self.now.wall.0;
        let turns = 2_000;
        let (mut conflict, mut now, mut past, mut ratios) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for _ in 0..turns {
            let contested = id(chance.below(entities.div_ceil(10)) * 10);
            conflict.push(micros(|| {
                let view = load_view(&snapshot, &policy, &contested)
                    .expect("a read")
                    .expect("a view");
                assert_eq!(view.heads.len(), 2);
            }));
        }
        // Entities with one head, in turn: now, as of, now, as of.
        for _ in 0..turns {
            let plain = id(1 + 10 * chance.below(entities.div_ceil(10)));
            let plain = if entities > 1 { plain } else { id(0) };
            let at = Micros(START + 1_000 + chance.draw() % (end - START));
            let a = micros(|| one(&snapshot, &policy, &plain, None));
            let b = micros(|| one(&snapshot, &policy, &plain, Some(at)));
            now.push(a);
            past.push(b);
        }
        for turn in 0..10 {
            let part = turns / 10 * turn..turns / 10 * (turn + 1);
            ratios.push(median(&past[part.clone()]) / median(&now[part]));
        }
        let list = |at| read::entities(&snapshot, &policy, Some("device"), at, None, 100).expect("a list");
        let lists = |at| (0..20).map(|_| micros(|| drop(list(at)))).collect::<Vec<_>>();
        let (listed, listed_past) = (lists(None), lists(Some(Micros(START + (end - START) / 2))));
        let pages = self.pages(&snapshot, &policy);
        let worst = pages[1..].iter().map(|page| page / pages[0]).fold(0.0, f64::max);
        let from = Micros(end - 50_000);
        let diffs: Vec<f64> = (0..5)
            .map(|_| {
                micros(|| drop(read::diff(&snapshot, &policy, from, Micros(end), None, 100).expect("a diff")))
            })
            .collect();
        let (least, most) = ratios
            .iter()
            .fold((f64::MAX, 0.0f64), |(a, b), r| (a.min(*r), b.max(*r)));
        println!(
            "| {records} | {filled:.0} | {} | {} | {} | {:.2} [{least:.2}..{most:.2}] | {:.0} | {:.0} | {:.0} | {worst:.2} | {:.0} |",
            spread(&conflict),
            spread(&now),
            spread(&past),
            median(&ratios),
            median(&listed),
            median(&listed_past),
            pages[0],
            median(&diffs),
        );
        [median(&conflict), median(&now), median(&past), pages[0]]
    }

    /// The median time of each page of a hundred of a long history, in their order.
    fn pages(&self, snapshot: &dyn Snapshot, policy: &Policy) -> Vec<f64> {
        let long = id(usize::MAX);
        let mut times: Vec<Vec<f64>> = vec![Vec::new(); LONG / 100];
        for _ in 0..10 {
            let mut cursor: Option<Digest> = None;
            for page in &mut times {
                let mut next = None;
                page.push(micros(|| {
                    let read = read::history(snapshot, policy, &long, true, None, cursor.as_ref(), 100);
                    let read = read.expect("a read").expect("a history");
                    assert_eq!(read.versions.len(), 100);
                    next = read.cursor.as_deref().and_then(Digest::parse);
                }));
                cursor = next;
            }
        }
        times.iter().map(|page| median(page)).collect()
    }
}

fn one(snapshot: &dyn Snapshot, policy: &Policy, id: &Id, at: Option<Micros>) {
    drop(read::one(snapshot, policy, id, true, at).expect("a read"));
}

fn micros(act: impl FnOnce()) -> f64 {
    let began = Instant::now();
    act();
    began.elapsed().as_secs_f64() * 1e6
}

fn sorted(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

fn median(values: &[f64]) -> f64 {
    sorted(values)[values.len() / 2]
}

fn spread(values: &[f64]) -> String {
    let sorted = sorted(values);
    format!(
        "{:.0} ({:.0})",
        sorted[sorted.len() / 2],
        sorted[sorted.len() * 99 / 100]
    )
}

//! Runs all ways on the same sets, in turn: A B C A B C, several times for each seed.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::cost::{Cost, Skipped};
use crate::home::Home;
use crate::ours;
use crate::rivals::negentropy::Vectors;
use crate::rivals::riblt::Sets;
use crate::rivals::tree::Common;
use crate::stores::Stores;

/// Cells that a hub keeps unless told otherwise.
pub const CELLS: usize = 4_096;
/// A rival that takes longer than this is not run again with the same set…
const SLOW: Duration = Duration::from_secs(10);
/// … and if its work takes longer than this, with no set of that size: its bytes alone are told of those.
const ONCE: Duration = Duration::from_secs(30);
/// One that takes longer than this is not run again with as much.
const TOO_SLOW: Duration = Duration::from_secs(120);

/// A way to compare two sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// Ours, as hubs are set up.
    Sketch,
    /// Ours without a sketch: Merkle descent alone.
    Descent,
    /// The crate negentropy.
    Negentropy,
    /// The crate riblt.
    Riblt,
    /// The crate merkle-search-tree.
    SearchTree,
}

impl Way {
    /// All of them, in the order in which they take turns.
    pub const ALL: [Way; 5] = [
        Way::Sketch,
        Way::Negentropy,
        Way::Descent,
        Way::Riblt,
        Way::SearchTree,
    ];

    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            Way::Sketch => "ours (sketch)",
            Way::Descent => "ours (descent alone)",
            Way::Negentropy => "negentropy",
            Way::Riblt => "riblt",
            Way::SearchTree => "merkle-search-tree",
        }
    }
}

/// So many records, measured so often.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    /// Records that both hubs hold.
    pub records: usize,
    /// Homes that are drawn.
    pub seeds: u64,
    /// Turns with each set.
    pub turns: usize,
}

/// One comparison.
#[derive(Debug, Clone, Copy)]
pub struct Run {
    /// Runs of one turn are compared with each other.
    pub turn: (u64, usize),
    /// What it cost.
    pub cost: Cost,
    /// Whether its work was measured.
    pub worked: bool,
}

/// Records, differences, way.
pub type Case = (usize, usize, Way);

/// All that was measured.
#[derive(Debug, Default)]
pub struct Results {
    /// Each case with its runs.
    pub runs: BTreeMap<Case, Vec<Run>>,
    /// What was left out, and why.
    pub skipped: BTreeMap<Case, Skipped>,
}

impl Results {
    /// Measures one size.
    pub fn measure(&mut self, size: Size, differences: &[usize]) {
        let most = differences.iter().copied().max().unwrap_or(0);
        for seed in 1..=size.seeds {
            let begun = Instant::now();
            let home = Home::draw(size.records, most, seed);
            let mut stores = Stores::new(&home);
            let sketch = stores.open(CELLS);
            let descent = stores.open(0);
            let common = Common::build(&home);
            let drawn = begun.elapsed();
            for d in differences {
                let vectors = Vectors::build(&home, *d);
                let sets = Sets::build(&home, *d);
                let trees = common.with(&home, *d);
                let mut slow = Vec::new();
                for turn in 0..size.turns {
                    for way in Way::ALL {
                        let case = (size.records, *d, way);
                        if slow.contains(&way) || self.skipped.contains_key(&case) {
                            continue;
                        }
                        let begun = Instant::now();
                        let all = self.runs.get(&case);
                        let worked = all.is_none_or(|all| all.iter().all(|run| run.cost.cpu < ONCE));
                        let done = match way {
                            Way::Sketch => Some(ours::compare(&home, &mut stores, &sketch, *d)),
                            Way::Descent => Some(ours::compare(&home, &mut stores, &descent, *d)),
                            Way::Negentropy => Some(vectors.compare(&home, *d)),
                            Way::SearchTree => trees.compare(&home, *d, TOO_SLOW),
                            Way::Riblt => Some(sets.compare(&home, *d, worked)),
                        };
                        let Some(cost) = done else {
                            self.skipped.insert(case, "more than two minutes a run");
                            continue;
                        };
                        let turn = (seed, turn);
                        let run = Run { turn, cost, worked };
                        self.runs.entry(case).or_default().push(run);
                        if begun.elapsed() > SLOW {
                            slow.push(way);
                        }
                    }
                }
            }
            eprintln!(
                "{} records, seed {seed} of {}: drawn and built in {:.1} s, all in {:.1} s",
                size.records,
                size.seeds,
                drawn.as_secs_f64(),
                begun.elapsed().as_secs_f64()
            );
        }
    }

    /// Sizes and differences that were measured.
    pub fn sizes(&self) -> Vec<(usize, Vec<usize>)> {
        let mut sizes: Vec<(usize, Vec<usize>)> = Vec::new();
        for (records, differences, _) in self.runs.keys() {
            match sizes.last_mut().filter(|(last, _)| last == records) {
                Some((_, all)) if all.last() == Some(differences) => {}
                Some((_, all)) => all.push(*differences),
                None => sizes.push((*records, vec![*differences])),
            }
        }
        sizes
    }

    /// Something of each run of a case.
    pub fn each(&self, case: Case, of: impl Fn(&Run) -> Option<f64>) -> Option<Spread> {
        Spread::of(self.runs.get(&case)?.iter().filter_map(of))
    }

    /// Bytes of a case.
    pub fn bytes(&self, case: Case) -> Option<Spread> {
        self.each(case, |run| Some(run.cost.bytes as f64))
    }

    /// Work of a case, in milliseconds.
    pub fn millis(&self, case: Case) -> Option<Spread> {
        self.each(case, |run| run.worked.then_some(run.cost.cpu.as_secs_f64() * 1e3))
    }

    /// Of two ways something of one over that of the other, turn by turn.
    pub fn ratio(&self, ours: Case, theirs: Case, of: impl Fn(&Cost) -> f64) -> Option<Spread> {
        let theirs: BTreeMap<_, f64> = self
            .runs
            .get(&theirs)?
            .iter()
            .map(|run| (run.turn, of(&run.cost)))
            .collect();
        let ours = self.runs.get(&ours)?.iter();
        Spread::of(ours.filter_map(|run| Some(of(&run.cost) / theirs.get(&run.turn)?)))
    }
}

/// Median, least and most.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    /// Half are below.
    pub median: f64,
    /// None is below.
    pub min: f64,
    /// None is above.
    pub max: f64,
}

impl Spread {
    fn of(values: impl IntoIterator<Item = f64>) -> Option<Spread> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let (min, max) = (*values.first()?, *values.last()?);
        let middle = values.len() / 2;
        let median = if values.len() % 2 == 1 {
            values[middle]
        } else {
            (values[middle - 1] + values[middle]) / 2.0
        };
        Some(Spread { median, min, max })
    }
}

/// The slope of the line that fits log y over log x best.
pub fn slope(points: &[(f64, f64)]) -> Option<f64> {
    let logs: Vec<(f64, f64)> = points
        .iter()
        .filter(|(x, y)| *x > 0.0 && *y > 0.0)
        .map(|(x, y)| (x.ln(), y.ln()))
        .collect();
    if logs.len() < 2 {
        return None;
    }
    let count = logs.len() as f64;
    let (x, y) = logs
        .iter()
        .fold((0.0, 0.0), |sum, at| (sum.0 + at.0, sum.1 + at.1));
    let (x, y) = (x / count, y / count);
    let both: f64 = logs.iter().map(|at| (at.0 - x) * (at.1 - y)).sum();
    let own: f64 = logs.iter().map(|at| (at.0 - x).powi(2)).sum();
    (own > 0.0).then_some(both / own)
}

/// The least bytes that can tell d differences of ids of 64 bits apart (Minsky, Trachtenberg & Zippel 2003).
pub fn bound(differences: usize) -> f64 {
    let d = differences as f64;
    if differences == 0 {
        return 0.0;
    }
    d * (64.0 - d.log2() + std::f64::consts::LOG2_E) / 8.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_slopes_and_bounds_are_right() {
        let odd = Spread::of([3.0, 1.0, 2.0]);
        let even = Spread::of([4.0, 1.0, 2.0, 3.0]).map(|spread| spread.median);
        assert_eq!(
            odd.map(|odd| (odd.median, odd.min, odd.max)),
            Some((2.0, 1.0, 3.0))
        );
        assert_eq!(even, Some(2.5));
        let squares: Vec<(f64, f64)> = (0..5).map(|x| (f64::from(x), f64::from(x * x))).collect();
        assert!(slope(&squares).is_some_and(|slope| (slope - 2.0).abs() < 1e-9));
        assert_eq!(slope(&[(1.0, 1.0)]), None);
        assert_eq!(bound(10).round(), 78.0);
    }
}

//! Comparing runs with a saved baseline: how bytes, messages and the time to become equal have moved.
//!
//! All of it is virtual, so that equal code gives equal figures on every machine; over several seeds, as medians with
//! their spread.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::plan::Plan;
use crate::run;

/// Seeds that each scenario is run under.
pub const SEEDS: u64 = 5;

/// One figure over several seeds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// The least.
    pub min: f64,
    /// The one in the middle.
    pub median: f64,
    /// The most.
    pub max: f64,
}

impl Figure {
    fn of(mut values: Vec<f64>) -> Figure {
        values.sort_by(f64::total_cmp);
        let at = |place: usize| values.get(place).copied().unwrap_or(f64::NAN);
        Figure {
            min: at(0),
            median: at(values.len() / 2),
            max: at(values.len().saturating_sub(1)),
        }
    }
}

/// A scenario's figures, by name.
pub type Figures = BTreeMap<String, Figure>;
/// All scenarios' figures.
pub type Baseline = BTreeMap<String, Figures>;

/// Why there is nothing to compare.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name} breaks {promise} under seed {seed}: mend it first (`inbetweenies simulate explain`)")]
pub struct BrokenRun {
    name: String,
    promise: &'static str,
    seed: u64,
}

/// Measures a scenario under several seeds.
pub fn measure(plan: &Plan) -> Result<Figures, BrokenRun> {
    let mut rows: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for seed in (0..SEEDS).map(|more| plan.seed.wrapping_add(more)) {
        let plan = Plan { seed, ..plan.clone() };
        let name = plan.name.clone();
        let report = run::run(&Arc::new(plan), false);
        if let Some(broken) = report.broken {
            return Err(BrokenRun {
                name,
                promise: broken.promise,
                seed,
            });
        }
        let tally = &report.tally;
        let count = |name| tally.messages.get(name).copied().unwrap_or(0) as f64;
        let said = tally.messages.values().sum::<u64>() as f64 - count("datagram");
        let mut push = |name, value| rows.entry(name).or_default().push(value);
        push("bytes between hubs", tally.bytes as f64);
        push("bytes of entries", tally.entry_bytes as f64);
        push("messages between hubs", said);
        push("rounds (pulls)", count("pull"));
        push("requests of clients", tally.requests as f64);
        push(
            "s to become equal",
            tally.converged_in.unwrap_or_default().as_secs_f64(),
        );
    }
    Ok(rows
        .into_iter()
        .map(|(name, values)| (name.to_owned(), Figure::of(values)))
        .collect())
}

/// A table: now, before, and their ratio.
pub fn table(now: &Baseline, before: &Baseline) -> String {
    let mut text = String::new();
    for (scenario, figures) in now {
        let _ = writeln!(text, "{scenario}");
        for (name, figure) in figures {
            let spread = format!(
                "{} [{} .. {}]",
                short(figure.median),
                short(figure.min),
                short(figure.max)
            );
            let old = before.get(scenario).and_then(|figures| figures.get(name));
            let ratio = match old {
                None => "new".to_owned(),
                Some(old) if old.median == figure.median => "as before".to_owned(),
                Some(old) if old.median > 0.0 => {
                    format!("{:.2} of {}", figure.median / old.median, short(old.median))
                }
                Some(old) => format!("was {}", short(old.median)),
            };
            let _ = writeln!(text, "  {name:<24} {spread:<34} {ratio}");
        }
    }
    text
}

fn short(value: f64) -> String {
    if value >= 100.0 || value.fract() == 0.0 {
        format!("{value:.0}")
    } else {
        format!("{value:.2}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_says_how_much_has_moved() {
        let figures = |median| {
            let figure = Figure {
                min: 1.0,
                median,
                max: 9_000.0,
            };
            Baseline::from([("a".to_owned(), Figures::from([("bytes".to_owned(), figure)]))])
        };
        let text = table(&figures(300.0), &figures(200.0));
        assert!(
            text.contains("300 [1 .. 9000]") && text.contains("1.50 of 200"),
            "{text}"
        );
        assert!(table(&figures(2.0), &figures(2.0)).contains("as before"));
        assert!(table(&figures(2.0), &Baseline::new()).contains("new"));
    }

    #[test]
    fn the_middle_of_some_figures() {
        let figure = Figure::of(vec![3.0, 1.0, 2.0]);
        assert_eq!((figure.min, figure.median, figure.max), (1.0, 2.0, 3.0));
    }
}

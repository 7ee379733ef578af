//! Set reconciliation, measured: what two hubs say to each other to find what they differ in, beside what others have
//! published for the same question.
//!
//! For n records that both hubs hold and d that one of them lacks (half of them on each side, scattered, each an
//! insert): bytes of all messages both ways, round trips, and the processor time of both sides, once with the sketch and
//! once without. The rivals get the same sets in the same run, in turn. Trees, sketches, vectors and sorted sets are
//! there before the clock starts; only riblt has to encode its sets, as the crate keeps no cells, and what that takes is
//! told apart. Every run asserts that exactly what was planted is found.
//!
//! Bytes are exact: the same seed gives the same bytes. Times are what this machine took, so read ratios.

mod chance;
mod cost;
mod home;
mod measure;
mod ours;
mod picture;
mod report;
mod rivals;
mod stores;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use measure::{Results, Size};

const HELP: &str = "anti-entropy [--quick | --full] [--svg PATH]

  --quick      10,000 records: less than a minute (the default)
  --full       10,000, 100,000 and 1,000,000 records
  --svg PATH   draw bytes over differences at the most records";

const DIFFERENCES: [usize; 7] = [0, 1, 10, 100, 1_000, 10_000, 100_000];

const QUICK: &[Size] = &[Size {
    records: 10_000,
    seeds: 5,
    turns: 3,
}];

const FULL: &[Size] = &[
    Size {
        records: 10_000,
        seeds: 9,
        turns: 3,
    },
    Size {
        records: 100_000,
        seeds: 7,
        turns: 3,
    },
    Size {
        records: 1_000_000,
        seeds: 5,
        turns: 2,
    },
];

fn main() -> ExitCode {
    let (mut sizes, mut homes) = (QUICK, 200);
    let mut svg = None;
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--quick" => (sizes, homes) = (QUICK, 200),
            "--full" => (sizes, homes) = (FULL, 2_000),
            "--svg" => svg = words.next().map(PathBuf::from),
            _ => {
                eprintln!("{HELP}");
                return ExitCode::FAILURE;
            }
        }
    }
    let begun = Instant::now();
    let before = load();
    let mut results = Results::default();
    for size in sizes {
        let fitting = DIFFERENCES.into_iter().filter(|d| *d < size.records);
        results.measure(*size, &fitting.collect::<Vec<_>>());
    }
    println!("# Anti-entropy, measured");
    print!("{}", report::report(&results));
    println!("{}", chance::report(homes));
    let seconds = begun.elapsed().as_secs();
    println!("Load {before} before, {} after {seconds} s.", load());
    if let Some(path) = svg
        && let Err(error) = std::fs::write(&path, picture::draw(&results))
    {
        eprintln!("{}: {error}", path.display());
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// The machine's load over the last minute, ours included.
fn load() -> String {
    let told = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    told.split(' ').next().unwrap_or("unknown").to_owned()
}

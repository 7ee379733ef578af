//! Running a plan, and what came of it.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use crate::plan::Plan;
use crate::recording::Recording;
use crate::watch::{Broken, Marks, Tally, Watch};
use crate::world::World;

/// What came of a run.
pub struct Report {
    /// The promise that was broken, if one was.
    pub broken: Option<Broken>,
    /// Of everything that happened.
    pub hash: u64,
    /// Counts.
    pub tally: Tally,
    /// Rare states met.
    pub marks: Marks,
    /// Acknowledged records that were lost with the only disk that held them.
    pub lost: usize,
    /// Within which hubs had to become equal.
    pub bound: Duration,
    /// For stories and pictures, if it was asked for.
    pub recording: Option<Recording>,
}

thread_local! {
    /// The run on this thread: its name and seed.
    static UNDER_WAY: RefCell<Option<(String, u64)>> = const { RefCell::new(None) };
}

/// Panics of simulated hubs are results here: they are told as broken promises, not on the terminal. Where the build
/// aborts on a panic, they end the process after a line that says which run it was.
pub fn catch_panics() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let run = UNDER_WAY.with_borrow(Clone::clone);
        match run {
            Some(_) if cfg!(panic = "unwind") => {}
            Some((name, seed)) => {
                before(info);
                eprintln!("P13 is broken: a simulated hub panicked, in {name} with seed {seed}");
            }
            None => before(info),
        }
    }));
}

/// Runs a plan to its end.
pub fn run(plan: &Arc<Plan>, record: bool) -> Report {
    UNDER_WAY.set(Some((plan.name.clone(), plan.seed)));
    let ran = catch_unwind(AssertUnwindSafe(|| {
        World::new(plan.clone(), Watch::new(record)).run()
    }));
    UNDER_WAY.set(None);
    match ran {
        Ok(mut outcome) => {
            let recording = outcome.watch.recording(outcome.until);
            Report {
                broken: outcome.watch.broken().cloned(),
                hash: outcome.watch.hash(),
                tally: outcome.watch.tally().clone(),
                marks: outcome.watch.marks().clone(),
                lost: outcome.watch.oracle().lost(),
                bound: outcome.bound,
                recording,
            }
        }
        Err(panic) => {
            let text = panic
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| panic.downcast_ref::<&str>().copied())
                .unwrap_or("it gave no reason");
            Report {
                broken: Some(Broken {
                    promise: "P13",
                    says: "no input makes a hub panic, hang or grow without bound",
                    at: Duration::ZERO,
                    lane: None,
                    text: format!("a hub panicked: {text}"),
                }),
                hash: 0,
                tally: Tally::default(),
                marks: Marks::default(),
                lost: 0,
                bound: Duration::ZERO,
                recording: None,
            }
        }
    }
}

//! Waiting for a condition, never for a time.

use std::time::{Duration, Instant};

/// Between two looks.
const STEP: Duration = Duration::from_millis(10);

/// Looks until there is something to see; fails with what was seen last when the bound has passed.
pub fn until<T>(what: &str, bound: Duration, mut look: impl FnMut() -> Result<T, String>) -> T {
    let started = Instant::now();
    loop {
        match look() {
            Ok(seen) => return seen,
            Err(seen) if started.elapsed() > bound => {
                panic!("waited {bound:?} for {what}; last seen: {seen}")
            }
            Err(_) => std::thread::sleep(STEP),
        }
    }
}

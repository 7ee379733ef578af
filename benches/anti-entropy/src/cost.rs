//! What one comparison costs, and a clock for the work that it takes.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// What one comparison of two sets costs until every difference is named.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cost {
    /// Of all messages, both ways.
    pub bytes: u64,
    /// Both ways: two make a round trip.
    pub messages: u32,
    /// Work of both sides together: not the wait, and not what others do on this machine.
    pub cpu: Duration,
    /// Of `bytes`, those that ask for what is missing, which no rival counts.
    pub asking: u64,
    /// Bytes beyond `bytes`, until both sides have proof that they hold the same.
    pub proof: u64,
    /// Of `cpu`, the part that turns the sets into cells, where that is not kept up with every write.
    pub encoding: Duration,
}

/// Why a comparison was not made.
pub type Skipped = &'static str;

/// The processor time of this thread.
fn worked() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}

/// Does something and adds the processor time that it took.
pub fn timed<T>(cpu: &mut Duration, work: impl FnOnce() -> T) -> T {
    let before = worked();
    let done = work();
    *cpu += worked() - before;
    done
}

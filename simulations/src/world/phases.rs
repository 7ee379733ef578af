//! A run from its beginning to its end: things break; then all is mended, hubs become equal within a bound, then it is
//! quiet, and clients ask for what was written meanwhile.

use std::time::Duration;

use super::World;
use crate::watch::{Seen, Watch};

/// How often it is looked whether hubs are equal.
const LOOK: Duration = Duration::from_millis(250);
/// How often it is looked whether a disk that had rotted is mended: that reads all of it.
const ROT_LOOK: Duration = Duration::from_secs(5);
/// How long it is listened whether it is quiet, at least.
const QUIET: Duration = Duration::from_secs(60);
/// What a client may need after hubs are equal: a failed attempt, a wait, the next.
const CLIENTS: Duration = Duration::from_secs(120);

/// What a run came to.
pub struct Outcome {
    /// What was watched, and whether a promise was broken.
    pub watch: Box<Watch>,
    /// The world as it was in the end.
    pub until: Duration,
    /// How long it took from healing to equality.
    pub converged_in: Option<Duration>,
    /// Within which it had to be.
    pub bound: Duration,
}

impl World {
    /// Runs it all.
    pub fn run(mut self) -> Outcome {
        let heal_at = self.plan.heal_at;
        self.go_on(heal_at);
        let mut converged_in = None;
        let bound = self.bound();
        if !self.is_broken() {
            self.now = self.now.max(heal_at);
            self.heal();
            converged_in = self.converge(bound);
        }
        if converged_in.is_some() && !self.is_broken() {
            self.listen();
            self.ask_again();
            self.saw(&Seen::End);
        }
        let until = self.now;
        let watch = self
            .into_watch()
            .unwrap_or_else(|| panic!("a run without a watch"));
        Outcome {
            watch,
            until,
            converged_in,
            bound,
        }
    }

    pub(super) fn go_on(&mut self, until: Duration) {
        while !self.is_broken() && self.step(until) {}
        if !self.is_broken() {
            self.now = self.now.max(until);
        }
    }

    /// Within which hubs must be equal after everything is mended (I2): a dead link is noticed after three keepalives, a
    /// hub is dialled again within the longest wait, an unheard clock is told again, and then news goes from hub to hub,
    /// page by page.
    fn bound(&self) -> Duration {
        let tuning = &self.plan.tuning;
        let hops = self.net.diameter(self.hubs.len()) as u32;
        let notice = 4 * tuning.keepalive + tuning.dial_timeout + tuning.dial_backoff_max;
        let told = 2 * tuning.quiet_interval + inbetweenies_core::limits::PULL_TIMEOUT;
        let entries: u64 = self.watch().map_or(0, |watch| watch.oracle().entries());
        let pages = entries / tuning.page_records_max.max(1) as u64 + 1;
        let slowest = self.plan.line.latency.1 + Duration::from_millis(20);
        notice
            + (told + 4 * tuning.interval) * (hops + 1)
            + slowest * (4 * pages.min(100_000) as u32 * (hops + 1))
            + self.mending()
            + self.fetching(hops)
    }

    /// What blobs may take beyond that: a chunk that never came is given up after a minute.
    fn fetching(&self, hops: u32) -> Duration {
        let attached = |event: &crate::plan::Event| matches!(event.what, crate::plan::Do::Attach { .. });
        if self.plan.events.iter().any(attached) {
            Duration::from_secs(180) * (hops + 1)
        } else {
            Duration::ZERO
        }
    }

    /// What a rotten disk may take beyond that: a whole check, and comparisons that find hubs busy with each other.
    fn mending(&self) -> Duration {
        let tuning = &self.plan.tuning;
        if self.rotten.is_empty() {
            Duration::ZERO
        } else {
            3 * tuning.check_period + 12 * tuning.compare_interval + Duration::from_secs(240)
        }
    }

    fn converge(&mut self, bound: Duration) -> Option<Duration> {
        let begin = self.now;
        let mut equal_at = None;
        let mut look_at = Duration::ZERO;
        while !self.is_broken() {
            if self.now >= look_at {
                self.look_at_rot();
                look_at = self.now + ROT_LOOK;
            }
            let equal = self.blobs_done()
                && self.rotten.is_empty()
                && self.watch().is_some_and(|watch| watch.oracle().hubs_equal(self));
            if equal && equal_at.is_none() {
                equal_at = Some(self.now);
                self.saw(&Seen::Equal {
                    took: self.now - begin,
                });
                self.last_syncs();
            } else if !equal && equal_at.is_some() {
                equal_at = None; // a client brought something
            }
            if let Some(at) = equal_at
                && self.clients_done()
            {
                return Some(at - begin);
            }
            let late = match equal_at {
                None => self.now > begin + bound + CLIENTS && !self.is_broken(),
                Some(at) => self.now > at + bound + CLIENTS,
            };
            if late {
                self.saw(&Seen::NotEqual { bound });
                return None;
            }
            self.go_on(self.now + LOOK);
        }
        None
    }

    fn last_syncs(&mut self) {
        for client in 0..self.clients.len() {
            self.client_soon(client);
        }
    }

    /// Whether every client has been told everything and has told everything.
    fn clients_done(&self) -> bool {
        self.clients.iter().all(|client| {
            let hub = client.at.unwrap_or(0);
            let same = || *client.replica.clock() == self.clock_of(hub);
            client.is_idle() && client.replica.pending().next().is_none() && same()
        })
    }

    /// Listens whether it is quiet.
    fn listen(&mut self) {
        (0..self.clients.len()).for_each(|client| self.drop_session(client)); // they ask for nothing any more
        // What the last restart had to tell is told first.
        let keepalive = self.plan.tuning.keepalive;
        self.go_on(self.now + 2 * keepalive);
        self.saw(&Seen::QuietBegins);
        let over = QUIET.max(6 * keepalive);
        self.go_on(self.now + over);
        if !self.is_broken() {
            self.saw(&Seen::QuietEnds { over });
        }
    }

    /// Clients ask for what hubs have written since they asked last: a horizon when it was time, or a new member, where a
    /// hub found only then that another went by its name.
    fn ask_again(&mut self) {
        if self.clients_done() {
            return;
        }
        self.last_syncs();
        let until = self.now + CLIENTS;
        while !self.is_broken() && !self.clients_done() && self.now < until {
            self.go_on(self.now + LOOK);
        }
    }
}

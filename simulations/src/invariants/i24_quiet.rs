//! I24: hubs that are equal and are not asked anything are quiet: heartbeats, and nothing written.

use inbetweenies_core::domain::HORIZON;
use inbetweenies_core::store::{Family, LogRow, decode_row};

use super::{Invariant, Violation, at, between};
use crate::plan::Tuning;
use crate::watch::{Oracle, Seen};
use crate::world::World;

/// See the file.
#[derive(Default)]
pub struct Quiet {
    listening: bool,
    messages: u64,
    datagrams: u64,
}

impl Invariant for Quiet {
    fn id(&self) -> &'static str {
        "I24"
    }

    fn promise(&self) -> &'static str {
        "hubs that are equal are quiet: heartbeats within a bound, and nothing written"
    }

    fn saw(&mut self, world: &World, _oracle: &Oracle, seen: &Seen<'_>) -> Result<(), Violation> {
        match seen {
            Seen::QuietBegins => self.listening = true,
            Seen::Committed { hub, commit }
                if self.listening
                    && commit
                        .writes
                        .iter()
                        .any(|(family, _, value)| is_news(*family, value.as_deref())) =>
            {
                return at(*hub, "writes a change set though nobody does anything");
            }
            Seen::Sent { .. } if self.listening => self.messages += 1,
            Seen::Datagram { .. } if self.listening => self.datagrams += 1,
            Seen::QuietEnds { over } => {
                self.listening = false;
                let (messages, datagrams) = bounds(&world.plan.tuning, world.hubs.len(), over.as_secs_f64());
                if self.messages > messages || self.datagrams > datagrams {
                    return between(format!(
                        "{} messages (at most {messages}) and {} datagrams (at most {datagrams}) in a quiet {} s",
                        self.messages,
                        self.datagrams,
                        over.as_secs()
                    ));
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// A change set, other than a horizon: that is written when it is time.
fn is_news(family: Family, row: Option<&[u8]>) -> bool {
    let row = row.filter(|_| family == Family::Log);
    let row = row.and_then(|row| decode_row::<LogRow>(Family::Log, row).ok());
    row.is_some_and(|row| row.ids.iter().any(|id| id.as_str() != HORIZON))
}

/// What is said in a quiet time. On each link, in each direction: a ping and a pong for each keepalive, a clock each
/// quiet interval, and what the failure detector has to spread. A probe is a datagram and its answer, or a few more where
/// nobody answers. Where hubs do not see each other, they dial in vain.
fn bounds(tuning: &Tuning, hubs: usize, seconds: f64) -> (u64, u64) {
    let n = hubs as f64;
    let links = n * (n - 1.0).min(2.0 * tuning.links_max as f64);
    let on_a_link = 4.0 * seconds / tuning.keepalive.as_secs_f64()
        + 4.0 * seconds / tuning.quiet_interval.as_secs_f64()
        + 4.0 * seconds / tuning.compare_interval.as_secs_f64()
        + 8.0;
    let probes = n * (seconds / tuning.probe_period.as_secs_f64() + 2.0);
    let dials = n * (seconds / tuning.dial_backoff_max.as_secs_f64() + 8.0) * 4.0;
    (
        (links * on_a_link + 20.0 * probes + dials) as u64,
        (20.0 * probes + 40.0 * n) as u64,
    )
}

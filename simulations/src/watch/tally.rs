//! Counts of a run, for reports.

use std::collections::BTreeMap;
use std::time::Duration;

use inbetweenies_core::machine::{Gauge, Machine};

use super::{Fate, Oracle, Seen};
use crate::world::World;

/// A queue at its fullest, and how full it may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Fullest {
    /// The most that was seen.
    pub most: usize,
    /// Its bound.
    pub bound: usize,
}

impl Fullest {
    /// How full, from 0 to 1.
    pub fn share(&self) -> f64 {
        self.most as f64 / self.bound.max(1) as f64
    }

    /// The fuller of two.
    pub fn join(&mut self, other: Fullest) {
        self.take(other.most, other.bound);
    }

    fn take(&mut self, now: usize, bound: usize) {
        // The fullest in proportion; ties go to the larger.
        if (now as u128 * self.bound.max(1) as u128, now)
            > (self.most as u128 * bound.max(1) as u128, self.most)
        {
            *self = Fullest { most: now, bound };
        }
    }
}

/// Counts.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// Things that were due.
    pub events: u64,
    /// Virtual time.
    pub lasted: Duration,
    /// Faults, by kind.
    pub faults: BTreeMap<&'static str, u64>,
    /// Messages between hubs, by name.
    pub messages: BTreeMap<&'static str, u64>,
    /// Bytes between hubs.
    pub bytes: u64,
    /// Bytes that carried entries.
    pub entry_bytes: u64,
    /// Requests of clients and scripts.
    pub requests: u64,
    /// Records acknowledged.
    pub acked: u64,
    /// Queues at their fullest.
    pub queues: BTreeMap<&'static str, Fullest>,
    /// From healing to equality.
    pub converged_in: Option<Duration>,
    /// Messages that left since quiet began, and datagrams.
    pub quiet: Option<(u64, u64)>,
}

impl Tally {
    /// All faults.
    pub fn faults(&self) -> u64 {
        self.faults.values().sum()
    }

    pub(super) fn saw(&mut self, world: &World, oracle: &Oracle, seen: &Seen<'_>) {
        match seen {
            Seen::Event { event } if event.what.is_fault() => {
                *self.faults.entry(event.what.name()).or_default() += 1
            }
            Seen::Mishap(mishap) => *self.faults.entry(mishap.name()).or_default() += 1,
            Seen::Sent {
                message, bytes, fate, ..
            } => {
                if *fate == Fate::LeftOut {
                    *self.faults.entry("message left out").or_default() += 1;
                    return;
                }
                *self.messages.entry(message.name()).or_default() += 1;
                self.bytes += *bytes as u64;
                if matches!(message.name(), "page" | "push") {
                    self.entry_bytes += *bytes as u64;
                }
                if let Some((frames, _)) = &mut self.quiet {
                    *frames += 1;
                }
            }
            Seen::Datagram { .. } => {
                *self.messages.entry("datagram").or_default() += 1;
                if let Some((_, datagrams)) = &mut self.quiet {
                    *datagrams += 1;
                }
            }
            Seen::Request { .. } => self.requests += 1,
            Seen::Answered { .. } => {
                self.acked += oracle.landed().iter().filter(|landed| landed.new).count() as u64
            }
            Seen::Equal { took } => self.converged_in = Some(*took),
            Seen::QuietBegins => self.quiet = Some((0, 0)),
            Seen::Sample | Seen::End => self.gauge(world),
            _ => {}
        }
        self.lasted = world.now;
    }

    fn gauge(&mut self, world: &World) {
        for (name, now, bound) in gauges(world) {
            self.queues.entry(name).or_default().take(now, bound);
        }
    }
}

/// Every queue of every hub, with how full it is and may be.
pub fn gauges(world: &World) -> Vec<(&'static str, usize, usize)> {
    /// The hub's mailboxes.
    const MAILBOX: usize = 1 << 16;
    let mut all = Vec::new();
    for hub in &world.hubs {
        let Some(process) = &hub.process else { continue };
        all.push(("mailbox", process.boxes.longest(), MAILBOX));
        let of_machines = [
            process.storage.gauges(),
            process.reconcile.gauges(),
            process.peers.gauges(),
        ];
        for Gauge { name, now, bound } in of_machines.into_iter().flatten() {
            all.push((name, now, bound));
        }
    }
    for conn in world.net.conns.values() {
        for waiting in conn.waiting {
            // One message more than the bound: it is asked before the message is put.
            let most = world.outbox.bytes_max() + world.limits.message_bytes_max;
            all.push(("bytes that wait on a link", waiting, most));
        }
    }
    all
}

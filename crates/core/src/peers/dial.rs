//! Who is dialled, and when again: seeds always, members up to a bound, each with a growing wait.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::{Output, Peers, Settings};
use crate::id::HubId;
use crate::rng::Rng;
use crate::time::Now;

/// How long an address of another home, or of ourselves, is left alone.
const AVOID: Duration = Duration::from_secs(600);

struct Target {
    next: Duration,
    wait: Duration,
    busy: bool,
}

pub(super) struct Dialler {
    targets: BTreeMap<String, Target>,
    /// Which hub answered at an address, and which hubs a link stands to.
    hub_at: BTreeMap<String, HubId>,
    linked: BTreeSet<HubId>,
    backoff: (Duration, Duration),
    rng: Rng,
}

impl Dialler {
    pub fn new(settings: &Settings) -> Dialler {
        Dialler {
            targets: BTreeMap::new(),
            hub_at: BTreeMap::new(),
            linked: BTreeSet::new(),
            backoff: settings.backoff,
            rng: Rng::new(settings.seed, 1),
        }
    }

    pub fn connected(&mut self, address: &str) {
        if let Some(target) = self.targets.get_mut(address) {
            target.busy = true; // until the link is lost
        }
    }

    /// Who is at an address, whether or not the link to it stands up: while another stands, it is left alone.
    pub fn answered(&mut self, hub_id: HubId, dialled: Option<&str>) {
        if let Some(address) = dialled {
            self.hub_at.insert(address.to_owned(), hub_id);
        }
    }

    pub fn met(&mut self, hub_id: HubId, dialled: Option<&str>) {
        self.linked.insert(hub_id);
        if let Some(target) = dialled.and_then(|address| self.targets.get_mut(address)) {
            target.wait = self.backoff.0;
        }
    }

    /// Whether no hub counts as linked.
    #[cfg(test)]
    pub fn is_idle(&self) -> bool {
        self.linked.is_empty()
    }

    pub fn parted(&mut self, hub_id: HubId) {
        self.linked.remove(&hub_id);
    }

    pub fn failed(&mut self, address: &str, now: Duration) {
        self.lost(address, false, now);
    }

    /// Waits before the next attempt: twice as long each time, with a part by chance so that hubs do not march in step.
    pub fn lost(&mut self, address: &str, was_up: bool, now: Duration) {
        let (min, max) = self.backoff;
        let chance = self.rng.below(1_000) as u32;
        if let Some(target) = self.targets.get_mut(address) {
            target.busy = false;
            target.wait = if was_up {
                min
            } else {
                (target.wait * 2).clamp(min, max)
            };
            target.next = target
                .next
                .max(now + target.wait / 2 + target.wait / 2 * chance / 1_000);
        }
    }

    pub fn is_ourselves(&mut self, address: Option<&str>) {
        if let Some(target) = address.and_then(|address| self.targets.get_mut(address)) {
            target.next = Duration::MAX;
        }
    }

    pub fn avoid(&mut self, address: Option<&str>, now: Duration) {
        if let Some(target) = address.and_then(|address| self.targets.get_mut(address)) {
            target.next = now + AVOID;
        }
    }

    fn want(&mut self, address: &str, delay: Duration, now: Duration) {
        let first = Target {
            next: now + delay,
            wait: self.backoff.0,
            busy: false,
        };
        self.targets.entry(address.to_owned()).or_insert(first);
    }

    fn is_due(&self, address: &str, now: Duration) -> bool {
        let linked = self
            .hub_at
            .get(address)
            .is_some_and(|hub| self.linked.contains(hub));
        !linked
            && self
                .targets
                .get(address)
                .is_some_and(|target| !target.busy && target.next <= now)
    }

    pub fn wake_at(&self) -> Option<Duration> {
        let waiting = self.targets.iter().filter(|(address, target)| {
            !target.busy
                && !self
                    .hub_at
                    .get(*address)
                    .is_some_and(|hub| self.linked.contains(hub))
        });
        waiting
            .map(|(_, target)| target.next)
            .filter(|next| *next < Duration::MAX)
            .min()
    }
}

impl Peers {
    pub(super) fn dial(&mut self, now: Now, out: &mut Vec<Output>) {
        for seed in &self.settings.seeds {
            self.dialler.want(seed, Duration::ZERO, now.mono);
        }
        let addresses: Vec<(HubId, String)> = self.neighbours();
        for (hub_id, address) in &addresses {
            // The smaller id dials; the larger gives it a moment first, so that one link is opened and not two.
            let delay = if self.identity.hub_id < *hub_id {
                Duration::ZERO
            } else {
                Duration::from_secs(1)
            };
            self.dialler.want(address, delay, now.mono);
            // What a record says of an address is second to who answered there.
            self.dialler.hub_at.entry(address.clone()).or_insert(*hub_id);
        }
        let wanted: BTreeSet<&String> = self
            .settings
            .seeds
            .iter()
            .chain(addresses.iter().map(|(_, address)| address))
            .collect();
        self.dialler
            .targets
            .retain(|address, target| wanted.contains(address) || target.busy);
        let targets = &self.dialler.targets;
        self.dialler
            .hub_at
            .retain(|address, _| targets.contains_key(address));
        let due: Vec<String> = wanted
            .into_iter()
            .filter(|address| self.dialler.is_due(address, now.mono))
            .cloned()
            .collect();
        for address in due {
            if let Some(target) = self.dialler.targets.get_mut(&address) {
                target.busy = true;
            }
            out.push(Output::Dial { address });
        }
    }

    /// The members to hold a link to: all while they are few; else the next half-bound of them in the ring of ids, so
    /// that the mesh stays connected while each hub holds a bounded number.
    fn neighbours(&self) -> Vec<(HubId, String)> {
        let own = self.identity.hub_id;
        let live = self
            .members
            .values()
            .filter(|member| member.hub_id != own && !member.left);
        let all: Vec<(HubId, String)> = live
            .filter_map(|member| Some((member.hub_id, member.address?.to_string())))
            .collect();
        if all.len() <= self.settings.links_max {
            return all;
        }
        let after = all.partition_point(|(hub_id, _)| *hub_id < own);
        all.iter()
            .cycle()
            .skip(after)
            .take((self.settings.links_max / 2).max(1))
            .cloned()
            .collect()
    }
}

//! One peer: what it holds, what it was told, what was asked of it.
//!
//! Small news is pushed at once; anything larger is pulled, page by page, so that the receiver sets the pace.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::{Output, Reconcile, Settings};
use crate::clock::Clock;
use crate::entry::Bundle;
use crate::id::{Dot, HubId, ReplicaId};
use crate::limits::PULL_TIMEOUT;
use crate::machine::Link;
use crate::reconcile::page::{Filter, page};
use crate::store::{Snapshot, StoreError};
use crate::time::Now;
use crate::wire::{Message, WireBundle, WireClock};
use crate::zoo::{self, Bug};

/// A clock is not told more often than this, however much news there is.
const TELL_MIN: Duration = Duration::from_millis(20);
/// A peer whose page brought nothing is not asked again before this.
const STALL: Duration = Duration::from_secs(2);
/// A peer is not asked before this for a log that it does not hold whole.
const HOLE: Duration = Duration::from_secs(10);

#[derive(Debug, Clone)]
pub(super) struct Peer {
    hub_id: HubId,
    /// What it holds, as far as it said or as its own messages show.
    pub clock: Clock,
    /// `clock` and what was pushed to it since.
    sent: Clock,
    /// Bytes pushed since it last told its clock.
    unconfirmed: usize,
    /// The last clock it was told, and when.
    told: Clock,
    told_at: Duration,
    /// It lacks something that was not pushed: it should hear soon.
    hurry: bool,
    /// Its own reconciliation has spoken on this link. Before that nothing is asked of it or pushed to it: a link
    /// stands up at one end first, and what comes to the other too early is dropped.
    pub ready: bool,
    /// Points of its clock that were found in our own chains.
    pub verified: Clock,
    /// Not asked before this.
    pub stalled_until: Duration,
    /// Logs that it said it does not hold whole, and until when it is not asked for them.
    holes: BTreeMap<ReplicaId, Duration>,
}

impl Peer {
    fn new(hub_id: HubId, clock: Clock, told: Clock, now: Duration) -> Peer {
        let sent = clock.clone();
        Peer {
            hub_id,
            clock,
            sent,
            unconfirmed: 0,
            told,
            told_at: now,
            hurry: true,
            ready: false,
            verified: Clock::new(),
            stalled_until: Duration::ZERO,
            holes: BTreeMap::new(),
        }
    }

    /// When it is to be told our clock: soon in a hurry, at the interval if the clock changed, else only now and then.
    pub fn tell_at(&self, clock: &Clock, settings: &Settings) -> Option<Duration> {
        let after = match (self.hurry, self.told == *clock) {
            (true, _) => TELL_MIN,
            (false, false) => settings.interval,
            (false, true) => settings.quiet_interval,
        };
        Some(self.told_at + after)
    }

    /// When a stalled peer that has something for us may be asked again.
    pub fn wakes(&self, clock: &Clock) -> Option<Duration> {
        let stalled = (self.stalled_until > Duration::ZERO).then_some(self.stalled_until);
        let wakes = stalled.max(self.holes.values().min().copied());
        wakes.filter(|_| clock.lacks(&self.clock))
    }
}

/// A page asked for.
#[derive(Debug, Clone)]
pub(super) struct Pull {
    pub link: Link,
    pub round: u64,
    pub deadline: Duration,
    /// What will be held when everything asked for so far has landed.
    projected: Clock,
    /// Pages handed to storage and not yet durable.
    pub landing: usize,
    /// Whether the page of `round` is still to come.
    pub waiting: bool,
    /// Whether what is held already is taken again too.
    pub mend: bool,
    /// Whether the last page said that there is more.
    pub more: bool,
}

/// What a peer's entries came to.
#[derive(Debug)]
pub(super) struct Landed {
    pub applied: usize,
    pub gap: bool,
    pub forks: Vec<ReplicaId>,
    pub mended: Option<usize>,
}

impl Reconcile {
    pub(super) fn link_up(&mut self, now: Now, link: Link, hub_id: HubId, clock: Clock) {
        // Told at once, by the tick that ends this step: what it knows of us is as old as its hello.
        let told_at = now.mono.saturating_sub(TELL_MIN);
        self.peers
            .insert(link, Peer::new(hub_id, clock, Clock::new(), told_at));
    }

    /// Says how far a peer is, to whoever writes horizons.
    pub(super) fn tell_reached(&self, link: Link, out: &mut Vec<Output>) {
        if let Some(peer) = self.peers.get(&link).filter(|_| self.settings.forgets) {
            out.push(Output::Reached {
                hub_id: peer.hub_id,
                clock: peer.clock.clone(),
            });
        }
    }

    /// The first word from a peer's reconciliation: it hears us now, and is told our clock once more.
    pub(super) fn ready(&mut self, link: Link) {
        if let Some(peer) = self.peers.get_mut(&link).filter(|peer| !peer.ready) {
            peer.ready = true;
            peer.hurry = true;
        }
    }

    pub(super) fn link_down(&mut self, link: Link) {
        self.peers.remove(&link);
        self.traces.retain(|(of, _), _| *of != link);
        self.partings.retain(|(of, _), _| *of != link);
        if self.pull.as_ref().is_some_and(|pull| pull.link == link) {
            self.pull = None; // what was on its way is asked for again, from the clock reached
        }
    }

    pub(super) fn heard_clock(
        &mut self,
        now: Now,
        store: &dyn Snapshot,
        link: Link,
        clock: &WireClock,
        out: &mut Vec<Output>,
    ) -> Result<(), StoreError> {
        let Some(clock) = clock.read(&self.settings.limits) else {
            let detail = "a clock with too many entries, or with one replica twice".to_owned();
            out.push(Output::Cut {
                link,
                code: "bad_clock",
                detail,
            });
            return Ok(());
        };
        if let Some(peer) = self.peers.get_mut(&link) {
            peer.clock = clock.clone();
            peer.sent = clock.clone();
            peer.unconfirmed = 0;
            peer.hurry |= clock.lacks(&self.clock) && peer.told != self.clock;
        }
        self.look_for_forks(store, link, &clock, out)?;
        self.tell_reached(link, out);
        out.push(Output::Heard { link, clock });
        self.maybe_pull(now, out);
        Ok(())
    }

    /// Asks a peer that holds something we lack; one at a time, so that nothing is fetched twice.
    pub(super) fn maybe_pull(&mut self, now: Now, out: &mut Vec<Output>) {
        if self.pull.is_some() || !self.has_home {
            return;
        }
        if let Some(((link, replica), point)) = self.partings.pop_first() {
            let mut from = self.arriving.clone();
            from.set(replica, point.sequence, point.check);
            return self.pull_from(now, link, from, false, out);
        }
        if self.maybe_mend(now, out) {
            return;
        }
        let useful = |link: &Link, peer: &Peer| {
            peer.clock.iter().any(|(replica, point)| {
                !self.traces.contains_key(&(*link, *replica))
                    && peer.holes.get(replica).is_none_or(|until| *until <= now.mono)
                    && self.arriving.sequence(replica) < point.sequence
            })
        };
        let ready = self
            .peers
            .iter()
            .filter(|(link, p)| p.ready && p.stalled_until <= now.mono && useful(link, p));
        let Some((link, _)) = ready.min_by_key(|(link, _)| (link.0 as usize).wrapping_sub(self.turn)) else {
            return;
        };
        self.pull_from(now, *link, self.arriving.clone(), false, out);
    }

    pub(super) fn pull_from(&mut self, now: Now, link: Link, from: Clock, mend: bool, out: &mut Vec<Output>) {
        self.rounds += 1;
        let message = Message::Pull {
            round: self.rounds,
            clock: WireClock::of(&from),
        };
        self.pull = Some(Pull {
            link,
            round: self.rounds,
            deadline: now.mono + PULL_TIMEOUT,
            projected: from,
            landing: 0,
            waiting: true,
            mend,
            more: false,
        });
        out.push(Output::Send { link, message });
    }

    /// Hands a peer's entries to storage; until they are durable they count as arriving, and nobody is asked for them.
    pub(super) fn apply(&mut self, link: Link, bundles: Vec<Bundle>, mend: bool, out: &mut Vec<Output>) {
        for bundle in &bundles {
            let dot = bundle.entry.dot;
            if !self.arriving.covers(dot) {
                self.arriving
                    .set(dot.replica, dot.sequence, Some(bundle.hash.check()));
            }
        }
        self.applying += 1;
        out.push(Output::Apply { link, bundles, mend });
    }

    pub(super) fn answer_pull(
        &mut self,
        store: &dyn Snapshot,
        link: Link,
        round: u64,
        clock: &WireClock,
        out: &mut Vec<Output>,
    ) -> Result<(), StoreError> {
        let Some(from) = clock.read(&self.settings.limits) else {
            out.push(Output::Cut {
                link,
                code: "bad_clock",
                detail: "a pull from an impossible clock".to_owned(),
            });
            return Ok(());
        };
        let limits = &self.settings.limits;
        let page = page(
            store,
            &from,
            &Filter::default(),
            limits.page_records_max,
            limits.page_bytes_max,
        )?;
        if let Some(peer) = self.peers.get_mut(&link) {
            peer.sent.join(&page.next);
        }
        let bundles = page.emitted.iter().map(super::Emitted::to_wire).collect();
        self.found_holes(&page.holes, out);
        out.push(Output::Send {
            link,
            message: Message::Page {
                round,
                bundles,
                more: page.more,
                holes: page.holes,
            },
        });
        Ok(())
    }

    pub(super) fn heard_page(
        &mut self,
        now: Now,
        link: Link,
        round: u64,
        bundles: Vec<WireBundle>,
        (more, holes): (bool, &[Dot]),
        out: &mut Vec<Output>,
    ) {
        if let Some(peer) = self.peers.get_mut(&link) {
            let logs = self.settings.limits.clock_entries_max;
            for hole in holes.iter().take(logs) {
                peer.holes.insert(hole.replica, now.mono + HOLE);
            }
            peer.holes.retain(|_, until| *until > now.mono);
        }
        if !self
            .pull
            .as_ref()
            .is_some_and(|pull| pull.link == link && pull.round == round && pull.waiting)
        {
            return; // an answer that was given up
        }
        let Some(bundles) = self.open(link, bundles, out) else {
            self.pull = None;
            return;
        };
        let Some(pull) = self.pull.as_mut() else { return };
        for bundle in &bundles {
            let dot = bundle.entry.dot;
            pull.projected
                .set(dot.replica, dot.sequence, Some(bundle.hash.check()));
        }
        pull.waiting = false;
        pull.more = more;
        let mend = pull.mend;
        pull.deadline = now.mono + PULL_TIMEOUT;
        if bundles.is_empty() {
            // It said that it has more than we hold, and sends nothing: a stale clock, or a lie.
            if let Some(peer) = self.peers.get_mut(&link) {
                peer.stalled_until = now.mono + STALL;
            }
            if pull.landing == 0 {
                self.pull = None;
                self.maybe_pull(now, out);
            }
            return;
        }
        pull.landing += 1;
        self.apply(link, bundles, mend, out);
        if more {
            self.pull_on(now, out);
        }
    }

    /// Asks for the next page while the last is still landing: one ahead, no more.
    pub(super) fn pull_on(&mut self, now: Now, out: &mut Vec<Output>) {
        let Some(pull) = self.pull.as_mut() else { return };
        if pull.waiting || pull.landing > 1 {
            return;
        }
        self.rounds += 1;
        pull.round = self.rounds;
        pull.waiting = true;
        pull.deadline = now.mono + PULL_TIMEOUT;
        let clock = WireClock::of(&pull.projected);
        out.push(Output::Send {
            link: pull.link,
            message: Message::Pull {
                round: pull.round,
                clock,
            },
        });
    }

    pub(super) fn heard_push(&mut self, link: Link, bundles: Vec<WireBundle>, out: &mut Vec<Output>) {
        let Some(bundles) = self.open(link, bundles, out) else {
            return;
        };
        let known = &self.arriving;
        let new: Vec<Bundle> = bundles
            .into_iter()
            .filter(|bundle| !known.covers(bundle.entry.dot))
            .collect();
        if !new.is_empty() {
            self.apply(link, new, false, out);
        }
    }

    /// Verifies what a peer sent; what it sends, it holds.
    pub(super) fn open(
        &mut self,
        link: Link,
        bundles: Vec<WireBundle>,
        out: &mut Vec<Output>,
    ) -> Option<Vec<Bundle>> {
        let mut opened = Vec::with_capacity(bundles.len().min(self.settings.limits.page_records_max));
        for bundle in bundles {
            match bundle.open() {
                Ok(bundle) => opened.push(bundle),
                Err(error) => {
                    out.push(Output::Cut {
                        link,
                        code: "bad_bundle",
                        detail: error.to_string(),
                    });
                    return None;
                }
            }
        }
        let peer = self.peers.get_mut(&link)?;
        for bundle in &opened {
            let dot = bundle.entry.dot;
            if !peer.clock.covers(dot) {
                peer.clock
                    .set(dot.replica, dot.sequence, Some(bundle.hash.check()));
            }
            if !peer.sent.covers(dot) {
                peer.sent
                    .set(dot.replica, dot.sequence, Some(bundle.hash.check()));
            }
        }
        Some(opened)
    }

    pub(super) fn applied(&mut self, now: Now, link: Link, landed: &Landed, out: &mut Vec<Output>) {
        let Landed {
            applied,
            gap,
            forks,
            mended,
        } = landed;
        let (applied, gap) = (*applied, *gap);
        self.applying = self.applying.saturating_sub(1);
        if self.applying == 0 || gap || !forks.is_empty() {
            // Whatever was dropped is not arriving any more.
            self.arriving = self.clock.clone();
        }
        for replica in forks {
            self.trace(link, *replica, out);
        }
        if let Some(mended) = mended {
            self.mend_landed(now, link, *mended, out);
        } else if let Some(pull) = self
            .pull
            .as_mut()
            .filter(|pull| pull.link == link && pull.landing > 0 && !pull.mend)
        {
            pull.landing -= 1;
            if applied == 0
                && let Some(peer) = self.peers.get_mut(&link)
            {
                peer.stalled_until = now.mono + STALL;
            }
            if gap || !forks.is_empty() || applied == 0 {
                self.pull = None; // what was projected is not so: begin again from the clock
            } else if pull.waiting {
            } else if self
                .peers
                .get(&link)
                .is_some_and(|peer| pull.projected.lacks(&peer.clock))
            {
                self.pull_on(now, out);
            } else if pull.landing == 0 {
                self.pull = None;
            }
        }
        self.maybe_pull(now, out);
    }

    /// Entries are durable: push them on, or say that there is something to pull.
    pub(super) fn durable(
        &mut self,
        now: Now,
        bundles: &[(Arc<Bundle>, Option<Link>)],
        clock: Clock,
        out: &mut Vec<Output>,
    ) {
        self.arriving.join(&clock);
        if self.applying == 0 {
            self.arriving = clock.clone();
        }
        self.clock = clock;
        let links: Vec<Link> = self.peers.keys().copied().collect();
        let mut chosen = 0;
        self.turn = self.turn.wrapping_add(1);
        for at in 0..links.len() {
            let link = links[(at + self.turn) % links.len()];
            let Some(peer) = self.peers.get_mut(&link) else {
                continue;
            };
            let lacking: Vec<&Arc<Bundle>> = bundles
                .iter()
                .filter(|(bundle, from)| *from != Some(link) && !peer.sent.covers(bundle.entry.dot))
                .map(|(bundle, _)| bundle)
                .collect();
            if lacking.is_empty() {
                continue;
            }
            let fits = peer.ready && chosen < self.settings.fanout && peer.takes(&lacking, &self.settings);
            if fits {
                chosen += 1;
                let bundles = lacking.iter().map(|bundle| WireBundle::of(bundle)).collect();
                out.push(Output::Send {
                    link,
                    message: Message::Push { bundles },
                });
            } else {
                peer.hurry |= self.settings.fanout > chosen;
            }
        }
        self.maybe_pull(now, out);
    }

    /// What time alone asks for.
    pub(super) fn tick(&mut self, now: Now, out: &mut Vec<Output>) {
        let kept = zoo::planted(Bug::LostPullBlocks) || zoo::planted(Bug::TimerStaysDue);
        let given_up = |pull: &Pull| pull.deadline <= now.mono && !kept;
        if self.pull.as_ref().is_some_and(given_up) {
            if let Some(pull) = self.pull.take()
                && let Some(peer) = self.peers.get_mut(&pull.link)
            {
                peer.stalled_until = now.mono + PULL_TIMEOUT;
            }
            self.turn = self.turn.wrapping_add(1);
        }
        self.traces
            .retain(|_, trace| *trace.deadline.get_or_insert(now.mono + PULL_TIMEOUT) > now.mono);
        for (link, peer) in &mut self.peers {
            let due = peer
                .tell_at(&self.clock, &self.settings)
                .is_some_and(|at| at <= now.mono);
            if due {
                peer.told = self.clock.clone();
                peer.told_at = now.mono;
                peer.hurry = false;
                let clock = if zoo::planted(Bug::ClockBeforeSync) {
                    WireClock::of(&self.arriving)
                } else {
                    WireClock::of(&self.clock)
                };
                out.push(Output::Send {
                    link: *link,
                    message: Message::Clock { clock },
                });
            }
            if peer.stalled_until <= now.mono {
                peer.stalled_until = Duration::ZERO;
            }
            peer.holes.retain(|_, until| *until > now.mono);
        }
        self.maybe_pull(now, out);
    }
}

impl Peer {
    /// Whether these entries can be pushed: each follows what the peer holds or was sent, and they stay within the
    /// window. Notes them as sent if so.
    fn takes(&mut self, bundles: &[&Arc<Bundle>], settings: &super::Settings) -> bool {
        let bytes: usize = bundles.iter().map(|bundle| bundle.size()).sum();
        if bytes > settings.limits.page_bytes_max || self.unconfirmed + bytes > settings.window_bytes_max {
            return false;
        }
        let mut sent = self.sent.clone();
        for bundle in bundles {
            let dot = bundle.entry.dot;
            if sent.sequence(&dot.replica) != bundle.entry.prev.map_or(0, |(sequence, _)| sequence) {
                return false;
            }
            sent.set(dot.replica, dot.sequence, Some(bundle.hash.check()));
        }
        self.sent = sent;
        self.unconfirmed += bytes;
        true
    }
}

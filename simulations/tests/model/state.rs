//! One moment of a small mesh: hubs, messages on their way, and what was promised so far.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use inbetweenies_core::clock::Clock;
use inbetweenies_core::entry::ChangeSet;
use inbetweenies_core::hash::{Check, Digest};
use inbetweenies_core::id::Dot;
use inbetweenies_core::limits::Limits;
use inbetweenies_core::machine::{Link, Machine};
use inbetweenies_core::wire::Message;

use super::disk::Disk;
use super::hub::{Hub, Process};
use super::plan::Promise;
use super::print::Print;

/// A timer this far away changes nothing any more: hubs tell equal clocks now and then.
const QUIET: Duration = Duration::from_secs(15);

/// What travels on a link.
pub enum Word {
    /// What its two ends tell each other first, so that it stands.
    Hello(Clock),
    Message(Message),
}

pub struct Sent {
    pub word: Word,
    print: u64,
}

/// Messages on their way, by direction: from the smaller hub, to it.
#[derive(Clone, Default)]
pub struct Line(pub [VecDeque<Arc<Sent>>; 2]);

/// A hub and what tells it from others, worked out once for each change.
#[derive(Clone)]
pub struct Slot {
    pub hub: Arc<Hub>,
    pub print: u64,
}

#[derive(Clone)]
pub struct State {
    /// What all hubs' clocks show.
    pub mono: Duration,
    pub slots: Vec<Slot>,
    pub lines: BTreeMap<(usize, usize), Line>,
    pub salt: i64,
    pub sets: Arc<Vec<ChangeSet>>,
    pub image: Arc<Disk>,
    pub image_print: u64,
    pub pushed: BTreeSet<usize>,
    /// (hub, set): this hub has said that it is durable, and its disk was not set back to before it.
    pub acked: BTreeSet<(usize, usize)>,
    /// Sets that were acknowledged and that some disk held even after one was set back.
    pub owed: BTreeSet<usize>,
    pub crashes: u8,
    pub stops: u8,
    pub cuts: u8,
    pub jumps: u8,
    pub restored: bool,
    /// A disk went back, marks and all: sequences may be used again.
    pub unnoticed: bool,
    pub forked: bool,
    pub ticks: u8,
    /// Every entry that ever was on a disk.
    pub bound: Arc<BTreeMap<Dot, Digest>>,
    pub bound_print: u64,
    /// Hubs whose print is stale.
    pub touched: BTreeSet<usize>,
    /// The first promise that was not kept, and how.
    pub broken: Option<(Promise, String)>,
}

impl Hash for State {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.mono.hash(hasher);
        self.ticks.hash(hasher);
        for slot in &self.slots {
            slot.print.hash(hasher);
        }
        for (pair, line) in &self.lines {
            pair.hash(hasher);
            for way in &line.0 {
                way.len().hash(hasher);
                way.iter().for_each(|sent| sent.print.hash(hasher));
            }
        }
        // The sets are what the salt makes of them.
        (self.salt, self.image_print).hash(hasher);
        (&self.pushed, &self.acked, &self.owed).hash(hasher);
        (self.crashes, self.stops, self.cuts, self.jumps).hash(hasher);
        (self.restored, self.unnoticed, self.forked).hash(hasher);
        self.bound_print.hash(hasher);
        self.broken.is_some().hash(hasher);
    }
}

impl PartialEq for State {
    fn eq(&self, other: &State) -> bool {
        self.whole_print() == other.whole_print()
    }
}

impl State {
    /// What tells this state apart.
    pub fn whole_print(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.hash(&mut hasher);
        hasher.finish()
    }

    pub fn fail(&mut self, promise: Promise, how: String) {
        self.broken.get_or_insert((promise, how));
    }

    pub fn process(&self, at: usize) -> &Process {
        let process = self.slots[at].hub.process.as_ref();
        process.unwrap_or_else(|| panic!("hub {at} does not run"))
    }

    pub fn print(&mut self) {
        for at in std::mem::take(&mut self.touched) {
            self.slots[at].print = self.slots[at].hub.print();
        }
    }

    pub fn next_wake(&self) -> Option<Duration> {
        let wake = |slot: &Slot| {
            slot.hub
                .process
                .as_ref()
                .and_then(|process| process.reconcile.wake_at())
        };
        self.slots.iter().filter_map(wake).min()
    }

    pub fn wakes_soon(&self) -> bool {
        self.next_wake().is_some_and(|at| at < self.mono + QUIET)
    }

    /// How two disks differ that should be alike.
    pub fn differ(&self) -> Option<String> {
        let mut disks = self.slots.iter().map(|slot| slot.hub.disk.told());
        let first = disks.next()?;
        for (at, other) in disks.enumerate() {
            let at = at + 1;
            if first.0 != other.0 {
                return Some(format!(
                    "the logs of hubs 0 and {at}: {:?} and {:?}",
                    first.0, other.0
                ));
            }
            if first.1 != other.1 {
                return Some(format!("the records of hubs 0 and {at}"));
            }
            if first.2 != other.2 {
                return Some(format!("the ids of hubs 0 and {at}"));
            }
        }
        None
    }

    /// The commit under way goes to disk, as far as it is ever seen while the process lives.
    pub fn write(&mut self, at: usize) {
        self.touched.insert(at);
        let hub = Arc::make_mut(&mut self.slots[at].hub);
        let flight = hub.process.as_mut().and_then(|process| process.flight.as_mut());
        let flight = flight.unwrap_or_else(|| panic!("no commit of hub {at} is under way"));
        flight.written = true;
        if let Err(how) = hub.disk.write(&flight.commit) {
            self.fail(Promise::Chain, format!("at hub {at}: {how}"));
        }
    }

    /// Notes what each dot on a hub's disk names; answers those that named another entry before.
    pub fn bind(&mut self, at: usize) -> Vec<Dot> {
        let log = &self.slots[at].hub.disk.log;
        let new = log
            .iter()
            .filter(|(dot, logged)| self.bound.get(dot) != Some(&logged.hash));
        let new: Vec<(Dot, Digest)> = new.map(|(dot, logged)| (*dot, logged.hash)).collect();
        if new.is_empty() {
            return Vec::new();
        }
        let bound = Arc::make_mut(&mut self.bound);
        let mut twice = Vec::new();
        for (dot, hash) in new {
            if *bound.entry(dot).or_insert(hash) != hash {
                twice.push(dot);
            }
        }
        let mut print = Print::default();
        print.shown(&self.bound);
        self.bound_print = print.end();
        twice
    }

    pub fn up(&mut self, a: usize, b: usize) {
        self.lines.insert((a, b), Line::default());
        for (at, other) in [(a, b), (b, a)] {
            self.touched.insert(at);
            let hub = Arc::make_mut(&mut self.slots[at].hub);
            let Some(process) = &mut hub.process else { continue };
            process.name_link(other);
            let (link, clock) = (process.links[&other], process.said.clone());
            self.check_clock(at, &clock);
            self.send(at, link, Word::Hello(clock));
        }
    }

    pub fn send(&mut self, at: usize, link: Link, word: Word) {
        let links = &self.process(at).links;
        let Some(to) = links.iter().find(|(_, of)| **of == link).map(|(to, _)| *to) else {
            return; // the link is gone
        };
        let mut print = Print::default();
        match &word {
            Word::Hello(clock) => print.shown(clock),
            Word::Message(message) => print.shown(message),
        }
        let print = print.end();
        if let Some(line) = self.lines.get_mut(&(at.min(to), at.max(to))) {
            line.0[usize::from(at > to)].push_back(Arc::new(Sent { word, print }));
        }
    }

    /// What a hub says of what it holds is on its disk at that moment.
    pub fn check_truth(&mut self, at: usize, message: &Message) {
        match message {
            Message::Clock { clock } => match clock.read(&Limits::default()) {
                Some(clock) => self.check_clock(at, &clock),
                None => self.fail(Promise::Truthful, "a clock that nobody can read".to_owned()),
            },
            Message::Page { bundles, .. } | Message::Push { bundles } => {
                for bundle in bundles {
                    match bundle.clone().open() {
                        Ok(bundle) => self.check_said(at, bundle.entry.dot, Some(bundle.hash.check())),
                        Err(error) => {
                            self.fail(Promise::Truthful, format!("hub {at} sends rubbish: {error}"))
                        }
                    }
                }
            }
            Message::Chain { links, .. } => {
                for (dot, hash) in links {
                    self.check_said(at, *dot, Some(hash.check()));
                }
            }
            _ => {}
        }
    }

    /// A log without a gap that ends with an entry holds all before it.
    fn check_clock(&mut self, at: usize, clock: &Clock) {
        for (replica, point) in clock.iter() {
            let dot = Dot {
                replica: *replica,
                sequence: point.sequence,
            };
            self.check_said(at, dot, point.check);
        }
    }

    fn check_said(&mut self, at: usize, dot: Dot, check: Option<Check>) {
        let hub = &self.slots[at].hub;
        // A branch that was given up is kept as evidence. Until the news of it has come from storage, reconcile speaks of
        // what it was told before.
        let news = hub.process.as_ref().is_some_and(Process::news_is_due);
        let said_before = news && hub.disk.had(dot, check);
        if !said_before && !hub.disk.has(dot, check) {
            self.fail(
                Promise::Truthful,
                format!("hub {at} tells of {dot:?}, which is not on its disk"),
            );
        }
    }
}

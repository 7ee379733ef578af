//! One hub: a disk, and while it runs the core's own machines on it, wired by the core's own routing.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use inbetweenies_core::clock::Clock;
use inbetweenies_core::conflict::Conflict;
use inbetweenies_core::limits::Limits;
use inbetweenies_core::machine::{Link, Machine};
use inbetweenies_core::node::{Effect, Mail, Route};
use inbetweenies_core::peers;
use inbetweenies_core::reconcile::{self, Reconcile};
use inbetweenies_core::storage::{self, Storage};
use inbetweenies_core::store::Commit;
use inbetweenies_core::time::{Micros, Now};
use inbetweenies_core::value::{Map, Value};

use super::disk::Disk;
use super::print::Print;

/// The wall clock stands still: order times come from the hybrid logical clock alone, so that equal stories give equal
/// entries whenever they happen.
const WALL: Micros = Micros(1_781_516_462_000_000);

#[derive(Clone, Default)]
pub struct Hub {
    pub disk: Disk,
    pub process: Option<Process>,
    /// How often it was started: chance is fresh each time.
    pub boots: u64,
}

#[derive(Clone)]
pub struct Process {
    pub storage: Storage,
    pub reconcile: Reconcile,
    conflict: Conflict,
    pub flight: Option<Flight>,
    /// What the first word on a link says: how far everything is held.
    pub said: Clock,
    /// Links by the other end.
    pub links: BTreeMap<usize, Link>,
    next_link: u64,
    /// Where rooms may be slow: mail that waits for a room on another thread.
    pub boxes: Option<Boxes>,
    /// A clean stop was asked for.
    pub stopping: bool,
    /// And made: the process may end.
    pub stopped: bool,
}

/// Mail from one room to another, not looked at yet.
#[derive(Debug, Clone, Default)]
pub struct Boxes {
    pub storage: Vec<storage::Input>,
    pub reconcile: VecDeque<reconcile::Input>,
}

/// A commit under way.
#[derive(Clone)]
pub struct Flight {
    pub commit: Arc<Commit>,
    /// Whether the batch is on disk. The mark before it and the note after it are seen by nobody until the next start:
    /// whether they are there is decided when power fails.
    pub written: bool,
    print: u64,
}

impl Flight {
    pub fn new(commit: Commit) -> Flight {
        let mut print = Print::default();
        print.shown(&commit);
        Flight {
            commit: Arc::new(commit),
            written: false,
            print: print.end(),
        }
    }
}

/// What a step asks of the world outside the rooms.
pub type Effects = Vec<Effect>;

/// What the rooms leave for the world, and whether an entry came early on the way.
#[derive(Default)]
pub struct Outside {
    pub effects: Effects,
    pub early: bool,
}

fn policy() -> Map {
    let text = |text: &str| Value::Text(text.to_owned());
    Map::from([
        (
            "domain".to_owned(),
            Value::Map(Map::from([("name".to_owned(), text("house"))])),
        ),
        (
            "entity".to_owned(),
            Value::Map(Map::from([("device".to_owned(), Value::Map(Map::new()))])),
        ),
    ])
}

impl Process {
    /// Starts the rooms on what the disk holds; the caller gives storage its first step.
    pub fn open(disk: &Disk, at: usize, boots: u64, slow: bool) -> Process {
        let settings = storage::Settings {
            name: format!("hub{at}"),
            address: None,
            found: at == 0,
            policy: policy(),
            group_records_max: 4_096,
            group_bytes_max: 8 << 20,
            content_min: None,
            horizon_interval: Duration::from_secs(86_400),
            seed: [boots, at as u64],
        };
        let storage =
            Storage::open(settings, &disk.snapshot(), &disk.marks).unwrap_or_else(|e| panic!("{e}"));
        let settings = reconcile::Settings {
            limits: Limits::default(),
            fanout: 4,
            interval: Duration::from_secs(1),
            quiet_interval: Duration::from_secs(30),
            window_bytes_max: 8 << 20,
            forgets: false,
        };
        let clock = storage.clock().clone();
        Process {
            reconcile: Reconcile::new(settings, &storage.identity(), clock.clone()),
            conflict: Conflict::new(storage.policy()),
            storage,
            flight: None,
            said: clock,
            links: BTreeMap::new(),
            next_link: 1,
            boxes: slow.then(Boxes::default),
            stopping: false,
            stopped: false,
        }
    }

    /// A name for a new link, never used before by this process.
    pub fn name_link(&mut self, other: usize) {
        self.links.insert(other, Link(self.next_link));
        self.next_link += 1;
    }

    /// Takes mail and all that follows from it within the hub, one input at a time, in the order it was posted; what
    /// remains is for the world. Rooms that step later than here mostly see what they would have seen had the message,
    /// or the end of the commit, come later: a story of its own in the model. Where they would not, [`Boxes`] tell.
    pub fn take(&mut self, disk: &Disk, mono: Duration, mail: Vec<Mail>) -> Outside {
        let now = Now { wall: WALL, mono };
        let mut waiting: VecDeque<Mail> = mail.into();
        let mut outside = Outside::default();
        while let Some(mail) = waiting.pop_front() {
            let (effects, boxed) = match mail {
                Mail::Storage(input) => (step(&mut self.storage, now, disk, vec![input]), true),
                Mail::Reconcile(input) => {
                    outside.early |= matches!(input, reconcile::Input::Applied { gap: true, .. });
                    (step(&mut self.reconcile, now, disk, vec![input]), true)
                }
                Mail::Conflict(input) => (step(&mut self.conflict, now, disk, vec![input]), false),
                Mail::Peers(peers::Input::Clock(clock)) => {
                    self.said = clock;
                    continue;
                }
                // Comparing stores and fetching blobs write no record: they have stories and properties of its own.
                Mail::Peers(_) | Mail::Merkle(_) | Mail::Transfer(_) => continue,
            };
            self.sort(effects, boxed, &mut waiting, &mut outside.effects);
        }
        outside
    }

    /// Storage takes all its mail as one group.
    pub fn open_storage_box(&mut self, disk: &Disk, mono: Duration) -> Outside {
        let mail = self
            .boxes
            .iter_mut()
            .flat_map(|boxes| std::mem::take(&mut boxes.storage));
        let mail = mail.collect();
        let effects = step(&mut self.storage, Now { wall: WALL, mono }, disk, mail);
        self.go_on(disk, mono, effects)
    }

    /// Reconcile takes the next of its mail.
    pub fn open_reconcile_box(&mut self, disk: &Disk, mono: Duration) -> Outside {
        let mail = self.boxes.as_mut().and_then(|boxes| boxes.reconcile.pop_front());
        self.take(disk, mono, mail.map(Mail::Reconcile).into_iter().collect())
    }

    /// Whether something that is on disk has not been told to all rooms yet.
    pub fn news_is_due(&self) -> bool {
        let unread = self
            .boxes
            .as_ref()
            .is_some_and(|boxes| !boxes.reconcile.is_empty());
        unread || self.flight.as_ref().is_some_and(|flight| flight.written)
    }

    /// The first step of a process.
    pub fn begin(&mut self, disk: &Disk, mono: Duration) -> Outside {
        let effects = step(&mut self.storage, Now { wall: WALL, mono }, disk, Vec::new());
        self.go_on(disk, mono, effects)
    }

    /// Time has passed.
    pub fn wake(&mut self, disk: &Disk, mono: Duration) -> Outside {
        let effects = step(&mut self.reconcile, Now { wall: WALL, mono }, disk, Vec::new());
        self.go_on(disk, mono, effects)
    }

    fn go_on(&mut self, disk: &Disk, mono: Duration, effects: Effects) -> Outside {
        let (mut waiting, mut first) = (VecDeque::new(), Vec::new());
        self.sort(effects, true, &mut waiting, &mut first);
        let mut outside = self.take(disk, mono, waiting.into());
        outside.effects.splice(0..0, first);
        outside
    }

    fn sort(&mut self, effects: Effects, boxed: bool, waiting: &mut VecDeque<Mail>, outside: &mut Effects) {
        for effect in effects {
            match effect {
                Effect::Post(mail) => match (self.boxes.as_mut().filter(|_| boxed), mail) {
                    (Some(boxes), Mail::Storage(input)) => boxes.storage.push(input),
                    (Some(boxes), Mail::Reconcile(input)) => boxes.reconcile.push_back(input),
                    (_, mail) => waiting.push_back(mail),
                },
                Effect::Commit(commit) => {
                    assert!(self.flight.is_none(), "two commits at once");
                    self.flight = Some(Flight::new(commit));
                }
                other => outside.push(other),
            }
        }
    }

    fn print(&self, print: &mut Print) {
        print.shown(&self.storage);
        print.shown(&self.reconcile);
        print.shown(&self.conflict);
        print.shown(&self.flight.as_ref().map(|flight| (flight.print, flight.written)));
        print.shown(&self.boxes);
        print.shown(&(
            &self.said,
            &self.links,
            self.next_link,
            self.stopping,
            self.stopped,
        ));
    }
}

impl Hub {
    /// What tells two hubs apart.
    pub fn print(&self) -> u64 {
        let mut print = Print::default();
        print.number(self.disk.print());
        print.number(self.boots);
        match &self.process {
            Some(process) => process.print(&mut print),
            None => print.number(0),
        }
        print.end()
    }
}

fn step<M: Machine>(machine: &mut M, now: Now, disk: &Disk, inputs: Vec<M::Input>) -> Effects
where
    M::Output: Route,
{
    let mut outputs = Vec::new();
    let stepped = machine.step(now, &disk.snapshot(), inputs, &mut outputs);
    stepped.unwrap_or_else(|error| panic!("{error}"));
    let mut effects = Vec::new();
    outputs.into_iter().for_each(|output| output.route(&mut effects));
    effects
}

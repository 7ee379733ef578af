//! The world: hubs, clients and the network between them, in virtual time, driven by one queue.
//!
//! The hubs are the core's own machines with the core's own routing; messages are encoded and decoded on the way. The
//! same plan gives the same run, to the last event.

mod blobs;
mod client;
mod clock;
mod disk;
mod door;
mod driven;
mod faults;
mod hub;
mod line;
mod network;
mod phases;
mod push;
mod rot;
mod steps;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use inbetweenies_core::blob::BlobId;
use inbetweenies_core::clock::Clock;
use inbetweenies_core::conflict::read;
use inbetweenies_core::limits::Limits;
use inbetweenies_core::machine::Link;
use inbetweenies_core::node::Outbox;
use inbetweenies_core::time::Now;
use inbetweenies_core::transfer::Work;

pub use blobs::{blobs_of, is_whole};
pub use client::Client;
pub use clock::{START, WallClock};
pub use disk::{Disk, Image, Reader};
pub use door::{Call, CallId, PATIENCE};
pub use hub::{Hub, Process, Room, Upload, address};
pub use network::{ConnId, Network};
pub use phases::Outcome;
pub use push::request;
pub use steps::storage_settings;

use network::Parcel;

use crate::chance::Chance;
use crate::plan::{Lane, Plan};
use crate::watch::{Seen, Watch};

/// Something that is due at a time.
#[derive(Debug, Clone)]
pub enum Due {
    /// A room handles its mail.
    Step {
        /// Whose.
        hub: usize,
        /// Which of its processes.
        boot: u64,
        /// Which room.
        room: Room,
    },
    /// A room wanted to be woken.
    Wake {
        /// Whose.
        hub: usize,
        /// Which of its processes.
        boot: u64,
        /// Which room.
        room: Room,
    },
    /// The disk is done with the commit under way.
    Committed {
        /// Whose.
        hub: usize,
        /// Which of its processes.
        boot: u64,
        /// Which commit of the process.
        number: u64,
    },
    /// A parcel comes out of a connection at one end.
    Parcel {
        /// Which connection.
        conn: ConnId,
        /// At which end.
        side: usize,
        /// What.
        parcel: Parcel,
    },
    /// An end learns that its connection is gone.
    Closed {
        /// Which connection.
        conn: ConnId,
        /// Which end.
        side: usize,
    },
    /// Somebody is asked for a connection.
    Knock {
        /// Who dials.
        hub: usize,
        /// Which of its processes.
        boot: u64,
        /// Whom.
        address: SocketAddr,
    },
    /// An attempt to dial has failed.
    DialFailed {
        /// Who dialled.
        hub: usize,
        /// Which of its processes.
        boot: u64,
        /// Whom.
        address: SocketAddr,
    },
    /// A datagram arrives.
    Datagram {
        /// At whom.
        hub: usize,
        /// What.
        data: Vec<u8>,
    },
    /// A client's request arrives at a hub.
    Request {
        /// Which.
        call: CallId,
    },
    /// A client hears what became of its request.
    Answer {
        /// Which.
        call: CallId,
    },
    /// A hub has not answered in time.
    Overdue {
        /// Which.
        call: CallId,
    },
    /// A client has waited long enough.
    GiveUp {
        /// Which.
        call: CallId,
    },
    /// A client does what it planned.
    Client {
        /// Which.
        client: usize,
        /// What was arranged before is dropped.
        round: u64,
    },
    /// A hub's files have done what they were to do.
    Worked {
        /// Whose.
        hub: usize,
        /// Which of its processes.
        boot: u64,
        /// What.
        work: Box<Work>,
    },
    /// A client's blob has come to a hub, if the way held.
    Uploaded {
        /// Whose.
        client: usize,
        /// Where.
        hub: usize,
        /// Which of its processes.
        boot: u64,
        /// Which blob.
        id: BlobId,
    },
    /// An event of the plan, by its place.
    Do(usize),
    /// It ends.
    Undo(usize),
    /// A hub that ended by itself is started again.
    Restart {
        /// Which.
        hub: usize,
        /// Why it was off.
        reason: u64,
    },
}

/// The whole.
pub struct World {
    /// What was planned.
    pub plan: Arc<Plan>,
    /// The true time since the beginning.
    pub now: Duration,
    /// The hubs; clones come after those of the plan.
    pub hubs: Vec<Hub>,
    /// The clients.
    pub clients: Vec<Client>,
    /// Who reaches whom.
    pub net: Network,
    /// Requests under way.
    pub calls: BTreeMap<CallId, Call>,
    /// Bounds of what comes from outside.
    pub limits: Limits,
    /// Bounds of what leaves.
    pub outbox: Outbox,
    /// Whether the faults are over.
    pub healed: bool,
    /// Hubs whose disks have rotted, and that have not mended it yet.
    pub rotten: BTreeSet<usize>,
    /// Chunks that have rotted there.
    pub rotten_chunks: BTreeSet<(usize, BlobId, u32)>,
    queue: BTreeMap<(Duration, u64), Due>,
    posted: u64,
    calls_made: CallId,
    /// What whoever drives the world by hand waits for.
    asked: Option<driven::Asked>,
    /// What scripts have pushed.
    made: push::Made,
    chance: Chance,
    watch: Option<Box<Watch>>,
}

impl World {
    /// Everything in its place and nothing begun.
    pub fn new(plan: Arc<Plan>, watch: Watch) -> World {
        let tuning = &plan.tuning;
        let limits = Limits {
            page_records_max: tuning.page_records_max,
            page_bytes_max: tuning.page_bytes_max,
            frame_bytes_max: tuning.frame_bytes_max,
            ..Limits::default()
        };
        let mut world = World {
            now: Duration::ZERO,
            hubs: Vec::new(),
            clients: Vec::new(),
            net: Network::new(&plan),
            calls: BTreeMap::new(),
            outbox: Outbox::new(tuning.window_bytes_max),
            limits,
            healed: false,
            rotten: BTreeSet::new(),
            rotten_chunks: BTreeSet::new(),
            queue: BTreeMap::new(),
            posted: 0,
            calls_made: 0,
            asked: None,
            made: push::Made::new(),
            chance: Chance::new(plan.seed),
            watch: Some(Box::new(watch)),
            plan: plan.clone(),
        };
        for (at, hub) in plan.hubs.iter().enumerate() {
            let seeds = hub.seeds.iter().map(|seed| address(*seed)).collect();
            world.add_hub(
                &hub.name,
                Disk::default(),
                WallClock::new(hub.clock),
                seeds,
                at == 0,
            );
            world.hubs[at].off.insert(u64::MAX);
            world.at(
                hub.starts_at,
                Due::Restart {
                    hub: at,
                    reason: u64::MAX,
                },
            );
        }
        world.begin_clients();
        for (at, event) in plan.events.iter().enumerate() {
            world.at(event.at, Due::Do(at));
        }
        world
    }

    fn add_hub(&mut self, name: &str, disk: Disk, clock: WallClock, seeds: Vec<SocketAddr>, founds: bool) {
        self.hubs.push(Hub {
            name: name.to_owned(),
            address: address(self.hubs.len()),
            disk,
            clock,
            process: None,
            boots: 0,
            off: Default::default(),
            dark: false,
            frozen: Default::default(),
            held: Vec::new(),
            drawer: None,
            seeds,
            founds,
        });
    }

    /// Puts something on the agenda.
    fn at(&mut self, at: Duration, due: Due) {
        self.posted += 1;
        self.queue.insert((at.max(self.now), self.posted), due);
    }

    fn after(&mut self, wait: Duration, due: Due) {
        self.at(self.now + wait, due);
    }

    /// The next thing on the agenda, if it is due by `until`. False when there is none.
    fn step(&mut self, until: Duration) -> bool {
        match self.queue.first_key_value() {
            Some(((at, _), _)) if *at <= until => {}
            _ => return false,
        }
        let Some(((at, _), due)) = self.queue.pop_first() else {
            return false;
        };
        self.now = at;
        if let Some(hub) = self.asleep(&due) {
            self.hubs[hub].held.push(due);
            return true;
        }
        if let Some(watch) = &mut self.watch {
            watch.due(at, &due);
        }
        self.handle(due);
        self.maybe_sample();
        true
    }

    /// The frozen hub that something waits for.
    fn asleep(&self, due: &Due) -> Option<usize> {
        let hub = match due {
            Due::Step { hub, .. }
            | Due::Wake { hub, .. }
            | Due::Committed { hub, .. }
            | Due::Worked { hub, .. }
            | Due::Datagram { hub, .. }
            | Due::DialFailed { hub, .. } => *hub,
            Due::Parcel { conn, side, .. } | Due::Closed { conn, side } => {
                self.net.conns.get(conn)?.ends[*side].hub
            }
            Due::Request { call } | Due::Overdue { call } => self.calls.get(call)?.hub,
            _ => return None,
        };
        (!self.hubs[hub].frozen.is_empty() && self.hubs[hub].process.is_some()).then_some(hub)
    }

    fn handle(&mut self, due: Due) {
        match due {
            Due::Step { hub, boot, room } => self.room_step(hub, boot, room),
            Due::Wake { hub, boot, room } => self.wake(hub, boot, room),
            Due::Committed { hub, boot, number } => self.committed(hub, boot, number),
            Due::Parcel { conn, side, parcel } => self.parcel(conn, side, &parcel),
            Due::Closed { conn, side } => self.closed(conn, side),
            Due::Knock { hub, boot, address } => self.knock(hub, boot, address),
            Due::DialFailed { hub, boot, address } => self.dial_failed(hub, boot, address),
            Due::Datagram { hub, data } => self.datagram(hub, data),
            Due::Request { call } => self.request(call),
            Due::Answer { call } => self.answer(call),
            Due::Overdue { call } => self.overdue(call),
            Due::GiveUp { call } => self.give_up(call),
            Due::Client { client, round } => self.client_turn(client, round),
            Due::Worked { hub, boot, work } => self.worked(hub, boot, *work),
            Due::Uploaded {
                client,
                hub,
                boot,
                id,
            } => self.uploaded(client, hub, boot, id),
            Due::Do(at) => self.happen(at),
            Due::Undo(at) => self.undo(at),
            Due::Restart { hub, reason } => self.allow(hub, reason),
        }
    }

    /// Tells the watch what happened.
    fn saw(&mut self, seen: &Seen<'_>) {
        if let Some(mut watch) = self.watch.take() {
            watch.saw(self, seen);
            self.watch = Some(watch);
        }
    }

    fn maybe_sample(&mut self) {
        if self.watch.as_ref().is_some_and(|watch| watch.wants_sample()) {
            self.saw(&Seen::Sample);
        }
    }

    /// Whether a promise was broken.
    fn is_broken(&self) -> bool {
        self.watch.as_ref().is_some_and(|watch| watch.is_broken())
    }

    /// Who watches.
    pub fn watch(&self) -> Option<&Watch> {
        self.watch.as_deref()
    }

    fn into_watch(self) -> Option<Box<Watch>> {
        self.watch
    }

    /// What a hub's process is told about time.
    pub fn now_at(&self, hub: usize) -> Now {
        let started = self.hubs[hub]
            .process
            .as_ref()
            .map_or(self.now, |process| process.started);
        Now {
            wall: self.hubs[hub].clock.read(self.now),
            mono: self.now.saturating_sub(started),
        }
    }

    /// What a hub's disk holds of each log.
    pub fn clock_of(&self, hub: usize) -> Clock {
        read::clock(&self.hubs[hub].disk.image().snapshot()).unwrap_or_default()
    }

    /// A lane's name.
    pub fn name_of(&self, lane: Lane) -> &str {
        match lane {
            Lane::Hub(at) => &self.hubs[at].name,
            Lane::Client(at) => &self.clients[at].name,
        }
    }

    fn link_end(&self, hub: usize, link: Link) -> Option<(ConnId, usize)> {
        let conn = *self.hubs[hub].process.as_ref()?.links.get(&link)?;
        Some((conn, self.net.side(conn, hub, link)?))
    }
}
